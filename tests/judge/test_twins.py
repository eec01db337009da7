"""The guilty and the innocent twin: what looks alike, and by what it is told apart."""

from __future__ import annotations

from typing import Any

import pytest

from gatewatch.judge.control import Seen
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Observed
from tests.judge.build import (
    ACCESS_ASN,
    BOGON6,
    ELSEWHERE,
    FORGED,
    HERE,
    HTTPS,
    PRIVATE6,
    PUBLIC,
    SEALED,
    SITE,
    TWIN,
    Attempt,
    connect,
    control,
    dead_control,
    exchange,
    fired,
    handshake,
    lookup,
    observed,
    verdict,
)
from tests.judge.rule_cases import (
    UNHEARD,
    dead_for_all,
    plain_redirect,
    quorum,
    silent_resolver,
    stopped,
    stopped_at,
)

BLOCKED, DOWN, UNCLEAR, OPEN = Outcome.BLOCKED, Outcome.DOWN, Outcome.UNCLEAR, Outcome.OPEN
TIMEOUT = "generic_timeout_error"


def says(*addresses: str) -> Attempt:
    """What DNS over TLS answers."""
    return lookup(*addresses, resolver=SEALED)


def said(*addresses: str) -> Attempt:
    """What a public resolver answers in clear."""
    return lookup(*addresses, resolver=PUBLIC)


def another_page(answer: str, *others: Attempt) -> Observed:
    """The answer leads to a page that is not the site's."""
    page = exchange(address=answer, title="Something else", length=300)
    return observed(lookup(answer), *others, connect(answer), page, control())


# -- answers that differ -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "outcome", "mechanisms"),
    [
        pytest.param(
            dead_for_all(ELSEWHERE, others=(said(ELSEWHERE), says(HERE))),
            BLOCKED,
            {"dns.injection", "tcp.timeout"},
            id="a dead answer in clear alone",
        ),
        pytest.param(
            dead_for_all(ELSEWHERE, others=(said(ELSEWHERE), says(ELSEWHERE))),
            UNCLEAR,
            {"tcp.timeout"},
            id="a dead answer over TLS too, as of a dark data centre",
        ),
        pytest.param(
            dead_for_all(ELSEWHERE, others=(says(ELSEWHERE, HERE),)),
            UNCLEAR,
            {"tcp.timeout"},
            id="a dead answer among those over TLS",
        ),
        pytest.param(
            another_page(ELSEWHERE, says(HERE)), BLOCKED, {"dns.injection"}, id="another page"
        ),
        pytest.param(
            another_page(ELSEWHERE, says(ELSEWHERE)),
            UNCLEAR,
            set[str](),
            id="another page at an address that is true",
        ),
        pytest.param(
            dead_for_all(FORGED, others=(says(FORGED),)),
            BLOCKED,
            {"dns.injection.blockpage", "tcp.timeout"},
            id="a published forgery, whoever repeats it",
        ),
        pytest.param(
            observed(lookup(ELSEWHERE), dead_control(lookup_failure="dns_nxdomain_error")),
            DOWN,
            {"dns.injection"},
            id="a name that exists only here",
        ),
        pytest.param(
            observed(
                lookup(ELSEWHERE),
                says(ELSEWHERE),
                dead_control(lookup_failure="dns_nxdomain_error"),
            ),
            UNCLEAR,
            set[str](),
            id="a name that exists here, over TLS too",
        ),
    ],
)
def test_an_answer_that_dns_over_tls_gives_as_well_is_no_lie(seen, outcome, mechanisms):
    found = verdict(seen)
    assert (found.outcome, {*found.mechanisms}) == (outcome, mechanisms), found.sentence


