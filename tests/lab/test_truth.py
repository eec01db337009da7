"""What is true of a measurement: how a censor's work shows, and whether the log bears it out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gatewatch.lab.box import Act
from gatewatch.lab.rules import Censor
from gatewatch.lab.scenario import Expectation, Scenario
from gatewatch.lab.truth import (
    UnconfirmedTruth,
    acts_on,
    cause_of,
    mechanisms_by,
    mechanisms_of,
    truth_of,
)
from gatewatch.model.mechanism import ALL

NAME, SITE, PROBE, RESOLVER = "www.example.org", "93.184.216.34", "5.160.1.2", "5.160.0.53"

HOSTS: dict[str, Any] = {
    "site": {"addresses": [SITE], "names": [NAME], "web": {}},
    "notice": {"addresses": ["5.160.9.9"], "web": {"page": "iran"}},
    "named_notice": {
        "addresses": ["5.160.9.8"],
        "names": ["notice.example"],
        "web": {"page": "iran"},
    },
    "portal": {"addresses": ["5.160.9.7"], "web": {"page": "portal"}},
    "national": {"addresses": ["5.160.9.1"], "middlebox": {"tls": "national_ca"}},
    "self": {"addresses": ["5.160.9.2"], "middlebox": {"tls": "self_signed"}},
    "notices": {"addresses": ["5.160.9.3"], "middlebox": {"page": "iran", "status": 403}},
    "scripts": {"addresses": ["5.160.9.4"], "middlebox": {"script": "<script>"}},
    "denies": {"addresses": ["5.160.9.5"], "middlebox": {"resolver": {"rcode": "NXDOMAIN"}}},
    "proxy": {"addresses": ["5.160.9.6"], "middlebox": {"headers": {"Via": "proxy"}}},
    "resolver": {"addresses": [RESOLVER], "resolver": {}},
    "liar": {
        "addresses": ["5.160.0.54"],
        "resolver": {"answers": {NAME: {"addresses": ["10.10.34.36"]}}},
    },
    "doh": {"addresses": ["9.9.9.9"], "names": ["dns.example"], "resolver": {}},
}
NETWORK = {
    "asn": 58224,
    "name": "An access network",
    "country": "IR",
    "prefixes": ["5.160.0.0/16"],
    "hops": [["5.160.255.1"]],
    "probe": [PROBE, "2a01:5ec0::2"],
    "resolver": RESOLVER,
}


def censor(trigger: dict[str, Any], action: dict[str, Any], **more: Any) -> Censor:
    parts = {"id": "censor", "at": "isp", "trigger": trigger, "action": action, **more}
    return msgspec.convert(parts, Censor)


def scenario(*censors: Censor, **more: Any) -> Scenario:
    parts = {"title": "t", "words": "w", "kind": "leaf", "hosts": HOSTS, **more}
    made = msgspec.convert({"networks": {"isp": NETWORK}, **parts}, Scenario)
    return msgspec.structs.replace(made, id="here", censors=censors)


DNS, SNI, QUIC = {"dns": [NAME]}, {"sni": [NAME]}, {"quic_sni": [NAME]}
HOST, URL, WORD = {"host": [NAME]}, {"url": [f"{NAME}/x"]}, {"keyword": ["secret"]}
IP, ENDPOINT, ALL_OF_IT = {"ip": [SITE]}, {"endpoint": [f"{SITE}:443"]}, {"everything": True}


def forged(**answer: Any) -> dict[str, Any]:
    return {"forge_dns": answer}


def page(status: int | None) -> dict[str, Any]:
    return {"block_page": {"page": "iran", "status": status}}


@pytest.mark.parametrize(
    ("trigger", "action", "mechanism"),
    [
        (DNS, forged(a=["10.10.34.36"]), "dns.injection.bogon"),
        (DNS, forged(a=["127.0.0.1"], aaaa=["::1"]), "dns.injection.bogon"),
        (DNS, forged(a=["5.160.9.9"]), "dns.injection.blockpage"),
        (DNS, forged(cname="notice.example"), "dns.injection.blockpage"),
        (DNS, forged(cname="elsewhere.example"), "dns.injection.other"),
        (DNS, forged(a=["5.160.9.7"]), "dns.injection.other"),
        (DNS, forged(a=["31.13.94.37", "10.10.34.36"]), "dns.injection.other"),
        (DNS, forged(aaaa=["2001::1f0d:4a0d"]), "dns.injection.bogon"),
        (DNS, forged(), "dns.no_answer"),
        (DNS, forged(rcode="NXDOMAIN"), "dns.nxdomain"),
        (DNS, forged(rcode="REFUSED"), "dns.refused"),
        (DNS, forged(rcode="SERVFAIL"), "dns.servfail"),
        (DNS, forged(a=["31.13.94.37"], wrong_id=True), "dns"),
        (DNS, {"drop": {}}, "dns.timeout"),
        (DNS, {"divert": {"to": "denies"}}, "dns.nxdomain"),
        (ENDPOINT, {"refuse": {}}, "tcp.refused"),
        (ENDPOINT, {"drop": {}}, "tcp.timeout"),
        (IP, {"drop": {}}, "tcp.timeout"),
        (IP, {"reset": {}}, "tcp.reset"),
        (IP, {"drop": {"after_kb": 16}}, "http.timeout"),
        (IP, {"null_route": {}}, "ip.null_route"),
        (IP, {"icmp": {}}, "ip.unreachable"),
        (ALL_OF_IT, {"drop": {}}, "ip.null_route"),
        ({"look": ["encrypted"]}, {"drop": {}}, "tcp.timeout"),
        (SNI, {"reset": {}}, "tls.reset.sni"),
        ({**SNI, "ip": [SITE]}, {"reset": {}}, "tls.reset.sni"),
        (SNI, {"drop": {}}, "tls.timeout"),
        (SNI, {"fin": {}}, "tls.eof"),
        (SNI, {"alert": {}}, "tls.error"),
        (SNI, {"throttle": {"rate_kbps": 130}}, "tls.throttle.sni"),
        (SNI, {"divert": {"to": "national"}}, "tls.mitm.ca_signed"),
        (SNI, {"divert": {"to": "self"}}, "tls.mitm.self_signed"),
        ({"ech": True}, {"drop": {}}, "tls.timeout"),
        ({"esni": True}, {"reset": {}}, "tls.reset.other"),
        (QUIC, {"drop": {}}, "quic.timeout.sni"),
        (QUIC, {"close_quic": {}}, "quic.reset.sni"),
        ({"quic": True}, {"drop": {}}, "quic.timeout"),
        (HOST, {"reset": {}}, "http.reset.host"),
        (HOST, {"drop": {}}, "http.timeout"),
        (HOST, {"fin": {}}, "http.eof"),
        (HOST, {"throttle": {"rate_kbps": 64}}, "http.throttle.host"),
        (URL, {"reset": {}}, "http.reset.keyword"),
        (WORD, {"reset": {}}, "http.reset.keyword"),
        (HOST, page(200), "http.blockpage"),
        (HOST, page(403), "http.blockpage"),
        (HOST, page(451), "http.blockpage"),
        (HOST, page(None), "http.blockpage"),
        (HOST, page(503), "http.error"),
        (HOST, page(404), "http.error"),
        (HOST, {"redirect": {"location": "http://5.160.9.9/"}}, "http.redirect"),
        (HOST, {"divert": {"to": "notices"}}, "http.blockpage"),
        (HOST, {"divert": {"to": "scripts"}}, "http.injection"),
        (HOST, {"divert": {"to": "proxy"}}, None),
    ],
)
def test_a_censors_work_shows_as_trigger_and_action_let_it(trigger, action, mechanism):
    hosts = scenario().hosts
    assert next(iter(mechanisms_of(censor(trigger, action), hosts)), None) == mechanism
    assert mechanism is None or mechanism in ALL


def test_a_mechanism_that_is_given_is_the_mechanism():
    given = censor(SNI, {"reset": {}}, mechanism="tls.reset.other")
    assert mechanisms_of(given, {}) == ("tls.reset.other",)


def test_what_follows_a_trigger_for_a_while_may_show_otherwise():
    lasting = censor(SNI, {"reset": {}}, residual={"seconds": 90, "action": {"drop": {}}})
    assert mechanisms_of(lasting, {}) == ("tls.reset.sni", "tls.timeout", "tcp.timeout")


@pytest.mark.parametrize(
    ("trigger", "action", "mechanisms"),
    [
        (IP, {"null_route": {}}, ("ip.null_route", "tcp.timeout")),
        (IP, {"reset": {}}, ("tcp.reset", "tcp.refused")),
        (SNI, {"throttle": {"rate_kbps": 8}}, ("tls.throttle.sni", "http.timeout")),
    ],
)
def test_a_client_may_see_less_than_was_done(trigger, action, mechanisms):
    assert mechanisms_of(censor(trigger, action), {}) == mechanisms


def test_an_answer_of_addresses_on_the_internet_and_off_it_shows_both_ways():
    mixed = censor(DNS, forged(a=["31.13.94.37"], aaaa=["2001::1f0d:4a0d"]))
    assert mechanisms_of(mixed, {}) == ("dns.injection.other", "dns.injection.bogon")


@pytest.mark.parametrize(
    ("trigger", "cause"),
    [
        ({**IP, **SNI, **DNS}, "dns"),
        ({**IP, **SNI}, "sni"),
        ({**HOST, **WORD}, "host"),
        ({"networks": ["isp"]}, "everything"),
    ],
)
def test_of_several_conditions_the_deepest_is_the_cause(trigger, cause):
    assert cause_of(censor(trigger, {"drop": {}}).trigger) == cause


@pytest.mark.parametrize(
    ("name", "mechanisms"),
    [
        ("censor", ("tls.reset.sni",)),
        ("national", ("tls.mitm.ca_signed",)),
        ("liar", ("dns.injection.bogon",)),
        ("resolver", ()),
    ],
)
def test_who_did_it_may_be_a_censor_a_middlebox_or_a_resolver(name, mechanisms):
    assert mechanisms_by(name, scenario(censor(SNI, {"reset": {}}))) == mechanisms


# -- the log ---------------------------------------------------------------------------------


def act(by: str = "censor", *, t: float = 5.0, client: str = PROBE, **more: Any) -> Act:
    whole = {"server": f"{SITE}:443", "action": "reset", "transport": "tcp", "subject": NAME}
    end = f"[{client}]:4000" if ":" in client else f"{client}:4000"
    return Act(**{**whole, "place": "isp", "censor": by, "client": end, "t": t, **more})


@pytest.mark.parametrize(
    ("one", "ours"),
    [
        pytest.param(act(), True, id="our probe, in time"),
        pytest.param(act(client="2a01:5ec0::2"), True, id="our probe over IPv6"),
        pytest.param(act(client=RESOLVER), True, id="our resolver, asking for us"),
        pytest.param(act(client="5.160.1.3"), False, id="a neighbour"),
        pytest.param(act(t=3.9), False, id="before"),
        pytest.param(act(t=6.1), False, id="after"),
        pytest.param(act(again=True), False, id="to a segment of before that came again"),
    ],
)
def test_acts_belong_to_a_measurement_by_client_and_time(one, ours):
    assert acts_on(scenario(), "isp", [one], 4.0, 6.0) == ([one] if ours else [])


def test_a_resolver_that_asks_another_speaks_for_us_too():
    hosts = {
        **HOSTS,
        "resolver": {"addresses": [RESOLVER], "resolver": {"upstream": "9.9.9.8"}},
        "upstream": {"addresses": ["9.9.9.8"], "resolver": {"upstream": RESOLVER}},
    }
    asked = act(client="9.9.9.8")
    assert acts_on(scenario(hosts=hosts), "isp", [asked], 4.0, 6.0) == [asked]


RESETS = censor(SNI, {"reset": {}})
BLOCKED = {"outcome": "blocked", "mechanisms": ["tls.reset.sni"], "by": ["censor"]}
BY_LIAR = {"outcome": "blocked", "mechanisms": ["dns.injection.bogon"], "by": ["liar"]}


def truth(expected: dict[str, Any], acts: list[Act]):
    expectation = msgspec.convert({"url": f"https://{NAME}/", **expected}, Expectation)
    return truth_of(scenario(RESETS), expectation, "isp", acts, measurement="lab-here-isp-0")


@pytest.mark.parametrize(
    ("expected", "acts", "mechanisms"),
    [
        pytest.param(BLOCKED, [act()], ("tls.reset.sni",), id="blocked, and it was done"),
        pytest.param(
            {**BLOCKED, "mechanisms": ["tls.reset"]}, [act()], ("tls.reset",), id="declared less"
        ),
        pytest.param(
            {**BLOCKED, "mechanisms": []}, [act()], ("tls.reset.sni",), id="left to the rule"
        ),
        pytest.param(BY_LIAR, [], ("dns.injection.bogon",), id="a resolver's own word"),
        pytest.param({"outcome": "open"}, [], (), id="open, and nothing was done"),
        pytest.param({"outcome": "down"}, [], (), id="down, and nothing was done"),
        pytest.param(
            {"outcome": "open"}, [act("proxy", action="divert")], (), id="handed on, untouched"
        ),
        pytest.param(
            {"outcome": "open"}, [act(server="9.9.9.9:443")], (), id="done to another flow"
        ),
        pytest.param({"outcome": "open", "by": ["censor"]}, [act()], (), id="done, and withstood"),
    ],
)
def test_truth_is_where_scenario_and_log_agree(expected, acts, mechanisms):
    found = truth(expected, acts)
    assert (found.outcome, found.mechanisms) == (expected["outcome"], mechanisms)
    assert (found.acts, found.measurement) == (len(acts), "lab-here-isp-0")
    assert found.places == (("isp",) if acts else ())


@pytest.mark.parametrize(
    ("expected", "acts", "doubt"),
    [
        pytest.param(BLOCKED, [], "censor should have acted", id="nobody did it"),
        pytest.param(BLOCKED, [act("proxy")], "censor should have acted", id="somebody else did"),
        pytest.param(
            {"outcome": "blocked"}, [], "nobody acted", id="blocked, and nobody is accused"
        ),
        pytest.param(
            {**BLOCKED, "mechanisms": ["tls.timeout"]}, [act()], "can do", id="another mechanism"
        ),
        pytest.param({"outcome": "open"}, [act()], "did reset", id="open, and something was done"),
        pytest.param({"outcome": "down"}, [act()], "did reset", id="down, and something was done"),
        pytest.param(
            {"outcome": "open"},
            [act(server="9.9.9.9:53", transport="udp", action="forge_dns")],
            "did forge_dns",
            id="a question about it was answered falsely",
        ),
    ],
)
def test_where_they_disagree_there_is_no_truth(expected, acts, doubt):
    with pytest.raises(UnconfirmedTruth, match=doubt):
        truth(expected, acts)
