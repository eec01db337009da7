"""Whole measurements of a small world on loopback, read by the real judge."""

from __future__ import annotations

import asyncio
from typing import Any

import dns.message
import pytest

from gatewatch.lab.zone import WHOAMI
from gatewatch.model.mechanism import under
from gatewatch.probe.experiments.web_connectivity import measure
from gatewatch.probe.seat import Control, Patience, Seat
from tests.judge.reading import read
from tests.probe.experiments.small_world import (
    AT,
    CONTROL,
    HONEST,
    IRAN,
    ISP,
    NAME,
    NAMES,
    OTHER,
    SITE,
    World,
    denied,
    measured,
    seen,
)
from tests.probe.town import (
    PROBE,
    Stream,
    Town,
    answer,
    closes,
    http,
    pages,
    resets,
    says,
    zone,
)

HTTPS, HTTP = f"https://{NAME}/", f"http://{NAME}/"
LIE = says("10.10.34.36")


@pytest.mark.parametrize(
    ("url", "world", "outcome", "mechanism"),
    [
        pytest.param(HTTPS, World(), "open", None, id="a sound site"),
        pytest.param(HTTP, World(), "open", None, id="a sound site in clear"),
        pytest.param(f"http://{NAME}/moved", World(), "open", None, id="a redirect to TLS"),
        pytest.param("http://яндекс.рф/", World(), "open", None, id="a name beyond ASCII"),
        pytest.param(
            HTTPS, World(isp=denied(NAME)), "blocked", "dns.nxdomain", id="the resolver denies it"
        ),
        pytest.param(
            HTTPS,
            World(isp=says(rcode="REFUSED")),
            "blocked",
            "dns.refused",
            id="the resolver refuses",
        ),
        pytest.param(
            HTTPS, World(isp=LIE, public=LIE), "blocked", "dns.injection.bogon", id="forged answers"
        ),
        pytest.param(HTTPS, World(raw_tls=resets), "blocked", "tls.reset", id="a reset in TLS"),
        pytest.param(HTTPS, World(raw_tls=closes), "blocked", "tls.eof", id="an end in TLS"),
        pytest.param(HTTPS, World(tls=None), "blocked", "tcp.refused", id="a refused port"),
        pytest.param(HTTP, World(plain=resets), "blocked", "http.reset", id="a reset in clear"),
        pytest.param(
            HTTP,
            World(plain=pages(lambda host, path: http(403, IRAN))),
            "blocked",
            "http.blockpage",
            id="a block page",
        ),
        pytest.param(
            HTTPS,
            World(tls=None, control=seen(failure="connection_refused_error")),
            "down",
            None,
            id="refused for everybody",
        ),
        pytest.param(
            HTTPS,
            World(isp=denied(NAME), public=denied(NAME), secure=denied(NAME),
                  control=seen(failure="dns_lookup_error", addresses=())),
            "down",
            None,
            id="a name that nobody knows",
        ),
        pytest.param(HTTPS, World(controlled=False), "open", None, id="no control, and no need"),
        pytest.param(
            HTTPS,
            World(controlled=False, raw_tls=resets),
            "unclear",
            None,
            id="no control where one is needed",
        ),
    ],
)  # fmt: skip
def test_the_judge_reads_a_measurement_as_what_was_done(url, world, outcome, mechanism, office):
    verdict = read(measured(url, world, office))
    assert verdict.outcome == outcome, verdict.sentence
    if mechanism:
        assert any(under(said, mechanism) for said in verdict.mechanisms), verdict.mechanisms
    assert (verdict.measurement_id, verdict.report_id) == ("lab-here-1", "lab-here")


def test_a_measurement_says_where_it_was_made(office):
    found = measured(HTTPS, World(), office)
    assert (found["probe_asn"], found["probe_cc"]) == ("AS137", "IR")
    assert found["measurement_start_time"] == "2026-03-01 12:00:00"


