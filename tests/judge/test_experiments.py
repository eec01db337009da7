"""What experiments find out, and what comes of it in a verdict."""

from __future__ import annotations

import msgspec
import pytest

from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Finding
from tests.judge.build import (
    HTTP,
    HTTPS,
    connect,
    control,
    finding,
    handshake,
    hop_at,
    lookup,
    observed,
    plain_path,
    secure_path,
    verdict,
)
from tests.judge.rule_cases import RESET, stopped_at

TIMED_OUT = [*stopped_at("tls", "generic_timeout_error"), *control()]


def test_a_mechanism_is_named_as_deep_as_the_experiments_prove_it():
    found = verdict(observed(RESET, finding("tls.reset.sni"), input=HTTPS))
    assert (found.outcome, found.mechanisms) == (Outcome.BLOCKED, ["tls.reset.sni"])


@pytest.mark.parametrize("mechanism", ["tls.throttle.sni", "quic.timeout.sni", "quic.reset"])
def test_what_lets_the_page_through_is_interference_all_the_same(mechanism):
    beside = finding(mechanism, effect_high=0.1)
    found = verdict(observed(secure_path(), control(), beside, input=HTTPS))
    assert (found.outcome, found.mechanisms) == (Outcome.BLOCKED, [mechanism])


def test_a_page_with_foreign_content_is_interfered_with():
    found = verdict(observed(plain_path(), control(), finding("http.injection", layer="http")))
    assert (found.outcome, found.mechanisms) == (Outcome.BLOCKED, ["http.injection"])


@pytest.mark.parametrize("attempts", [RESET, TIMED_OUT])
def test_a_failure_that_does_not_come_again_blocks_nothing(attempts):
    once = finding(answer="not_repeated")
    assert verdict(observed(attempts, input=HTTPS)).outcome is Outcome.BLOCKED
    assert verdict(observed(attempts, once, input=HTTPS)).outcome is not Outcome.BLOCKED


def test_a_time_out_that_does_not_come_again_leaves_the_site_open():
    once = finding(answer="not_repeated")
    assert verdict(observed(TIMED_OUT, once, input=HTTPS)).outcome is Outcome.OPEN


def test_a_finding_about_another_port_says_nothing_of_a_page_that_came():
    other = finding("tcp.refused", layer="tcp", answer="port")
    assert verdict(observed(plain_path(), control(), other, input=HTTP)).outcome is Outcome.OPEN


def test_a_finding_about_another_host_says_nothing_of_this_one():
    other = finding("tls.reset.sni", host="other.example")
    found = verdict(observed(RESET, other, input=HTTPS))
    assert found.mechanisms == ["tls.reset"]


def test_findings_count_once_however_many_there_are():
    one = verdict(observed(RESET, finding("tls.reset.sni"), input=HTTPS))
    many = verdict(observed(RESET, *[finding("tls.reset.sni")] * 50, input=HTTPS))
    assert one.p_blocked == many.p_blocked


def test_an_inner_address_that_proves_the_name_is_the_sites_own_answer():
    inner = "10.20.0.80"
    path = [lookup(inner), connect(inner, port=443), handshake(inner)]
    found = verdict(observed(path, control(), input=HTTPS))
    assert found.outcome is not Outcome.BLOCKED


def test_a_way_that_ends_abroad_accuses_nobody():
    silent = [
        *stopped_at("tcp", "generic_timeout_error"),
        *control(),
        finding("ip.null_route", layer="tcp"),
    ]
    abroad, here = hop_at("198.51.100.1"), hop_at("203.0.113.1")
    assert verdict(observed(silent, input=HTTPS)).outcome is Outcome.BLOCKED
    assert verdict(observed(silent, here, input=HTTPS)).outcome is Outcome.BLOCKED
    found = verdict(observed(silent, abroad, input=HTTPS))
    assert (found.outcome, found.reason) == (Outcome.UNCLEAR, Reason.LOST_ROUTE)


def shut_at(address: str) -> Finding:
    """All ways end at a hop, whoever they lead to."""
    return msgspec.structs.replace(
        finding(layer="tcp", answer="everything_ends"),
        experiment="everything_ends",
        trigger=None,
        placement="in_path",
        hop_address=address,
        hop_ttl=2,
    )


@pytest.mark.parametrize(
    "attempts",
    [
        stopped_at("tcp", "generic_timeout_error"),
        stopped_at("dns", "generic_timeout_error"),
        [*stopped_at("tcp", "generic_timeout_error"), *control()],
        [*secure_path(), *control()],
        RESET,
        [],
    ],
    ids=["no control", "no names", "the control gets through", "open", "reset", "no attempts"],
)
def test_that_all_ways_end_at_one_hop_says_nothing_on_whether_it_is_meant(attempts):
    before = verdict(observed(attempts, input=HTTPS))
    after = verdict(observed(attempts, shut_at("203.0.113.1"), input=HTTPS))
    assert (after.outcome, after.reason) == (before.outcome, before.reason)
    assert (after.mechanisms, after.p_blocked) == (before.mechanisms, before.p_blocked)
    assert after.rules == before.rules


def test_all_ways_that_end_abroad_accuse_nobody_either():
    silent = [*stopped_at("tcp", "generic_timeout_error"), *control()]
    assert verdict(observed(silent, input=HTTPS)).outcome is Outcome.BLOCKED
    found = verdict(observed(silent, shut_at("198.51.100.1"), input=HTTPS))
    assert (found.outcome, found.reason) == (Outcome.UNCLEAR, Reason.LOST_ROUTE)
