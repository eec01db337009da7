"""ClientHellos made by hand: real servers take them, and what answers is read."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, integers, none, one_of, sampled_from

from gatewatch.lab.certificates import Office
from gatewatch.probe.hello import (
    Hello,
    client_hello,
    ech_extension,
    say_hello,
)
from gatewatch.probe.steps import connect
from gatewatch.wire import tls as wire
from gatewatch.wire.tls import server_answer
from tests.probe.town import Stream, Town, closes, http, resets, sends, stays_silent

SITE, NAME = "192.0.2.80", "www.example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return Office(tmp_path_factory.mktemp("office")).context("valid", [NAME], alpn=["h2"])


def greeted(server: ssl.SSLContext, hello: bytes) -> bytes:
    """What OpenSSL says to a hello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = server.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello)
    with suppress(ssl.SSLError):
        tls.do_handshake()
    return outgoing.read()


ECH = ech_extension(Random(1))
NAMES = one_of(none(), sampled_from([NAME, "a.example", "x" * 60 + ".example", "žluť.example"]))


@given(
    sni=NAMES,
    ech=one_of(none(), sampled_from([ECH, ech_extension(Random(2), config_id=7, enc=bytes(32))])),
    esni=booleans(),
    alpn=sampled_from([(), ("h2",), ("h2", "http/1.1")]),
    seed=integers(0, 100),
    pad_to=integers(0, 1800),
)
def test_a_hello_says_what_it_was_told_to_and_nothing_else(sni, ech, esni, alpn, seed, pad_to):
    hello = client_hello(sni, ech=ech, esni=esni, alpn=alpn, random=Random(seed), pad_to=pad_to)
    sent = None if sni is None else sni.encode().decode("latin-1").lower()
    read = wire.client_hello(hello)
    assert read == wire.ClientHello(sni=sent, alpn=alpn, ech=ech is not None, esni=esni)
    assert len(hello) >= pad_to
    again = client_hello(sni, ech=ech, esni=esni, alpn=alpn, random=Random(seed), pad_to=pad_to)
    assert again == hello, "the same from the same source of randomness"


def test_two_hellos_share_no_key():
    random = Random(1)
    assert client_hello(NAME, random=random) != client_hello(NAME, random=random)


@pytest.mark.parametrize(
    ("options", "version"),
    [
        pytest.param({}, 0x0304, id="plain"),
        pytest.param({"ech": ECH}, 0x0304, id="with ECH"),
        pytest.param({"esni": True}, 0x0304, id="with ESNI"),
        pytest.param({"alpn": ()}, 0x0304, id="without ALPN"),
        pytest.param({"pad_to": 1500}, 0x0304, id="long"),
        pytest.param({"versions": (0x0303,)}, 0x0303, id="TLS 1.2"),
        pytest.param({"extra": [(0x7A7A, b"")]}, 0x0304, id="with an extension nobody knows"),
    ],
)
@pytest.mark.parametrize("name", [NAME, None])
def test_a_real_server_takes_the_hello(server, name, options, version):
    said = greeted(server, client_hello(name, random=Random(3), **options))
    answer = server_answer(said)
    assert answer is not None
    assert (answer.kind, answer.version) == ("server_hello", version)


def test_a_server_that_has_no_such_protocol_says_so(server):
    answer = server_answer(
        greeted(server, client_hello(NAME, random=Random(3), versions=(0x0301,)))
    )
    assert answer is not None
    assert (answer.kind, answer.alert) == ("alert", 70)


# -- said to somebody ------------------------------------------------------------------------------


def said(serve: Stream, hello: bytes | None = None, **options) -> Hello:
    async def say() -> Hello:
        async with Town() as town:
            await town.tcp(SITE, 443, serve)
            reached = await connect(town.vantage(), SITE, 443)
            assert reached.stream is not None
            words = client_hello(NAME, random=Random(1)) if hello is None else hello
            found = await say_hello(reached.stream, words, **{"timeout_s": 0.4, **options})
            reached.stream.close()
            return found

    return asyncio.run(say())


ALERT = wire.alert(2, 40)
HELLO_DONE = b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00"
BROKEN = b"\x16\x03\x03\x00\x05\x02\x00\x00\x01\x00"


@pytest.mark.parametrize(
    ("serve", "failure", "answered", "alert"),
    [
        pytest.param(sends(ALERT), None, "alert", 40, id="an alert"),
        pytest.param(sends(http(400)), None, "other", None, id="no TLS"),
        pytest.param(sends(HELLO_DONE), None, "other", None, id="another message"),
        pytest.param(sends(BROKEN), None, "other", None, id="a ServerHello of one byte"),
        pytest.param(sends(ALERT[:6]), None, "other", None, id="half an alert and an end"),
        pytest.param(
            sends(ALERT[:6], stays_silent), "generic_timeout_error", "other", None, id="half of one"
        ),
        pytest.param(resets, "connection_reset", None, None, id="a reset"),
        pytest.param(closes, "eof_error", None, None, id="an end"),
        pytest.param(stays_silent, "generic_timeout_error", None, None, id="silence"),
        pytest.param(
            sends(b"\x16\x03\x03\x40\x00\x02\x00\x40\x00" + bytes(40_000), stays_silent),
            None,
            "other",
            None,
            id="a message without end",
        ),
    ],
)
def test_what_answers_a_hello_is_named(serve, failure, answered, alert):
    found = said(serve)
    assert (found.failure, found.answered, found.alert) == (failure, answered, alert)
    assert 0 <= found.t0 <= found.t
    assert len(found.data) <= 1 << 15


def test_a_real_server_answers_over_the_wire_one_byte_at_a_time(server):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = b""
        while wire.client_hello(heard) is None:
            heard += await reader.read(65_536)
        for byte in greeted(server, heard)[:200]:
            writer.write(bytes((byte,)))
            await writer.drain()
        await reader.read(-1)

    hello = client_hello(NAME, random=Random(3))
    found = said(serve, hello, timeout_s=2.0)
    assert (found.failure, found.answered) == (None, "server_hello")
    assert found.answer is not None
    assert found.answer.cipher_suite in (0x1301, 0x1302, 0x1303)