def test_a_sound_measurement_holds_every_step_with_its_links(office):
    keys = measured(HTTP, World(), office)["test_keys"]
    asked = [(q["engine"], q["query_type"], q["failure"]) for q in keys["queries"]]
    assert sorted(asked) == [
        ("doh", "A", None),
        ("doh", "AAAA", "dns_no_answer"),
        ("getaddrinfo", "ANY", None),
        ("udp", "A", None),
        ("udp", "AAAA", "dns_no_answer"),
    ]
    assert {c["port"]: c["status"]["success"] for c in keys["tcp_connect"]} == {80: True, 443: True}
    (shaken,) = keys["tls_handshakes"]
    (fetched,) = keys["requests"]
    assert "fetch_body=false" in shaken["tags"], "port 443 of a plain URL only proves the name"
    assert "fetch_body=true" in fetched["tags"]
    links = {c["port"]: c["transaction_id"] for c in keys["tcp_connect"]}
    assert links == {443: shaken["transaction_id"], 80: fetched["transaction_id"]}
    assert keys["control_failure"] is None
    operations = {event["operation"] for event in keys["network_events"]}
    assert {"connect", "read", "write", "bytes_received_cumulative"} <= operations
    assert (keys["blocking"], keys["accessible"]) == (False, True)


def test_the_chain_of_redirects_is_written_newest_first_with_its_depths(office):
    keys = measured(f"http://{NAME}/moved", World(), office)["test_keys"]
    chain = [(r["request"]["url"], r["response"]["code"]) for r in keys["requests"]]
    assert chain == [(HTTPS, 200), (f"http://{NAME}/moved", 301)]
    assert "depth=1" in keys["requests"][0]["tags"]
    referers = [r["request"]["headers"]["Referer"] for r in keys["requests"]]
    assert referers == [f"http://{NAME}/moved", ""]


@pytest.mark.parametrize(
    ("path", "failure", "requests"),
    [
        ("/loop", "unknown_failure: stopped after too many redirects", 11),
        ("/nowhere", "http_invalid_redirect_location_host", 1),
        ("/other", None, 2),
    ],
)
def test_a_redirect_is_followed_as_browsers_follow_it(path, failure, requests, office):
    keys = measured(f"http://{NAME}{path}", World(), office)["test_keys"]
    assert len(keys["requests"]) == requests
    assert keys["requests"][0]["failure"] == failure


def test_a_denied_name_is_fetched_by_the_address_that_another_resolver_knows(office):
    keys = measured(HTTPS, World(isp=denied(NAME)), office)["test_keys"]
    (fetched,) = keys["requests"]
    assert fetched["address"] == f"{SITE}:443"
    assert "classic" not in fetched["tags"]


def test_what_only_the_control_knows_is_tried_as_well(office):
    nobody = zone({})
    world = World(isp=nobody, public=nobody, secure=nobody)
    keys = measured(HTTPS, world, office)["test_keys"]
    assert [c["ip"] for c in keys["tcp_connect"]] == [SITE]
    assert keys["requests"][0]["response"]["code"] == 200


def test_a_url_of_an_address_asks_no_resolver(office):
    keys = measured(f"https://{SITE}/", World(), office)["test_keys"]
    assert keys["queries"] == []
    assert keys["requests"][0]["response"]["code"] == 200


def test_a_vantage_without_ipv6_says_so_of_every_ipv6_address(office):
    world = World(isp=says(SITE, "2606:2800:220:1::1"))
    keys = measured(HTTPS, world, office)["test_keys"]
    ends = {c["ip"]: c["status"]["failure"] for c in keys["tcp_connect"]}
    assert ends == {SITE: None, "2606:2800:220:1::1": "network_unreachable"}


def test_an_address_of_the_machine_itself_is_never_tried(office):
    keys = measured(HTTPS, World(isp=says("127.0.0.1"), public=says("127.0.0.1")), office)
    assert {c["ip"] for c in keys["test_keys"]["tcp_connect"]} == {SITE}


def test_a_second_answer_is_kept_apart(office):
    def race(question: bytes):
        return [(0.0, answer(question, ["10.10.34.36"])), (0.02, answer(question, [SITE]))]

    keys = measured(HTTPS, World(public=race), office)["test_keys"]
    late = [a["ipv4"] for q in keys["x_dns_duplicate_responses"] for a in q["answers"] or []]
    assert late == [SITE]


