"""`gatewatch doctor`: is everything here fit to work?"""

from __future__ import annotations

from gatewatch.cli.command import command
from gatewatch.cli.exits import ExitCode
from gatewatch.cli.root import app
from gatewatch.cli.session import Ended, Session


@command(app, "doctor", examples=["gatewatch doctor", "gatewatch doctor --json"])
def doctor(session: Session) -> None:
    """Check Python, libraries, reference data, store, disk and clock; say what to do about each.

    The exit code is 1 when something fails; a warning does not change it.
    """
    import datetime as dt

    from gatewatch.cli.health import examine
    from gatewatch.cli.views.status import show_findings

    findings = examine(session.store_path, now=dt.datetime.now(dt.UTC))
    show_findings(session, findings)
    if any(finding.level == "fail" for finding in findings):
        raise Ended(ExitCode.FAILED)
