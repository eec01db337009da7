"""How `check` is shown: a sentence with its reasons, one line, or rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from gatewatch.cli.exits import ExitCode
from gatewatch.cli.human import STYLES, text
from gatewatch.cli.session import Format, Session
from gatewatch.cli.sheet import Sheet, sheet_of
from gatewatch.model.outcome import CellState
from gatewatch.publish.check import Check
from gatewatch.publish.sentences import headline, reasons, short_line
from gatewatch.publish.standing import SEVERITY
from gatewatch.publish.subject import Subject

COLUMNS = {
    "target": "target",
    "probe_cc": "scope.probe_cc",
    "probe_asn": "scope.probe_asn",
    "asn_name": "scope.asn_name",
    "state": "state",
    "p": "p",
    "p_low": "low",
    "p_high": "high",
    "networks_blocked": "n.networks_blocked",
    "networks_sufficient": "n.networks_sufficient",
    "networks": "n.networks",
    "measurements": "n.measurements",
    "reports": "n.reports",
    "since_earliest": "since.earliest",
    "since_latest": "since.latest",
    "first": "window.first",
    "last": "window.last",
    "mechanisms": "mechanisms",
    "example": "example",
}
"""Column → where it is in the document."""


def sheet_of_checks(found: Sequence[Check]) -> Sheet:
    rows: list[dict[str, Any]] = []
    for check in found:
        row = sheet_of([check], list(COLUMNS.values()))
        values: dict[str, Any] = dict(zip(COLUMNS, row.rows[0], strict=True))
        values["p_low"], values["p_high"] = check.interval
        values["mechanisms"] = [seen.mechanism for seen in check.mechanisms]
        values["example"] = check.evidence[0] if check.evidence else None
        rows.append(values)
    return sheet_of(rows, list(COLUMNS))


def show_checks(session: Session, subject: Subject, found: Sequence[Check], *, short: bool) -> None:
    """One answer as a sentence with its reasons, several as one line each."""
    if short and session.format in (Format.TABLE, Format.TSV) and not session.explain_query:
        lines = [short_line(check) if len(found) == 1 else headline(check) for check in found]
        session.print(text(line) for line in lines)
        return
    document = found[0] if len(found) == 1 else list(found)
    session.show(sheet_of_checks(found), document=document, view=lambda: _view(subject, found))


def _view(subject: Subject, found: Sequence[Check]) -> Iterable[RenderableType]:
    for check in found:
        yield coloured(headline(check, subject.name), check.state)
        if len(found) == 1:
            for line in reasons(check):
                yield text("  " + line)


def coloured(words: str, state: CellState) -> Text:
    """A headline with its state in the state's colour."""
    shown = text(words)
    shown.highlight_words([f": {words.partition(': ')[2].partition('  ')[0]}"], STYLES[state])
    return shown


def status_of(found: Sequence[Check], *, exit_status: bool) -> ExitCode:
    """The exit code: that of the most severe state where asked for, else 0 or 3."""
    worst = max((check.state for check in found), key=SEVERITY.index)
    if worst is CellState.INSUFFICIENT:
        return ExitCode.NO_DATA
    if not exit_status:
        return ExitCode.DONE
    return {
        CellState.BLOCKED: ExitCode.BLOCKED,
        CellState.LIKELY_BLOCKED: ExitCode.LIKELY_BLOCKED,
        CellState.IMPAIRED: ExitCode.IMPAIRED_OR_DOWN,
        CellState.DOWN: ExitCode.IMPAIRED_OR_DOWN,
    }.get(worst, ExitCode.DONE)
