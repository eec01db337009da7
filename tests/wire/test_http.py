"""Request heads in bytes: whole, one byte at a time, and as evasion tools write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import binary, sampled_from, text

from gatewatch.wire.http import RequestHead, may_be_request, request_head

PLAIN = b"GET /a?q=1 HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n"


def test_a_head_is_complete_with_its_last_byte_and_not_before():
    assert [request_head(PLAIN[:size]) for size in range(len(PLAIN))] == [None] * len(PLAIN)
    assert request_head(PLAIN + b"body\r\n\r\n") == RequestHead(
        method="GET",
        target="/a?q=1",
        host="example.org",
        path="/a?q=1",
        headers=(("Host", "example.org"), ("Accept", "*/*")),
    )


@pytest.mark.parametrize(
    ("stream", "host", "path"),
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nhOsT: EXAMPLE.org\r\n\r\n", "example.org", "/", id="any case"
        ),
        pytest.param(
            b"GET / HTTP/1.1\nHost:example.org\n\n", "example.org", "/", id="bare line ends"
        ),
        pytest.param(
            b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "a", "/", id="blank lines before"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost : \t a  \r\n\r\n", "a", "/", id="spaces round the colon"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", "a", "/", id="a folded line"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "a", "/", id="the first of two"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n", "a", "/", id="a port"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n", "2001:db8::1", "/", id="IPv6"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nno colon\r\nHost: a\r\n\r\n", "a", "/", id="a broken line"
        ),
        pytest.param(b"GET  /  HTTP/1.1\r\nHost: a\r\n\r\n", "a", "/", id="two spaces"),
        pytest.param(b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", "a", "/", id="tabs"),
        pytest.param(b"GET /\r\n\r\n", None, "/", id="no host and no version"),
        pytest.param(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", "", "/", id="an empty host"),
        pytest.param(b"GET / HTTP/1.1\r\nX: Host: a\r\n\r\n", None, "/", id="a host that is none"),
        pytest.param(b"get / http/1.1\r\nHost: a\r\n\r\n", "a", "/", id="a method in lower case"),
        pytest.param(
            b"GET http://a.example/b?c HTTP/1.1\r\nHost: b.example\r\n\r\n",
            "a.example",
            "/b?c",
            id="an absolute target goes before Host",
        ),
        pytest.param(
            b"GET HTTP://u:p@a.example:81 HTTP/1.1\r\n\r\n",
            "a.example",
            "/",
            id="an absolute target without a path",
        ),
        pytest.param(
            b"GET /go?to=http://b.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "a",
            "/go?to=http://b.example/",
            id="a URL in a query is no target",
        ),
        pytest.param(
            b"CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n",
            "a.example",
            "",
            id="CONNECT names whom it wants",
        ),
        pytest.param(
            b"GET /\xe9 HTTP/1.1\r\nHost: \xff\r\n\r\n",
            "\xff",
            "/\xe9",
            id="bytes that are no text",
        ),
    ],
)
def test_the_host_is_found_however_it_is_written(stream, host, path):
    head = request_head(stream)
    assert head is not None
    assert (head.host, head.path) == (host, path)


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"\x16\3\1\2\0\1\0\1\xfc\3\3\r\n\r\n", id="TLS"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", id="SSH"),
        pytest.param(b"GET\r\n\r\n", id="no target"),
        pytest.param(b"\r\n\r\n\r\n", id="blank lines"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 2**16 + b"\r\n\r\n", id="no end in 64 kB"),
    ],
)
def test_what_is_no_request_has_no_head(stream):
    assert request_head(stream) is None


@pytest.mark.parametrize(
    ("stream", "may"),
    [(b"", True), (b"\r\n", True), (b"G", True), (PLAIN, True), (b"\x16", False), (b"{}", False)],
)
def test_a_stream_is_given_up_on_once_it_cannot_be_a_request(stream, may):
    assert may_be_request(stream) is may


@given(junk=binary(max_size=100), start=sampled_from([b"", b"GET ", b"GET http://", PLAIN[:40]]))
def test_nothing_a_client_sends_makes_reading_fail(junk, start):
    head = request_head(start + junk + b"\r\n\r\n")
    assert head is None or head.method.isascii()


@given(name=text("abcXYZ019-.", min_size=1), value=text(" \tabc:,;\u00e9", max_size=20))
def test_headers_are_kept_in_order_with_their_names_as_sent(name, value):
    head = request_head(f"GET / HTTP/1.1\r\n{name}: {value}\r\nB: 2\r\n\r\n".encode("latin-1"))
    assert head is not None
    assert head.headers == ((name, value.strip()), ("B", "2"))
