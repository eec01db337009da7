"""Middleboxes show where they are, and nowhere else."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.lab.certificates import Office
from gatewatch.lab.hosts.tcp import echo, headers
from gatewatch.probe.experiments import (
    dns_proxy,
    http_header_field_manipulation,
    http_invalid_request_line,
    http_proxy,
    script_injection,
    tls_interception,
)
from gatewatch.probe.experiments.common.inputs import Pace
from gatewatch.probe.seat import Anchor
from tests.probe.experiments.street import (
    Elsewhere,
    measured,
    serve_tls,
    site,
    with_table,
)
from tests.probe.town import (
    PROBE,
    Replies,
    Stream,
    Town,
    answer,
    closes,
    http,
    pages,
    resets,
    sends,
    silence,
    stays_silent,
    zone,
)

param = pytest.param
HELPER = "134.209.237.204"
QUICK = Pace(times=1, gap_s=0.0, timeout_s=0.3)


def at(stream: Stream | None, port: int = 80):
    async def furnish(town: Town, office: Office) -> None:
        if stream is not None:
            await town.tcp(HELPER, port, stream)

    return furnish


# -- lines that are no HTTP ------------------------------------------------------------------

BAD_REQUEST = http(400, b"<html>you are %s</html>" % PROBE.encode())


@pytest.mark.parametrize(
    ("stream", "tampering", "failures"),
    [
        param(echo, False, None, id="an honest echo"),
        param(sends(BAD_REQUEST), True, None, id="a proxy that answers itself"),
        param(closes, True, None, id="somebody who hangs up"),
        param(stays_silent, True, None, id="somebody who swallows it"),
        param(resets, False, "connection_reset", id="a reset is a failure, not an answer"),
        param(None, False, "connection_refused", id="no helper"),
    ],
)
def test_invalid_request_lines(stream, tampering, failures, office):
    found = measured(
        with_table(http_invalid_request_line.EXPERIMENT, None, pace=QUICK),
        at(stream),
        office,
        input=f"tcpconnect://{HELPER}:80",
    )
    keys = found["test_keys"]
    assert keys["tampering"] is tampering
    assert keys["tampering_list"] == [tampering] * 5
    assert keys["failure_list"] == [failures] * 5
    assert len(keys["sent"]) == len(keys["received"]) == 5
    assert found["input"] is None
    assert found["test_helpers"] == {"backend": f"tcpconnect://{HELPER}:80"}
    assert PROBE not in json.dumps(found)


def test_the_five_lines_are_those_of_ooni():
    first, words, long, version, cache = http_invalid_request_line.lines(random.Random(1))
    assert first[4:] == " / HTTP/1.1\n\r"
    assert [len(word) for word in words.split()] == [5] * 4
    assert len(long) == 1024 + len(" / HTTP/1.1\n\r")
    assert version.startswith("GET / HTTP/")
    assert cache == "GET cache_object://localhost/ HTTP/1.0\n\r"


# -- headers ---------------------------------------------------------------------------------


def through(change: Any) -> Stream:
    """The header echo behind a proxy that changes a request's head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        inner = asyncio.StreamReader()
        inner.feed_data(change(head))
        inner.feed_eof()
        await headers(inner, writer)

    return serve


def lower_case(head: bytes) -> bytes:
    first, *rest = head.split(b"\r\n")
    pairs = (line.partition(b":") for line in rest)
    return b"\r\n".join([first, *(k.lower() + c + v for k, c, v in pairs)])


def adding(header: bytes):
    return lambda head: head.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n")


SOUND = {
    "header_field_name": False,
    "header_field_number": False,
    "header_field_value": False,
    "header_name_capitalization": False,
    "request_line_capitalization": False,
    "total": False,
}


@pytest.mark.parametrize(
    ("stream", "changed"),
    [
        param(headers, {}, id="nobody touches it"),
        param(through(lower_case), {"header_name_capitalization": True}, id="lower case"),
        param(
            through(adding(b"Via: 1.1 squid")),
            {
                "header_field_name": True,
                "header_field_number": True,
                "header_name_capitalization": True,
            },
            id="a header more",
        ),
        param(
            through(lambda head: head.replace(b"GeT", b"GET")),
            {"request_line_capitalization": True},
            id="the method is set right",
        ),
        param(
            through(lambda head: head.replace(b"gzip", b"none")),
            {"header_field_value": True},
            id="a value is changed",
        ),
        param(sends(http(200, b"[]")), {"total": True}, id="an answer that says nothing"),
        param(sends(http(403, b"{}")), {"total": True}, id="a refusal"),
        param(sends(b"garbage"), {"total": True}, id="no HTTP"),
        param(sends(http(200, b"[" * 9000)), {"total": True}, id="lists within lists"),
        param(None, {"total": True}, id="no helper"),
    ],
)
def test_header_fields(stream, changed, office):
    found = measured(
        http_header_field_manipulation.EXPERIMENT,
        at(stream),
        office,
        input=f"http://{HELPER}/",
    )
    tampering = dict(found["test_keys"]["tampering"])
    diff = tampering.pop("header_name_diff")
    assert tampering == {**SOUND, **changed}
    assert bool(diff) == tampering["header_name_capitalization"]
    assert len(found["test_keys"]["requests"]) == 1


