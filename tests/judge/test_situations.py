"""Simulated situations whose truth is known: the verdict on each is one an expert could defend."""

from __future__ import annotations

import pytest

from gatewatch.judge.day import day_of
from gatewatch.judge.pool import MIN_REPORTS
from gatewatch.judge.verdict import judge
from gatewatch.model.mechanism import ALL
from gatewatch.simulate.situations import SITUATIONS
from tests.judge.reading import agrees, observe, read, refdata
from tests.judge.rule_cases import quorum

by_name = pytest.mark.parametrize("name", SITUATIONS)


@by_name
def test_a_situation_is_judged_as_an_expert_could(name: str):
    situation = SITUATIONS[name]
    found = read(situation.measurement())
    shown = (found.outcome, found.reason, found.mechanisms, [rule.id for rule in found.rules])
    assert agrees(found, situation.outcomes, situation.mechanisms), shown


@by_name
def test_what_is_claimed_is_in_the_vocabulary_and_adds_up(name: str):
    found = read(SITUATIONS[name].measurement())
    assert set(found.mechanisms) <= ALL
    assert found.p_open + found.p_down + found.p_blocked + found.p_server_side == pytest.approx(1.0)
    assert found.sentence


@by_name
def test_without_the_helpers_answer_nothing_new_is_blocked(name: str):
    """Taking the control away may silence a verdict, and never accuses anybody."""
    document = SITUATIONS[name].measurement()
    before = read(document)
    if not isinstance(document.get("test_keys"), dict):
        return
    document["test_keys"]["control"] = None
    assert read(document).outcome != "blocked" or before.outcome == "blocked"


@by_name
def test_other_peoples_controls_never_accuse_a_path_that_is_open(name: str):
    document = SITUATIONS[name].measurement()
    seen = observe(document)
    if judge(seen, refdata()).outcome != "open":
        return
    day = day_of(seen.measurement)
    for host in {lookup.hostname for lookup in seen.lookups}:
        for word in (True, False):
            pool = quorum(host, resolves=word, reaches=word, reports=MIN_REPORTS, day=day)
            assert judge(seen, refdata(), pool).outcome == "open"
