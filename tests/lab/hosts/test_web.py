"""Web hosts: certificates, protocols, routes."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import h2.connection
import h2.events
import pytest
from aioquic.asyncio.client import connect as quic_connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

from gatewatch.lab.scenario import Host, Route, Web
from gatewatch.probe.steps import connect, handshake
from tests.lab.hosts.running import ABROAD, PROBE, SITE, Running, meet, world

NAME = "www.example.org"


def site(**fields) -> Host:
    return Host(addresses=(SITE,), names=(NAME, "*.cdn.example"), web=Web(**fields))


@pytest.mark.parametrize(
    ("web", "failure"),
    [
        pytest.param({}, None, id="valid"),
        pytest.param({"certificate": "expired"}, "ssl_invalid_certificate", id="expired"),
        pytest.param({"certificate": "wrong_name"}, "ssl_invalid_hostname", id="another's name"),
        pytest.param(
            {"certificate": "unknown_issuer"}, "ssl_unknown_authority", id="unknown issuer"
        ),
        pytest.param({"certificate": "self_signed"}, "ssl_unknown_authority", id="self-signed"),
        pytest.param(
            {"certificate_names": ("x.example",)}, "ssl_invalid_hostname", id="other names"
        ),
        pytest.param({"handshake": "close"}, "eof_error", id="the server hangs up"),
        pytest.param({"handshake": "reset"}, "connection_reset", id="the server resets"),
        pytest.param({"handshake": "alert"}, "ssl_failed_handshake", id="the server refuses"),
        pytest.param(
            {"handshake": "silent"}, "generic_timeout_error", id="the server says nothing"
        ),
    ],
)
def test_a_handshake_shows_what_the_server_is(web, failure):
    async def visit(running: Running) -> None:
        found = await connect(running.vantage(), SITE, 443)
        assert found.stream is not None
        shaken = await handshake(found.stream, NAME, ca=running.ca, timeout_s=0.3)
        found.stream.close()
        assert shaken.failure == failure

    meet(world({"site": site(**web)}), visit)


@pytest.mark.parametrize("name", [NAME, "a.cdn.example", SITE])
def test_a_certificate_holds_for_names_wildcards_and_addresses(name):
    async def visit(running: Running) -> None:
        page = await running.get(f"https://{name}/", SITE)
        assert page.status == 200

    meet(world({"site": site()}), visit)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        pytest.param(Host(addresses=(SITE,), web=Web(http=False)), 80, id="no HTTP"),
        pytest.param(Host(addresses=(SITE,), web=Web(https=False)), 443, id="no HTTPS"),
        pytest.param(Host(addresses=(SITE,), web=Web(), down=True), 80, id="down"),
        pytest.param(Host(addresses=(SITE,)), 80, id="no web server"),
    ],
)
def test_where_nothing_listens_nothing_answers(host, port):
    async def visit(running: Running) -> None:
        found = await connect(running.vantage(), SITE, port)
        assert found.failure == "connection_refused"

    meet(world({"site": host}), visit)


def test_a_page_is_titled_with_the_name_and_comes_with_ordinary_headers():
    async def visit(running: Running) -> None:
        page = await running.get(f"http://{NAME}/a/b?c", SITE)
        headers = dict(page.headers)
        assert page.status == 200
        assert f"<title>{NAME}</title>".encode() in page.body
        assert 2_000 < len(page.body) < 4_000
        assert headers["Server"] == "nginx"
        assert headers["Content-Length"] == str(len(page.body))
        assert "Date" in headers
        assert "Alt-Svc" not in headers

    meet(world({"site": site(h3=True)}), visit)


ROUTES = (
    Route(path="/old", status=301, location="https://www.example.org/new"),
    Route(path="/it", countries=("IT",), page="geoblock"),
    Route(path="/it", page="<p>welcome</p>"),
    Route(path="/abroad", networks=("abroad",), status=404, page="not_found"),
    Route(path="/plain", scheme="http", status=403, page="captcha", headers={"X-Why": "plain"}),
    Route(path="/big*", size=100_000),
    Route(path="/*", host="parked.cdn.example", page="parked"),
)


@pytest.mark.parametrize(
    ("url", "source", "status", "words"),
    [
        pytest.param(f"http://{NAME}/old", PROBE, 301, b"", id="redirect"),
        pytest.param(
            f"http://{NAME}/it", PROBE, 451, b"not available in your country", id="geoblock"
        ),
        pytest.param(f"http://{NAME}/it", ABROAD, 200, b"welcome", id="the same from elsewhere"),
        pytest.param(f"http://{NAME}/abroad", ABROAD, 404, b"Not Found", id="one network"),
        pytest.param(f"http://{NAME}/abroad", PROBE, 200, b"ordinary page", id="not that network"),
        pytest.param(f"http://{NAME}/plain", PROBE, 403, b"One more step", id="in clear"),
        pytest.param(f"https://{NAME}/plain", PROBE, 200, b"ordinary page", id="not in clear"),
        pytest.param("http://parked.cdn.example/x", PROBE, 200, b"bought", id="another host"),
        pytest.param(
            "http://parked.cdn.example:80/x", PROBE, 200, b"bought", id="another host, with port"
        ),
    ],
)
def test_the_first_route_that_fits_answers(url, source, status, words):
    async def visit(running: Running) -> None:
        page = await running.get(url, SITE, source)
        assert page.status == status
        assert words in page.body

    meet(world({"site": site(routes=ROUTES)}), visit)


def test_a_route_says_where_to_go_and_what_else():
    async def visit(running: Running) -> None:
        moved = await running.get(f"http://{NAME}/old", SITE)
        assert dict(moved.headers)["Location"] == "https://www.example.org/new"
        refused = await running.get(f"http://{NAME}/plain", SITE)
        assert dict(refused.headers)["X-Why"] == "plain"
        assert dict(refused.headers)["Server"] == "cloudflare"

    meet(world({"site": site(routes=ROUTES)}), visit)


def test_a_large_file_is_the_same_bytes_every_time():
    async def visit(running: Running) -> None:
        one = await running.get(f"http://{NAME}/big", SITE)
        other = await running.get(f"https://{NAME}/big", SITE)
        assert len(one.body) == 100_000
        assert len(set(one.body)) == 256
        assert one.body == other.body

    meet(world({"site": site(routes=ROUTES)}), visit)


def test_a_slow_site_takes_its_time():
    async def visit(running: Running) -> None:
        page = await running.get(f"http://{NAME}/", SITE)
        assert page.t - page.t0 >= 0.15

    meet(world({"site": site(routes=(Route(path="*", delay_ms=150),))}), visit)


@pytest.mark.parametrize(("asks_h2", "serves_h2"), [(True, True), (True, False), (False, True)])
def test_http_2_is_spoken_with_those_who_want_it(asks_h2, serves_h2):
    async def visit(running: Running) -> None:
        context = ssl.create_default_context(cafile=running.ca)
        context.set_alpn_protocols(["h2", "http/1.1"] if asks_h2 else ["http/1.1"])
        reader, writer = await running.stream(SITE, 443, context, NAME)
        spoken = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        assert spoken == ("h2" if asks_h2 and serves_h2 else "http/1.1")
        if spoken == "h2":
            headers, body = await ask_h2(reader, writer)
            assert headers[b":status"] == b"200"
            assert headers[b"server"] == b"nginx"
            assert headers[b"content-length"] == str(len(body)).encode()
        writer.close()

    meet(world({"site": site(h2=serves_h2)}), visit)


async def ask_h2(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[dict[bytes, bytes], bytes]:
    connection, headers, body = h2.connection.H2Connection(), {}, b""
    connection.initiate_connection()
    connection.send_headers(1, request_headers(f"https://{NAME}/"), end_stream=True)
    while True:
        writer.write(connection.data_to_send())
        for event in connection.receive_data(await reader.read(65_536)):
            if isinstance(event, h2.events.ResponseReceived):
                headers = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                body += event.data
            elif isinstance(event, h2.events.StreamEnded):
                return headers, body


def request_headers(url: str) -> list[tuple[bytes, bytes]]:
    parts = urlsplit(url)
    return [
        (b":method", b"GET"),
        (b":scheme", parts.scheme.encode()),
        (b":authority", parts.netloc.encode()),
        (b":path", parts.path.encode()),
    ]


class Http3(QuicConnectionProtocol):
    """One request over HTTP/3."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.h3 = H3Connection(self._quic)
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.ended = asyncio.Event()

    def quic_event_received(self, event: QuicEvent) -> None:
        for happened in self.h3.handle_event(event):
            if isinstance(happened, HeadersReceived):
                self.headers = dict(happened.headers)
            elif isinstance(happened, DataReceived):
                self.body += happened.data
            if isinstance(happened, HeadersReceived | DataReceived) and happened.stream_ended:
                self.ended.set()


