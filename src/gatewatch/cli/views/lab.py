"""How a check of the judge in the lab is shown: totals, the confusion table, what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from gatewatch.cli.human import grid, heading, text
from gatewatch.cli.session import Format, Session
from gatewatch.cli.sheet import sheet_of
from gatewatch.flow.lab import GOOD, Comparison, Kind, LabCheck, place
from gatewatch.lab.box import Act
from gatewatch.model.mechanism import ALL, words
from gatewatch.publish.words import count

COLUMNS = [
    "scenario",
    "network",
    "url",
    "kind",
    "true_outcome",
    "true_mechanisms",
    "said_outcome",
    "said_reason",
    "said_mechanisms",
    "measurement",
]

QUICK = ("mechanism", "trigger")
"What experiments find out without --deep; the rest they may."

ACTS_SHOWN = 30
"More of them are in the log; a table of thousands tells nobody anything."

KIND_WORDS = {
    Kind.FOUND: "found",
    Kind.RIGHT: "right",
    Kind.ACCEPTED: "acceptable",
    Kind.WRONG_MECHANISM: "wrong mechanism",
    Kind.MISSED: "missed",
    Kind.FALSE_ALARM: "false alarm",
    Kind.WRONG_OUTCOME: "wrong outcome",
    Kind.UNDECIDED: "undecided",
    Kind.UNMEASURED: "not measured",
}

STYLES = {
    Kind.FOUND: "green",
    Kind.RIGHT: "green",
    Kind.ACCEPTED: "cyan",
    Kind.WRONG_MECHANISM: "yellow",
    Kind.MISSED: "bold red",
    Kind.FALSE_ALARM: "bold red",
    Kind.WRONG_OUTCOME: "yellow",
    Kind.UNDECIDED: "yellow",
    Kind.UNMEASURED: "magenta",
}


def show_lab_check(
    session: Session,
    checked: LabCheck,
    view: Callable[[], Iterable[RenderableType]] | None = None,
) -> None:
    """One row a measurement; for people, the totals, the tables, and a line a scenario."""
    if session.format is not Format.TABLE:
        for line in checked.unconfirmed:
            session.say(f"left out: {line}")
    session.show(
        sheet_of(checked.comparisons, COLUMNS),
        document=checked,
        view=view or (lambda: view_of(checked)),
        empty_is_answer=True,
    )


def show_lab_run(session: Session, checked: LabCheck, acts: Sequence[Act]) -> None:
    """One world: what is true in it, what was said, and what its censors did."""
    show_lab_check(session, checked, view=lambda: _view_of_run(checked, acts))


def _view_of_run(checked: LabCheck, acts: Sequence[Act]) -> Iterable[RenderableType]:
    yield text(_summary(checked))
    if checked.comparisons:
        yield grid(
            ["on", "target", "true", "said", ""],
            [
                (
                    one.network,
                    one.url,
                    _short(one.true_outcome, one.true_mechanisms),
                    _short(one.said_outcome or "nothing", one.said_mechanisms),
                    Text(KIND_WORDS[one.kind], STYLES[one.kind]),
                )
                for one in checked.comparisons
            ],
        )
    if any(one.said is not None for one in checked.particulars):
        yield heading("What the experiments found out")
        yield grid(
            ["on", "target", "", "true", "said"],
            [
                (one.network, one.url, one.thing, one.true, one.said or "nothing")
                for one in checked.particulars
            ],
        )
    if acts:
        yield heading("What the censors did")
        yield grid(
            [">at s", "place", "censor", "action", "flow", "for"],
            [
                (
                    f"{act.t:.3f}",
                    act.place,
                    act.censor,
                    act.action,
                    f"{act.transport} {act.client} > {act.server}",
                    act.subject,
                )
                for act in acts[:ACTS_SHOWN]
            ],
        )
        if len(acts) > ACTS_SHOWN:
            yield text(f"and {count(len(acts) - ACTS_SHOWN, 'more act')}, in acts.jsonl", "dim")
    yield from _left_out(checked)


def _short(outcome: str, mechanisms: Sequence[str]) -> str:
    """
    >>> _short("blocked", ["dns.nxdomain"])
    'blocked: dns.nxdomain'
    """
    return f"{outcome}: {', '.join(mechanisms)}" if mechanisms else outcome


def view_of(checked: LabCheck) -> Iterable[RenderableType]:
    yield text(_summary(checked))
    yield heading("What is true, and what was said")
    yield from _confusion(checked)
    if checked.recall:
        yield heading("Mechanisms recognised")
        yield _recall(checked)
    yield from _depths(checked)
    yield heading("Scenarios")
    yield _scenarios(checked.comparisons)
    wrong = [one for one in checked.comparisons if one.kind not in GOOD]
    if wrong:
        yield heading("Not as it is")
        for one in wrong:
            yield from _told(one)
    yield from _left_out(checked)


def _left_out(checked: LabCheck) -> Iterable[RenderableType]:
    if checked.unconfirmed:
        yield heading("Left out: not measured, or the log does not bear out what should be true")
        yield from (text(line) for line in checked.unconfirmed)


def _summary(checked: LabCheck) -> str:
    """
    >>> totals = {"found": 2, "right": 1, "missed": 0}
    >>> _summary(LabCheck(measurements=3, good=3, totals=totals, recall=(), confusion=(),
    ...     comparisons=(), unconfirmed=()))
    '3 of 3 measurements as they are: 2 found, 1 right'
    """
    kinds = (f"{n:,} {KIND_WORDS[Kind(kind)]}" for kind, n in checked.totals.items() if n)
    said = ", ".join(kinds) or "nothing was measured"
    return f"{checked.good:,} of {count(checked.measurements, 'measurement')} as they are: {said}"


def _confusion(checked: LabCheck) -> Iterable[RenderableType]:
    """One line for each truth; the answers to it, most frequent first."""
    rows = sorted({cell.true for cell in checked.confusion}, key=place)
    lines: list[Sequence[Text | str]] = []
    for row in rows:
        cells = [cell for cell in checked.confusion if cell.true == row]
        cells.sort(key=lambda cell: (-cell.count, place(cell.said)))
        said = ", ".join(f"{cell.said} {cell.count:,}" for cell in cells)
        lines.append((row, f"{sum(cell.count for cell in cells):,}", said))
    yield grid(["true", ">n", "said"], lines)


def _recall(checked: LabCheck) -> RenderableType:
    lines = [
        (
            one.mechanism,
            f"{one.measurements:,}",
            f"{one.blocked:,}",
            f"{one.found:,}",
            f"{one.accepted:,}",
            "" if one.recall is None else f"{one.recall:.0%}",
        )
        for one in checked.recall
    ]
    return grid(["mechanism", ">n", ">blocked", ">found", ">acceptable", ">recall"], lines)


def _depths(checked: LabCheck) -> Iterable[RenderableType]:
    """What the probe found out beyond the outcome, and each case in which it said otherwise."""
    told = [one for one in checked.depths if one.measurements and one.silent < one.measurements]
    if not told:
        return
    yield heading("What the experiments found out")
    yield grid(
        ["", ">n", ">found", ">not said", ">share"],
        [
            (
                one.thing,
                f"{one.measurements:,}",
                f"{one.good:,}",
                f"{one.silent:,}",
                f"{one.good / one.measurements:.0%}",
            )
            for one in told
        ],
    )
    deep = any(one.thing == "hop" and one.said is not None for one in checked.particulars)
    missed = [
        one
        for one in checked.particulars
        if not one.good and (deep or one.said is not None or one.thing in QUICK)
    ]
    if missed:
        yield heading("What they did not")
        yield grid(
            ["scenario", "on", "target", "", "true", "said"],
            [
                (one.scenario, one.network, one.url, one.thing, one.true, one.said or "nothing")
                for one in missed
            ],
        )


def _scenarios(compared: Sequence[Comparison]) -> RenderableType:
    lines: list[Sequence[Text | str]] = []
    for name in dict.fromkeys(one.scenario for one in compared):
        mine = [one for one in compared if one.scenario == name]
        kinds = [kind for kind in Kind if any(one.kind is kind for one in mine)]
        said = Text(", ").join(
            Text(f"{sum(one.kind is kind for one in mine)} {KIND_WORDS[kind]}", STYLES[kind])
            for kind in kinds
        )
        lines.append((name, f"{len(mine):,}", said))
    return grid(["scenario", ">n", ""], lines)


def _told(one: Comparison) -> Iterable[RenderableType]:
    where = f"{one.scenario}: {one.url} on {one.network}"
    yield Text.assemble((KIND_WORDS[one.kind], STYLES[one.kind]), "  ", text(where))
    yield text(f"  is {_state(one.true_outcome, one.true_mechanisms)}")
    said = "nothing" if one.said_outcome is None else one.said_outcome
    reason = f" ({one.said_reason})" if one.said_reason else ""
    yield text(f"  said {_state(said + reason, one.said_mechanisms)}")


def _state(outcome: str, mechanisms: Sequence[str]) -> str:
    """
    >>> _state("blocked", ["dns.nxdomain"])
    'blocked: dns.nxdomain, an answer that the name does not exist, where it does'
    """
    known = [f"{m}, {words(m)}" if m in ALL else m for m in mechanisms]
    return f"{outcome}: {'; '.join(known)}" if known else outcome
