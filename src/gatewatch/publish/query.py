"""A question in the user's own SQL: one statement, and it can only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewatch.model.errors import GatewatchError, NotFound
from gatewatch.model.tables import TABLES

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


class BadQuery(GatewatchError):
    """SQL that cannot be run here."""


def query(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    """Run one reading statement.

    Raises:
        BadQuery: it is not one statement, would change something, or DuckDB refuses it.
    """
    import duckdb

    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1:
            raise BadQuery(f"one SQL statement is wanted, not {len(statements)}")
        if statements[0].type != duckdb.StatementType.SELECT:
            kind = statements[0].type.name
            raise BadQuery(f"{kind} is not allowed: only statements that read, such as SELECT")
        return connection.execute(statements[0]).to_arrow_table()
    except duckdb.Error as error:
        raise BadQuery(" ".join(str(error).split())) from error


def table(connection: duckdb.DuckDBPyConnection, name: str) -> pa.RecordBatchReader:
    """A whole table of the store, batch by batch.

    Raises:
        NotFound: the store has no such table.
    """
    if name not in TABLES:
        raise NotFound(f"{name!r} is no table; there are: {', '.join(TABLES)}")
    return connection.execute(f'select * from "{name}"').to_arrow_reader(50_000)
