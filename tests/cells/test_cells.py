"""Verdicts counted into cells, and what nobody can make a cell say."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gatewatch.model.outcome import CellState, Outcome
from gatewatch.model.verdict import Cell, Verdict
from tests.cells.build import DAY, cell_of, cells_of, reports, verdict

SUSPECT = {CellState.BLOCKED, CellState.LIKELY_BLOCKED, CellState.IMPAIRED}
quick = settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # a counterexample is small already; shrinking is slow
    suppress_health_check=[HealthCheck.too_slow],
)

outcomes = st.sampled_from([*Outcome])
asns = st.sampled_from([None, 1, 2])
mechanisms = st.lists(st.sampled_from(["dns", "tcp.reset", "tls.reset.sni"]), unique=True)
verdicts = st.lists(
    st.builds(
        verdict,
        outcome=outcomes,
        report=st.sampled_from(["", "a", "b", "c"]),
        target=st.sampled_from([None, "site.example", "other.example"]),
        probe_asn=asns,
        resolver_asn=asns,
        probe_cc=st.sampled_from([None, "IR", "IT"]),
        day=st.sampled_from([None, DAY, date(2024, 5, 7)]),
        mechanisms=mechanisms,
        probe_id=st.sampled_from([None, "p", "q"]),
    ),
    max_size=25,
)


def by_key(cells: list[Cell]) -> dict[tuple, Cell]:
    return {(c.target, c.probe_cc, c.probe_asn, c.resolver_asn, c.day): c for c in cells}


def same(one: list[Cell], other: list[Cell]) -> None:
    left, right = by_key(one), by_key(other)
    assert left.keys() == right.keys()
    for key, cell in left.items():
        twin = right[key]
        assert (cell.measurements, cell.reports, cell.probes) == (
            twin.measurements, twin.reports, twin.probes)  # fmt: skip
        assert cell.votes == pytest.approx(twin.votes)
        assert (cell.state, cell.mechanisms, cell.mechanism_counts) == (
            twin.state, twin.mechanisms, twin.mechanism_counts)  # fmt: skip


# -- counting ------------------------------------------------------------------------------------


@quick
@given(verdicts)
def test_counts_add_up_to_what_was_given(given: list[Verdict]):
    found = cells_of(given)
    targeted = [v for v in given if v.target is not None]
    assert sum(c.measurements for c in found) == len(targeted)
    for outcome in Outcome:
        counted = sum(getattr(c, outcome.value) for c in found)
        assert counted == sum(v.outcome == outcome for v in targeted)
    for cell in found:
        assert cell.measurements == sum(getattr(cell, o.value) for o in Outcome)
        assert 0 <= cell.votes <= cell.reports + 1e-9
        assert cell.reports <= cell.measurements


@quick
@given(verdicts, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(given: list[Verdict], rng):
    shuffled = given.copy()
    rng.shuffle(shuffled)
    same(cells_of(given), cells_of(shuffled))


@quick
@given(verdicts)
def test_mechanisms_are_counted_and_the_most_frequent_comes_first(given: list[Verdict]):
    for key, cell in by_key(cells_of(given)).items():
        mine = [
            v for v in given
            if (v.target, v.probe_cc, v.probe_asn, v.resolver_asn, v.day) == key
        ]  # fmt: skip
        counted = Counter(m for v in mine for m in v.mechanisms)
        assert dict(zip(cell.mechanisms, cell.mechanism_counts, strict=True)) == counted
        assert cell.mechanism_counts == sorted(cell.mechanism_counts, reverse=True)
        known = {v.probe_id for v in mine} - {None}
        assert cell.probes == (len(known) or None)


@pytest.mark.parametrize("key", ["target", "probe_cc", "probe_asn", "resolver_asn", "day"])
def test_each_part_of_the_key_makes_a_cell_of_its_own(key: str):
    values = {"target": "other.example", "probe_cc": "IT", "day": date(2024, 5, 7)}
    other = verdict(report="b", **{key: values.get(key, 5)})
    assert len(cells_of([verdict(), other])) == 2


@pytest.mark.parametrize("key", ["probe_cc", "probe_asn", "resolver_asn", "day"])
def test_what_is_not_known_is_a_cell_of_its_own_and_equal_to_itself(key: str):
    unknown = [verdict(Outcome.OPEN, name, **{key: None}) for name in "abc"]
    cells = cells_of([verdict(), *unknown])
    assert sorted(c.measurements for c in cells) == [1, 3]
    assert next(getattr(c, key) for c in cells if c.measurements == 3) is None


def test_without_a_target_there_is_no_cell():
    assert cells_of([verdict(target=None)]) == []


def test_of_nothing_there_are_no_cells():
    assert cells_of([]) == []


# -- votes ---------------------------------------------------------------------------------------


def test_a_report_has_one_vote_however_many_measurements_it_holds():
    cell = cell_of([verdict(Outcome.BLOCKED, "a")] * 1000 + reports(Outcome.OPEN, 3))
    assert (cell.measurements, cell.reports, cell.votes) == (1003, 4, 4.0)
    assert cell.blocked_share == pytest.approx(0.25)


def test_a_report_of_two_minds_splits_its_vote():
    both = [verdict(Outcome.BLOCKED, "a"), verdict(Outcome.OPEN, "a")]
    cell = cell_of([*both, *reports(Outcome.OPEN, 3)])
    assert cell.blocked_share == pytest.approx(0.125)


def test_measurements_without_a_report_share_one_vote():
    cell = cell_of([verdict(Outcome.BLOCKED, "")] * 1000)
    assert (cell.reports, cell.votes, cell.state) == (1, 1.0, CellState.INSUFFICIENT)


hostile = st.lists(
    st.builds(verdict, outcome=outcomes, report=st.just("hostile"), mechanisms=mechanisms),
    min_size=1,
    max_size=20,
)
AT_MOST_ONE = st.lists(outcomes, max_size=1)


@quick
@given(hostile, AT_MOST_ONE, st.integers(1, 50))
def test_one_report_and_one_more_leave_a_cell_insufficient(contents, honest, times: int):
    """Whatever a thousand measurements of one report say, alone or beside one honest report."""
    others = [verdict(outcome, f"honest {n}") for n, outcome in enumerate(honest)]
    assert cell_of([*contents * times, *others]).state == CellState.INSUFFICIENT


innocent = st.lists(st.sampled_from([Outcome.OPEN, Outcome.UNCLEAR]), min_size=1, max_size=6)
honest_reports = st.lists(innocent, min_size=2, max_size=12)


@quick
@given(hostile, honest_reports)
def test_one_report_accuses_nobody_where_no_honest_one_does(contents, honest):
    """Two or more honest reports reached it, or do not know: one report is not enough to say
    `blocked`, `likely_blocked` or `impaired`."""
    others = [verdict(outcome, f"honest {n}") for n, each in enumerate(honest) for outcome in each]
    assert cell_of([*contents, *others]).state not in SUSPECT


@quick
@given(hostile, st.integers(4, 12))
def test_nor_does_it_hide_a_block_that_ten_reports_saw(contents, more: int):
    honest = reports(Outcome.BLOCKED, 6 + more)
    assert cell_of(honest).state == CellState.BLOCKED
    assert cell_of([*contents, *honest]).state in (CellState.BLOCKED, CellState.LIKELY_BLOCKED)


@quick
@given(hostile, st.lists(st.lists(outcomes, min_size=1, max_size=4), max_size=2))
def test_three_reports_with_one_hostile_among_them_never_say_blocked(contents, honest):
    others = [verdict(outcome, f"honest {n}") for n, each in enumerate(honest) for outcome in each]
    assert cell_of([*contents, *others]).state != CellState.BLOCKED


decided = st.lists(
    st.builds(verdict, outcome=outcomes, report=st.sampled_from("abcdefgh")),
    min_size=1,
    max_size=30,
)


@quick
@given(decided, st.lists(st.sampled_from([*"abcdefgh", "new 1", "new 2"]), max_size=20))
def test_what_is_unclear_never_makes_a_cell_blocked(given: list[Verdict], unclear: list[str]):
    before = cell_of(given).state
    after = cell_of([*given, *(verdict(Outcome.UNCLEAR, report) for report in unclear)]).state
    assert after not in (CellState.BLOCKED, CellState.LIKELY_BLOCKED) or before in (
        CellState.BLOCKED,
        CellState.LIKELY_BLOCKED,
    )
    assert after != CellState.BLOCKED or before == CellState.BLOCKED


def test_a_report_that_reached_it_once_has_its_whole_vote_among_what_is_unclear():
    """Eight reports saw it blocked. Six reached it, each once among many that do not know."""
    reached = [
        one for n in range(6)
        for one in (verdict(Outcome.OPEN, f"r{n}"), *[verdict(Outcome.UNCLEAR, f"r{n}")] * 20)
    ]  # fmt: skip
    assert cell_of([*reports(Outcome.BLOCKED, 8), *reached]).state != CellState.BLOCKED
