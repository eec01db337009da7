"""Adding up: which outcome the fired rules speak for, with what probability, or why none."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

from gatewatch.judge.case import Case
from gatewatch.judge.rules.row import Rule
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.verdict import FiredRule, Probabilities

OUTCOMES: tuple[Outcome, ...] = (
    Outcome.OPEN,
    Outcome.DOWN,
    Outcome.BLOCKED,
    Outcome.SERVER_SIDE,
)

DECIDES_AT = 0.75
"""Probability from which an outcome is claimed. Our choice: lower claims more, and errs more."""

MASKED = 0.6
"No outcome is left above this when a rule says that the probe could not have known."


def fire(case: Case, rules: Sequence[Rule]) -> list[tuple[Rule, FiredRule]]:
    """Every rule whose condition holds, in the order of the law."""
    fired: list[tuple[Rule, FiredRule]] = []
    for rule in rules:
        found = rule.condition(case)
        if found is not None:
            fired.append((rule, _row(rule, found.words, found.mechanism or rule.mechanism)))
    return fired


def _row(rule: Rule, words: str, mechanism: str | None) -> FiredRule:
    return FiredRule(
        id=rule.id,
        layer=rule.layer,
        control=rule.control,
        evidence_for=rule.evidence_for,
        weight=rule.weight,
        mechanism=mechanism,
        words=printable(words),
    )


def printable(words: str) -> str:
    r"""Words that hold a submitter's text, without control and direction marks, on one line.

    >>> printable("a\u202eb\x1b[1m\nc")
    'a b [1m c'
    """
    if words.isprintable():
        return words
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())


def probabilities(fired: Sequence[tuple[Rule, FiredRule]]) -> Probabilities:
    """Weights summed per outcome from an even start, as shares that sum to 1.

    Masked evidence is flattened until no outcome stands above `MASKED`.
    """
    scores: dict[Outcome, float] = dict.fromkeys(OUTCOMES, 0.0)
    for rule, _ in fired:
        scores[rule.evidence_for] += rule.weight
    shares = _softmax(list(scores.values()))
    if mask_of(fired) is not None:
        while max(shares) > MASKED:
            scores = {outcome: score * 0.8 for outcome, score in scores.items()}
            shares = _softmax(list(scores.values()))
    return Probabilities(open=shares[0], down=shares[1], blocked=shares[2], server_side=shares[3])


def _softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    powers = [exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def mask_of(fired: Sequence[tuple[Rule, FiredRule]]) -> Reason | None:
    """The reason that forbids a conclusion; a proof is not masked."""
    if any(rule.proof for rule, _ in fired):
        return None
    return next((rule.masks for rule, _ in fired if rule.masks), None)


def conclude(
    case: Case, fired: Sequence[tuple[Rule, FiredRule]], p: Probabilities
) -> tuple[Outcome, Reason | None]:
    """The outcome claimed, or `unclear` and why."""
    mask = mask_of(fired)
    if mask is not None:
        return Outcome.UNCLEAR, mask
    shares = {Outcome.OPEN: p.open, Outcome.DOWN: p.down, Outcome.BLOCKED: p.blocked,
              Outcome.SERVER_SIDE: p.server_side}  # fmt: skip
    best = max(OUTCOMES, key=lambda outcome: shares[outcome])
    if shares[best] >= DECIDES_AT:
        return best, None
    return Outcome.UNCLEAR, _why_unclear(case, fired)


def _why_unclear(case: Case, fired: Sequence[tuple[Rule, FiredRule]]) -> Reason:
    ids = {rule.id for rule, _ in fired}
    if ids & {"http.unfollowed.elsewhere", "http.redirect.control_reaches"}:
        return Reason.REDIRECT_UNFOLLOWED
    if case.final is None and case.obstacle is None:
        return Reason.NO_EVIDENCE
    said = {rule.control for rule, _ in fired}
    if "elsewhere" in said:
        return Reason.DEAD_ADDRESS
    if "none" in said or not (case.control.present or said & {"reaches", "fails"}):
        return Reason.NO_CONTROL
    spoken = {rule.evidence_for for rule, _ in fired if rule.weight >= 2.0}
    if len(spoken) > 1:
        return Reason.CONFLICTING
    return Reason.PAGE_DIFFERS if case.final is not None else Reason.WEAK_EVIDENCE
