"""The test helper answers foreign probes in OONI's words, field by field, and ours with more."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from gatewatch.probe.net import Failed, failure_of
from gatewatch.server.helper import IN_FLIGHT, IN_FLIGHT_KNOWN
from gatewatch.server.limits import Rates
from gatewatch.server.stand import Resolver
from tests.probe.town import Town, answer, http, sends, stays_silent, zone
from tests.server.helped import (
    HERE,
    HERE6,
    NAME,
    OTHER_RESOLVER,
    PAGE,
    SITE,
    World,
    asked,
    bare,
    call,
    with_helper,
)

FOREIGN = (
    b'{"http_request":"https://www.example.com/","http_request_headers":{"Accept":["text/html,appli'
    b'cation/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],"Accept-Language":["en-US,en;q=0.9"],"User'
    b'-Agent":["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) '
    b'Chrome/122.0.0.0 Safari/537.3"]},"tcp_connect":["93.184.216.34:443","93.184.216.34:80"],'
    b'"x_quic_enabled":false}'
)
"What a probe of OONI sends, byte for byte."
RECORDED = {
    "tcp_connect": {
        "93.184.216.34:443": {"status": True, "failure": None},
        "93.184.216.34:80": {"status": True, "failure": None},
    },
    "tls_handshake": {
        "93.184.216.34:443": {"server_name": "www.example.com", "status": True, "failure": None}
    },
    "quic_handshake": {},
    "http_request": {
        "body_length": len(PAGE),
        "discovered_h3_endpoint": "",
        "failure": None,
        "title": "Default Web Page",
        "headers": {
            "Content-Length": str(len(PAGE)),
            "Content-Type": "text/html",
            "Server": "lab",
            "X-Lab": "1",
        },
        "status_code": 200,
    },
    "http3_request": None,
    "dns": {"failure": None, "addrs": ["93.184.216.34"]},
    "ip_info": {"93.184.216.34": {"asn": 15133, "flags": 11}},
}
"What OONI's helper answered to it, with our page in place of theirs."
NOTHING = {"body_length": -1, "status_code": -1, "headers": {}, "title": ""}


def test_a_foreign_probe_gets_what_ooni_would_answer(tmp_path: Path):
    told = asked(tmp_path, FOREIGN)
    assert (told.status, told.headers["Content-Type"]) == (200, "application/json")
    assert bare(told.json) == RECORDED


def test_our_own_probe_gets_what_others_do_not_say(tmp_path: Path):
    told = asked(tmp_path, FOREIGN).json
    page = told["http_request"]
    assert page["x_page"]["title"] == "Default Web Page"
    assert page["x_page"]["scripts"] == ["/a.js"]
    hop = page["x_redirects"][0]
    assert (hop["url"], hop["address"], hop["status_code"], hop["failure"]) == (
        "https://www.example.com/", "93.184.216.34:443", 200, None,
    )  # fmt: skip
    shaken = told["tls_handshake"]["93.184.216.34:443"]
    leaf = x509.load_der_x509_certificate(base64.b64decode(shaken["x_peer_certificates"][0]))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert NAME in names.get_values_for_type(x509.DNSName)
    assert 0 < shaken["x_t0"] <= shaken["x_t"]
    assert told["x_control"] == {"addresses": [HERE, HERE6]}
    lookups = {(one["query_type"], one["failure"]): one["addrs"] for one in told["x_dns"]}
    assert lookups == {("A", None): [SITE], ("AAAA", "dns_no_answer"): []}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="left out"),
        pytest.param({"http_request_headers": None, "tcp_connect": None}, id="null"),
        pytest.param({"http_request_headers": {"Accept": None}}, id="a header without values"),
        pytest.param({"tcp_connect": ["x", "", ":", "[::1]", "1.2.3.4"]}, id="no endpoints"),
        pytest.param({"x_future": {"a": [1]}}, id="fields of the future"),
    ],
)
def test_fields_that_a_foreign_probe_leaves_empty_or_out_do_no_harm(tmp_path: Path, more):
    told = asked(tmp_path, {"http_request": f"https://{NAME}/", **more})
    assert told.status == 200
    assert told.json["ip_info"] == {SITE: {"asn": 15133, "flags": 10}}


def test_a_get_is_greeted(tmp_path: Path):
    told = with_helper(tmp_path, lambda helper, _: call(helper, method="GET"))
    assert (told.status, told.json) == (200, {"message": "Hello OONItarian!"})


@pytest.mark.parametrize(
    ("names", "dns", "page"),
    [
        pytest.param("NXDOMAIN", "dns_name_error", "dns_lookup_error", id="no such name"),
        pytest.param("SERVFAIL", "dns_server_failure", "dns_lookup_error", id="failing"),
        pytest.param("REFUSED", "unknown_error", "unknown_error", id="refused"),
        pytest.param("NOERROR", None, "dns_lookup_error", id="a name without an address"),
    ],
)
def test_failures_of_names_are_in_the_older_dialect(tmp_path: Path, names, dns, page):
    def resolver(question: bytes):
        yield 0.0, answer(question, (), names)

    told = asked(tmp_path, FOREIGN, World(resolver=resolver)).json
    assert told["dns"] == {"failure": dns, "addrs": []}
    assert bare(told["http_request"]) == {
        **NOTHING, "discovered_h3_endpoint": "", "failure": page,
    }  # fmt: skip
    assert told["tcp_connect"][f"{SITE}:443"]["status"] is True


async def _silent(town: Town) -> None:
    await town.tcp(SITE, 80, stays_silent)
    await town.tcp(SITE, 443, stays_silent)


async def _unanswered(town: Town) -> None:
    await town.unanswered(SITE, 443)


async def _nonsense(town: Town) -> None:
    await town.tcp(SITE, 443, sends(b"SSH-2.0-x\r\n"))


@pytest.mark.parametrize(
    ("furnish", "tcp", "tls", "page"),
    [
        pytest.param(
            None, "connection_refused_error", "none", "connection_refused_error", id="closed"
        ),
        pytest.param(
            _unanswered, "generic_timeout_error", "none", "generic_timeout_error", id="dropped"
        ),
        pytest.param(_silent, None, "generic_timeout_error", "generic_timeout_error", id="silent"),
        pytest.param(_nonsense, None, "ssl_failed_handshake", "unknown_error", id="no TLS"),
    ],
)
def test_connects_and_pages_fail_in_the_older_dialect_and_tls_in_the_newer(
    tmp_path: Path, furnish, tcp, tls, page
):
    told = asked(tmp_path, FOREIGN, World(sites=(), more=furnish)).json
    place = f"{SITE}:443"
    assert bare(told["tcp_connect"][place]) == {"status": tcp is None, "failure": tcp}
    shaken = told["tls_handshake"].get(place, {"failure": "none"})
    assert shaken["failure"] == tls
    assert told["http_request"]["failure"] == page


def test_only_three_headers_of_the_probe_go_on(tmp_path: Path):
    seen: list[bytes] = []

    async def remember(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(http(200, PAGE))
        await writer.drain()

    async def furnish(town: Town) -> None:
        await town.tcp(SITE, 80, remember)

    question = {
        "http_request": f"http://{NAME}/a b?q=ж#frag",
        "http_request_headers": {"user-agent": ["probe"], "Cookie": ["a=b"], "Host": ["evil"]},
    }
    told = asked(tmp_path, question, World(sites=(), more=furnish))
    assert told.json["http_request"]["status_code"] == 200
    lines = next(one for one in seen if one.startswith(b"GET")).split(b"\r\n")
    assert lines[0] == b"GET /a%20b?q=%D0%B6 HTTP/1.1"
    told_headers = {line.split(b":")[0].lower() for line in lines[1:] if line}
    assert told_headers == {b"host", b"user-agent"}


def test_redirects_are_followed_with_their_cookies(tmp_path: Path):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"seen=1" in head:
            writer.write(http(200, PAGE))
        else:
            writer.write(http(303, b"", location="/", set_cookie="seen=1; Path=/"))
        await writer.drain()

    async def furnish(town: Town) -> None:
        await town.tcp(SITE, 80, serve)

    told = asked(tmp_path, {"http_request": f"http://{NAME}/"}, World(sites=(), more=furnish)).json
    page = told["http_request"]
    assert (page["status_code"], page["failure"]) == (200, None)
    hops = [(hop["status_code"], hop["location"]) for hop in page["x_redirects"]]
    assert hops == [(303, "/"), (200, "")]


def test_endless_redirects_end(tmp_path: Path):
    world = World(pages=lambda host, path: http(302, b"", location=path + "x"))
    page = asked(tmp_path, {"http_request": f"http://{NAME}/"}, world).json["http_request"]
    assert page["failure"] == "unknown_error"
    assert len(page["x_redirects"]) == 11


def test_endpoints_are_tried_as_they_are_written_without_a_page(tmp_path: Path):
    async def furnish(town: Town) -> None:
        await town.tcp("157.240.1.1", 5222, stays_silent)

    question = {
        "http_request": "https://g.whatsapp.net/",
        "tcp_connect": ["157.240.1.1:5222", "157.240.1.1:80", "10.1.1.1:443", f"{SITE}:22"],
        "x_tls": {f"{SITE}:443": NAME},
        "x_endpoints_only": True,
    }
    told = asked(tmp_path, question, World(more=furnish)).json
    assert {place: tcp["failure"] for place, tcp in told["tcp_connect"].items()} == {
        "157.240.1.1:5222": None,
        "157.240.1.1:80": "connection_refused_error",
        f"{SITE}:443": None,
    }
    assert told["tls_handshake"][f"{SITE}:443"]["failure"] is None
    assert told["x_not_measured"] == {
        "10.1.1.1:443": "private",
        f"{SITE}:22": "port 22 is not measured",
    }
    assert told["http_request"] == {**NOTHING, "discovered_h3_endpoint": "", "failure": None}
    assert told["dns"] == {"failure": None, "addrs": []}


def test_what_any_resolver_knows_is_an_answer(tmp_path: Path):
    async def furnish(town: Town) -> None:
        await town.udp(OTHER_RESOLVER, 53, zone({NAME: ("93.184.216.99",)}))

    world = World(
        more=furnish, resolvers=(Resolver("udp", "8.8.8.8"), Resolver("udp", OTHER_RESOLVER))
    )
    told = asked(tmp_path, FOREIGN, world).json
    assert told["dns"]["addrs"] == [SITE, "93.184.216.99"]
    assert {one["resolver_address"] for one in told["x_dns"]} == {"8.8.8.8:53", "9.9.9.9:53"}


@pytest.mark.parametrize(
    ("agent", "served"),
    [
        pytest.param("curl/8", IN_FLIGHT, id="a stranger"),
        pytest.param("ooniprobe-cli/3.24.0", IN_FLIGHT_KNOWN, id="a probe"),
    ],
)
def test_more_than_it_can_do_at_once_is_refused_and_then_served_again(
    tmp_path: Path, agent: str, served: int
):
    async def talk(helper, _):
        def one():
            return call(helper, FOREIGN, headers={"User-Agent": agent})

        many = await asyncio.gather(*(one() for _ in range(IN_FLIGHT_KNOWN + 5)))
        return many, await one()

    many, after = with_helper(tmp_path, talk)
    statuses = [told.status for told in many]
    assert statuses.count(200) == served
    assert statuses.count(503) == len(statuses) - served
    refused = next(told for told in many if told.status == 503)
    assert "Retry-After" in refused.headers
    assert "come again" in refused.json["error"]
    assert after.status == 200


def test_a_client_that_asks_too_much_is_told_when_to_come_again(tmp_path: Path):
    async def talk(helper, _):
        first = [await call(helper, FOREIGN) for _ in range(3)]
        other = await call(helper, FOREIGN, client=("77.75.74.2", 1))
        return [told.status for told in first], first[-1], other.status

    statuses, refused, other = with_helper(tmp_path, talk, World(rates=Rates(0.01, 2.0)))
    assert statuses == [200, 200, 429]
    assert int(refused.headers["Retry-After"]) > 0
    assert other == 200


def test_a_server_that_is_cut_off_says_so_and_accuses_no_name(tmp_path: Path):
    """Nobody listens at either resolver's address, which the system says at once."""
    resolvers = (Resolver("udp", "1.1.1.1"), Resolver("udp", OTHER_RESOLVER))
    told = asked(tmp_path, FOREIGN, World(resolvers=resolvers))
    assert told.status == 503
    assert "resolvers" in told.json["error"]


