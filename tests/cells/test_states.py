"""From votes to a state: the floor, the thresholds, the interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatewatch.cells.states import MIN_REPORTS, MIN_VOTES, Votes, state_of, states_of
from gatewatch.model.outcome import CellState

S = CellState


def votes(open: float = 0, down: float = 0, blocked: float = 0, server_side: float = 0,
          unclear: float = 0, *, reports: int | None = None) -> Votes:  # fmt: skip
    """As many reports as whole votes, unless it says otherwise."""
    total = open + down + blocked + server_side + unclear
    return Votes(open, down, blocked, server_side, unclear,
                 reports=round(total + 0.49) if reports is None else reports)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "state"),
    [
        pytest.param(votes(), S.INSUFFICIENT, id="nothing"),
        pytest.param(votes(blocked=1), S.INSUFFICIENT, id="one says blocked"),
        pytest.param(votes(blocked=2), S.INSUFFICIENT, id="two say blocked"),
        pytest.param(votes(blocked=3), S.LIKELY_BLOCKED, id="three of three"),
        pytest.param(votes(blocked=4), S.BLOCKED, id="four of four"),
        pytest.param(votes(blocked=9, open=1), S.BLOCKED, id="nine in ten"),
        pytest.param(votes(blocked=14, open=6), S.LIKELY_BLOCKED, id="seven in ten of twenty"),
        pytest.param(votes(blocked=70, open=30), S.BLOCKED, id="seven in ten of a hundred"),
        pytest.param(votes(blocked=69, open=31), S.LIKELY_BLOCKED, id="just under seven in ten"),
        pytest.param(votes(blocked=51, open=49), S.LIKELY_BLOCKED, id="just over one half"),
        pytest.param(votes(blocked=50, open=50), S.IMPAIRED, id="one half"),
        pytest.param(votes(blocked=15, open=85), S.IMPAIRED, id="fifteen in a hundred"),
        pytest.param(votes(blocked=14, open=86), S.OPEN, id="just under"),
        pytest.param(votes(blocked=2, open=8), S.OPEN, id="two of ten may be chance"),
        pytest.param(votes(blocked=4, open=16), S.IMPAIRED, id="four of twenty are not"),
        pytest.param(votes(blocked=1, open=2), S.OPEN, id="one of three may be anything"),
        pytest.param(votes(open=3), S.OPEN, id="three say open"),
        pytest.param(votes(down=3), S.DOWN, id="three say down"),
        pytest.param(votes(down=2, open=1), S.DOWN, id="most say down"),
        pytest.param(votes(down=2, open=2), S.OPEN, id="half of them reach it"),
        pytest.param(votes(server_side=3), S.SERVER_SIDE, id="three are refused"),
        pytest.param(votes(server_side=2, open=2), S.OPEN, id="half of them are let in"),
        pytest.param(votes(unclear=100), S.INSUFFICIENT, id="nobody knows"),
        pytest.param(votes(blocked=2, unclear=98), S.INSUFFICIENT, id="two know"),
        pytest.param(votes(blocked=2.4, reports=50), S.INSUFFICIENT, id="under the floor of votes"),
        pytest.param(votes(blocked=2.5, reports=3), S.LIKELY_BLOCKED, id="on the floor"),
        pytest.param(votes(blocked=50, reports=2), S.INSUFFICIENT, id="under that of reports"),
    ],
)
def test_a_state_follows_from_the_votes(given: Votes, state: CellState):
    assert state_of(given).state == state


share = st.floats(0, 200)
some_votes = st.builds(Votes, share, share, share, share, share, reports=st.integers(0, 50))


@given(some_votes)
def test_below_the_floor_there_is_no_state_and_no_number(given: Votes):
    found = state_of(given)
    below = given.reports < MIN_REPORTS or sum(given[:4]) < MIN_VOTES
    assert (found.state == S.INSUFFICIENT) == below
    assert below == (found.share is None) == (found.low is None) == (found.high is None)


@given(some_votes)
def test_an_interval_holds_its_share_and_stays_between_none_and_all(given: Votes):
    found = state_of(given)
    assume(found.share is not None)
    assert found.share is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.share + 1e-9
    assert found.share - 1e-9 <= found.high <= 1


@given(some_votes)
def test_unclear_votes_are_no_evidence(given: Votes):
    assert state_of(given) == state_of(given._replace(unclear=0))


RANK = {S.OPEN: 0, S.DOWN: 0, S.SERVER_SIDE: 0, S.IMPAIRED: 1, S.LIKELY_BLOCKED: 2, S.BLOCKED: 3}


@given(some_votes, st.floats(0, 100))
def test_more_votes_for_blocked_never_make_it_less_so(given: Votes, more: float):
    before = state_of(given)
    after = state_of(given._replace(blocked=given.blocked + more))
    assume(before.share is not None)
    assert before.low is not None
    assert after.low is not None
    assert after.low >= before.low - 1e-9
    assert RANK[CellState(after.state)] >= RANK[CellState(before.state)]


@given(some_votes, st.floats(0, 100))
def test_more_votes_for_open_never_make_it_more_blocked(given: Votes, more: float):
    before = state_of(given)
    after = state_of(given._replace(open=given.open + more))
    assume(before.share is not None)
    assert before.high is not None
    assert after.high is not None
    assert after.high <= before.high + 1e-9
    assert RANK[CellState(after.state)] <= RANK[CellState(before.state)]


def test_more_evidence_of_the_same_share_narrows_the_interval():
    widths = []
    for size in (4, 8, 16, 64, 256):
        found = state_of(votes(blocked=0.75 * size, open=0.25 * size))
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)


def test_three_reports_are_never_enough_for_blocked():
    assert state_of(votes(blocked=MIN_REPORTS)).state != S.BLOCKED


@given(st.lists(some_votes, max_size=20))
def test_many_cells_at_once_are_as_each_alone(given: list[Votes]):
    columns = [np.array([v[i] for v in given], np.float64) for i in range(4)]
    counts = np.array([v.reports for v in given], np.int64)
    states, *_ = states_of(*columns, reports=counts)
    assert states.tolist() == [state_of(v).state for v in given]
