"""Connections through proxies: sound ones, refusing ones, and such as are none."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace

import pytest

from gatewatch.lab.certificates import Office
from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.net import Connect
from gatewatch.probe.proxy import NotAProxy, Proxy, parse_proxy
from gatewatch.probe.steps import Exchange, Request, connect, exchange, handshake, lookup
from tests.probe.town import Stream, Town, closes, http, resets, sends, stays_silent

PROXY, NAME = "192.0.2.8", "www.example.org"


def through(scheme: str, **options) -> Proxy:
    return Proxy(scheme="http" if scheme == "http" else "socks5", address=PROXY, port=8, **options)


def connected(proxy: Proxy, serve: Stream | None, host: str = NAME, **options) -> Connect:
    async def dial() -> Connect:
        async with Town() as town:
            if serve is not None:
                await town.tcp(PROXY, 8, serve)
            found = await proxy.connect(town.vantage(), host, 443, **{"timeout_s": 0.4, **options})
            if found.stream is not None:
                found.stream.close()
            return found

    return asyncio.run(dial())


Relay = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


def socks(
    heard: list[bytes], reply: bytes, *, method: int = 0, granted: int = 0, after: bytes = b"",
    drip: bool = False,
) -> Stream:  # fmt: skip
    """A SOCKS5 server, RFC 1928: which method it takes, what it says to the password, the reply."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(data: bytes) -> None:
            for piece in [data[n : n + 1] for n in range(len(data))] if drip else [data]:
                writer.write(piece)
                await writer.drain()

        _, count = await reader.readexactly(2)
        heard.append(await reader.readexactly(count))
        await say(bytes((5, method)))
        if method == 2:
            _, size = await reader.readexactly(2)
            user = await reader.readexactly(size)
            password = await reader.readexactly((await reader.readexactly(1))[0])
            heard.append(user + b":" + password)
            await say(bytes((1, granted)))
            if granted:
                return
        head = await reader.readexactly(4)
        size = {1: 4, 4: 16}.get(head[3]) or (await reader.readexactly(1))[0]
        heard.append(await reader.readexactly(size))
        heard.append(await reader.readexactly(2))
        await say(reply + after)
        if after:
            await reader.read(-1)

    return serve


OPEN4 = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
OPEN6 = b"\x05\x00\x00\x04" + bytes(18)
OPEN_NAMED = b"\x05\x00\x00\x03\x03abc\x00\x00"


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "one byte at a time"])
@pytest.mark.parametrize("reply", [OPEN4, OPEN6, OPEN_NAMED])
@pytest.mark.parametrize(
    ("host", "sent"),
    [
        (NAME, NAME.encode()),
        ("192.0.2.80", bytes((192, 0, 2, 80))),
        ("2001:db8::80", bytes.fromhex("20010db8" + "0" * 22 + "80")),
    ],
)
def test_a_socks_proxy_is_told_where_to_go(host, sent, reply, drip):
    heard: list[bytes] = []
    found = connected(through("socks5"), socks(heard, reply, drip=drip), host)
    assert (found.failure, found.address, found.port) == (None, host, 443)
    assert heard == [b"\x00", sent, b"\x01\xbb"]


@pytest.mark.parametrize(("granted", "failure"), [(0, None), (1, "socks_error")])
def test_a_socks_proxy_with_a_password_is_given_it(granted, failure):
    heard: list[bytes] = []
    proxy = through("socks5", user="me", password="secret")
    found = connected(proxy, socks(heard, OPEN4, method=2, granted=granted))
    assert found.failure == failure
    assert heard[:2] == [b"\x00\x02", b"me:secret"]


def refused(code: int) -> bytes:
    return bytes((5, code)) + OPEN4[2:]


@pytest.mark.parametrize(
    ("serve", "failure"),
    [
        pytest.param(socks([], refused(1)), "unknown_failure: the proxy could not connect", id="1"),
        pytest.param(socks([], refused(2)), "socks_error", id="not allowed"),
        pytest.param(socks([], refused(3)), "network_unreachable", id="no network"),
        pytest.param(socks([], refused(4)), "host_unreachable", id="no host"),
        pytest.param(socks([], refused(5)), "connection_refused", id="refused"),
        pytest.param(socks([], refused(6)), "generic_timeout_error", id="out of time"),
        pytest.param(socks([], refused(7)), "socks_error", id="no such command"),
        pytest.param(socks([], refused(99)), "socks_error", id="no such reply"),
        pytest.param(socks([], OPEN4, method=255), "socks_error", id="no method"),
        pytest.param(socks([], b""), "socks_error", id="an end in place of a reply"),
        pytest.param(sends(b"\x05\x00", stays_silent), "generic_timeout_error", id="no reply"),
        pytest.param(None, "socks_error", id="nobody there"),
        pytest.param(resets, "socks_error", id="a reset"),
        pytest.param(closes, "socks_error", id="an end"),
        pytest.param(stays_silent, "socks_error", id="silence"),
        pytest.param(sends(http(400)), "socks_error", id="another protocol"),
    ],
)
def test_what_a_socks_proxy_reports_is_told_from_its_own_failing(serve, failure):
    found = connected(through("socks5"), serve)
    assert (found.failure, found.stream) == (failure, None)