def test_a_server_without_sockets_says_so_and_accuses_no_site(tmp_path: Path):
    async def talk(helper, witness):
        class Exhausted:
            def reach(self, source, address, port, transport):
                if port == 443:
                    raise Failed(failure_of(OSError(errno.EMFILE, "too many open files")))
                return witness.reach(source, address, port, transport)

        helper.stand = replace(helper.stand, reach=Exhausted())
        return await call(helper, FOREIGN)

    told = with_helper(tmp_path, talk)
    assert told.status == 503
    assert "sockets" in told.json["error"]


def test_an_answer_can_be_read_by_a_strict_reader(tmp_path: Path):
    """Headers and titles from sites are bytes of their choice."""
    rude = b"HTTP/1.1 200 OK\r\nX-Odd: \xff\xfe\r\nContent-Length: 30\r\n\r\n"
    rude += b"<title>\xff\xed\xa0\x80 a</title>".ljust(30)

    async def furnish(town: Town) -> None:
        await town.tcp(SITE, 80, sends(rude))

    told = asked(tmp_path, {"http_request": f"http://{NAME}/"}, World(sites=(), more=furnish))
    page = json.loads(told.body.decode("utf-8"))["http_request"]
    assert page["status_code"] == 200
    assert page["title"].endswith(" a")
