"""Probabilities: how fired rules add up, what decides, and what masks."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.judge.case import Case
from gatewatch.judge.rules import RULES
from gatewatch.judge.rules.row import Rule
from gatewatch.judge.weigh import (
    DECIDES_AT,
    MASKED,
    OUTCOMES,
    conclude,
    mask_of,
    printable,
    probabilities,
)
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.verdict import FiredRule, Probabilities
from tests.judge.build import WORLD, observed

EMPTY = Case(observed(), WORLD)
MASKS = [rule for rule in RULES if rule.masks]
PROOFS = [rule for rule in RULES if rule.proof]


def row(rule: Rule) -> tuple[Rule, FiredRule]:
    return rule, FiredRule(
        id=rule.id,
        layer=rule.layer,
        control=rule.control,
        evidence_for=rule.evidence_for,
        weight=rule.weight,
        mechanism=rule.mechanism,
        words="seen",
    )


def shares(p: Probabilities) -> dict[Outcome, float]:
    return dict(zip(OUTCOMES, (p.open, p.down, p.blocked, p.server_side), strict=True))


some_rules = st.lists(st.sampled_from(RULES), unique_by=lambda rule: rule.id)


@given(some_rules)
def test_the_four_shares_are_probabilities(rules: list[Rule]):
    found = shares(probabilities([row(rule) for rule in rules])).values()
    assert sum(found) == pytest.approx(1.0)
    assert all(0.0 <= share <= 1.0 for share in found)


def test_without_evidence_every_outcome_is_as_likely_as_another():
    assert set(shares(probabilities([])).values()) == {0.25}


@given(some_rules, st.randoms(use_true_random=False))
def test_the_order_in_which_rules_fire_does_not_matter(rules: list[Rule], rng):
    shuffled = rules.copy()
    rng.shuffle(shuffled)
    one, other = (probabilities([row(rule) for rule in r]) for r in (rules, shuffled))
    assert list(shares(one).values()) == pytest.approx(list(shares(other).values()))


@given(some_rules, st.sampled_from(RULES))
def test_evidence_for_an_outcome_never_makes_it_less_likely(rules: list[Rule], more: Rule):
    rules = [rule for rule in rules if not rule.masks and rule is not more]
    if more.masks:
        return
    before = shares(probabilities([row(rule) for rule in rules]))
    after = shares(probabilities([row(rule) for rule in (*rules, more)]))
    assert after[more.evidence_for] >= before[more.evidence_for] - 1e-12
    assert all(after[o] <= before[o] + 1e-12 for o in OUTCOMES if o is not more.evidence_for)


@given(some_rules)
def test_an_outcome_is_claimed_only_when_it_is_likely_and_unclear_says_why(rules: list[Rule]):
    fired = [row(rule) for rule in rules]
    p = probabilities(fired)
    outcome, reason = conclude(EMPTY, fired, p)
    if outcome is Outcome.UNCLEAR:
        assert isinstance(reason, Reason)
        assert mask_of(fired) is not None or max(shares(p).values()) < DECIDES_AT
    else:
        assert reason is None
        assert shares(p)[outcome] == max(shares(p).values()) >= DECIDES_AT


@pytest.mark.parametrize("mask", MASKS, ids=lambda rule: rule.id)
@given(rules=some_rules)
def test_a_mask_takes_every_conclusion_away_unless_there_is_proof(mask: Rule, rules: list[Rule]):
    unproved = [row(rule) for rule in rules if not rule.proof and not rule.masks] + [row(mask)]
    p = probabilities(unproved)
    assert max(shares(p).values()) <= MASKED
    assert conclude(EMPTY, unproved, p) == (Outcome.UNCLEAR, mask.masks)


@pytest.mark.parametrize("proof", PROOFS, ids=lambda rule: rule.id)
@pytest.mark.parametrize("mask", MASKS, ids=lambda rule: rule.id)
def test_a_proof_is_heard_whatever_masks(proof: Rule, mask: Rule):
    fired = [row(mask), row(proof)]
    assert mask_of(fired) is None
    assert conclude(EMPTY, fired, probabilities(fired)) == (proof.evidence_for, None)


def test_nothing_masks_where_no_mask_fired():
    assert mask_of([row(rule) for rule in RULES if not rule.masks]) is None


def test_a_rule_for_which_there_is_no_control_decides_nothing_alone():
    for rule in RULES:
        if rule.control == "none":
            fired = [row(rule)]
            assert conclude(EMPTY, fired, probabilities(fired))[0] is Outcome.UNCLEAR, rule.id


def test_nor_do_any_two_of_them_together():
    unheld = [rule for rule in RULES if rule.control == "none"]
    for pair in combinations(unheld, 2):
        fired = [row(rule) for rule in pair]
        outcome, _ = conclude(EMPTY, fired, probabilities(fired))
        assert outcome is Outcome.UNCLEAR, [rule.id for rule in pair]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\u202eb", "a b"),
        ("line\none\r\ttwo", "line one two"),
        ("\x1b[31mred\x07", "[31mred"),
        ("\ud800 alone", "alone"),
        ("блокировка 封锁", "блокировка 封锁"),
    ],
)
def test_words_of_a_submitter_cannot_steer_a_terminal_or_turn_the_text_around(words, shown):
    assert printable(words) == shown
