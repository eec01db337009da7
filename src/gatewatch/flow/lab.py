"""The judge held against the lab: what it says of measurements whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from gatewatch.flow.straight import Judged, judge_paths
from gatewatch.lab.truth import Truth
from gatewatch.model.mechanism import LEAVES, under
from gatewatch.model.outcome import Outcome
from gatewatch.model.verdict import Verdict
from gatewatch.refdata.snapshot import RefData


class Kind(StrEnum):
    """How a verdict stands to the truth."""

    FOUND = "found"
    "Blocked, and said to be, by the true mechanism or a node above it."
    RIGHT = "right"
    "Not blocked, and the outcome is the true one."
    ACCEPTED = "accepted"
    "Not the whole truth, and one that a plain measurement may honestly stop at."
    WRONG_MECHANISM = "wrong_mechanism"
    "Blocked, and said to be by something else, or by nothing."
    MISSED = "missed"
    "Blocked, and not said to be."
    FALSE_ALARM = "false_alarm"
    "Not blocked, and said to be."
    WRONG_OUTCOME = "wrong_outcome"
    "Not blocked, nor said to be, and the outcome is another one."
    UNDECIDED = "undecided"
    "Not blocked, and unclear to the judge."
    UNMEASURED = "unmeasured"
    "The client brought home nothing that could be judged."


GOOD = frozenset({Kind.FOUND, Kind.RIGHT, Kind.ACCEPTED})
NOTHING = "unmeasured"


class Comparison(Struct, frozen=True, kw_only=True):
    """One measurement: what is true, and what was said."""

    scenario: str
    network: str
    url: str
    measurement: str
    kind: Kind
    true_outcome: str
    true_mechanisms: tuple[str, ...]
    said_outcome: str | None
    "None when there is no verdict."
    said_reason: str | None
    "Why it is unclear."
    said_mechanisms: tuple[str, ...]
    sentence: str
    "The verdict in words."

    @property
    def row(self) -> str:
        """What is true in one word: of several mechanisms the one that was recognised."""
        if not self.true_mechanisms:
            return self.true_outcome
        known = (m for m in self.true_mechanisms if recognised(m, self.said_mechanisms))
        return next(known, self.true_mechanisms[0])

    @property
    def column(self) -> str:
        """What was said in one word: of several mechanisms the one that is right."""
        if self.said_outcome is None:
            return NOTHING
        if self.said_outcome != Outcome.BLOCKED or not self.said_mechanisms:
            return self.said_outcome
        right = (s for s in self.said_mechanisms if any(under(t, s) for t in self.true_mechanisms))
        return next(right, self.said_mechanisms[0])


class Confusion(Struct, frozen=True, kw_only=True):
    """How often this truth was answered so."""

    true: str
    said: str
    count: int


class Recall(Struct, frozen=True, kw_only=True):
    """How often a mechanism was recognised where it was at work."""

    mechanism: str
    measurements: int
    found: int
    "Called blocked, by this mechanism or a node above it."
    blocked: int
    "Called blocked, by whatever."
    accepted: int
    "Not called blocked, which was acceptable."
    recall: float | None
    "Share found of those where nothing less was acceptable; None where there are none."


class Particular(Struct, frozen=True, kw_only=True):
    """One thing that is true of a blocked measurement, and what was said of it."""

    scenario: str
    network: str
    url: str
    measurement: str
    thing: str
    "Of `flow.lab_deep.THINGS`."
    true: str
    said: str | None
    "None: nothing was."
    good: bool


class Depth(Struct, frozen=True, kw_only=True):
    """How often one thing was found out, of the measurements in which it was there to find."""

    thing: str
    measurements: int
    good: int
    silent: int
    "Nothing was said."


class LabCheck(Struct, frozen=True, kw_only=True):
    """The judge's report."""

    measurements: int
    good: int
    "Found, right or accepted."
    totals: dict[str, int]
    "Kind → measurements; every kind is there."
    recall: tuple[Recall, ...]
    confusion: tuple[Confusion, ...]
    comparisons: tuple[Comparison, ...]
    unconfirmed: tuple[str, ...]
    "Measurements left out, because the log did not bear out their truth, and why."
    depths: tuple[Depth, ...] = ()
    "How often the probe found out more than that something is blocked."
    particulars: tuple[Particular, ...] = ()
    schema: str = "gatewatch.lab.check/1"


