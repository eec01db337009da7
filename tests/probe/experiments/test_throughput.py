from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.probe.experiments.throughput import (
    PAIRS,
    Slow,
    decided,
    effect,
    innocent_kbps,
    looks_slow,
)
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.net import TIMEOUT

param = pytest.param


# -- the decision ----------------------------------------------------------------------------


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


# -- the hint --------------------------------------------------------------------------------


def keys(
    samples: list[tuple[float, int]], *, took: float, failure: str | None = None, code: int = 200
) -> dict:
    """A measurement with one request from second 1 on, and what had come by then and then."""
    marks = {"transaction_id": 7, "tags": ["depth=2"]}
    request = {
        **marks,
        "request": {"url": "https://www.example.org/x"},
        "response": {"code": code, "body": ""},
        "address": "192.0.2.1:443",
        "failure": failure,
        "t0": 1.0,
        "t": 1.0 + took,
    }
    events = [
        {**marks, "operation": "bytes_received_cumulative", "num_bytes": n, "t": t, "t0": t}
        for t, n in [(0.9, 4000), *samples]
    ]
    other = {**events[-1], "transaction_id": 8, "num_bytes": 10**6}
    return {"requests": [request], "network_events": [*events, other]}


def steadily(kbps: float, seconds: float, *, first: float = 1.1) -> list[tuple[float, int]]:
    """A sample each quarter of a second."""
    steps = int(seconds * 4)
    return [(first + n / 4, 4000 + int(kbps * 125 * n / 4)) for n in range(1, steps + 1)]


SLOW = Slow("https://www.example.org/x", "192.0.2.1", 443, 2, 0.0, None)


@pytest.mark.parametrize(
    ("samples", "took", "failure", "slow"),
    [
        param(steadily(150, 3.0), 3.2, None, True, id="48 kB at 150 kbit/s"),
        param(steadily(5000, 1.0), 1.2, None, False, id="a good line"),
        param([(1.15, 54_000)], 0.2, None, False, id="all at once"),
        param([(3.6, 54_000)], 2.7, None, False, id="late, and then all at once"),
        param([(3.6, 7_000)], 2.7, None, False, id="too little to have a speed"),
        param([(1.2, 20_000)], 8.0, TIMEOUT, True, id="sixteen kilobytes, and no more"),
        param([(1.2, 6_000)], 8.0, TIMEOUT, True, id="less, and no more"),
        param(
            [(1.2, 20_000), *((t, n + 16_000) for t, n in steadily(140, 3.0, first=1.2))],
            3.5, None, True, id="a burst, then 140 kbit/s",
        ),
    ],
)  # fmt: skip
def test_a_slow_transfer_is_noticed_by_its_last_three_quarters(samples, took, failure, slow):
    found = looks_slow(keys(samples, took=took, failure=failure))
    assert [one._replace(kbps=0.0) for one in found] == (
        [SLOW._replace(failure=failure)] if slow else []
    )


def test_a_slow_transfer_has_its_speed():
    found = looks_slow(keys(steadily(150, 4.0), took=4.2))
    assert found[0].kbps == pytest.approx(150, rel=0.1)


def test_on_a_line_known_to_be_slow_it_takes_less_to_be_strange():
    measured = keys(steadily(450, 2.0), took=2.2)
    assert looks_slow(measured)
    assert not looks_slow(measured, usual_kbps=500.0)
    assert looks_slow(measured, usual_kbps=5000.0)


def test_a_time_out_before_any_answer_is_no_slow_transfer():
    assert looks_slow(keys([], took=8.0, failure=TIMEOUT, code=0)) == []


@pytest.mark.parametrize(
    "given",
    [param({}, id="nothing"), param({"requests": None, "network_events": None}, id="null")],
)
def test_test_keys_without_requests_have_no_hint(given):
    assert looks_slow(given) == []


def test_the_lines_own_speed_is_that_of_its_best_innocent_transfer():
    def trial(arm: str, size: int) -> Trial:
        return Trial(
            arm=arm, step="http", address="192.0.2.1", port=443, name="a", failure=None,
            t0=1.0, t=2.0, bytes=size,
        )  # fmt: skip

    found = Finding(
        experiment="throughput", version=1, question="", layer="http", depth=0, host="a", url="",
        answer="slowed_by_name", words="",
        trials=(trial("innocent_name", 100_000), trial("innocent_name", 250_000),
                trial("suspect", 900_000)),
    )  # fmt: skip
    assert innocent_kbps([found]) == 2000.0
    assert innocent_kbps([]) is None
