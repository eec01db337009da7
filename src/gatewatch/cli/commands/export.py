"""`gatewatch export`: a whole table as a file."""

from __future__ import annotations

from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(
    app,
    "export",
    examples=[
        "gatewatch export verdicts -o verdicts.parquet",
        "gatewatch export cells -o cells.csv",
        "gatewatch export measurements --jsonl | head -3",
    ],
)
def export(
    session: Session,
    table: Annotated[str, typer.Argument(help="A table of the store; `status` counts them.")],
) -> None:
    """Write a whole table as Parquet, CSV or JSON Lines; the file appears only when it is whole."""
    from gatewatch.cli.exporting import export_table
    from gatewatch.publish.query import table as read

    rows = export_table(session, read(session.store.database(), table))
    session.detail(f"{rows:,} rows")
