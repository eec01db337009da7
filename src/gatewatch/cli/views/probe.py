"""How runs of the probe are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from gatewatch.cli.human import grid, heading, text
from gatewatch.cli.probe_live import STYLES, Seen, counted
from gatewatch.cli.probe_machine import spool_at
from gatewatch.cli.session import Session
from gatewatch.cli.sheet import Sheet, sheet_of
from gatewatch.cli.verdicts import show_verdicts
from gatewatch.flow import judge_paths
from gatewatch.model.errors import NoData
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.probe.experiments.blockdiff import Row
from gatewatch.probe.spool import Run, RunFacts

COLUMNS = ["test", "input", "outcome", "reason", "mechanisms", "seconds", "words"]
DIFFERENCES = (
    "url verdict differs here.failed here.failure there.failed there.failure words".split()
)
RUNS = ["run", "began", "state", "tests", "country", "asn", "planned", "measurements", "submitted"]


def show_found(session: Session, found: Sequence[Seen]) -> None:
    """What a run came to, a line a measurement; what is blocked first."""
    ordered = sorted(found, key=lambda seen: (_rank(seen.outcome), seen.name))
    session.show(
        sheet_of(ordered, COLUMNS),
        document=ordered,
        view=lambda: _view(ordered),
        empty_is_answer=True,
    )


def _rank(outcome: str) -> int:
    order = [Outcome.BLOCKED, Outcome.UNCLEAR, Outcome.SERVER_SIDE, Outcome.DOWN, "failed"]
    return order.index(outcome) if outcome in order else len(order)


def _view(found: Sequence[Seen]) -> Iterable[RenderableType]:
    yield text(counted(found))
    yield grid(
        ["what", "outcome", "how", ">s"],
        [
            (
                seen.name,
                Text(seen.outcome, STYLES.get(_outcome(seen.outcome), "")),
                ", ".join(seen.mechanisms) or _why(seen),
                f"{seen.seconds:.1f}",
            )
            for seen in found
        ],
    )
    hows = Counter(how for seen in found for how in seen.mechanisms if seen.outcome == "blocked")
    told = [seen for seen in found if seen.outcome == Outcome.BLOCKED and seen.words]
    if told:
        yield heading("Blocked: " + ", ".join(f"{how} {n}" for how, n in hows.most_common()))
        yield from (text(seen.words) for seen in told)


def _why(seen: Seen) -> str:
    """Why it came to nothing, if it did; tests of services say so in words."""
    if seen.outcome != Outcome.UNCLEAR or seen.reason not in (None, Reason.UNSUPPORTED_TEST):
        return seen.reason or ""
    return seen.words


def _outcome(name: str) -> Outcome:
    return Outcome(name) if name in list(Outcome) else Outcome.UNCLEAR


def _state(facts: RunFacts) -> str:
    """How a run stands; whether one without an end goes on or was killed cannot be told here."""
    if not facts.described:
        return "undescribed"
    if facts.ended is None:
        return "unfinished"
    return "interrupted" if facts.interrupted else "done"


def show_runs(session: Session, spool: Path | None) -> None:
    rows = [
        (
            listed.facts.id,
            listed.facts.began,
            _state(listed.facts),
            list(listed.facts.tests),
            listed.facts.country,
            listed.facts.asn or None,
            listed.facts.planned,
            listed.measurements,
            listed.submitted,
        )
        for listed in reversed(spool_at(spool).runs())
    ]
    if not rows:
        raise NoData("nothing was measured on this machine yet; see gatewatch probe run")
    session.show(Sheet(RUNS, rows))


def show_run(session: Session, run: Run) -> None:
    """The verdicts on a run's measurements, judged anew."""
    if not run.file.exists():
        raise NoData(f"{run.facts.id} holds no measurement")
    show_verdicts(session, judge_paths([str(run.file)], session.refdata), live=False)


def show_diff(session: Session, rows: Sequence[Row]) -> None:
    """Two vantages side by side; where they part comes first."""
    ordered = sorted(rows, key=lambda row: (row.verdict == "same", row.url))
    session.show(
        sheet_of(ordered, DIFFERENCES),
        document=ordered,
        view=lambda: _diff_view(ordered),
        empty_is_answer=True,
    )


def _diff_view(rows: Sequence[Row]) -> Iterable[RenderableType]:
    counts = Counter(row.verdict for row in rows)
    yield text(", ".join(f"{n} {verdict}" for verdict, n in counts.most_common()))
    yield grid(
        ["url", "verdict", "at", "here and there"],
        [(row.url, row.verdict, row.differs or "", row.words) for row in rows],
    )