# -- resolvers that say nothing ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "outcome", "reason"),
    [
        pytest.param(
            silent_resolver(resolver_asn=ACCESS_ASN), BLOCKED, None, id="its network is known"
        ),
        pytest.param(
            silent_resolver(**{**UNHEARD, "resolver_ip": "203.0.113.53"}),
            BLOCKED,
            None,
            id="its address is known",
        ),
        pytest.param(silent_resolver(**UNHEARD), UNCLEAR, Reason.RESOLVER_SILENT, id="never heard"),
        pytest.param(
            silent_resolver(resolver_asn=None, resolver_ip=None),
            UNCLEAR,
            Reason.RESOLVER_SILENT,
            id="never asked who it is, as by old probes",
        ),
        pytest.param(
            silent_resolver(says(HERE), **UNHEARD),
            UNCLEAR,
            Reason.RESOLVER_SILENT,
            id="nobody else asked in clear",
        ),
        pytest.param(
            silent_resolver(lookup(failure=TIMEOUT, resolver=PUBLIC), says(HERE), **UNHEARD),
            UNCLEAR,
            Reason.RESOLVER_SILENT,
            id="another one is silent too, and was never heard either: a closed port, perhaps",
        ),
        pytest.param(
            silent_resolver(
                lookup(failure=TIMEOUT, resolver=PUBLIC),
                lookup(HERE, resolver=PUBLIC, host="x.example"),
                says(HERE),
                **UNHEARD,
            ),
            BLOCKED,
            None,
            id="another one speaks, though not of this name: it is the path",
        ),
        pytest.param(
            silent_resolver(
                said(HERE), lookup(failure="dns_nxdomain_error", host="x.example"), **UNHEARD
            ),
            BLOCKED,
            None,
            id="it has denied another name",
        ),
        pytest.param(
            silent_resolver(
                said(HERE), lookup(failure="dns_servfail_error", host="x.example"), **UNHEARD
            ),
            UNCLEAR,
            Reason.RESOLVER_SILENT,
            id="a failure that a stub makes up when nobody answers it",
        ),
        pytest.param(
            observed(
                plain_redirect("http://next.example/"),
                lookup(failure=TIMEOUT, host="next.example", hop=1),
                control(),
                **UNHEARD,
            ),
            BLOCKED,
            None,
            id="it has answered for the name that led there",
        ),
        pytest.param(
            observed(
                lookup(failure=TIMEOUT),
                said(HERE),
                dead_control(lookup_failure="dns_nxdomain_error"),
                **UNHEARD,
            ),
            DOWN,
            None,
            id="the name is gone for everybody",
        ),
    ],
)
def test_silence_is_blocking_only_from_a_resolver_that_speaks(seen, outcome, reason):
    found = verdict(seen)
    assert (found.outcome, found.reason) == (outcome, reason), found.sentence


@pytest.mark.parametrize(
    "failure",
    [
        "dns_temporary_failure",
        "dns_server_misbehaving",
        "dns_servfail_error",
        "android_dns_cache_no_data",
        "connection_refused",
    ],
)
def test_a_dead_resolver_is_one_however_its_failure_is_spelt(failure):
    seen = (lookup(failure=failure), said(HERE), control())
    dead, alive = verdict(observed(*seen, **UNHEARD)), verdict(observed(*seen))
    assert (dead.outcome, dead.reason) == (UNCLEAR, Reason.RESOLVER_SILENT), dead.sentence
    assert alive.reason is not Reason.RESOLVER_SILENT, alive.sentence


def test_a_silence_that_may_be_the_resolvers_own_names_no_mechanism():
    assert verdict(silent_resolver(**UNHEARD)).mechanisms == []


# -- answers that are dead for everybody -------------------------------------------------------

PROVED = handshake(HERE)
"The control's address holds the name's certificate, seen from here."