@given(seed=st.integers(0, 2**32))
def test_the_headers_drawn_are_the_same_but_for_their_case(seed):
    drawn = http_header_field_manipulation.drawn(random.Random(seed))
    names = [name for name, _ in http_header_field_manipulation.HEADERS]
    assert [name.lower() for name, _ in drawn] == ["host", *(n.lower() for n in names)]
    assert drawn[0][1].endswith(".com")


# -- proxies ---------------------------------------------------------------------------------


def copying() -> Stream:
    """A cache: the second answer is the first."""
    kept: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        kept.append(head)
        inner = asyncio.StreamReader()
        inner.feed_data(kept[0])
        inner.feed_eof()
        await headers(inner, writer)

    return serve


@pytest.mark.parametrize(
    ("stream", "proxy", "cached", "added"),
    [
        param(headers, False, False, [], id="nobody in between"),
        param(through(adding(b"Via: 1.1 squid")), True, False, ["via"], id="a proxy says so"),
        param(
            through(adding(b"X-Forwarded-For: %s" % PROBE.encode())),
            True,
            False,
            ["x-forwarded-for"],
            id="a proxy tells our address",
        ),
        param(copying(), True, True, [], id="a cache"),
        param(sends(http(200, b"{}")), None, None, [], id="the helper says nothing"),
        param(None, None, None, [], id="no helper"),
    ],
)
def test_http_proxies(stream, proxy, cached, added, office):
    found = measured(http_proxy.EXPERIMENT, at(stream), office, input=f"http://{HELPER}/")
    keys = found["test_keys"]
    assert keys["proxy"] is proxy
    assert keys["cached"] is cached
    assert [*keys["added_headers"]] == added
    assert PROBE not in json.dumps(found), "not even where a proxy told it"


# -- scripts ---------------------------------------------------------------------------------

PAGE = b"<html><head><script src='https://a.example/own.js'></script></head><body>hi</body></html>"
SCRIPT = b"<script src='http://ads.example/x.js'></script>"


@pytest.mark.parametrize(
    ("plain", "secure", "injected", "count"),
    [
        param(PAGE, PAGE, False, 0, id="the same page"),
        param(PAGE.replace(b"https:", b"http:"), PAGE, False, 0, id="its own, in clear"),
        param(PAGE.replace(b"</body>", SCRIPT + b"</body>"), PAGE, True, 1, id="a script more"),
        param(
            PAGE.replace(b"hi", b"<iframe src=//ads.example/></iframe>"),
            PAGE,
            True,
            1,
            id="a frame",
        ),
        param(PAGE.replace(b"hi", b"hello"), PAGE, False, 0, id="another text, and nothing runs"),
        param(PAGE, None, None, 0, id="nothing to compare with"),
        param(None, PAGE, None, 0, id="no page in clear"),
        param(b"welcome", PAGE, None, 0, id="another thing altogether"),
    ],
)
def test_scripts_put_into_pages(plain, secure, injected, count, office):
    name, address = "www.example.org", "93.184.216.34"

    async def furnish(town: Town, office: Office) -> None:
        if plain is not None:
            await town.tcp(address, 80, site(200, plain))
        if secure is not None:
            await serve_tls(town, office, address, name, site(200, secure))

    keys = measured(script_injection.EXPERIMENT, furnish, office, names={name: (address,)})[
        "test_keys"
    ]
    assert keys["injected"] is injected, keys["why"]
    assert len(keys["scripts"]) == count


def test_a_redirect_to_tls_is_no_injection(office):
    name, address = "www.example.org", "93.184.216.34"
    moved = pages(lambda host, path: http(301, location=f"https://{name}/"))

    async def furnish(town: Town, office: Office) -> None:
        await town.tcp(address, 80, moved)
        await serve_tls(town, office, address, name, site(200, PAGE))

    keys = measured(script_injection.EXPERIMENT, furnish, office, names={name: (address,)})[
        "test_keys"
    ]
    assert keys["injected"] is None


# -- TLS -------------------------------------------------------------------------------------

