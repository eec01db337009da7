"""Requests, and answers that come whole, in part, malformed, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from gatewatch.probe.steps import Exchange, Request, connect, exchange
from tests.probe.town import Stream, Town, http, resets, sends, stays_silent

SITE = "192.0.2.80"
URL = "http://www.example.org/news?id=1#part"


def fetched(serve: Stream, request: Request | None = None, **options) -> Exchange:
    async def fetch() -> Exchange:
        async with Town() as town:
            await town.tcp(SITE, 80, serve)
            vantage = town.vantage()
            reached = await connect(vantage, SITE, 80)
            assert reached.stream is not None
            asked = request or Request(url=URL, headers=(("Accept", "*/*"),))
            found = await exchange(vantage, reached.stream, asked, **{"timeout_s": 0.3, **options})
            reached.stream.close()
            return found

    return asyncio.run(fetch())


OLD = b"HTTP/1.0 200 OK\r\n\r\npage"
HINTS = b"HTTP/1.1 103 Hints\r\n\r\n"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"


@pytest.mark.parametrize(
    ("serve", "failure", "status", "body"),
    [
        pytest.param(sends(http(200, b"whole")), None, 200, b"whole", id="a page"),
        pytest.param(sends(OLD), None, 200, b"page", id="ended by a FIN"),
        pytest.param(sends(HINTS + http(200, b"x")), None, 200, b"x", id="hints"),
        pytest.param(sends(CUT), "eof_error", 200, b"half", id="cut by a FIN"),
        pytest.param(sends(CUT, stays_silent), "generic_timeout_error", 200, b"half", id="stalled"),
        pytest.param(resets, "connection_reset", None, b"", id="a reset"),
        pytest.param(sends(b""), "eof_error", None, b"", id="nothing and a FIN"),
        pytest.param(sends(b"HTTP/1.1 2"), "eof_error", None, b"", id="half a status line"),
        pytest.param(stays_silent, "generic_timeout_error", None, b"", id="silence"),
        pytest.param(
            sends(b"<html>no status line</html>"),
            "unknown_failure: malformed HTTP response",
            None,
            b"",
            id="a page without a status line",
        ),
    ],
)
def test_an_exchange_keeps_what_came_and_says_how_it_ended(serve, failure, status, body):
    found = fetched(serve)
    assert (found.failure, found.status, found.body) == (failure, status, body)
    assert found.t0 <= found.t


def test_an_answer_one_byte_at_a_time_is_the_same_answer():
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        for byte in http(200, b"slowly", Server="lab"):
            writer.write(bytes((byte,)))
            await writer.drain()

    found = fetched(drip)
    assert (found.failure, found.status, found.body) == (None, 200, b"slowly")
    assert ("Server", "lab") in found.headers


def test_a_body_over_the_limit_is_cut_and_says_so():
    found = fetched(sends(http(200, b"x" * 5000)), most=1000)
    assert (found.failure, found.truncated, len(found.body)) == (None, True, 1000)


def test_what_is_sent_is_what_browsers_send():
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(http(200))
        await writer.drain()

    fetched(listen)
    head = heard[0].decode()
    assert head.startswith("GET /news?id=1 HTTP/1.1\r\n"), "no fragment, no host in the target"
    assert "\r\nHost: www.example.org\r\n" in head
    assert "\r\nAccept: */*\r\n" in head


@pytest.mark.parametrize("url", ["http://www.example.org", "http://www.example.org/"])
def test_a_url_without_a_path_asks_for_the_root(url):
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]
        writer.write(http(200, line))
        await writer.drain()

    assert fetched(echo, Request(url=url)).body == b"GET / HTTP/1.1"


def test_a_posted_body_goes_with_its_length():
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        writer.write(http(200, await reader.readexactly(length)))
        await writer.drain()

    assert fetched(echo, Request(url=URL, method="POST", body=b"question")).body == b"question"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(Request(url=URL, headers=(("X-Name", "žluť"),)), id="a letter"),
        pytest.param(Request(url=URL, headers=(("X-Name", "a\r\nb: c"),)), id="a line break"),
        pytest.param(Request(url="http://www.example.org/a b"), id="a blank in the path"),
    ],
)
def test_a_request_that_cannot_be_written_is_our_own_fault(request_):
    assert fetched(stays_silent, request_).failure == "invalid_argument"


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, id="hints without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X-Long: y\r\n" * 100, id="headers without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000, id="a header without end"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            b"y" * 1000,
            id="a chunk's extension without end",
        ),
    ],
)
def test_a_server_that_floods_is_given_up_before_the_deadline(begin, piece):
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(begin)
        while True:
            writer.write(piece)
            await writer.drain()

    found = fetched(flood, timeout_s=20.0)
    assert (found.failure, found.body) == ("unknown_failure: malformed HTTP response", b"")
    assert found.t - found.t0 < 15.0


def test_headers_longer_than_most_are_read():
    found = fetched(sends(http(200, b"x", Content_Security_Policy="y" * 60_000)))
    assert (found.failure, found.body) == (None, b"x")
