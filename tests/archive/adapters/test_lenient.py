"""A field that cannot be read costs itself and is named; its neighbours stand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.archive.adapters.lenient import MOST_FLAWS, Fields, binary_data

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
READERS = ("text", "integer", "number", "flag", "object", "objects", "texts", "items",
           "items_of_text")  # fmt: skip


def fields(value: object) -> Fields:
    return Fields({"x": value}, "", [])


@given(json_values, st.sampled_from(READERS))
def test_no_value_is_too_odd_to_be_read(value: Any, reader: str):
    found: Any = getattr(fields(value), reader)("x")
    fits = {
        "text": lambda: isinstance(found, str),
        "integer": lambda: type(found) is int and -(2**63) <= found < 2**63,
        "number": lambda: abs(found) < 1e15,
        "flag": lambda: isinstance(found, bool),
        "object": lambda: isinstance(found, Fields),
    }
    assert found is None or fits.get(reader, lambda: isinstance(found, list))()


@given(json_values)
def test_what_is_no_object_is_an_empty_one(value: Any):
    inner = Fields(value, "record", [])
    assert inner.raw("missing") is None
    assert inner.text("missing") is None
    assert inner.objects("missing") == []


@pytest.mark.parametrize("reader", READERS)
def test_null_and_missing_are_no_flaws(reader: str):
    for values in ({"x": None}, {}):
        read = Fields(values, "", [])
        getattr(read, reader)("x")
        assert read.flaws == []


@pytest.mark.parametrize(
    ("reader", "value", "want"),
    [
        ("text", 5, "a string"),
        ("integer", "five", "a whole number"),
        ("integer", True, "a whole number"),
        ("number", "5", "a number"),
        ("flag", 1, "true or false"),
        ("objects", {}, "a list"),
        ("objects", [5], "an object"),
        ("texts", "alone", "a list"),
        ("texts", ["a", 5], "a list of strings"),
        ("items", [], "an object"),
        ("items_of_text", "text", "an object"),
    ],
)
def test_what_could_not_be_read_is_named_with_what_was_wanted(
    reader: str, value: object, want: str
):
    read = fields(value)
    getattr(read, reader)("x")
    (flaw,) = read.flaws
    assert flaw.startswith("x")
    assert flaw.endswith(f"where {want} is wanted")


def test_a_bad_entry_costs_itself_alone():
    read = fields([{"a": 1}, 5, None, {"a": 2}])
    assert [entry.integer("a") for entry in read.objects("x")] == [1, 2]
    assert read.flaws == ["x[1]: int where an object is wanted"]


@pytest.mark.parametrize(("value", "number"), [(443, 443), ("443", 443), (443.0, 443), (4.5, None)])
def test_a_whole_number_may_be_written_in_several_ways(value: object, number: int | None):
    assert fields(value).integer("x") == number


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"format": "base64", "data": "AAE="}, b"\x00\x01"),
        ({"data": "AAE="}, b"\x00\x01"),
        ({"format": "hex", "data": "0001"}, None),
        ({"format": "base64", "data": "A"}, None),
        ({"format": "base64", "data": 5}, None),
        ({"format": "base64"}, None),
        ("AAE=", None),
        (None, None),
    ],
)
def test_binary_data_is_read_or_is_none(value: object, data: bytes | None):
    assert binary_data(value) == data


def test_text_in_base64_is_text_with_what_cannot_be_decoded_replaced():
    assert fields({"format": "base64", "data": "YWL/"}).text("x") == "ab\ufffd"


def test_the_list_of_flaws_has_an_end():
    read = fields([5] * 1000)
    read.objects("x")
    assert len(read.flaws) == MOST_FLAWS
