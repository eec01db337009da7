from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.probe.experiments.throughput import (
    PAIRS,
    decided,
    effect,
)

param = pytest.param


def verdict(suspect: list[float], innocent: list[float]) -> str | None:
    """What the rule says of a series, at the first number of pairs that decides."""
    for pairs in PAIRS:
        said = decided(effect(suspect[:pairs], innocent[:pairs]))
        if said:
            return said
    return None


def line(rng: random.Random, spread: float, outages: float = 0.0) -> list[float]:
    """Throughputs of a line with no throttling: log-normal, and now and then almost nothing."""
    return [
        20.0 if rng.random() < outages else 3000.0 * math.exp(rng.gauss(0.0, spread))
        for _ in range(PAIRS[-1])
    ]


@pytest.mark.parametrize(
    ("spread", "outages"),
    [
        param(0.02, 0.0, id="a good line"),
        param(0.3, 0.0, id="a shared one"),
        param(0.7, 0.0, id="one packet in twenty lost"),
        param(1.2, 0.0, id="a very poor one"),
        param(0.2, 0.05, id="outages"),
        param(0.5, 0.2, id="a line that fails a fifth of the time"),
    ],
)
def test_an_unthrottled_line_is_accused_less_than_once_in_a_hundred(spread, outages):
    rng, runs = random.Random(1), 4000
    accused = sum(
        verdict(line(rng, spread, outages), line(rng, spread, outages)) == "slowed"
        for _ in range(runs)
    )
    assert accused < 0.01 * runs


@pytest.mark.parametrize(
    ("share", "spread", "power"),
    [
        param(0.05, 0.3, 0.99, id="150 of 3000 kbit/s"),
        param(0.05, 0.7, 0.9, id="the same on a lossy line"),
        param(0.2, 0.3, 0.9, id="a fifth"),
    ],
)
def test_documented_throttling_is_found(share, spread, power):
    rng, runs = random.Random(2), 1000
    found = sum(
        verdict([share * x for x in line(rng, spread)], line(rng, spread)) == "slowed"
        for _ in range(runs)
    )
    assert found >= power * runs


@given(
    speeds=st.lists(
        st.tuples(st.floats(1.0, 1e5), st.floats(1.0, 1e5)), min_size=4, max_size=PAIRS[-1]
    ),
    unit=st.floats(1e-3, 1e3),
)
def test_an_effect_has_no_unit_and_turns_over_with_its_arms(speeds, unit):
    suspect, innocent = ([pair[n] for pair in speeds] for n in (0, 1))
    found = effect(suspect, innocent)
    assert found.low < found.ratio < found.high
    scaled = effect([unit * x for x in suspect], [unit * x for x in innocent])
    assert scaled == pytest.approx(found)
    turned = effect(innocent, suspect)
    assert turned == pytest.approx((1 / found.ratio, 1 / found.high, 1 / found.low))


def test_four_pairs_that_agree_by_luck_are_not_believed_to_agree_so_well():
    found = effect([1.0] * 4, [1.0] * 4)
    assert found.low < 0.9
    assert found.high > 1.1
