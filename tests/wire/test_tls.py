"""ClientHellos in bytes: whole, one byte at a time, over any records, and damaged."""

from __future__ import annotations

import ssl
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists

from gatewatch.lab.certificates import Office
from gatewatch.wire.tls import (
    ClientHello,
    NotTls,
    alert,
    client_hello,
    hello_message,
    server_answer,
)


def openssl_hello(name: str | None, *alpn: str) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def message(*extensions: tuple[int, bytes]) -> bytes:
    """A ClientHello with these extensions, as little else as there may be, and no record."""
    body = b"\3\3" + bytes(32) + vector(1, b"") + vector(2, b"\x13\1") + vector(1, b"\0")
    if extensions:
        body += vector(
            2, b"".join(kind.to_bytes(2, "big") + vector(2, x) for kind, x in extensions)
        )
    return b"\1" + vector(3, body)


def records(handshake: bytes, size: int = 2**14) -> bytes:
    pieces = (handshake[at : at + size] for at in range(0, len(handshake), size))
    return b"".join(b"\x16\3\1" + vector(2, piece) for piece in pieces)


def server_name(*names: tuple[int, bytes]) -> tuple[int, bytes]:
    return 0, vector(2, b"".join(bytes([kind]) + vector(2, name) for kind, name in names))


NAMED = message(server_name((0, b"example.org")))


@pytest.mark.parametrize(
    ("stream", "hello"),
    [
        pytest.param(
            openssl_hello("Blocked.Example.org", "h2", "http/1.1"),
            ClientHello(sni="blocked.example.org", alpn=("h2", "http/1.1"), ech=False, esni=False),
            id="OpenSSL",
        ),
        pytest.param(
            openssl_hello(None),
            ClientHello(sni=None, alpn=(), ech=False, esni=False),
            id="OpenSSL, without a name",
        ),
        pytest.param(
            records(message()),
            ClientHello(sni=None, alpn=(), ech=False, esni=False),
            id="no extensions at all",
        ),
        pytest.param(
            records(message(server_name((0, b"public.example")), (0xFE0D, b"\0sealed"))),
            ClientHello(sni="public.example", alpn=(), ech=True, esni=False),
            id="encrypted_client_hello",
        ),
        pytest.param(
            records(message((0xFFCE, b"sealed"), (16, vector(2, vector(1, b"h2"))))),
            ClientHello(sni=None, alpn=("h2",), ech=False, esni=True),
            id="encrypted_server_name",
        ),
        pytest.param(
            records(message(server_name((7, b"other"), (0, b"second.example")))),
            ClientHello(sni="second.example", alpn=(), ech=False, esni=False),
            id="another type of name first",
        ),
        pytest.param(
            records(message((0, b""), (16, b""))),
            ClientHello(sni=None, alpn=(), ech=False, esni=False),
            id="extensions with nothing in them",
        ),
        pytest.param(
            records(message((0x1A1A, b""), (16, vector(2, vector(1, b"\x8a\x8a"))))),
            ClientHello(sni=None, alpn=("\x8a\x8a",), ech=False, esni=False),
            id="GREASE",
        ),
    ],
)
def test_a_client_hello_is_complete_with_its_last_byte_and_not_before(stream, hello):
    assert [client_hello(stream[:size]) for size in range(len(stream))] == [None] * len(stream)
    assert client_hello(stream) == hello
    assert client_hello(stream + b"whatever follows") == hello


@pytest.mark.parametrize("size", [1, 2, 5, 60])
def test_a_name_is_found_in_a_hello_spread_over_records_of_any_size(size):
    hello = client_hello(records(NAMED, size))
    assert hello is not None
    assert hello.sni == "example.org"


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"GET / HTTP/1.1\r\n", id="HTTP"),
        pytest.param(b"\x16\2", id="a version that is none"),
        pytest.param(b"\x16\3\1\0\0", id="an empty record"),
        pytest.param(b"\x16\3\1\x40\1", id="a record of over 16 KiB"),
        pytest.param(b"\x15\3\1\0\2\2\x28", id="an alert"),
        pytest.param(records(b"\2" + NAMED[1:]), id="a ServerHello"),
        pytest.param(records(NAMED[:50]) + b"\x17\3\3\0\1x", id="another record in the middle"),
        pytest.param(records(b"\1\xff\0\0"), id="16 MB announced"),
        pytest.param(records(b"\1" + vector(3, b"\3\3" + bytes(10))), id="cut off in the random"),
        pytest.param(
            records(b"\1" + vector(3, b"\3\3" + bytes(32) + b"\xff")), id="session out of it"
        ),
        pytest.param(records(b"\1" + vector(3, NAMED[4:-1])), id="extensions out of it"),
        pytest.param(records(message((0, b"\0\xff\0"))), id="names out of their list"),
        pytest.param(records(message((0, vector(2, b"\0\0\xff")))), id="a name out of its list"),
        pytest.param(records(message((16, vector(2, b"\xffh2")))), id="a protocol out of its list"),
    ],
)
def test_what_cannot_become_a_client_hello_is_not_waited_for(stream):
    with pytest.raises(NotTls):
        client_hello(stream)