NAMED = {"www.google.com": ("142.250.1.1",), "www.wikipedia.org": ("208.80.154.1",)}
PLACES = [f"{a}:443" for (a,) in NAMED.values()]
SEES = Elsewhere(
    reaches=frozenset(PLACES),
    names=NAMED,
    pages=dict.fromkeys(NAMED, 200),
    shakes=dict.fromkeys(PLACES),
)


@pytest.mark.parametrize(
    ("kinds", "elsewhere", "intercepted", "scope"),
    [
        param(("valid", "valid"), SEES, False, None, id="certificates in order"),
        param(("national", "national"), SEES, True, "all", id="one authority signs for all"),
        param(("national", "valid"), SEES, True, "one", id="for one name"),
        param(("national", "national"), None, None, None, id="no control"),
        param(
            ("unknown_issuer", "valid"),
            Elsewhere(
                reaches=frozenset(PLACES),
                names=NAMED,
                shakes=dict.fromkeys(PLACES, "ssl_unknown_authority"),
            ),
            False,
            None,
            id="a site that signs for itself, everywhere",
        ),
        param(("expired", "expired"), SEES, None, None, id="a wrong clock"),
        param((None, None), SEES, None, None, id="no network"),
    ],
)
def test_interception(kinds, elsewhere, intercepted, scope, office):
    async def furnish(town: Town, office: Office) -> None:
        for kind, (name, (address,)) in zip(kinds, NAMED.items(), strict=True):
            if kind is not None:
                context = office.context(kind, [name], alpn=["http/1.1"])
                await town.tcp(address, 443, site(), context)

    keys = measured(
        tls_interception.EXPERIMENT,
        furnish,
        office,
        names=NAMED,
        elsewhere=elsewhere,
        input=" ".join(NAMED),
    )["test_keys"]
    assert keys["intercepted"] is intercepted, keys["why"]
    assert keys["scope"] == scope
    assert len(keys["names"]) == 2


# -- DNS -------------------------------------------------------------------------------------

GOOGLE, CLOUDFLARE, NOBODY = "8.8.8.8", "1.1.1.1", "162.55.247.210"
EXITS = {GOOGLE: "142.250.9.9", CLOUDFLARE: "172.68.1.1", "isp": "130.192.3.22"}
NUMBERS = {GOOGLE: 15169, CLOUDFLARE: 13335, "142.250.9.9": 15169, "172.68.1.1": 13335}


def resolver(egress: str, version: str | None = None) -> Replies:
    honest = zone({"www.example.com": ("93.184.216.34",), "whoami.v4.powerdns.org": (egress,)})

    def replies(question: bytes):
        asked = dns.message.from_wire(question).question[0]
        if asked.rdclass != 3:
            yield from honest(question)
        elif version is not None:
            reply = dns.message.make_response(dns.message.from_wire(question))
            reply.answer.append(dns.rrset.from_text(asked.name, 0, "CH", "TXT", f'"{version}"'))
            yield 0.0, reply.to_wire()
        else:
            yield 0.0, answer(question, rcode="REFUSED")

    return replies


TAKEN = resolver(EXITS["isp"], "isp")


@pytest.mark.parametrize(
    ("google", "cloudflare", "nobody", "proxy"),
    [
        param(
            resolver(EXITS[GOOGLE]), resolver(EXITS[CLOUDFLARE], "1"), silence, False,
            id="each answers for itself",
        ),
        param(TAKEN, TAKEN, silence, True, id="both ask from where the network's own does"),
        param(TAKEN, TAKEN, TAKEN, True, id="whatever the address"),
        param(
            resolver(EXITS[GOOGLE]), resolver(EXITS[CLOUDFLARE]), TAKEN, True,
            id="an address that runs no resolver answers",
        ),
        param(
            resolver("203.0.113.7"), resolver("203.0.113.7"), silence, True,
            id="two operators ask from one address",
        ),
        param(silence, silence, silence, None, id="nobody answers"),
    ],
)  # fmt: skip
def test_dns_proxies(google, cloudflare, nobody, proxy, office):
    async def furnish(town: Town, office: Office) -> None:
        for address, replies in ((GOOGLE, google), (CLOUDFLARE, cloudflare), (NOBODY, nobody)):
            await town.udp(address, 53, replies)

    keys = measured(
        dns_proxy.EXPERIMENT,
        furnish,
        office,
        names=resolver(EXITS["isp"]),
        udp_resolvers=(GOOGLE, CLOUDFLARE),
        anchors=(Anchor(name="anchor.example", address=NOBODY),),
        asn_of=NUMBERS.get,
    )["test_keys"]
    assert keys["proxy"] is proxy, keys["why"]
    assert len(keys["resolvers"]) == 3
