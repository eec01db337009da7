"""Rows to columns and back, for every table there is."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewatch.archive.arrow import from_table, schema_of, to_table, type_of
from gatewatch.model.columns import columns_of
from gatewatch.model.records import Lookup, SetAside
from gatewatch.model.tables import TABLES
from gatewatch.model.verdict import FiredRule

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=8),
    "bool": st.booleans(),
    "int32": st.integers(-(1 << 31), (1 << 31) - 1),
    "int64": st.integers(-(1 << 63), (1 << 63) - 1),
    "double": st.floats(allow_nan=False),
    "date32[day]": st.dates(),
    "timestamp[us]": st.datetimes(),
    "list<string>": st.lists(st.text(max_size=5), max_size=3),
    "list<int64>": st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=3),
}
VALUES["list<struct<"] = st.lists(
    st.builds(
        FiredRule,
        **dict.fromkeys("id layer control evidence_for words".split(), VALUES["string"]),
        weight=VALUES["double"],
        mechanism=st.none() | VALUES["string"],
    ),
    max_size=3,
)


def rows_of(noun: type[Any]) -> st.SearchStrategy[list[Any]]:
    fields = {}
    for column in columns_of(noun):
        values = VALUES[column.arrow if "struct" not in column.arrow else "list<struct<"]
        hint = get_type_hints(noun)[column.name]
        if any(type(None) in get_args(arg) for arg in get_args(hint)):
            values = st.lists(st.none() | VALUES["int64"], max_size=3)
        fields[column.name] = st.none() | values if column.nullable else values
    return st.lists(st.builds(noun, **fields), max_size=3)


@pytest.mark.parametrize("table", TABLES)
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rows_come_back_as_they_were(table, data):
    noun = TABLES[table].noun
    rows = data.draw(rows_of(noun))
    made = to_table(noun, rows)
    made.validate(full=True)
    assert made.schema.equals(schema_of(noun), check_metadata=True)
    assert from_table(noun, made) == rows


@pytest.mark.parametrize("table", TABLES)
def test_a_schema_says_what_its_columns_mean(table):
    for field, column in zip(schema_of(TABLES[table].noun), TABLES[table].columns, strict=True):
        assert field.name == column.name
        assert field.nullable == column.nullable
        assert field.metadata == {
            b"meaning": column.meaning.encode(),
            b"unit": column.unit.encode(),
        }
        # Arrow prints a list's item name, which our short form leaves out.
        assert str(field.type).replace("<item: ", "<").replace("<element: ", "<") == column.arrow


@pytest.mark.parametrize("name", ["strang", "list<string", "list<string>>", "struct<a string>", ""])
def test_a_type_that_is_none_is_refused(name):
    with pytest.raises((ValueError, IndexError)):
        type_of(name)


ASIDE = SetAside(
    source_file="f",
    source_member=None,
    source_line=1,
    source_offset=0,
    source_length=0,
    field="x",
    got="y",
    want="z",
)


def test_half_a_character_is_replaced_and_stops_nothing():
    rows = [msgspec.structs.replace(ASIDE, got="a\ud800b"), ASIDE]
    back = from_table(SetAside, to_table(SetAside, rows))
    assert [row.got for row in back] == ["a\ufffdb", "y"]
    pair = msgspec.structs.replace(ASIDE, got="\ud83d\ude00")
    assert from_table(SetAside, to_table(SetAside, [pair]))[0].got == "\U0001f600"


def test_lists_are_mended_too():
    lookup = Lookup(
        record_id="r",
        vantage="probe",
        hop=0,
        transaction_id=None,
        elapsed_ms=None,
        failure=None,
        failure_words=None,
        hostname="h",
        query_type="A",
        resolver="system",
        transport="system",
        addresses=["\udc00"],
        asns=[None, 3],
        late_addresses=[],
    )
    assert from_table(Lookup, to_table(Lookup, [lookup]))[0].addresses == ["\ufffd"]


def test_a_missing_value_is_refused_where_there_must_be_one():
    with pytest.raises(AssertionError, match="got of SetAside is null"):
        to_table(SetAside, [msgspec.structs.replace(ASIDE, got=None)])


def test_a_number_too_large_for_its_column_is_refused():
    with pytest.raises((pa.ArrowInvalid, OverflowError)):
        to_table(SetAside, [msgspec.structs.replace(ASIDE, source_line=1 << 63)])
