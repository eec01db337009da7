"""ClientHellos in bytes: whole, one byte at a time, over any records, and damaged."""

from __future__ import annotations

import ssl
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists

from gatewatch.wire.tls import ClientHello, NotTls, alert, client_hello, hello_message


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
