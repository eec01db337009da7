"""DuckDB views over what a store has committed, in which each measurement counts once.

The same bytes can be imported in two files, or stand twice in one. Of each measurement one copy
counts, in every table: its observations are those of one copy, and only of that. Which copy shows
only in where a measurement came from; there it is the first raw file, then the first place, so
that the answer does not depend on how files were grouped or when they came.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from gatewatch.archive.arrow import schema_of
from gatewatch.model.tables import TABLES

if TYPE_CHECKING:
    from gatewatch.archive.store import Store

_KEYED_BY = {
    "measurements": "measurements",
    "lookups": "measurements",
    "connects": "measurements",
    "handshakes": "measurements",
    "exchanges": "measurements",
    "findings": "measurements",
    "verdicts": "verdicts",
}
"""Table → the table of the same commits that has one row for each copy of a measurement."""


def connect(store: Store) -> duckdb.DuckDBPyConnection:
    """An in-memory database with one view for every table of the model."""
    database = duckdb.connect(":memory:")
    database.execute("SET TimeZone = 'UTC'; CREATE SCHEMA internal")
    files = _committed(store)
    for table in dict.fromkeys(_KEYED_BY.values()):
        _find_copies(database, table, files[table])
    for table in TABLES:
        database.execute(f"CREATE VIEW {table} AS {_select(database, table, files[table])}")
    return database


def _committed(store: Store) -> dict[str, list[Path]]:
    """Table → its files; each commit is read once, so that its tables belong together."""
    files: dict[str, list[Path]] = {table: [] for table in TABLES}
    for stage in store.stages():
        for key in store.keys(stage):
            commit = store.committed(stage, key)
            for table, parts in (commit.tables if commit else {}).items():
                folder = store.table_folder(table, stage)
                files[table].extend(folder / part.file for part in parts)
    return files


def _find_copies(database: duckdb.DuckDBPyConnection, table: str, files: list[Path]) -> None:
    """Make `internal.copies_<table>`: for each measurement met more than once, the key that
    counts, and how often it stands under that key."""
    rows = _rows(files) if files else "SELECT NULL::VARCHAR AS record_id, '' AS key WHERE false"
    database.execute(
        f"""
        CREATE TABLE internal.copies_{table} AS
        WITH repeated AS (
            SELECT record_id FROM ({rows}) GROUP BY record_id HAVING count(*) > 1
        ), each AS (
            SELECT record_id, key, count(*) AS copies FROM ({rows})
            WHERE record_id IN (FROM repeated) GROUP BY ALL
        )
        SELECT record_id, min(key) AS key, arg_min(copies, key) AS copies
        FROM each GROUP BY record_id
        """
    )


def _select(database: duckdb.DuckDBPyConnection, table: str, files: list[Path]) -> str:
    columns = ", ".join(f'"{column.name}"' for column in TABLES[table].columns)
    if not files:
        return _empty(database, table)
    keyed_by = _KEYED_BY.get(table)
    copies = f"internal.copies_{keyed_by}"
    if keyed_by is None or database.execute(f"SELECT count(*) FROM {copies}").fetchone() == (0,):
        return f"SELECT {columns} FROM {_source(files)}"
    if table == "measurements":
        return f"""
            SELECT {columns} FROM {_source(files)}
            QUALIFY row_number() OVER (
                PARTITION BY record_id
                ORDER BY source_file, source_member NULLS FIRST, source_offset
            ) = 1
        """
    # A writer puts the copies that one file holds one after the other, so the first share of
    # a record's rows is its first copy.
    return f"""
        SELECT {columns} FROM ({_rows(files)})
        WHERE record_id NOT IN (SELECT record_id FROM {copies})
        UNION ALL
        SELECT {columns} FROM (
            SELECT r.*, c.copies,
                row_number() OVER (PARTITION BY r.record_id ORDER BY file_row_number) AS nth,
                count(*) OVER (PARTITION BY r.record_id) AS total
            FROM ({_rows(files)}) r JOIN {copies} c USING (record_id, key)
        ) WHERE nth * copies <= total
    """


def _rows(files: list[Path]) -> str:
    """The rows of a table's files, each with the key of its commit and its place in the file."""
    return (
        "SELECT *, split_part(parse_filename(filename), '.', 1) AS key"
        f" FROM {_source(files, 'filename=true, file_row_number=true')}"
    )


def _source(files: Iterable[Path], options: str = "") -> str:
    quoted = ", ".join("'" + str(path.resolve()).replace("'", "''") + "'" for path in files)
    return f"read_parquet([{quoted}], hive_partitioning=false{', ' if options else ''}{options})"


def _empty(database: duckdb.DuckDBPyConnection, table: str) -> str:
    """A view without rows, with the columns and types that the table would have."""
    database.register("nothing", schema_of(TABLES[table].noun).empty_table())
    described = database.execute("DESCRIBE nothing").fetchall()
    database.unregister("nothing")
    columns = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind, *_ in described)
    return f"SELECT {columns} WHERE false"
