"""HTTP/2 answers that come whole, in pieces, from the hostile, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from gatewatch.lab.certificates import Office
from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.exchanges import AROUND_LIMIT
from gatewatch.probe.steps import Exchange, Request, connect, exchange, handshake
from tests.probe.http2_server import page, serving
from tests.probe.town import Stream, Town, closes, http, resets, sends, stays_silent

SITE, NAME = "192.0.2.80", "www.example.org"
URL = f"https://{NAME}/news?id=1#part"
MALFORMED = "unknown_failure: malformed HTTP response"


def fetched(serve: Stream, request: Request | None = None, **options) -> Exchange:
    """Over a connection in clear: HTTP/2 does not care what carries it."""

    async def fetch() -> Exchange:
        async with Town() as town:
            await town.tcp(SITE, 443, serve)
            vantage = town.vantage()
            reached = await connect(vantage, SITE, 443)
            assert reached.stream is not None
            asked = request or Request(url=URL, headers=(("Accept", "*/*"),))
            found = await exchange(
                vantage, reached.stream, asked, alpn="h2", **{"timeout_s": 0.4, **options}
            )
            reached.stream.close()
            return found

    return asyncio.run(fetch())


def echo(h2: H2Connection, stream: int, headers: dict[str, str], body: bytes) -> None:
    heard = [(f"x-{name.strip(':')}", value) for name, value in headers.items()]
    h2.send_headers(stream, [(":status", "200"), *heard])
    h2.send_data(stream, body[:16_384], end_stream=True)


def informed(h2: H2Connection, stream: int, headers: dict[str, str], body: bytes) -> None:
    h2.send_headers(stream, [(":status", "103"), ("link", "</x>")])
    page(b"after hints")(h2, stream, headers, body)


def with_trailers(h2: H2Connection, stream: int, _: dict[str, str], __: bytes) -> None:
    h2.send_headers(stream, [(":status", "200")])
    h2.send_data(stream, b"before trailers")
    h2.send_headers(stream, [("x-sum", "1")], end_stream=True)


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "one byte at a time"])
@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        pytest.param(page(b"whole"), 200, b"whole", id="a page"),
        pytest.param(page(b"", status=204), 204, b"", id="no body"),
        pytest.param(page(b"x" * 5_000, status=404), 404, b"x" * 5_000, id="an error page"),
        pytest.param(informed, 200, b"after hints", id="hints"),
        pytest.param(with_trailers, 200, b"before trailers", id="trailers"),
    ],
)
def test_an_answer_is_what_the_server_sent_whole_or_in_pieces(answer, status, body, drip):
    found = fetched(serving(answer, drip=drip), timeout_s=5.0)
    assert (found.failure, found.status, found.body) == (None, status, body)
    assert not found.truncated


def test_headers_come_in_their_order_and_repeat():
    cookies = [("set-cookie", "a=1"), ("server", "lab"), ("set-cookie", "b=2")]
    assert fetched(serving(page(b"x", *cookies))).headers == cookies


def test_what_is_sent_is_what_browsers_send():
    asked = Request(
        url=URL,
        headers=(("Accept", "*/*"), ("Connection", "close"), ("Host", "no"), ("Referer", "")),
    )
    sent = dict(fetched(serving(echo), asked).headers)
    assert sent == {
        "x-method": "GET",
        "x-scheme": "https",
        "x-authority": NAME,
        "x-path": "/news?id=1",
        "x-accept": "*/*",
        "x-referer": "",
    }


def test_a_posted_body_arrives_though_it_is_longer_than_the_server_has_room_for():
    body = bytes(range(256)) * 300
    found = fetched(serving(echo), Request(url=URL, method="POST", body=body), timeout_s=5.0)
    assert (found.failure, found.body) == (None, body[:16_384])
    assert ("x-content-length", str(len(body))) in found.headers


def test_a_server_that_never_makes_room_is_waited_for_and_no_longer():
    asked = Request(url=URL, method="POST", body=bytes(100_000))
    found = fetched(sends(SETTINGS, stays_silent), asked)
    assert (found.failure, found.status) == ("generic_timeout_error", None)


def test_a_body_over_the_limit_is_cut_and_says_so():
    found = fetched(serving(page(b"x" * 50_000)), most=1000)
    assert (found.failure, found.truncated, found.body) == (None, True, b"x" * 1000)


def test_a_body_longer_than_every_window_is_read_to_its_end():
    found = fetched(patient(bytes(200_000)), timeout_s=5.0)
    assert (found.failure, len(found.body)) == (None, 200_000)


def patient(body: bytes) -> Stream:
    """A server that sends as much as there is room for, and waits for more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        h2.initiate_connection()
        left: bytes | None = None
        while left != b"":
            data = await reader.read(65_536)
            for event in h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    h2.send_headers(1, [(":status", "200")])
                    left = body
            while left and (room := min(h2.local_flow_control_window(1), 16_384)):
                h2.send_data(1, left[:room], end_stream=len(left) <= room)
                left = left[room:]
            writer.write(h2.data_to_send())
            await writer.drain()

    return serve


