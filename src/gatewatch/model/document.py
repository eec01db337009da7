"""The tables in words: `python -m gatewatch.model.document` prints docs/tables.md.

Everything said there is said once, beside the fields; this only sets it in Markdown.
"""

from __future__ import annotations

from gatewatch.model.columns import NamedColumn
from gatewatch.model.tables import TABLES, Table

_OPENING = """\
# Tables

The store keeps these tables as Parquet files, and every export has the same columns. Types are
Arrow's. Timestamps are UTC. A column that is not nullable always has a value; null means that
the value is unknown or was not recorded, never zero, false or empty.

This page is made from the code: `make docs`.
"""


def document() -> str:
    """All tables as one Markdown page."""
    names = " · ".join(f"[{name}](#{name})" for name in TABLES)
    return "\n".join([_OPENING, names, "", *map(_section, TABLES.values())])


def _section(table: Table) -> str:
    lines = [
        f"## {table.name}",
        "",
        f"One row is {table.row}.",
        "",
        "| column | type | unit | nullable | meaning |",
        "|---|---|---|---|---|",
        *map(_row, table.columns),
        "",
    ]
    return "\n".join(lines)


def _row(column: NamedColumn) -> str:
    nullable = "yes" if column.nullable else ""
    meaning = column.meaning.replace("|", "\\|")
    return f"| `{column.name}` | `{column.arrow}` | {column.unit} | {nullable} | {meaning} |"


if __name__ == "__main__":
    print(document(), end="")
