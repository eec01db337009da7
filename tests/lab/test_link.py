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


def test_who_gets_no_farther_than_a_hop_meets_what_is_before_it_and_nothing_behind():
    ways = [
        Stretch(Link(delay_ms=5), "k", Place("access", 1), True),
        Stretch(Link(delay_ms=20, loss=0.5, jitter_ms=10), "k", Place("access", 2), True),
        Stretch(Link(delay_ms=400, loss=0.9), "k", None, True),
    ]
    (cut,), chance = legs_of(ways, lambda _: False, lambda _: None), Random(4)
    near = [cut.arrival(n, 100, chance, 0) for n in range(1000)]
    assert near == [pytest.approx(n + 0.005) for n in range(1000)]
    far = [cut.arrival(n, 100, chance, 1) for n in range(1000)]
    took = [arrived - n for n, arrived in enumerate(far) if arrived is not None]
    assert 400 < len(took) < 600
    assert 0.025 <= min(took) < 0.027
    assert 0.033 < max(took) <= 0.035 + 1e-9


def test_who_gets_no_farther_than_a_hop_takes_room_in_the_queue_before_it():
    queue = Queue(Link(rate_kbps=800, queue_kb=10))
    slow = Leg([Stretch(Link(delay_ms=5), "k", Place("access", 1), True)], queue, None)
    arrivals = [slow.arrival(0.0, 1000, Random(1), hop) for hop in (0, None, 0)]
    assert arrivals == pytest.approx([0.015, 0.025, 0.035])
    assert [slow.arrival(0.0, 1000, Random(1), 0) for _ in range(12)][-1] is None


def test_a_queue_sends_at_its_rate_and_drops_what_it_cannot_hold():
    queue = Queue(Link(rate_kbps=800, queue_kb=10))  # 100 bytes a millisecond
    departures = [queue.departure(0.0, 1000) for _ in range(15)]
    assert departures[:11] == pytest.approx([0.01 * (n + 1) for n in range(11)])
    assert departures[11:] == [None] * 4
    assert queue.departure(0.05, 1000) == pytest.approx(0.12)


def test_a_queue_that_has_run_dry_starts_at_once():
    queue = Queue(Link(rate_kbps=800))
    assert queue.departure(5.0, 1000) == pytest.approx(5.01)