@given(
    cuts=lists(integers(0, len(NAMED))),
    damage=integers(0, len(NAMED) - 1),
    byte=binary(min_size=1, max_size=1),
)
def test_a_damaged_hello_is_read_or_refused_and_nothing_else(cuts, damage, byte):
    damaged = NAMED[:damage] + byte + NAMED[damage + 1 :]
    edges = sorted({0, len(NAMED), *cuts})
    pieces = [damaged[a:b] for a, b in pairwise(edges)]
    stream = b"".join(records(piece) for piece in pieces)
    try:
        read = client_hello(stream)
    except NotTls:
        read = None
        with pytest.raises(NotTls):
            hello_message(damaged)
    assert read is None or read == hello_message(damaged)


@given(junk=binary(max_size=200), start=integers(0, 6))
def test_junk_is_waited_for_or_refused_and_nothing_else(junk, start):
    try:
        read = client_hello(b"\x16\3\1\0\x40\1"[:start] + junk)
    except NotTls:
        read = None
    assert read is None or isinstance(read, ClientHello)


def test_openssl_takes_the_alert_for_what_it_is():
    received = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(
        received, ssl.MemoryBIO(), server_hostname="example.org"
    )
    received.write(alert(2, 112))
    with pytest.raises(ssl.SSLError) as caught:
        client.do_handshake()
    assert caught.value.reason == "TLSV1_UNRECOGNIZED_NAME"


# -- what answers ----------------------------------------------------------------------------


def greeted(context: ssl.SSLContext, hello: bytes) -> bytes:
    """What OpenSSL says to a hello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(hello)
    with suppress(ssl.SSLError):
        context.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
    return outgoing.read()


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Of TLS 1.3 and 1.2, of one that wants another key share, and of one that refuses."""
    office = Office(tmp_path_factory.mktemp("office"))
    context = office.context("valid", ["a.example"])
    modern = openssl_hello("a.example")
    found = {"1.3": greeted(context, modern)}
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    found["1.2"] = greeted(context, modern)
    retrying = office.context("valid", ["a.example"])
    retrying.set_ecdh_curve("secp384r1")
    found["retry"] = greeted(retrying, modern)
    refusing = office.context("valid", ["a.example"])
    refusing.minimum_version = ssl.TLSVersion.TLSv1_3
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    found["refusal"] = greeted(refusing, hello_of(client))
    return found


def hello_of(context: ssl.SSLContext) -> bytes:
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("of", "kind", "version", "retry", "alert"),
    [
        ("1.3", "server_hello", 0x0304, False, None),
        ("1.2", "server_hello", 0x0303, False, None),
        ("retry", "server_hello", 0x0304, True, None),
        ("refusal", "alert", None, False, 70),
    ],
)
def test_the_answer_of_a_real_server_is_known_as_soon_as_it_is_whole(
    of, kind, version, retry, alert, answers
):
    stream = answers[of]
    read = [server_answer(stream[:n]) for n in range(len(stream) + 1)]
    known = next(n for n, found in enumerate(read) if found is not None)
    assert all(found == read[-1] for found in read[known:]), "and does not change its mind"
    assert known <= 7 if kind == "alert" else known > 40
    last = read[-1]
    assert last is not None
    assert (last.kind, last.version, last.retry) == (kind, version, retry)
    assert last.alert == alert


@pytest.mark.parametrize(
    ("stream", "ended", "kind"),
    [
        pytest.param(b"", True, None, id="nothing"),
        pytest.param(b"H", False, "other", id="a letter"),
        pytest.param(b"\x16\x02", False, "other", id="no version of TLS"),
        pytest.param(b"\x16\x03", False, None, id="a beginning"),
        pytest.param(b"\x16\x03", True, "other", id="a beginning and an end"),
        pytest.param(b"\x15\x03\x03\x00\x05", False, "other", id="an alert of five bytes"),
        pytest.param(b"\x16\x03\x03\x00\x01\x02", False, None, id="the first byte of a hello"),
        pytest.param(b"\x16\x03\x03\x00\x01\x0b", False, "other", id="a certificate first"),
        pytest.param(b"\x16\x03\x03\x00\x00", False, "other", id="an empty record"),
    ],
)
def test_what_is_no_answer_is_known_for_it(stream, ended, kind):
    found = server_answer(stream, ended=ended)
    assert (None if found is None else found.kind) == kind


@given(binary(max_size=200))
def test_no_bytes_make_reading_an_answer_fail(junk):
    for begin in (b"", b"\x16\x03\x03\x00\x60\x02\x00\x00\x50", b"\x15\x03\x03"):
        found = server_answer(begin + junk, ended=True)
        assert found is not None or not (begin + junk)
