"""`gatewatch judge`: verdicts straight from files, without a store."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.exits import ExitCode, UsageFault
from gatewatch.cli.root import app
from gatewatch.cli.session import Ended, Session


@command(
    app,
    "judge",
    examples=[
        "gatewatch judge report.jsonl.gz",
        "gatewatch judge report.jsonl.gz --jsonl > verdicts.jsonl",
        "miniooni -o /dev/stdout -n web_connectivity | gatewatch judge - --jsonl",
    ],
)
def judge(
    session: Session,
    paths: Annotated[list[str], typer.Argument(help="Files or folders; - is standard input.")],
) -> None:
    """Judge every measurement in files, or each as it arrives on standard input.

    With --jsonl one object a measurement, written as it is judged. A record that cannot be read
    gives an object with `source` and `error`; the rest goes on, and the exit code is 5.
    """
    from gatewatch import flow
    from gatewatch.cli.verdicts import show_verdicts

    if "-" in paths and len(paths) > 1:
        raise UsageFault("standard input is judged by itself: give - alone")
    live = paths == ["-"]
    with session.progress() as tell:
        found = flow.judge_paths(
            [] if live else paths,
            session.refdata,
            stdin=sys.stdin.buffer if live else None,
            progress=tell,
        )
        set_aside = show_verdicts(session, found, live=live)
    if set_aside:
        raise Ended(ExitCode.PARTIAL)
