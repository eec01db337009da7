"""`gatewatch analyze`: bring verdicts and cells up to the rules and reference data in force."""

from __future__ import annotations

from gatewatch.cli.command import command
from gatewatch.cli.options import Workers
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(
    app,
    "analyze",
    examples=["gatewatch analyze", "gatewatch refdata update && gatewatch analyze --workers 4"],
)
def analyze(session: Session, workers: Workers = 1) -> None:
    """Judge again what newer rules or reference data call for, and rebuild the cells."""
    from gatewatch import flow
    from gatewatch.cli.views.summary import show_summary

    with session.progress() as tell:
        summary = flow.analyze(session.store, session.refdata, workers=workers, progress=tell)
    show_summary(session, summary)
