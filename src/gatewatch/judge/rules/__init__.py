"""The rules of the judge, as rows: `RULES` is the whole law, in the order it is printed.

A rule's id never changes its meaning; a change of any rule is a change of `RULES_VERSION`.
Weights are nats of evidence for one outcome. They are **provisional**: chosen by us so that
known situations come out right, until they are fitted on ground truth.
"""

from __future__ import annotations

from gatewatch.judge.rules import answers, experiments, pages, probe, steps
from gatewatch.judge.rules.row import Rule

RULES_VERSION = "3"

RULES: tuple[Rule, ...] = (
    *probe.RULES,
    *answers.RULES,
    *steps.RULES,
    *pages.RULES,
    *experiments.RULES,
)

BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}
assert len(BY_ID) == len(RULES), "two rules share an id"
