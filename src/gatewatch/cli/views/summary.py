"""How the end of a long command is shown: what it did, in one sentence."""

from __future__ import annotations

import msgspec

from gatewatch.cli.human import text
from gatewatch.cli.session import Session
from gatewatch.cli.sheet import Sheet


def show_summary(session: Session, summary: msgspec.Struct) -> None:
    """One row; for people, the same numbers by name."""
    facts = msgspec.structs.asdict(summary)
    sheet = Sheet(list(facts), [tuple(facts.values())])
    counts = {name: value for name, value in facts.items() if isinstance(value, int | float)}
    said = ", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in counts.items())
    session.show(sheet, document=summary, view=lambda: [text(said)])


def _number(value: float) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