def test_http_3_is_offered_over_https_and_spoken_over_quic():
    async def visit(running: Running) -> None:
        page = await running.get(f"https://{NAME}/big", SITE)
        assert dict(page.headers)["Alt-Svc"] == 'h3=":443"; ma=3600'
        configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=NAME)
        configuration.load_verify_locations(str(running.ca))
        ip, port, _ = running.attach.reach(PROBE, SITE, 443, "udp")
        async with quic_connect(
            ip, port, configuration=configuration, create_protocol=Http3, local_port=0
        ) as client:
            assert isinstance(client, Http3)
            stream = client._quic.get_next_available_stream_id()
            client.h3.send_headers(stream, request_headers(f"https://{NAME}/big"), end_stream=True)
            client.transmit()
            await asyncio.wait_for(client.ended.wait(), 5.0)
            assert client.headers[b":status"] == b"200"
            assert client.body == page.body

    meet(world({"site": site(h3=True, routes=ROUTES)}), visit)


def test_a_host_is_there_on_each_of_its_addresses():
    both = Host(addresses=(SITE, "2606:2800:220:1::1"), names=(NAME,), web=Web())

    async def visit(running: Running) -> None:
        for address in both.addresses:
            page = await running.get(f"https://{NAME}/", address)
            assert page.status == 200

    meet(world({"site": both}), visit)


def test_head_is_answered_without_a_body():
    async def visit(running: Running) -> None:
        reader, writer = await running.stream(SITE, 80)
        writer.write(f"HEAD /big HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert b"Content-Length: 100000" in head
        assert body == b""
        writer.close()

    meet(world({"site": site(routes=ROUTES)}), visit)


def test_clients_that_talk_nonsense_or_leave_do_no_harm():
    async def visit(running: Running) -> None:
        for port in (80, 443):
            for junk in (b"", b"\x16\x03\x01\x00\x05hello", b"GET nonsense\r\n\r\n", b"\0" * 9):
                _, writer = await running.stream(SITE, port)
                writer.write(junk)
                writer.close()
        page = await running.get(f"https://{NAME}/", SITE)
        assert page.status == 200

    meet(world({"site": site()}), visit)
