"""`gatewatch version`: which gatewatch this is."""

from __future__ import annotations

import platform

from gatewatch import __version__
from gatewatch.cli.command import command
from gatewatch.cli.root import app
from gatewatch.cli.session import Format, Session


@command(app, "version", examples=["gatewatch version", "gatewatch version --json"])
def version(session: Session) -> None:
    """The version of gatewatch."""
    if session.format in (Format.TABLE, Format.TSV):
        session.write(f"gatewatch {__version__}\n".encode())
        return
    from gatewatch.cli.sheet import Sheet

    facts = {"gatewatch": __version__, "python": platform.python_version()}
    session.show(Sheet(list(facts), [tuple(facts.values())]), document=facts)
