from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.probe.experiments.held_back import Fetch, fates, step_in
from gatewatch.probe.finding import Trial

param = pytest.param
HELD, FREE = "held", "free"


def fetch(ttl: int, kbps: float | None, *, ours: bool = False, whole: bool = True) -> Fetch:
    trial = Trial(
        arm="", step="http", address="192.0.2.1", port=443, name=None, failure=None, t0=0, t=1
    )
    return Fetch(trial, ttl, ours, kbps, whole)


def usual(*kbps: float) -> list[Fetch]:
    return [fetch(ttl, one, ours=True) for ttl, one in enumerate(kbps, 1)]


@pytest.mark.parametrize(
    ("fetches", "expected"),
    [
        param([], {}, id="nothing"),
        param([fetch(1, 100)], {}, id="nothing innocent to compare with"),
        param([*usual(2000, 1500), fetch(1, 1400), fetch(2, 90)], {1: FREE, 2: HELD}, id="a step"),
        param([*usual(2000, 160), fetch(1, 150)], {1: FREE}, id="the slowest innocent one counts"),
        param([*usual(2000), fetch(1, 0.0)], {1: HELD}, id="no answer to the handshake"),
        param([*usual(2000), fetch(1, None)], {}, id="it failed otherwise"),
        param(
            [*usual(2000), fetch(2, 30, ours=True, whole=False), fetch(1, 20)],
            {},
            id="an innocent one that stalls: the line is bad",
        ),
    ],
)
def test_a_transfer_is_held_back_if_every_innocent_one_is_far_quicker(fetches, expected):
    assert fates(fetches) == expected


@pytest.mark.parametrize(
    ("found", "last"),
    [
        param({1: FREE, 2: FREE, 3: HELD, 4: HELD}, 2, id="a clean step"),
        param({1: HELD, 2: HELD, 3: HELD, 4: HELD}, 0, id="before the first hop"),
        param({1: FREE, 2: FREE, 3: FREE, 4: HELD}, 3, id="before the last hop"),
        param({1: FREE, 2: FREE, 3: FREE, 4: FREE}, None, id="nowhere"),
        param({1: FREE, 2: HELD, 3: FREE, 4: HELD}, None, id="now and then"),
        param({1: FREE, 2: HELD, 4: HELD}, None, id="one is not known"),
    ],
)
def test_only_a_clean_step_is_a_place(found, last):
    assert step_in(found, range(1, 5)) == last


@given(st.dictionaries(st.integers(1, 8), st.sampled_from([HELD, FREE])), st.integers(1, 8))
def test_a_place_never_contradicts_a_transfer(found, distance):
    last = step_in(found, range(1, distance + 1))
    if last is not None:
        assert all(found[n] == (HELD if n > last else FREE) for n in range(1, distance + 1))
