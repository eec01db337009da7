"""Whom the probe asks for a second opinion, in what order, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gatewatch.lab.certificates import Office
from gatewatch.probe.control import (
    BAD_STATUS,
    MALFORMED,
    NO_CONTROL,
    Answers,
    ask_controls,
    control_request,
    read_answer,
)
from gatewatch.probe.exchanges import Exchange, Request
from gatewatch.probe.seat import Control, Patience, Seat
from tests.probe.town import (
    PROBE,
    Stream,
    Town,
    control,
    doh,
    http,
    pages,
    resets,
    stays_silent,
    zone,
)

ONE, TWO, THREE = "162.55.247.208", "162.55.247.209", "162.55.247.210"
FORGED, ISP, SECURE = "10.10.34.36", "130.192.3.21", "9.9.9.9"
SOUND: dict[str, Any] = {
    "tcp_connect": {},
    "tls_handshake": {},
    "quic_handshake": {},
    "http_request": {"body_length": 1, "failure": None, "title": "", "headers": {},
                     "status_code": 200, "discovered_h3_endpoint": ""},
    "http3_request": None,
    "dns": {"failure": None, "addrs": ["93.184.216.34"]},
    "ip_info": {"93.184.216.34": {"asn": 15133, "flags": 11}},
}  # fmt: skip
QUESTION = control_request("https://www.example.org/", ["93.184.216.34"])


def tells(name: str) -> dict[str, Any]:
    return {**SOUND, "http_request": {**SOUND["http_request"], "title": name}}


def asked(
    office: Office,
    furnish: Callable[[Town, Office], Awaitable[None]],
    *controls: Control,
    everyone: bool = False,
    control_s: float = 4.0,
    **about: Any,
) -> Answers:
    async def go() -> Answers:
        async with Town() as town:
            await furnish(town, office)
            seat = Seat(
                **{
                    "asn": 137, "country": "IT", "network": "GARR", "addresses": (PROBE,),
                    "resolver": None, "controls": controls, "ca": office.ca_file, "reach": town,
                    "patience": Patience(control_s=control_s, dns_s=1.0), **about,
                }
            )  # fmt: skip
            return await ask_controls(town.vantage(), seat, QUESTION, everyone=everyone)

    return asyncio.run(go())


def at(name: str, address: str | None = None, **about: Any) -> Control:
    return Control(name=f"{name}.example", address=address, **about)


def serving(*hosts: tuple[str, str, Stream]) -> Callable[[Town, Office], Awaitable[None]]:
    """Name, address and what is served there over TLS."""

    async def furnish(town: Town, office: Office) -> None:
        for name, address, serve in hosts:
            context = office.context("valid", [f"{name}.example"], alpn=["http/1.1"])
            await town.tcp(address, 443, serve, context)

    return furnish


def title(answers: Answers) -> str | None:
    return answers.answer["http_request"]["title"] if answers.answer else None


def test_the_first_that_answers_is_enough(office):
    found = asked(
        office,
        serving(("a", ONE, control(tells("a"))), ("b", TWO, control(tells("b")))),
        at("a", ONE),
        at("b", TWO),
    )
    assert (title(found), found.failure, found.others) == ("a", None, [])


def test_after_a_failure_the_next_is_asked_at_once(office):
    found = asked(
        office,
        serving(("b", TWO, control(tells("b")))),
        at("a", ONE),
        at("b", TWO),
        control_s=3600.0,
    )
    assert title(found) == "b"
    assert [(one.control.name, one.failure) for one in found.others] == [
        ("a.example", "connection_refused")
    ]


def test_beside_a_slow_one_the_next_is_asked(office):
    found = asked(
        office,
        serving(("a", ONE, stays_silent), ("b", TWO, control(tells("b")))),
        at("a", ONE),
        at("b", TWO),
        control_s=0.6,
    )
    assert title(found) == "b"


def test_all_are_asked_where_that_is_wanted(office):
    found = asked(
        office,
        serving(
            ("a", ONE, pages(lambda host, path: http(503))),
            ("b", TWO, control(tells("b"))),
            ("c", THREE, control(tells("c"))),
        ),
        at("a", ONE),
        at("b", TWO),
        at("c", THREE),
        everyone=True,
    )
    assert title(found) == "b"
    assert [(entry["url"], entry["failure"]) for entry in (o.entry() for o in found.others)] == [
        ("https://a.example/", BAD_STATUS),
        ("https://c.example/", None),
    ]


def test_where_all_fail_the_first_failure_is_the_failure(office):
    found = asked(office, serving(("a", ONE, resets)), at("a", ONE), at("b", TWO))
    assert found.answer is None
    assert found.failure in ("connection_reset", "eof_error")
    assert [one.failure for one in found.others] == ["connection_refused"]


def test_without_controls_there_is_a_failure_too(office):
    assert asked(office, serving()).failure == NO_CONTROL


def test_a_front_is_shown_in_place_of_the_name(office):
    heard: list[str] = []

    def noted(host: str, path: str) -> bytes:
        heard.append(host)
        return http(200, json.dumps(SOUND).encode())

    found = asked(
        office, serving(("cdn", ONE, pages(noted))), at("hidden", ONE, front="cdn.example")
    )
    assert found.failure is None, "the certificate is the front's"
    assert heard == ["hidden.example"]


def test_a_control_in_clear_at_a_port_of_its_own(office):
    async def furnish(town: Town, office: Office) -> None:
        await town.tcp(ONE, 8080, control(tells("plain")))

    plain = at("plain", ONE, port=8080, scheme="http")
    assert plain.url == "http://plain.example:8080/"
    assert title(asked(office, furnish, plain)) == "plain"


@pytest.mark.parametrize(
    ("isp", "failure"),
    [
        pytest.param((ONE,), None, id="the provider knows it"),
        pytest.param((FORGED, TWO), None, id="the provider lies, another resolver does not"),
        pytest.param((), None, id="the provider does not know it"),
    ],
)
def test_a_control_without_an_address_is_looked_up(isp, failure, office):
    async def furnish(town: Town, office: Office) -> None:
        await serving(("a", ONE, control(tells("a"))))(town, office)
        await town.udp(ISP, 53, zone({"a.example": isp}))
        context = office.context("valid", ["dns.example"], alpn=["http/1.1"])
        await town.tcp(SECURE, 443, doh(zone({"a.example": (ONE,)})), context)

    found = asked(office, furnish, at("a"), resolver=ISP, doh_resolvers=(("dns.example", SECURE),))
    assert (title(found), found.failure) == ("a", failure)


def test_a_name_that_nobody_knows_is_the_failure(office):
    async def furnish(town: Town, office: Office) -> None:
        await town.udp(ISP, 53, zone({}))

    assert asked(office, furnish, at("a"), resolver=ISP).failure == "dns_nxdomain_error"


def said(body: object, status: int = 200) -> Exchange:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(request=Request(url="https://a.example/"), t0=0.0, status=status, body=data)


BARE = {"dns": {"failure": None, "addrs": None}, "http_request": {"failure": "unknown_error"}}


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        pytest.param(said(SOUND), None, id="whole"),
        pytest.param(said({**SOUND, "x_new": [1]}), None, id="with what we do not know"),
        pytest.param(said(BARE), None, id="an older one"),
        pytest.param(said({**SOUND, "tcp_connect": None, "ip_info": None}), None, id="nulls"),
        pytest.param(said(SOUND, 503), BAD_STATUS, id="busy"),
        pytest.param(said(b"<html>"), MALFORMED, id="no JSON"),
        pytest.param(said([]), MALFORMED, id="no object"),
        pytest.param(said({"error": "bad"}), MALFORMED, id="no answer"),
        pytest.param(said({**SOUND, "dns": None}), MALFORMED, id="without names"),
        pytest.param(said({**SOUND, "tcp_connect": [1]}), MALFORMED, id="a list for an object"),
        pytest.param(said({**SOUND, "dns": {"addrs": [7]}}), MALFORMED, id="numbers for addresses"),
    ],
)  # fmt: skip
def test_only_a_whole_answer_is_believed(answer, failure):
    assert read_answer(answer) == ((None if failure else json.loads(answer.body)), failure)


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("https://a.example/", ["192.0.2.7:443", "192.0.2.7:80"]),
        ("http://a.example/", ["192.0.2.7:443", "192.0.2.7:80"]),
        ("http://a.example:8080/", ["192.0.2.7:8080"]),
    ],
)
def test_the_question_names_both_ports_unless_the_url_names_one(url, places):
    assert control_request(url, ["192.0.2.7"])["tcp_connect"] == places
