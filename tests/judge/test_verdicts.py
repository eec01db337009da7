"""Situations, one measurement each, and what may be concluded from them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, NamedTuple

import pytest

from gatewatch.judge.day import day_of
from gatewatch.judge.rules import RULES_VERSION
from gatewatch.judge.words import _OUTCOMES, _REASONS
from gatewatch.model.mechanism import ALL, words
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Observed
from tests.judge.build import (
    ACCESS,
    BOGON,
    ELSEWHERE,
    FORGED,
    FORGED_BOGON,
    HERE,
    HTTP,
    HTTPS,
    LOOPBACK,
    TWIN,
    Attempt,
    connect,
    control,
    dead_control,
    exchange,
    handshake,
    lookup,
    measurement,
    observed,
    plain_path,
    redirect,
    secure_path,
    unanswered,
    verdict,
)
from tests.judge.rule_cases import plain_redirect, stopped_at

RESET, TIMEOUT, REFUSED, EOF = (
    "connection_reset",
    "generic_timeout_error",
    "connection_refused",
    "eof_error",
)
NXDOMAIN = "dns_nxdomain_error"


class Situation(NamedTuple):
    words: str
    seen: Observed
    outcome: Outcome
    reason: Reason | None = None
    mechanisms: tuple[str, ...] = ()


def there(address: str, page: dict[str, Any] | None = None, port: int = 80) -> list[Attempt]:
    """The system resolver leads to this address, which answers a request in clear."""
    return [
        lookup(address),
        connect(address, port),
        exchange(HTTP, address=address, **(page or {})),
    ]


DENIED: dict[str, Any] = {"title": "Access Denied", "length": 300}
WITH_LENGTH = ["content-type: text/html", "content-length: 300"]
V6 = "2001:db8::7"

OPEN, DOWN, BLOCKED = Outcome.OPEN, Outcome.DOWN, Outcome.BLOCKED
SERVER, UNCLEAR = Outcome.SERVER_SIDE, Outcome.UNCLEAR

SITUATIONS = (
    # the same failure against three controls
    Situation("a reset here, fine elsewhere",
        observed(stopped_at("http", RESET), control()), BLOCKED, None, ("http.reset",)),
    Situation("a reset everywhere", observed(stopped_at("http", RESET), dead_control(RESET)), DOWN),
    Situation("a reset, and nothing to compare with",
        observed(stopped_at("http", RESET)), UNCLEAR, Reason.NO_CONTROL, ("http.reset",)),
    Situation("the probe never got to try", observed(control()), UNCLEAR, Reason.NO_EVIDENCE),
    # content networks
    Situation("another address in the control's network",
        observed(there(TWIN), control()), OPEN),
    Situation("an address in another network, proved by TLS",
        observed(lookup(ELSEWHERE), connect(ELSEWHERE, 443), handshake(ELSEWHERE),
                 exchange(HTTPS, address=ELSEWHERE), control(), input=HTTPS), OPEN),
    Situation("an address in another network, with the control's page",
        observed(there(ELSEWHERE), control()), OPEN),
    Situation("an address in another network of which nothing more is known",
        observed(lookup(ELSEWHERE), connect(ELSEWHERE), control()), UNCLEAR, Reason.NO_EVIDENCE),
    # answers that lie
    Situation("a name denied here alone",
        observed(stopped_at("dns", NXDOMAIN), control()), BLOCKED, None, ("dns.nxdomain",)),
    Situation("a name denied to everybody",
        observed(stopped_at("dns", NXDOMAIN), dead_control(lookup_failure=NXDOMAIN)), DOWN),
    Situation("an answer from private space",
        observed(lookup(BOGON), control()), BLOCKED, None, ("dns.injection.bogon",)),
    Situation("an answer from the machine itself",
        observed(lookup(LOOPBACK), control()), BLOCKED, None, ("dns.injection.bogon",)),
    Situation("loopback for everybody",
        observed(lookup(LOOPBACK), control(LOOPBACK, page=unanswered(HTTP, "unknown_error"))),
        DOWN),
    Situation("a published forgery that serves nothing",
        observed(lookup(FORGED_BOGON), control()), BLOCKED, None, ("dns.injection.bogon",)),
    Situation("a stray answer that refuses connections",
        observed(lookup(ELSEWHERE), connect(ELSEWHERE, failure=REFUSED), control()),
        BLOCKED, None, ("dns.injection", "tcp.refused")),
    Situation("a stray answer with another page, both with a Content-Length",
        observed(there(ELSEWHERE, {**DENIED, "headers": WITH_LENGTH}),
                 control(page=exchange(HTTP, headers=WITH_LENGTH))),
        BLOCKED, None, ("dns.injection",)),
    Situation("a name that exists only here, for nobody else",
        observed(lookup(ACCESS), dead_control(lookup_failure=NXDOMAIN)),
        DOWN, None, ("dns.injection",)),
    # pages
    Situation("the page of the country's block list",
        observed(plain_path(fingerprints=["nat.ir"], **DENIED), control()),
        BLOCKED, None, ("http.blockpage",)),
    Situation("the same page with every header of the site's",
        observed(plain_path(fingerprints=["nat.ir"], headers=WITH_LENGTH, **DENIED),
                 control(page=exchange(HTTP, headers=WITH_LENGTH))),
        BLOCKED, None, ("http.blockpage",)),
    Situation("a page known to be mistaken for it",
        observed(plain_path(fingerprints=["nat.ir", "mistaken"]), control()), OPEN),
    Situation("the page of a block list, over TLS from the site itself",
        observed(secure_path(fingerprints=["nat.ir"]), control(), input=HTTPS), OPEN),
    Situation("another page, and nobody knows whose",
        observed(plain_path(**DENIED), control()), UNCLEAR, Reason.PAGE_DIFFERS),
    Situation("vague words in place of the page",
        observed(plain_path(fingerprints=["vague"], **DENIED), control()),
        BLOCKED, None, ("http.blockpage",)),
    Situation("a captcha in clear",
        observed(plain_path(status=503, fingerprints=["captcha"], **DENIED), control()), SERVER),
    Situation("a refusal over TLS",
        observed(secure_path(status=451, **DENIED), control(), input=HTTPS), SERVER),
    Situation("a refusal over TLS, without a control",
        observed(secure_path(status=403, **DENIED), input=HTTPS), SERVER),
    Situation("not found for anybody",
        observed(plain_path(status=404), control(page=exchange(HTTP, 404))), OPEN),
    Situation("broken for everybody",
        observed(plain_path(status=502), control(page=exchange(HTTP, 502))), DOWN),
    # redirects that are not followed
    Situation("a final 303 within the site",
        observed(lookup(HERE), connect(), redirect(HTTP, "/welcome", status=303), control()), OPEN),
    Situation("a final 303 over TLS to somebody else",
        observed(secure_path(status=303, location="https://sso.example/"), control(),
                 input=HTTPS), OPEN),
    Situation("a final 303 in clear to somebody else",
        observed(lookup(HERE), connect(),
                 redirect(HTTP, "http://other.example/", status=303), control()),
        UNCLEAR, Reason.REDIRECT_UNFOLLOWED),
    Situation("a redirect in clear to a known block page",
        observed(plain_redirect("http://stop.example/"),
                 exchange("http://stop.example/", address=ACCESS, hop=1, fingerprints=["nat.ir"]),
                 control()),
        BLOCKED, None, ("http.blockpage", "http.redirect")),
    Situation("a redirect in clear to a published forgery",
        observed(plain_redirect(f"http://{FORGED_BOGON}/"), control()),
        BLOCKED, None, ("http.redirect",)),
    # masks
    Situation("a certificate refused for its dates",
        observed(lookup(HERE), connect(port=443),
                 handshake(failure="ssl_invalid_certificate", chain="expired"), control(),
                 input=HTTPS), UNCLEAR, Reason.PROBE_CLOCK),
    Situation("a self-signed certificate refused, whatever was said of dates",
        observed(lookup(HERE), connect(port=443),
                 handshake(failure="ssl_invalid_certificate", chain="self_signed"), control(),
                 input=HTTPS), BLOCKED, None, ("tls.mitm.self_signed",)),
    Situation("a hotel's portal", observed(plain_path(fingerprints=["hotel"], **DENIED), control()),
        UNCLEAR, Reason.LOCAL_PORTAL),
    Situation("a school's filter",
        observed(plain_path(fingerprints=["school"], **DENIED), control()),
        UNCLEAR, Reason.LOCAL_PORTAL),
    Situation("a hotel's portal in a country that forges answers",
        observed(lookup(FORGED), connect(FORGED),
                 exchange(HTTP, address=FORGED, fingerprints=["hotel"], **DENIED), control()),
        BLOCKED, None, ("dns.injection.blockpage",)),
    Situation("the probe had no network",
        observed(lookup(failure=TIMEOUT), lookup(failure=TIMEOUT, resolver="8.8.8.8:53"),
                 control_failure=TIMEOUT), UNCLEAR, Reason.NO_PROBE_NETWORK),
    Situation("the probe had no sockets left",
        observed(stopped_at("tcp", "address_in_use"), control(), input=HTTPS),
        UNCLEAR, Reason.PROBE_FAILURE),
    # ports and families
    Situation("no IPv6 here, and IPv4 works",
        observed(lookup(HERE, V6), connect(V6, failure="network_unreachable"), connect(),
                 exchange(HTTP), control()), OPEN),
    Situation("no IPv6 here, and IPv4 is refused",
        observed(lookup(HERE, V6), connect(V6, failure="network_unreachable"),
                 connect(failure=REFUSED), control()), BLOCKED, None, ("tcp.refused",)),
    Situation("port 443 is dead and the URL is plain",
        observed(plain_path(), connect(port=443, failure=TIMEOUT), control()), OPEN),
    Situation("port 80 is dead and the URL is not plain",
        observed(secure_path(), connect(failure=TIMEOUT), control(), input=HTTPS), OPEN),
    Situation("one of two addresses is dead here",
        observed(lookup(HERE, TWIN), connect(failure=TIMEOUT), connect(TWIN),
                 exchange(HTTP, address=TWIN), control()), OPEN),
)  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.words)
def test_a_situation_is_read_as_what_it_is(situation: Situation):
    found = verdict(situation.seen)
    assert (found.outcome, found.reason) == (situation.outcome, situation.reason)
    assert set(found.mechanisms) == set(situation.mechanisms)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.words)
def test_a_verdict_says_what_it_rests_on(situation: Situation):
    found = verdict(situation.seen)
    shares = (found.p_open, found.p_down, found.p_blocked, found.p_server_side)
    assert sum(shares) == pytest.approx(1.0)
    assert found.sentence.startswith("site.example ")
    assert found.sentence.endswith(".")
    assert found.rules_version == RULES_VERSION
    assert found.refdata_version == "a test world"
    assert (found.outcome == UNCLEAR) == (found.reason is not None)
    for mechanism in found.mechanisms:
        assert mechanism in ALL
        assert found.outcome != BLOCKED or words(mechanism) in found.sentence


def test_a_resolver_that_names_a_port_80_only_host_is_no_proof_of_port_443():
    """The helper reaches the address on 443 and not on 80; the probe fails on 80 as well."""
    helper = control(page=unanswered(HTTP, REFUSED))
    helper = [
        connect(failure=REFUSED, vantage="control") if o == connect(vantage="control") else o
        for o in helper
    ]
    assert verdict(observed(lookup(HERE), connect(failure=REFUSED), helper)).outcome == DOWN


@pytest.mark.parametrize(
    "location", ["http://[", "http://[x]/", "//", "http://a:b/", "\ud800", "?"]
)
@pytest.mark.parametrize("status", [302, 303])
def test_a_location_that_is_no_url_stops_nothing(location: str, status: int):
    steps = [lookup(HERE), connect(), redirect(HTTP, location, status=status)]
    assert verdict(observed(steps, control())).outcome in (UNCLEAR, OPEN)


@pytest.mark.parametrize(
    "given", ["http://[", "", "no url", "http://", "ftp://site.example", "\ud800"]
)
def test_an_input_that_is_no_url_stops_nothing(given: str):
    seen = observed(plain_path(), control(), input=given, target=None, domain=None)
    assert verdict(seen).outcome != BLOCKED


def test_a_portal_that_redirects_to_a_name_of_its_own_is_not_the_countrys_blocking():
    """`login.hotel.lan` exists for the hotel's guests alone; that it does not resolve over a
    public resolver says nothing of the site that was asked for."""
    seen = observed(
        plain_redirect("http://login.hotel.lan/"),
        lookup(failure=NXDOMAIN, host="login.hotel.lan", hop=1),
        control(),
    )
    assert verdict(seen).outcome != BLOCKED


@pytest.mark.parametrize("kind", ["telegram", "signal", "whatsapp", "tor", "http_requests"])
def test_a_test_that_nobody_judges_yet_is_unclear_for_that_reason(kind: str):
    found = verdict(observed(test_name=kind))
    assert (found.outcome, found.reason) == (UNCLEAR, Reason.UNSUPPORTED_TEST)
    assert found.rules == []


def test_every_outcome_and_every_reason_has_its_words():
    assert _OUTCOMES.keys() == set(Outcome)
    assert _REASONS.keys() == set(Reason)


@pytest.mark.parametrize(
    ("measured", "received", "day"),
    [
        pytest.param("2024-05-06", "2024-05-06", "2024-05-06", id="an honest clock"),
        pytest.param("2024-05-06", None, "2024-05-06", id="not yet received"),
        pytest.param(None, "2024-05-06", "2024-05-06", id="no time of its own"),
        pytest.param("2024-05-07", "2024-05-06", "2024-05-07", id="a clock some hours ahead"),
        pytest.param("2024-01-06", "2024-05-06", "2024-01-06", id="kept for months"),
        pytest.param("2031-05-06", "2024-05-06", "2024-05-06", id="years ahead"),
        pytest.param("1970-01-01", "2024-05-06", "2024-05-06", id="no clock at all"),
        pytest.param("2016-05-06", "2024-05-06", "2024-05-06", id="years behind"),
        pytest.param(None, None, None, id="nobody knows"),
    ],
)
def test_a_day_is_the_probes_unless_its_clock_cannot_be_right(measured, received, day):
    at = [datetime.fromisoformat(t) if t else None for t in (measured, received)]
    found = day_of(measurement(measured_at=at[0], received_at=at[1]))
    assert found == (date.fromisoformat(day) if day else None)


@pytest.mark.parametrize("extreme", [datetime.min, datetime.max])
def test_no_clock_is_too_wrong_to_be_read(extreme: datetime):
    assert day_of(measurement(measured_at=extreme)) == date(2024, 5, 6)
    assert day_of(measurement(received_at=extreme)) is not None


def test_a_page_that_is_the_controls_in_every_feature_is_no_block_page():
    """The site of the filtering committee itself, or a report that quotes its page: the control,
    abroad, gets the very same title, length and headers."""
    own = ["server: nginx", "x-site-node: a7", "content-type: text/html"]
    seen = observed(
        plain_path(fingerprints=["nat.ir"], headers=own), control(page=exchange(HTTP, headers=own))
    )
    assert verdict(seen).outcome != BLOCKED