@pytest.mark.parametrize(
    ("seen", "outcome", "mechanism"),
    [
        pytest.param(
            dead_for_all(TWIN, BOGON6, others=(said(TWIN, BOGON6), says(HERE), PROVED)),
            BLOCKED,
            "dns.injection.bogon",
            id="forged from the site's own network, with a bogon beside it",
        ),
        pytest.param(
            dead_for_all(TWIN, BOGON6, others=(PROVED,)),
            BLOCKED,
            "dns.injection.bogon",
            id="the same, and only the control names the true address",
        ),
        pytest.param(
            dead_for_all(TWIN, BOGON6),
            UNCLEAR,
            "dns.injection.bogon",
            id="the same, and nothing shows that the site can be had from here",
        ),
        pytest.param(
            dead_for_all(TWIN, others=(said(TWIN), says(HERE), PROVED)),
            UNCLEAR,
            "dns.injection",
            id="the same without the bogon: one server of several may be dead",
        ),
        pytest.param(
            dead_for_all(TWIN, others=(said(TWIN), says(TWIN), PROVED)),
            UNCLEAR,
            "tcp.timeout",
            id="a dead server that DNS over TLS names as well",
        ),
        pytest.param(
            dead_for_all(TWIN, others=(said(TWIN, HERE), says(HERE), PROVED)),
            UNCLEAR,
            "tcp.timeout",
            id="a dead server, and the living one is named in clear",
        ),
        pytest.param(
            dead_for_all(TWIN, BOGON6, others=(said(TWIN, BOGON6), says(TWIN, BOGON6), PROVED)),
            UNCLEAR,
            "tcp.timeout",
            id="an odd address of the site's own, given over TLS too",
        ),
        pytest.param(
            dead_for_all(TWIN, BOGON6, others=(says(TWIN), PROVED)),
            UNCLEAR,
            "tcp.timeout",
            id="a bogon from somewhere, beside a true address that is dead",
        ),
        pytest.param(
            dead_for_all(TWIN, PRIVATE6, others=(said(TWIN), says(HERE), PROVED)),
            UNCLEAR,
            "dns.injection",
            id="an IPv4 address under a translator's private prefix",
        ),
    ],
)
def test_a_dead_answer_was_forged_only_if_it_betrays_itself(seen, outcome, mechanism):
    found = verdict(seen)
    assert found.outcome == outcome, found.sentence
    assert mechanism in found.mechanisms
    assert outcome == BLOCKED or found.reason is Reason.DEAD_ADDRESS


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(
            observed(lookup(TWIN, BOGON6), connect(TWIN), exchange(address=TWIN), control()),
            id="the page is there",
        ),
        pytest.param(
            observed(
                lookup(TWIN, BOGON6),
                connect(TWIN, failure=TIMEOUT),
                handshake(TWIN),
                control(),
            ),
            id="it proves the name on port 443",
        ),
        pytest.param(
            observed(
                lookup(TWIN, BOGON6),
                connect(TWIN, failure=TIMEOUT),
                control(),
                connect(TWIN, vantage="control"),
            ),
            id="the control connects to it",
        ),
        pytest.param(
            observed(lookup(HERE, BOGON6), connect(failure=TIMEOUT), control()),
            id="the control is given it",
        ),
        pytest.param(
            observed(lookup(TWIN, BOGON6), connect(TWIN, failure=TIMEOUT), control(HERE, BOGON6)),
            id="the control is given the bogon",
        ),
    ],
)
def test_a_bogon_beside_an_address_that_serves_accuses_nobody(seen):
    assert not fired(seen) & {"dns.bogon.among", "dns.bogon.among_proved"}


def test_one_living_address_of_several_is_enough():
    """As of a site that has lost one of two servers: the other one serves the page."""
    seen = observed(
        lookup(TWIN, HERE),
        connect(TWIN, failure=TIMEOUT),
        connect(),
        exchange(),
        control(TWIN, HERE),
        connect(TWIN, failure=TIMEOUT, vantage="control"),
    )
    assert verdict(seen).outcome == OPEN


# -- why it is unclear -------------------------------------------------------------------------

MALFORMED = "unknown_error"


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param(
            observed(stopped_at("http", MALFORMED), control()),
            Reason.WEAK_EVIDENCE,
            id="an answer that is no HTTP, where the control gets the page",
        ),
        pytest.param(
            observed(stopped_at("http", MALFORMED)), Reason.NO_CONTROL, id="the same without one"
        ),
        pytest.param(dead_for_all(TWIN), Reason.DEAD_ADDRESS, id="dead for the control too"),
        pytest.param(
            observed(stopped_at("tcp", TIMEOUT), input=HTTPS),
            Reason.NO_CONTROL,
            id="dead, and no control",
        ),
    ],
)
def test_a_control_that_spoke_is_not_said_to_be_missing(seen: Observed, reason: Reason):
    found = verdict(seen)
    assert (found.outcome, found.reason) == (UNCLEAR, reason), found.sentence


def test_the_control_of_others_is_a_control():
    seen = observed(stopped_at("http", MALFORMED))
    assert verdict(seen, quorum(SITE)).reason is Reason.WEAK_EVIDENCE


@pytest.mark.parametrize("about", [{}, UNHEARD])
def test_a_resolver_that_is_not_the_obstacle_masks_nothing(about: dict[str, Any]):
    found = verdict(stopped("tls", "connection_reset", Seen.REACHES, **about))
    assert found.outcome == BLOCKED
