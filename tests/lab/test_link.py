"""Delay, loss and rate: what a link does to packets, by its own numbers."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.lab.link import Leg, Queue, legs_of
from gatewatch.lab.scenario import Link
from gatewatch.lab.topology import Place, Stretch, Topology
from tests.lab.worlds import scenario

WAY = Topology(scenario()).way("access", "hosting")


def leg(**link) -> Leg:
    return Leg([Stretch(Link(**link), "k", None, True)], None, None)


def test_a_packet_arrives_after_the_delay_of_all_links():
    (whole,) = legs_of(WAY, lambda _: False, lambda _: None)
    assert whole.arrival(10.0, 100, Random(1)) == pytest.approx(10.0 + 0.0325)
    assert len(whole.hops) == 6


def test_a_way_is_cut_where_a_box_is_and_nothing_is_lost_by_it():
    legs = legs_of(WAY, Place("national", 1).__eq__, lambda _: None)
    assert [leg.ends_at for leg in legs] == [Place("national", 1), None]
    assert [str(hop) for leg in legs for hop in leg.hops] == [str(s.to) for s in WAY if s.to]
    assert sum(leg.delay_s for leg in legs) == pytest.approx(0.0325)


@given(st.lists(st.floats(0, 0.01), min_size=2, max_size=50), st.integers(0, 2**32))
def test_jitter_delays_and_never_reorders(gaps, seed):
    chance, jittery = Random(seed), leg(delay_ms=5, jitter_ms=20)
    now, arrivals = 0.0, []
    for gap in gaps:
        now += gap
        arrivals.append((now, jittery.arrival(now, 100, chance)))
    assert [a for _, a in arrivals] == sorted(a for _, a in arrivals)
    assert all(sent + 0.005 <= arrived for sent, arrived in arrivals)
    assert max(arrived - sent for sent, arrived in arrivals) <= 0.025 + 1e-9


def test_loss_takes_its_share():
    lossy, chance = leg(loss=0.2), Random(3)
    survived = sum(lossy.arrival(n, 100, chance) is not None for n in range(5000))
    assert 0.78 < survived / 5000 < 0.82


def test_a_queue_sends_at_its_rate_and_drops_what_it_cannot_hold():
    queue = Queue(Link(rate_kbps=800, queue_kb=10))  # 100 bytes a millisecond
    departures = [queue.departure(0.0, 1000) for _ in range(15)]
    assert departures[:11] == pytest.approx([0.01 * (n + 1) for n in range(11)])
    assert departures[11:] == [None] * 4
    assert queue.departure(0.05, 1000) == pytest.approx(0.12)


def test_a_queue_that_has_run_dry_starts_at_once():
    queue = Queue(Link(rate_kbps=800))
    assert queue.departure(5.0, 1000) == pytest.approx(5.01)
