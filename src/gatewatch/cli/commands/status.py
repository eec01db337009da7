"""`gatewatch status`: what the store holds."""

from __future__ import annotations

from gatewatch.cli.command import command
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(app, "status", examples=["gatewatch status", "gatewatch status --json"])
def status(session: Session) -> None:
    """What the store holds, what was set aside and why, and which versions judged it."""
    from gatewatch.cli.views.status import show_status
    from gatewatch.judge.rules import RULES_VERSION
    from gatewatch.publish.status import status as published

    files = session.store.raw_files()
    show_status(
        session,
        published(
            session.reading,
            store=str(session.store.root),
            files=len(files),
            bytes=sum(file.bytes for file in files),
            rules_version=RULES_VERSION,
            refdata_version=session.refdata.version,
        ),
    )
