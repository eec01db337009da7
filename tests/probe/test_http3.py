"""HTTP/3: handshake and exchange in one, with servers that answer, stall, reset and flood."""

from __future__ import annotations

import asyncio

import pytest

from gatewatch.lab.certificates import Office
from gatewatch.probe.steps import Exchange, QuicHandshake, Request, exchange3
from tests.probe.http3_server import Answer, Server, page, serving
from tests.probe.town import Town, silence

SITE, NAME = "192.0.2.80", "www.example.org"
URL = f"https://{NAME}/news?id=1#part"


def fetched(
    office: Office, furnish, request: Request | None = None, **options
) -> tuple[QuicHandshake, Exchange | None]:
    async def fetch() -> tuple[QuicHandshake, Exchange | None]:
        async with Town() as town:
            await furnish(town)
            return await exchange3(
                town.vantage(),
                SITE,
                443,
                request or Request(url=URL, headers=(("Accept", "*/*"),)),
                ca=office.ca_file,
                **{"timeout_s": 1.5, **options},
            )

    return asyncio.run(fetch())


def answered(office: Office, answer: Answer, request: Request | None = None, **options) -> Exchange:
    _, found = fetched(office, serving(office, answer, [NAME], SITE), request, **options)
    assert found is not None
    return found


def echo(server: Server, stream: int, headers: dict[str, str], body: bytes) -> None:
    heard = [(f"x-{n.strip(':')}".encode(), v.encode()) for n, v in headers.items()]
    server.h3.send_headers(stream, [(b":status", b"200"), *heard])
    server.h3.send_data(stream, body, end_stream=True)


def informed(server: Server, stream: int, headers: dict[str, str], body: bytes) -> None:
    server.h3.send_headers(stream, [(b":status", b"103"), (b"link", b"</x>")])
    page(b"after hints")(server, stream, headers, body)


def with_trailers(server: Server, stream: int, _: dict[str, str], __: bytes) -> None:
    server.h3.send_headers(stream, [(b":status", b"200"), (b"server", b"lab")])
    server.h3.send_data(stream, b"before trailers", end_stream=False)
    server.h3.send_headers(stream, [(b"x-sum", b"1")], end_stream=True)


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        pytest.param(page(b"whole"), 200, b"whole", id="a page"),
        pytest.param(page(b"", 204), 204, b"", id="no body"),
        pytest.param(page(bytes(200_000)), 200, bytes(200_000), id="a long page"),
        pytest.param(informed, 200, b"after hints", id="hints"),
        pytest.param(with_trailers, 200, b"before trailers", id="trailers"),
    ],
)
def test_an_answer_is_what_the_server_sent(answer, status, body, office):
    shaken, found = fetched(office, serving(office, answer, [NAME], SITE), timeout_s=5.0)
    assert found is not None
    assert (shaken.failure, shaken.alpn) == (None, "h3")
    assert (found.failure, found.status, found.body) == (None, status, body)
    assert found.headers == [("server", "lab")]
    assert shaken.t <= found.t0 <= found.t


def test_what_is_sent_is_what_browsers_send(office):
    asked = Request(
        url=URL, method="POST", headers=(("Accept", "*/*"), ("Connection", "close")), body=b"ask"
    )
    found = answered(office, echo, asked)
    assert found.body == b"ask"
    assert dict(found.headers) == {
        "x-method": "POST",
        "x-scheme": "https",
        "x-authority": NAME,
        "x-path": "/news?id=1",
        "x-accept": "*/*",
        "x-content-length": "3",
    }


def test_a_body_over_the_limit_is_cut_and_says_so(office):
    found = answered(office, page(b"x" * 50_000), most=1000)
    assert (found.failure, found.truncated, found.body) == (None, True, b"x" * 1000)


def half(server: Server, stream: int) -> None:
    server.h3.send_headers(stream, [(b":status", b"200")])
    server.h3.send_data(stream, b"half", end_stream=False)


def stalls(server: Server, stream: int, _: dict[str, str], __: bytes) -> None:
    half(server, stream)


def resets(server: Server, stream: int, _: dict[str, str], __: bytes) -> None:
    server.reset(stream, 0x102)


def leaves(server: Server, stream: int, _: dict[str, str], __: bytes) -> None:
    server.leave(0x107)


def says_nothing(server: Server, stream: int, _: dict[str, str], __: bytes) -> None:
    pass


def babbles(server: Server, stream: int, _: dict[str, str], __: bytes) -> None:
    server.raw(stream, b"\x00\x03abc")


@pytest.mark.parametrize(
    ("answer", "failure", "status", "body"),
    [
        pytest.param(says_nothing, "generic_timeout_error", None, b"", id="silence"),
        pytest.param(stalls, "generic_timeout_error", 200, b"half", id="stalled"),
        pytest.param(resets, "unknown_failure: stream error 0x102", None, b"", id="stream reset"),
        pytest.param(leaves, "unknown_failure: closed with 0x107", None, b"", id="closed"),
        pytest.param(
            babbles, "unknown_failure: malformed HTTP response", None, b"", id="data at first"
        ),
    ],
)
def test_an_exchange_keeps_what_came_and_says_how_it_ended(answer, failure, status, body, office):
    found = answered(office, answer)
    assert (found.failure, found.status, found.body) == (failure, status, body)


def test_a_frame_without_end_is_given_up_before_the_deadline(office):
    def answer(server: Server, stream: int, _: dict[str, str], __: bytes) -> None:
        server.raw(stream, b"\x01\xbf\xff\xff\xff" + bytes(2_000_000))  # HEADERS of a gigabyte

    found = answered(office, answer, timeout_s=20.0)
    assert (found.failure, found.status) == ("unknown_failure: malformed HTTP response", None)
    assert found.t - found.t0 < 15.0


@pytest.mark.parametrize(
    ("kind", "failure"),
    [("wrong_name", "ssl_invalid_hostname"), ("self_signed", "ssl_unknown_authority")],
)
def test_without_a_proof_of_the_name_nothing_is_asked_unless_told_to(kind, failure, office):
    shaken, found = fetched(office, serving(office, page(b"x"), [NAME], SITE, kind))
    assert (shaken.failure, found) == (failure, None)
    shaken, found = fetched(office, serving(office, page(b"x"), [NAME], SITE, kind), verify=False)
    assert (shaken.failure, shaken.verify_failure) == (None, failure)
    assert found is not None
    assert found.body == b"x"


def test_where_no_handshake_is_there_is_no_exchange(office):
    async def mute(town: Town) -> None:
        await town.udp(SITE, 443, silence)

    shaken, found = fetched(office, mute, timeout_s=0.3)
    assert (shaken.failure, found) == ("generic_timeout_error", None)
