"""From votes to a state: the evidence floor, the interval, and the thresholds between states."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatewatch.model.outcome import CellState

MIN_REPORTS = 3
"""Distinct submissions below which nothing is said. One submitter can send a thousand
measurements; he cannot send three submissions in one report. Our choice; it costs silence."""

MIN_VOTES = 2.5
"Decided votes below which nothing is said: `unclear` measurements do not fill a cell."

INTERVAL = 0.95
_BLOCKED_SHARE, _LIKELY_SHARE, _IMPAIRED_LOW = 0.7, 0.5, 0.05
"""Our choices. `blocked`: the interval lies above one half and seven in ten votes say so;
`likely_blocked`: most do; `impaired`: some do, and chance alone does not explain it."""

Floats = NDArray[np.float64]


class Votes(NamedTuple):
    """Evidence after the cap of one vote a submission; a submission may split its vote."""

    open: float
    down: float
    blocked: float
    server_side: float
    unclear: float
    reports: int
    networks: int = 1


class Standing(NamedTuple):
    """A state with the blocked share behind it; share and interval are None below the floor."""

    state: str
    share: float | None
    low: float | None
    high: float | None


def state_of(votes: Votes) -> Standing:
    """The state of one cell, or of any group of measurements voted on in the same way.

    >>> state_of(Votes(0, 0, 9, 0, 1, reports=10)).state
    'blocked'
    >>> state_of(Votes(0, 0, 1, 0, 0, reports=1)).state
    'insufficient'
    """
    one = [np.array([float(v)]) for v in votes[:4]]
    states, share, low, high = states_of(*one, reports=np.array([votes.reports], np.int64))
    if states[0] == CellState.INSUFFICIENT:
        return Standing(CellState.INSUFFICIENT.value, None, None, None)
    return Standing(str(states[0]), float(share[0]), float(low[0]), float(high[0]))


def states_of(
    open: Floats, down: Floats, blocked: Floats, server_side: Floats, *, reports: NDArray[np.int64]
) -> tuple[NDArray[Any], Floats, Floats, Floats]:
    """States of many cells at once.

    Args:
        open, down, blocked, server_side: decided votes, shape (cells,), not negative.
        reports: distinct submissions, shape (cells,).

    Returns:
        State, blocked share, and its 95 % interval, each of shape (cells,); the last three
        are NaN where the state is `insufficient`. The interval is Jeffreys', on the votes.

    Source: Brown, Cai, DasGupta (2001), Statistical Science 16:101.
    """
    decided = open + down + blocked + server_side
    enough = (reports >= MIN_REPORTS) & (decided >= MIN_VOTES)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(enough, blocked / decided, np.nan)
    low, high = _jeffreys(blocked, decided)
    low, high = np.where(enough, low, np.nan), np.where(enough, high, np.nan)
    most = np.maximum.reduce([open, down, server_side])
    states = np.select(
        [
            ~enough,
            (low > 0.5) & (share >= _BLOCKED_SHARE),
            share > _LIKELY_SHARE,
            (low > _IMPAIRED_LOW) & (share >= 0.15),
            (down == most) & (down > open),
            (server_side == most) & (server_side > open),
        ],
        [
            CellState.INSUFFICIENT.value,
            CellState.BLOCKED.value,
            CellState.LIKELY_BLOCKED.value,
            CellState.IMPAIRED.value,
            CellState.DOWN.value,
            CellState.SERVER_SIDE.value,
        ],
        CellState.OPEN.value,
    )
    return states, share, low, high


def _jeffreys(hits: Floats, trials: Floats) -> tuple[Floats, Floats]:
    from scipy.special import betaincinv

    tail = (1 - INTERVAL) / 2
    misses = np.maximum(trials - hits, 0.0)
    low = betaincinv(hits + 0.5, misses + 0.5, tail)
    high = betaincinv(hits + 0.5, misses + 0.5, 1 - tail)
    # With next to no hits, or misses, the interval by itself would leave the share outside.
    share = hits / np.maximum(trials, 1e-300)
    return np.minimum(low, share), np.maximum(high, share)
