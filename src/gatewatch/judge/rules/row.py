"""What a rule is: one row of the law."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gatewatch.judge.case import Case
from gatewatch.model.outcome import Outcome, Reason

PROVISIONAL = "our choice, not yet fitted"


class Fired(NamedTuple):
    """A condition that held: what was seen, and how, when the rule's row leaves it open."""

    words: str
    mechanism: str | None = None


class Rule(NamedTuple):
    id: str
    layer: str
    "`dns`, `tcp`, `tls`, `quic`, `http`, or `probe` for its own state and its experiments."
    control: str
    "What a control says, as in `control.Seen`; or `own` where none is asked."
    evidence_for: Outcome
    weight: float
    "Nats."
    words: str
    "When it fires, in general terms; the verdict carries what was seen."
    condition: Callable[[Case], Fired | None]
    mechanism: str | None = None
    masks: Reason | None = None
    "A reason for which nothing else in the measurement may be read as blocking."
    proof: bool = False
    "Stands on its own: no masking rule takes it away."
    source: str = PROVISIONAL