SEEN = "130.192.3.99"
"Under which address the provider's resolver asks others."


@pytest.mark.parametrize(
    ("isp", "about", "resolver", "told"),
    [
        pytest.param((SEEN,), {}, ("AS137", SEEN), [{"address": SEEN}], id="it says"),
        pytest.param(
            (SEEN,),
            {"asn_of": lambda address: None},
            ("AS0", SEEN),
            [{"address": SEEN}],
            id="it is in a network that nobody knows",
        ),
        pytest.param(None, {}, ("AS0", "127.0.0.2"), None, id="it denies the name"),
        pytest.param(
            (SEEN,), {"resolver": "130.192.3.22"}, ("AS0", "127.0.0.2"), None, id="nobody is there"
        ),
        pytest.param((SEEN,), {"resolver": None}, ("AS0", "127.0.0.2"), None, id="there is none"),
    ],
)
def test_the_systems_resolver_is_who_it_says_it_is(isp, about, resolver, told, office):
    named = NAMES if isp is None else {**NAMES, WHOAMI: isp}
    world = World(isp=zone(named), public=zone({WHOAMI: ("8.8.8.9",)}))
    seat = {"asn_of": {SEEN: 137}.get, **about}
    found = measured(HTTPS, world, office, **seat)
    assert (found["resolver_asn"], found["resolver_ip"]) == resolver
    assert found["test_keys"]["client_resolver"] == resolver[1]
    assert found["test_keys"]["x_dns_whoami"] == {
        "system_v4": told,
        "udp_v4": {"8.8.8.8:53": [{"address": "8.8.8.9"}]},
    }


def test_the_resolver_is_asked_who_it_is_while_the_name_is_asked_for(office):
    heard: list[str] = []

    def noted(question: bytes):
        heard.append(str(dns.message.from_wire(question).question[0].name).rstrip("."))
        return HONEST(question)

    measured(f"http://{OTHER}/moved", World(isp=noted), office)
    assert sorted(heard[:3]) == [OTHER, OTHER, WHOAMI], "both types of the first name, and this"
    assert heard[3:] == [NAME, NAME]


@pytest.mark.parametrize(
    ("path", "seat", "tried"),
    [
        ("/h3", {}, True),
        ("/", {"quic": True}, True),
        ("/", {}, False),
    ],
)
def test_quic_is_tried_where_it_is_offered_or_asked_for(path, seat, tried, office):
    keys = measured(f"https://{NAME}{path}", World(), office, **seat)["test_keys"]
    ends = [(q["address"], q["failure"], q["server_name"]) for q in keys["quic_handshakes"]]
    assert ends == ([(f"{SITE}:443", "connection_refused", NAME)] if tried else [])


def test_a_wrong_clock_is_the_probes_own_and_shows_in_its_record(office):
    found = measured(HTTPS, World(), office, clock_skew_days=-3000)
    assert found["measurement_start_time"].startswith("2017")
    (shaken,) = found["test_keys"]["tls_handshakes"]
    assert shaken["failure"] == "ssl_invalid_certificate"
    assert read(found).outcome != "blocked"


@pytest.mark.parametrize(
    "says_control",
    [b"no JSON", b"[]", b'{"error": "busy"}'],
)
def test_a_control_that_talks_nonsense_has_failed(says_control, office):
    async def go() -> dict[str, Any]:
        async with Town() as town:
            await World(controlled=False).furnish(town, office)
            context = office.context("valid", ["control.example"], alpn=["http/1.1"])
            await town.tcp(CONTROL, 443, pages_of(says_control), context)
            seat = Seat(
                asn=137,
                country="IR",
                network="GARR",
                addresses=(PROBE,),
                resolver=ISP,
                controls=(Control(name="control.example", address=CONTROL),),
                ca=office.ca_file,
                reach=town,
                patience=Patience(late_s=0.05),
            )
            return await measure(HTTPS, seat, at=AT)

    keys = asyncio.run(go())["test_keys"]
    assert (keys["control"], keys["control_failure"]) == (None, "json_parse_error")


def pages_of(body: bytes) -> Stream:
    return pages(lambda host, path: http(200, body))
