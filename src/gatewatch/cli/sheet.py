"""A plain table, and the machine formats it can be written in."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from gatewatch.cli.clean import clean, field, json_bytes, spreadsheet
from gatewatch.cli.exits import UsageFault

if TYPE_CHECKING:
    import pyarrow as pa


class Sheet(msgspec.Struct, frozen=True):
    """Named columns and rows of plain values."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def chosen(self, fields: Sequence[str], sort: str | None, limit: int | None) -> Sheet:
        """These columns only, in that order, sorted by a column (`-name`: falling), cut.

        Raises:
            UsageFault: a column that is not there.
        """
        rows = self.rows
        if sort:
            falling = sort.startswith("-")
            at = self._at(sort.removeprefix("-"))
            held = [row for row in rows if row[at] is not None]
            rows = sorted(held, key=lambda row: _orderable(row[at]), reverse=falling)
            rows += [row for row in self.rows if row[at] is None]
        if limit is not None:
            rows = rows[:limit]
        if not fields:
            return Sheet(self.columns, rows)
        ats = [self._at(name) for name in fields]
        return Sheet(list(fields), [tuple(row[at] for at in ats) for row in rows])

    def _at(self, name: str) -> int:
        if name not in self.columns:
            raise UsageFault(f"no column {name!r}; there are: {', '.join(self.columns)}")
        return self.columns.index(name)


def _orderable(value: Any) -> Any:
    return str(value) if isinstance(value, list | tuple | dict) else value


def sheet_of(rows: Iterable[msgspec.Struct | dict[str, Any]], columns: Sequence[str]) -> Sheet:
    """Rows of documents as a sheet of these of their fields; `a.b` reaches into one.

    A column with no such field is empty.
    """
    plain = [row if isinstance(row, dict) else msgspec.to_builtins(row, **_KEEP) for row in rows]
    return Sheet(list(columns), [tuple(_reach(row, name) for name in columns) for row in plain])


_KEEP: dict[str, Any] = {"builtin_types": (dt.datetime, dt.date)}


def _reach(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def sheet_of_arrow(table: pa.Table) -> Sheet:
    columns = [column.to_pylist() for column in table.columns]
    return Sheet(list(table.column_names), list(zip(*columns, strict=True)))


def plain(value: Any) -> str:
    """A value as text for a field: None is empty, lists are joined, times are ISO 8601 UTC.

    >>> plain(None), plain(["a", "b"]), plain(0.25), plain(dt.datetime(2026, 1, 2, 3, 4, 5))
    ('', 'a,b', '0.25', '2026-01-02T03:04:05Z')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, list | tuple):
        if any(isinstance(item, dict) for item in value):
            return msgspec.json.encode(value).decode()
        return ",".join(plain(item) for item in value)
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def as_tsv(sheet: Sheet) -> str:
    lines = ["\t".join(field(name) for name in sheet.columns)]
    lines += ["\t".join(field(plain(value)) for value in row) for row in sheet.rows]
    return "\n".join(lines) + "\n"


def as_csv(sheet: Sheet) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([spreadsheet(field(name)) for name in sheet.columns])
    for row in sheet.rows:
        writer.writerow([_csv_field(value) for value in row])
    return out.getvalue()


def _csv_field(value: Any) -> str:
    text = field(plain(value))
    return text if isinstance(value, int | float) else spreadsheet(text)


def as_markdown(sheet: Sheet) -> str:
    def row(values: Iterable[str]) -> str:
        return "| " + " | ".join(v.replace("|", "\\|").replace("<", "&lt;") for v in values) + " |"

    lines = [row(clean(name) for name in sheet.columns), row("---" for _ in sheet.columns)]
    lines += [row(clean(plain(value)) for value in values) for values in sheet.rows]
    return "\n".join(lines) + "\n"


def as_objects(sheet: Sheet) -> list[dict[str, Any]]:
    return [dict(zip(sheet.columns, map(_utc, row), strict=True)) for row in sheet.rows]


def _utc(value: Any) -> Any:
    """Times of the store are UTC without saying so; JSON says so."""
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value


def as_jsonl(sheet: Sheet) -> bytes:
    return json_bytes(msgspec.json.Encoder(enc_hook=str).encode_lines(as_objects(sheet)))


def as_json(document: Any) -> bytes:
    encoded = msgspec.json.Encoder(enc_hook=str).encode(document)
    return json_bytes(msgspec.json.format(encoded, indent=2)) + b"\n"


def as_parquet(sheet: Sheet) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        name: pa.array([row[at] for row in sheet.rows]) for at, name in enumerate(sheet.columns)
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue().to_pybytes()
