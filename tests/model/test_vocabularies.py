"""The closed vocabularies and the columns made from them."""

from __future__ import annotations

import pytest

from gatewatch.archive.arrow import schema_of, type_of
from gatewatch.model.errors import GatewatchError, MalformedRecord
from gatewatch.model.failure import KIND_OF, FailureKind, kind_of
from gatewatch.model.outcome import CellState, Outcome, Reason
from gatewatch.model.tables import TABLES
from gatewatch.model.verdict import Cell, Verdict

ALL_COLUMNS = [(t.name, c) for t in TABLES.values() for c in t.columns]


def test_every_failure_code_is_of_one_kind():
    assert all(code == code.strip().lower() for code in KIND_OF)
    assert set(KIND_OF.values()) == set(FailureKind)
    assert kind_of(None) is None
    assert kind_of("never heard of") is FailureKind.UNKNOWN


@pytest.mark.parametrize("vocabulary", [Outcome, Reason, CellState, FailureKind])
def test_a_vocabulary_is_lower_case_words_that_print_as_themselves(vocabulary):
    for member in vocabulary:
        assert str(member) == member.value == member.value.lower()
        assert member.value.replace("_", "").isalpha()


@pytest.mark.parametrize(("table", "column"), ALL_COLUMNS, ids=lambda v: getattr(v, "name", v))
def test_every_column_has_a_type_a_meaning_and_a_field(table: str, column):
    assert type_of(column.arrow)
    assert column.meaning
    assert column.name in TABLES[table].noun.__struct_fields__


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_every_field_of_a_noun_is_a_column(table):
    assert [c.name for c in table.columns] == list(dict.fromkeys(schema_of(table.noun).names))
    assert {c.name for c in table.columns} == set(table.noun.__struct_fields__)


def test_the_columns_name_every_outcome_and_every_state():
    outcome = next(c for c in TABLES["verdicts"].columns if c.name == "outcome")
    state = next(c for c in TABLES["cells"].columns if c.name == "state")
    assert all(f"`{o}`" in outcome.meaning for o in Outcome)
    assert all(f"`{s}`" in state.meaning for s in CellState)
    assert {o.value for o in Outcome} <= set(Cell.__struct_fields__)
    assert {f"p_{o}" for o in Outcome if o != Outcome.UNCLEAR} <= set(Verdict.__struct_fields__)


def test_a_malformed_record_says_where_what_and_what_was_wanted():
    error = MalformedRecord("a.jsonl, line 3", "test_name", got=5, want="a name")
    assert str(error) == "a.jsonl, line 3: test_name is 5; the format wants a name"
    assert isinstance(error, GatewatchError)


def test_what_was_found_is_shown_in_part_when_it_is_long():
    error = MalformedRecord("here", "record", got="x" * 1_000_000, want="less")
    assert len(str(error)) < 400
    assert len(error.got) < 300
