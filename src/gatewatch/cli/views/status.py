"""How `status` and `doctor` are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from gatewatch.cli.health import Finding
from gatewatch.cli.human import grid, heading, text
from gatewatch.cli.session import Session
from gatewatch.cli.sheet import Sheet, sheet_of
from gatewatch.publish.status import Group, Status
from gatewatch.publish.words import count, span

COUNTRIES_SHOWN = 12


def show_status(session: Session, status: Status) -> None:
    """The whole picture for people; name and value as the plain table."""
    names = [
        name
        for name in status.__struct_fields__
        if not isinstance(getattr(status, name), list) and name != "schema"
    ]
    rows = [(name, getattr(status, name)) for name in names]
    for prefix, groups in (("test", status.tests), ("outcome", status.outcomes)):
        rows += [(f"{prefix}.{group.name}", group.count) for group in groups]
    sheet = Sheet(["name", "value"], rows)
    session.show(sheet, document=status, view=lambda: _view(status))


def _view(status: Status) -> Iterable[RenderableType]:
    yield Text(f"store {status.store}", style="bold")
    yield text(f"{count(status.files, 'raw file')}, {status.bytes / 1e6:,.1f} MB")
    days = (
        ""
        if status.first is None or status.last is None
        else (f", {span(status.first, status.last)} ({count(status.days, 'day')} with data)")
    )
    yield text(
        f"{count(status.measurements, 'measurement')} of {count(status.targets, 'target')} from "
        f"{count(status.networks, 'network')} in {count(status.countries, 'country', 'countries')}"
        + days
    )
    yield from _groups("Tests", status.tests)
    yield from _groups("Verdicts", status.outcomes)
    yield from _groups("Countries", status.by_country[:COUNTRIES_SHOWN])
    more = len(status.by_country) - COUNTRIES_SHOWN
    if more > 0:
        yield text(f"{count(more, 'more country', 'more countries')}")
    yield from _groups("Set aside", status.set_aside_by_cause)
    yield heading("Versions")
    yield grid(
        ["rules", "reference data", ">verdicts", ""],
        [
            (
                v.rules_version,
                v.refdata_version,
                f"{v.verdicts:,}",
                "in force" if v.in_force else "old",
            )
            for v in status.versions
        ],
    )
    if any(not version.in_force for version in status.versions):
        yield text("some verdicts are older than the rules or data in force: gatewatch analyze")


def _groups(title: str, groups: Sequence[Group]) -> Iterable[RenderableType]:
    if groups:
        yield heading(title)
        yield grid(["", ">count"], [(group.name, f"{group.count:,}") for group in groups])


_LEVELS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def show_findings(session: Session, findings: Sequence[Finding]) -> None:
    """One line a check."""
    columns = ["level", "check", "found", "remedy"]

    def view() -> Iterable[RenderableType]:
        yield grid(
            ["", "check", "found", "remedy"],
            [(Text(f.level, _LEVELS[f.level]), f.check, f.found, f.remedy) for f in findings],
        )

    session.show(sheet_of(findings, columns), document=list(findings), view=view)
