"""Our own tables: tab-separated text with a header line, comments, and a date of their own."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from gatewatch.model.errors import MalformedRecord


class TextTable(NamedTuple):
    date: date
    rows: list[dict[str, str]]


def read_table(content: bytes, where: str, columns: list[str]) -> TextTable:
    """Rows of a table in UTF-8; lines that begin with `#` are comments.

    Args:
        where: named in errors.
        columns: the header wanted, in order.

    Raises:
        MalformedRecord: when it is not such a table, or no comment says `# date: YYYY-MM-DD`.

    >>> read_table(b"# date: 2026-01-31\\na\\tb\\n1\\t2\\n", "x.tsv", ["a", "b"]).rows
    [{'a': '1', 'b': '2'}]
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRecord(where, "text", got=str(error), want="UTF-8") from error
    dated: date | None = None
    header: list[str] | None = None
    rows: list[dict[str, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        here = f"{where}:{number}"
        if line.startswith("#"):
            key, _, value = line.lstrip("# ").partition(":")
            if key == "date":
                dated = read_date(value.strip(), here)
            continue
        if not line:
            continue
        fields = line.split("\t")
        if header is None:
            if fields != columns:
                raise MalformedRecord(here, "header", got=fields, want=", ".join(columns))
            header = fields
            continue
        if len(fields) != len(columns):
            raise MalformedRecord(here, "row", got=line, want=f"{len(columns)} fields")
        rows.append(dict(zip(columns, fields, strict=True)))
    if dated is None:
        raise MalformedRecord(where, "date", got=None, want="a comment `# date: YYYY-MM-DD`")
    return TextTable(dated, rows)


def read_date(text: str, where: str) -> date:
    """A day as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MalformedRecord(where, "date", got=text, want="YYYY-MM-DD") from error
