"""The law, row by row: each rule fires where it should and is silent just beside it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest

from gatewatch.judge.control import Seen
from gatewatch.judge.rules import BY_ID, RULES
from gatewatch.judge.rules.row import Rule
from gatewatch.judge.weigh import OUTCOMES
from gatewatch.model.failure import FailureKind
from gatewatch.model.mechanism import ALL
from tests.judge.build import fired, verdict
from tests.judge.rule_cases import CODE_OF, RULE_CASES, STEP_IDS, RuleCase, stopped

by_rule = pytest.mark.parametrize("case", RULE_CASES, ids=lambda case: case.rule)
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


@by_rule
def test_a_rule_fires_in_the_situation_it_is_about(case: RuleCase):
    assert case.rule in fired(case.fires, case.pool)


@by_rule
def test_a_rule_is_silent_when_one_thing_is_missing(case: RuleCase):
    assert case.rule not in fired(case.near_miss, case.pool)


def test_every_rule_of_the_law_has_its_case():
    named = Counter(case.rule for case in RULE_CASES)
    assert named.keys() == BY_ID.keys()
    assert max(named.values()) == 1


@pytest.mark.parametrize("rule_id", STEP_IDS)
def test_a_failed_step_is_read_by_one_rule_and_by_the_controls_word(rule_id: str):
    step, _, seen = rule_id.rpartition(".control_")
    layer, _, kind = step.partition(".")
    steps = fired(stopped(layer, CODE_OF[FailureKind(kind)], Seen(seen))) & set(STEP_IDS)
    assert steps == {rule_id}


def test_every_word_of_a_control_has_its_rule_and_only_endpoints_can_be_dead_for_all():
    words = defaultdict[str, set[str]](set)
    for rule_id in STEP_IDS:
        step, _, seen = rule_id.rpartition(".control_")
        words[step].add(seen)
    for step, said in words.items():
        endpoint = step.startswith(("tcp.", "tls."))
        assert said == {*Seen} - (set() if endpoint else {Seen.ELSEWHERE})


@every_rule
def test_a_rule_id_is_its_layer_and_lower_case_words(rule: Rule):
    assert re.fullmatch(r"[a-z]+(\.[a-z0-9_]+)+", rule.id)
    assert rule.layer in ("dns", "tcp", "tls", "quic", "http", "probe")
    assert rule.id.startswith((rule.layer + ".", "site."))


@every_rule
def test_a_rule_says_what_it_is_evidence_for_and_in_which_words(rule: Rule):
    assert rule.evidence_for in OUTCOMES
    assert rule.words
    assert rule.source
    assert rule.control in ("own", *Seen)
    assert rule.mechanism is None or rule.mechanism in ALL


@every_rule
def test_a_rule_adds_evidence_or_masks_and_never_both(rule: Rule):
    assert rule.weight >= 0
    assert rule.masks is None or (rule.weight == 0 and not rule.proof)


def test_rule_ids_are_unique():
    assert len({rule.id for rule in RULES}) == len(RULES)


@by_rule
def test_a_mechanism_claimed_is_always_a_node_of_the_taxonomy(case: RuleCase):
    for seen in (case.fires, case.near_miss):
        found = verdict(seen, case.pool)
        named = set(found.mechanisms) | {rule.mechanism for rule in found.rules} - {None}
        assert named <= ALL


@by_rule
def test_what_a_rule_saw_is_told_in_words_with_the_values_seen(case: RuleCase):
    row = next(row for row in verdict(case.fires, case.pool).rules if row.id == case.rule)
    assert row.words
    assert (row.layer, row.weight) == (BY_ID[case.rule].layer, BY_ID[case.rule].weight)
