"""`gatewatch query`: a question in SQL."""

from __future__ import annotations

from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(
    app,
    "query",
    examples=[
        'gatewatch query "select outcome, count(*) as n from verdicts group by all"',
        'gatewatch query "describe verdicts"',
        "gatewatch query \"from cells where state = 'blocked'\" -o blocked.parquet",
    ],
)
def query(
    session: Session,
    sql: Annotated[str, typer.Argument(help="One statement that reads, in DuckDB's SQL.")],
) -> None:
    """Run one reading SQL statement over the store's tables."""
    from gatewatch.cli.sheet import sheet_of_arrow
    from gatewatch.publish.query import query as run

    session.show(sheet_of_arrow(run(session.store.database(), sql)))