# -- those who end it ------------------------------------------------------------------------


def frame(one: Frame) -> bytes:
    return one.serialize()


SETTINGS = frame(SettingsFrame(0))
HEADERS = frame(HeadersFrame(1, Encoder().encode([(":status", "200")]), flags=["END_HEADERS"]))
HALF = SETTINGS + HEADERS + frame(DataFrame(1, b"half"))


def reset_with(code: int) -> bytes:
    return frame(RstStreamFrame(1, code))


def goaway(last: int, code: int) -> bytes:
    return frame(GoAwayFrame(0, last, code))


@pytest.mark.parametrize(
    ("serve", "failure", "status", "body"),
    [
        pytest.param(resets, "connection_reset", None, b"", id="a reset of the connection"),
        pytest.param(closes, "eof_error", None, b"", id="an end"),
        pytest.param(stays_silent, "generic_timeout_error", None, b"", id="silence"),
        pytest.param(
            sends(SETTINGS, stays_silent), "generic_timeout_error", None, b"", id="no answer"
        ),
        pytest.param(sends(HALF), "eof_error", 200, b"half", id="cut by an end"),
        pytest.param(
            sends(HALF, stays_silent), "generic_timeout_error", 200, b"half", id="stalled"
        ),
        pytest.param(
            sends(SETTINGS + reset_with(7)),
            "unknown_failure: stream error REFUSED_STREAM",
            None,
            b"",
            id="the stream refused",
        ),
        pytest.param(
            sends(HALF + reset_with(2)),
            "unknown_failure: stream error INTERNAL_ERROR",
            200,
            b"half",
            id="the stream reset half way",
        ),
        pytest.param(
            sends(SETTINGS + goaway(0, 0)),
            "unknown_failure: GOAWAY NO_ERROR",
            None,
            b"",
            id="gone before our request",
        ),
        pytest.param(
            sends(SETTINGS + goaway(1, 11)),
            "unknown_failure: GOAWAY ENHANCE_YOUR_CALM",
            None,
            b"",
            id="gone in anger",
        ),
        pytest.param(sends(http(400, b"no h2")), MALFORMED, None, b"", id="another protocol"),
        pytest.param(sends(SETTINGS + b"\xff" * 64), MALFORMED, None, b"", id="noise"),
    ],
)
def test_an_exchange_keeps_what_came_and_says_how_it_ended(serve, failure, status, body):
    found = fetched(serve)
    assert (found.failure, found.status, found.body) == (failure, status, body)


def test_what_the_server_says_of_its_streams_is_no_reset_of_the_path():
    for code in range(14):
        failure = fetched(sends(SETTINGS + reset_with(code))).failure
        assert kind_of(str(failure).partition(":")[0]) is FailureKind.UNKNOWN


def test_a_server_that_takes_leave_still_answers_what_it_took():
    ending = goaway(1, 0) + HEADERS + frame(DataFrame(1, b"last", flags=["END_STREAM"]))
    found = fetched(sends(SETTINGS + ending))
    assert (found.failure, found.body) == (None, b"last")


# -- the hostile -----------------------------------------------------------------------------


