"""`gatewatch import`: take raw measurements into the store and judge them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.exits import ExitCode
from gatewatch.cli.options import Workers
from gatewatch.cli.root import app
from gatewatch.cli.session import Ended, Session


@command(
    app,
    "import",
    examples=[
        "gatewatch import 20260101_IR.jsonl.gz",
        "gatewatch import ~/ooni-data --workers 4",
        "zcat report.jsonl.gz | gatewatch import -",
    ],
)
def import_(
    session: Session,
    paths: Annotated[list[str], typer.Argument(help="Files or folders; - is standard input.")],
    workers: Workers = 1,
) -> None:
    """Take raw measurements into the store and bring every table up to date.

    Whatever was imported before is known by its bytes and not read again, so a run that was
    interrupted can simply be repeated. Records that cannot be read are set aside and counted;
    the exit code is then 5.
    """
    from gatewatch import flow
    from gatewatch.archive.store import Store
    from gatewatch.cli.views.summary import show_summary

    store = Store.open(session.store_path, create=True)
    stdin = sys.stdin.buffer if "-" in paths else None
    inputs = [path for path in paths if path != "-"]
    with session.progress() as tell:
        summary = flow.import_paths(
            store, inputs, session.refdata, stdin=stdin, workers=workers, progress=tell
        )
    show_summary(session, summary)
    for problem in summary.unreadable:
        session.say(f"not read: {problem}")
    if summary.set_aside:
        session.say(
            f"{summary.set_aside:,} records could not be read and were set aside; see "
            "gatewatch query 'select field, got, want, count(*) from set_aside group by all'"
        )
    if summary.set_aside or summary.unreadable:
        raise Ended(ExitCode.PARTIAL)
