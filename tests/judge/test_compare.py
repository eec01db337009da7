"""Probe against control: the same place, the same page, and what tells neither."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.judge.compare import Answers, compare_answers, compare_pages, shared_identity
from gatewatch.judge.control import Control, Seen
from gatewatch.model.records import Exchange, Lookup
from tests.judge.build import (
    ELSEWHERE,
    HERE,
    HTTP,
    TWIN,
    connect,
    control,
    dead_control,
    exchange,
    handshake,
    lookup,
    observed,
    unanswered,
)


@pytest.mark.parametrize(
    ("mine", "theirs", "relation"),
    [
        pytest.param([lookup(HERE)], lookup(HERE), Answers.SHARED, id="the same address"),
        pytest.param([lookup(ELSEWHERE, HERE)], lookup(HERE), Answers.SHARED, id="one in common"),
        pytest.param([lookup(TWIN)], lookup(HERE), Answers.SAME_NETWORK, id="the same network"),
        pytest.param([lookup(ELSEWHERE)], lookup(HERE), Answers.DIFFER, id="nothing in common"),
        pytest.param(
            [lookup("10.0.0.1")], lookup("10.0.0.2"), Answers.DIFFER, id="two unknown networks"
        ),
        pytest.param([lookup()], lookup(HERE), Answers.UNKNOWN, id="no answer here"),
        pytest.param([], lookup(HERE), Answers.UNKNOWN, id="no question here"),
        pytest.param([lookup(HERE)], lookup(), Answers.UNKNOWN, id="no answer there"),
        pytest.param([lookup(HERE)], None, Answers.UNKNOWN, id="no control"),
    ],
)
def test_answers_agree_by_address_or_network(mine: list[Lookup], theirs, relation: Answers):
    assert compare_answers(mine, theirs) is relation


addresses = st.sampled_from([HERE, TWIN, ELSEWHERE, "10.0.0.1", "203.0.113.5"])
RANK = [Answers.UNKNOWN, Answers.DIFFER, Answers.SAME_NETWORK, Answers.SHARED]


@given(st.lists(addresses), st.lists(addresses), addresses)
def test_one_more_answer_never_makes_agreement_less(mine: list[str], theirs: list[str], more: str):
    there = lookup(*theirs)
    before = compare_answers([lookup(*mine)], there)
    after = compare_answers([lookup(*mine), lookup(more)], there)
    assert RANK.index(after) >= RANK.index(before)


def page(**about: Any) -> Exchange:
    return exchange(HTTP, **about)


OURS = ["server: nginx", "x-site-node: a7", "content-type: text/html"]


@pytest.mark.parametrize(
    ("mine", "same"),
    [
        pytest.param(page(headers=OURS), True, id="the same in all"),
        pytest.param(page(title="Une autre langue", headers=OURS), True, id="another language"),
        pytest.param(page(length=50, complete=False, headers=OURS), True, id="cut short"),
        pytest.param(page(title="Stop", length=300), False, id="another title, short"),
        pytest.param(page(title="Stop", length=300, status=403), False, id="a refusal"),
        pytest.param(
            page(title="Stop", length=300, headers=["server: squid", "content-length: 300"]),
            False,
            id="another server",
        ),
    ],
)
def test_a_page_is_told_by_several_features(mine: Exchange, same: bool):
    likeness = compare_pages(mine, page(headers=OURS))
    assert (likeness.score > 0) is same
    assert likeness.reasons


def test_a_body_recorded_in_part_is_never_too_short():
    short = compare_pages(page(length=10, complete=False), page())
    assert not [why for why in short.reasons if "length" in why]


@pytest.mark.parametrize("common", ["content-length: 1", "connection: close", "alt-svc: h3",
                                    "transfer-encoding: chunked", "date: today"])  # fmt: skip
def test_a_header_that_any_server_sends_is_no_mark_of_the_site(common: str):
    assert shared_identity(page(headers=[common]), page(headers=[common])) == []


def test_a_header_of_its_own_is():
    assert shared_identity(page(headers=OURS), page(headers=OURS)) == ["x-site-node"]


# -- the control, one question at a time ---------------------------------------------------------


def test_a_control_is_asked_by_address_and_port():
    works = connect(HERE, 443, vantage="control")
    fails = connect(HERE, 80, "connection_refused", vantage="control")
    found = Control(observed(works, fails))
    assert found.connects([connect(HERE, 443)]) is Seen.REACHES
    assert found.connects([connect(HERE, 80)]) is Seen.FAILS
    assert found.connects([connect(HERE, 8080)]) is Seen.NONE
    assert found.connects([connect(TWIN, 443)]) is Seen.NONE
    assert found.connects([]) is Seen.NONE


def test_a_handshake_is_asked_for_by_name_as_well():
    found = Control(observed(handshake(vantage="control")))
    assert found.handshakes([handshake()]) is Seen.REACHES
    assert found.handshakes([handshake(sni="other.example")]) is Seen.NONE


def test_a_handshake_over_quic_says_nothing_of_tcp():
    found = Control(observed(handshake(vantage="control", transport="udp")))
    assert found.handshakes([handshake()]) is Seen.NONE


def test_of_several_endpoints_one_reached_is_reached():
    works = connect(HERE, vantage="control")
    fails = connect(TWIN, failure="eof_error", vantage="control")
    found = Control(observed(works, fails))
    assert found.connects([connect(TWIN), connect(HERE)]) is Seen.REACHES


@pytest.mark.parametrize(
    ("attempts", "seen", "present"),
    [
        pytest.param([], Seen.NONE, False, id="no control"),
        pytest.param(control(), Seen.REACHES, True, id="a page"),
        pytest.param(control(page=exchange(HTTP, 500)), Seen.REACHES, True, id="an error page"),
        pytest.param(dead_control(), Seen.FAILS, True, id="a failure"),
        pytest.param(control(page=exchange(HTTP, None)), Seen.NONE, True, id="neither"),
        pytest.param([unanswered(HTTP, "eof_error")], Seen.NONE, False, id="the probe's own"),
    ],
)
def test_a_control_reaches_fails_or_is_none(attempts, seen: Seen, present: bool):
    found = Control(observed(attempts))
    assert (found.page_seen, found.present) == (seen, present)


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        (lookup(HERE), False),
        (lookup(), True),
        (lookup(failure="dns_nxdomain_error"), True),
        (lookup(failure="dns_no_answer"), True),
        (lookup(failure="dns_servfail_error"), False),
        (lookup(failure="generic_timeout_error"), False),
    ],
)
def test_a_name_is_missing_only_where_the_control_was_told_so(answer: Lookup, missing: bool):
    told = lookup(*answer.addresses, failure=answer.failure, resolver="x", vantage="control")
    assert Control(observed(told)).name_missing is missing
    assert not Control(observed()).name_missing
