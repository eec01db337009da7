"""How the reading of a trace is shown."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.console import RenderableType

from gatewatch.cli.human import heading, text
from gatewatch.cli.session import Session
from gatewatch.cli.sheet import sheet_of
from gatewatch.model.mechanism import words
from gatewatch.probe.trace.case import Reading

COLUMNS = ["server", "name", "verdict", "mechanism", "placement", "hop", "hop_ttl", "evidence"]

VERDICTS = {
    "blocked": ("Interfered with", "bold red"),
    "none": ("Nothing interferes", "green"),
    "unusable": ("Nothing can be said", "yellow"),
}
PLACEMENTS = {
    "on_path": "beside the traffic: it listens and answers first",
    "in_path": "in the traffic's way: it takes packets off it",
    "endpoint": "at the server, or just before it",
    "unknown": "not known",
}


def show_reading(session: Session, reading: Reading) -> None:
    """A reading, one object or row of it."""
    session.show(
        sheet_of([reading], COLUMNS),
        document=msgspec.to_builtins(reading),
        view=lambda: _view(reading),
    )


def _view(reading: Reading) -> Iterable[RenderableType]:
    words_of, style = VERDICTS[reading.verdict]
    yield text(f"{words_of}: {reading.name or 'no name'} at {reading.server}", style)
    if reading.verdict == "blocked":
        mechanism = reading.mechanism
        rows = [
            ("how", f"{mechanism} ({words(mechanism)})" if mechanism else "not known"),
            ("where", PLACEMENTS[reading.placement]),
            ("hop", reading.hop or "not known"),
            ("distance", "not known" if reading.hop_ttl is None else f"{reading.hop_ttl} hops"),
        ]
        yield from (text(f"  {what:<10}{said}") for what, said in rows)
    if reading.evidence:
        yield heading("Evidence")
        yield from (text(f"- {line}") for line in reading.evidence)