def recognised(true: str, said: Iterable[str]) -> bool:
    """Is a mechanism named, or a node above it?

    >>> recognised("tls.reset.sni", ["dns", "tls.reset"]), recognised("tls.reset", ["tls.timeout"])
    (True, False)
    """
    return any(under(true, one) for one in said)


def kind_of(truth: Truth, verdict: Verdict | None) -> Kind:
    """How a verdict stands to the truth."""
    if verdict is None:
        return Kind.UNMEASURED
    said = verdict.outcome
    if truth.outcome == Outcome.BLOCKED and said == Outcome.BLOCKED:
        known = any(recognised(true, verdict.mechanisms) for true in truth.mechanisms)
        return Kind.FOUND if known else Kind.WRONG_MECHANISM
    if said == truth.outcome:
        return Kind.RIGHT
    if said in truth.accept:
        return Kind.ACCEPTED
    if truth.outcome == Outcome.BLOCKED:
        return Kind.MISSED
    if said == Outcome.BLOCKED:
        return Kind.FALSE_ALARM
    return Kind.UNDECIDED if said == Outcome.UNCLEAR else Kind.WRONG_OUTCOME


def compare(truth: Truth, verdict: Verdict | None) -> Comparison:
    return Comparison(
        scenario=truth.scenario,
        network=truth.network,
        url=truth.url,
        measurement=truth.measurement,
        kind=kind_of(truth, verdict),
        true_outcome=truth.outcome,
        true_mechanisms=truth.mechanisms,
        said_outcome=None if verdict is None else verdict.outcome,
        said_reason=None if verdict is None else verdict.reason,
        said_mechanisms=() if verdict is None else tuple(verdict.mechanisms),
        sentence="" if verdict is None else verdict.sentence,
    )


def verdicts_of(files: Sequence[Path], refdata: RefData) -> dict[str, Verdict]:
    """The verdicts on one world's measurements, by their ids and by their files' stems.

    Worlds are judged one at a time: what the control of one sees is no control for another.
    """
    found: dict[str, Verdict] = {}
    for judged in judge_paths([str(file) for file in files], refdata):
        if isinstance(judged, Judged):
            found.setdefault(Path(judged.source.file).stem, judged.verdict)
            found[judged.verdict.measurement_id] = judged.verdict
    return found


def check(
    truths: Sequence[Truth],
    verdicts: Mapping[str, Verdict],
    *,
    unconfirmed: Sequence[str] = (),
) -> LabCheck:
    """Everything that can be said of the judge, in an order that depends on the truths alone.

    Args:
        verdicts: by the id of the measurement, as in the truths.
        unconfirmed: why measurements are left out of `truths`.
    """
    compared = [compare(truth, verdicts.get(truth.measurement)) for truth in truths]
    compared.sort(key=lambda one: (one.scenario, one.network, one.url, one.measurement))
    totals = Counter(one.kind for one in compared)
    cells = Counter((one.row, one.column) for one in compared)
    return LabCheck(
        measurements=len(compared),
        good=sum(totals[kind] for kind in GOOD),
        totals={kind.value: totals[kind] for kind in Kind},
        recall=tuple(_recalls(compared)),
        confusion=tuple(
            Confusion(true=row, said=column, count=cells[row, column])
            for row, column in sorted(cells, key=lambda cell: tuple(map(place, cell)))
        ),
        comparisons=tuple(compared),
        unconfirmed=tuple(sorted(unconfirmed)),
    )


def place(label: str) -> tuple[int, int, str]:
    """Where a row or column stands: mechanisms as the taxonomy has them, then outcomes."""
    leaves = [number for number, leaf in enumerate(LEAVES) if under(leaf, label)]
    return (min(leaves), label.count("."), label) if leaves else (len(LEAVES), 0, label)


def _recalls(compared: Sequence[Comparison]) -> list[Recall]:
    at_work = sorted({m for one in compared for m in one.true_mechanisms}, key=place)
    return [_recall(m, [o for o in compared if m in o.true_mechanisms]) for m in at_work]


def _recall(mechanism: str, compared: Sequence[Comparison]) -> Recall:
    blocked = [one for one in compared if one.said_outcome == Outcome.BLOCKED]
    found = sum(recognised(mechanism, one.said_mechanisms) for one in blocked)
    accepted = sum(one.kind is Kind.ACCEPTED for one in compared)
    due = len(compared) - accepted
    return Recall(
        mechanism=mechanism,
        measurements=len(compared),
        found=found,
        blocked=len(blocked),
        accepted=accepted,
        recall=found / due if due else None,
    )