def answers(status: int, heard: list[bytes] | None = None, extra: bytes = b"") -> Stream:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(head)
        for byte in f"HTTP/1.1 {status} Words\r\nVia: lab\r\n\r\n".encode() + extra:
            writer.write(bytes((byte,)))
            await writer.drain()
        await reader.read(-1)

    return serve


@pytest.mark.parametrize(
    ("host", "shown"), [(NAME, f"{NAME}:443"), ("2001:db8::80", "[2001:db8::80]:443")]
)
def test_an_http_proxy_is_told_where_to_go(host, shown):
    heard: list[bytes] = []
    found = connected(through("http", user="me", password="x"), answers(200, heard), host)
    assert found.failure is None
    lines = heard[0].decode().split("\r\n")
    assert lines[0] == f"CONNECT {shown} HTTP/1.1"
    assert f"Host: {shown}" in lines
    assert "Proxy-Authorization: Basic " + base64.b64encode(b"me:x").decode() in lines


@pytest.mark.parametrize(
    ("serve", "failure"),
    [
        pytest.param(
            answers(502), "unknown_failure: the proxy could not connect", id="bad gateway"
        ),
        pytest.param(answers(504), "generic_timeout_error", id="gateway timeout"),
        pytest.param(answers(407), "socks_error", id="a password is wanted"),
        pytest.param(answers(403), "socks_error", id="forbidden"),
        pytest.param(stays_silent, "generic_timeout_error", id="silence"),
        pytest.param(closes, "socks_error", id="an end"),
        pytest.param(sends(b"\x05\x00\r\n\r\n"), "socks_error", id="another protocol"),
        pytest.param(sends(b"HTTP/1.1 200 " + b"y" * 100_000), "socks_error", id="without end"),
    ],
)
def test_what_an_http_proxy_reports_is_told_from_its_own_failing(serve, failure):
    found = connected(through("http"), serve)
    assert (found.failure, found.stream) == (failure, None)


@pytest.mark.parametrize(
    ("scheme", "serve"),
    [("socks5", socks([], OPEN4, after=b"hello")), ("http", answers(200, extra=b"hello"))],
)
def test_what_the_server_says_first_is_not_lost_in_the_proxy(scheme, serve):
    async def listen() -> bytes:
        async with Town() as town:
            await town.tcp(PROXY, 8, serve)
            found = await through(scheme).connect(town.vantage(), NAME, 25, timeout_s=1.0)
            assert found.stream is not None
            heard = b""
            while len(heard) < 5:
                heard += await found.stream.read(1.0)
            found.stream.close()
            return heard

    assert asyncio.run(listen()) == b"hello"


def test_every_step_over_tcp_runs_through_a_proxy_unchanged(tmp_path):
    """With a name in place of an address, and TLS with the site itself."""
    office = Office(tmp_path)

    async def fetch() -> tuple[Exchange, str | None]:
        async with Town() as town:
            context = office.context("valid", [NAME], alpn=["http/1.1"])
            await town.tcp("192.0.2.80", 443, sends(http(200, b"page")), context)
            site = town.reach(None, "192.0.2.80", 443, "tcp")

            async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await socks([], OPEN4)(reader, writer)
                there, back = await asyncio.open_connection(*site[:2])
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(pour(reader, back))
                    tasks.create_task(pour(there, writer))

            await town.tcp(PROXY, 8, relay)
            vantage = replace(town.vantage(), via=through("socks5"))
            reached = await connect(vantage, NAME, 443)
            assert reached.stream is not None, reached.failure
            assert reached.stream.endpoint == f"{NAME}:443"
            shaken = await handshake(reached.stream, NAME, ca=office.ca_file)
            assert shaken.channel is not None, shaken.failure
            found = await exchange(vantage, shaken.channel, Request(url=f"https://{NAME}/"))
            reached.stream.close()
            return found, (await lookup(vantage, "192.0.2.53", NAME, "A")).failure

    found, no_datagrams = asyncio.run(fetch())
    assert (found.failure, found.body) == (None, b"page")
    assert kind_of(no_datagrams) is FailureKind.LOCAL


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("url", "scheme", "where", "user"),
    [
        ("socks5://127.0.0.1:9050", "socks5", ("127.0.0.1", 9050), None),
        ("socks5h://localhost", "socks5", ("127.0.0.1", 1080), None),
        ("http://me:p%40ss@[::1]:3128", "http", ("::1", 3128), ("me", "p@ss")),
    ],
)
def test_a_proxy_is_named_by_a_url(url, scheme, where, user):
    found = parse_proxy(url)
    assert (found.scheme, (found.address, found.port)) == (scheme, where)
    assert (None if found.user is None else (found.user, found.password)) == user


@pytest.mark.parametrize(
    "url", ["", "ftp://127.0.0.1", "socks5://", "socks5://proxy.example", "http://127.0.0.1:99999"]
)
def test_what_names_no_proxy_says_what_would(url):
    with pytest.raises(NotAProxy, match="socks5://"):
        parse_proxy(url)
