"""Nouns to Arrow columns and back: the only place where a record turns into a table row.

Types, units and meanings come from `model.columns`; nothing about a column is said here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
import pyarrow as pa

from gatewatch.model.columns import columns_of

Row = TypeVar("Row", bound=msgspec.Struct)

_SIMPLE: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "date32[day]": pa.date32(),
    "timestamp[us]": pa.timestamp("us"),
}
_TOKEN = re.compile(r"\s*([<>,:]|[^<>,:\s]+)")


@cache
def schema_of(noun: type[Any]) -> pa.Schema:
    """The Arrow schema of a noun; each field's metadata carries its `meaning` and `unit`.

    Timestamps have no zone and are UTC.
    """
    return pa.schema(
        pa.field(
            column.name,
            type_of(column.arrow),
            nullable=column.nullable,
            metadata={"meaning": column.meaning, "unit": column.unit},
        )
        for column in columns_of(noun)
    )


def type_of(name: str) -> pa.DataType:
    """The Arrow type that Arrow itself prints under this name.

    >>> str(type_of("list<struct<id: string, weight: double>>"))
    'list<item: struct<id: string, weight: double>>'
    """
    tokens = _TOKEN.findall(name)
    found = _parse(tokens)
    if tokens:
        raise ValueError(f"type {name!r}: {tokens[0]!r} is left over")
    return found


def _parse(tokens: list[str]) -> pa.DataType:
    token = tokens.pop(0)
    if token in _SIMPLE:
        return _SIMPLE[token]
    if token not in ("list", "struct") or tokens.pop(0) != "<":
        raise ValueError(f"no Arrow type is known here as {token!r}")
    if token == "list":
        inner = _parse(tokens)
        _expect(tokens, ">")
        return pa.list_(inner)
    fields: list[pa.Field] = []
    while True:
        name = tokens.pop(0)
        _expect(tokens, ":")
        fields.append(pa.field(name, _parse(tokens)))
        if tokens.pop(0) == ">":
            return pa.struct(fields)


def _expect(tokens: list[str], wanted: str) -> None:
    if tokens.pop(0) != wanted:
        raise ValueError(f"an Arrow type needs {wanted!r} here")


def to_table(noun: type[Any], rows: Sequence[msgspec.Struct]) -> pa.Table:
    """Rows as a table, column by column. A lone surrogate, which is not text, becomes U+FFFD.

    Raises:
        pa.ArrowInvalid, OverflowError: a value that its column cannot hold.
    """
    schema = schema_of(noun)
    columns = [_column(list(map(attrgetter(f.name), rows)), f.type) for f in schema]
    for field, column in zip(schema, columns, strict=True):
        assert field.nullable or not column.null_count, f"{field.name} of {noun.__name__} is null"
    return pa.Table.from_arrays(columns, schema=schema)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        offsets, flat = [0], []
        for value in values:
            flat.extend(value)
            offsets.append(len(flat))
        return pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()), _column(flat, kind.value_type), type=kind
        )
    if pa.types.is_struct(kind):
        fields = list(kind)
        children = [_column(list(map(attrgetter(f.name), values)), f.type) for f in fields]
        return pa.StructArray.from_arrays(children, fields=fields)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([_text(value) for value in values], kind)


def _text(value: Any) -> Any:
    """The value with every lone surrogate replaced, as deep as lists go."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return [_text(item) for item in value] if isinstance(value, list) else value


def from_table(noun: type[Row], table: pa.Table) -> list[Row]:
    """Rows of a table as the noun: the inverse of `to_table`. Other columns are ignored."""
    names = [column.name for column in columns_of(noun)]
    readers = _nested(noun)
    columns: list[Iterable[Any]] = []
    for name in names:
        values = table.column(name).to_pylist()
        columns.append(map(readers[name], values) if name in readers else values)
    return [noun(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


@cache
def _nested(noun: type[Any]) -> dict[str, Callable[[list[dict[str, Any]]], list[Any]]]:
    """For each column that is a list of structs, how to read one value of it."""
    readers: dict[str, Callable[[list[dict[str, Any]]], list[Any]]] = {}
    for name, hint in get_type_hints(noun).items():
        (inner, *_) = get_args(hint) or (None,)
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            readers[name] = lambda items, struct=inner: [struct(**item) for item in items]
    return readers