def flood(begin: bytes, again: Callable[[], Iterator[bytes]]) -> tuple[Stream, list[int]]:
    """A server that never ends what it says, and how much it got rid of."""
    sent: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(begin)
        for piece in again():
            writer.write(piece)
            await writer.drain()
            sent.append(len(piece))

    return serve, sent


def forever(piece: bytes) -> Callable[[], Iterator[bytes]]:
    def again() -> Iterator[bytes]:
        while True:
            yield piece

    return again


BOMB = Encoder().encode([("x-long", "y" * 4000)])
"Once in the table, one byte stands for all of it: RFC 7541, section 7.3."


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        pytest.param(SETTINGS, frame(SettingsFrame(0)) * 100, id="settings"),
        pytest.param(SETTINGS, frame(PingFrame(0, b"12345678")) * 100, id="pings"),
        pytest.param(SETTINGS + HEADERS, frame(DataFrame(1)) * 1000, id="empty data"),
        pytest.param(
            SETTINGS + frame(HeadersFrame(1, b"\x88")),
            frame(ContinuationFrame(1)) * 10,
            id="endless continuation",
        ),
        pytest.param(
            SETTINGS + frame(HeadersFrame(1, b"\x88" + BOMB)),
            frame(ContinuationFrame(1, b"\xbe" * 1000)),
            id="a bomb of headers",
        ),
        pytest.param(
            SETTINGS
            + frame(HeadersFrame(1, b"\x88" + BOMB + b"\xbe" * 2000, flags=["END_HEADERS"])),
            b"",
            id="a bomb in one frame",
        ),
        pytest.param(
            SETTINGS,
            frame(HeadersFrame(1, Encoder().encode([(":status", "103")]), flags=["END_HEADERS"]))
            * 100,
            id="hints without end",
        ),
    ],
)
def test_a_server_that_floods_is_given_up_before_the_deadline(begin, piece):
    serve, sent = flood(begin, forever(piece) if piece else lambda: iter(()))
    found = fetched(serve, timeout_s=20.0)
    assert (found.failure, found.body) == (MALFORMED, b"")
    assert found.t - found.t0 < 15.0
    assert sum(sent) < 20 * AROUND_LIMIT


def test_a_body_without_end_is_cut_at_the_limit():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SETTINGS + HEADERS)
        while True:
            writer.write(frame(DataFrame(1, bytes(10_000))))
            await writer.drain()
            await asyncio.sleep(0)

    found = fetched(serve, most=50_000, timeout_s=5.0)
    assert (found.failure, found.truncated, len(found.body)) == (None, True, 50_000)


def test_a_promise_that_nobody_asked_for_is_an_error():
    promise = bytes.fromhex("000005 05 04 00000001 00000002 88")
    assert fetched(sends(SETTINGS + promise)).failure == MALFORMED


def test_a_header_that_cannot_be_written_is_our_own_fault():
    asked = Request(url=URL, headers=(("X-Name", "žluť"),))
    found = fetched(stays_silent, asked)
    assert kind_of(found.failure) is FailureKind.LOCAL


def test_after_the_handshake_the_agreed_protocol_is_spoken(tmp_path):
    office = Office(tmp_path)

    async def fetch(offered: tuple[str, ...]) -> Exchange:
        async with Town() as town:
            context = office.context("valid", [NAME], alpn=["h2", "http/1.1"])
            serve = serving(page(b"over TLS")) if "h2" in offered else sends(http(200, b"over TLS"))
            await town.tcp(SITE, 443, serve, context)
            vantage = town.vantage()
            reached = await connect(vantage, SITE, 443)
            assert reached.stream is not None
            shaken = await handshake(reached.stream, NAME, ca=office.ca_file, alpn=offered)
            assert shaken.channel is not None, shaken.failure
            found = await exchange(
                vantage, shaken.channel, Request(url=URL), alpn=shaken.alpn, timeout_s=2.0
            )
            reached.stream.close()
            return found

    for offered in (("h2", "http/1.1"), ("http/1.1",)):
        found = asyncio.run(fetch(offered))
        assert (found.failure, found.body) == (None, b"over TLS")
