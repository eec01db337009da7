"""What one client may ask for, and what is known of it afterwards."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis.strategies import floats, lists

from gatewatch.server.bodies import Refused
from gatewatch.server.limits import CLIENTS_MAX, KEY_S, InFlight, Rates


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def allowed(rates: Rates, client: str, cost: float = 1.0) -> bool:
    try:
        rates.take(client, cost)
    except Refused as refused:
        return refused.status != 429
    return True


@given(lists(floats(0.0, 3.0), max_size=60))
def test_nobody_gets_more_than_the_burst_and_what_has_come_back(waits):
    clock = Clock()
    rates = Rates(2.0, 5.0, now=clock)
    began, taken = clock.now, 0
    for wait in waits:
        clock.now += wait
        taken += allowed(rates, "1.2.3.4")
    assert taken <= 5.0 + 2.0 * (clock.now - began) + 1e-6


def test_who_waits_as_told_is_served():
    clock = Clock()
    rates = Rates(0.5, 2.0, now=clock)
    assert [allowed(rates, "1.2.3.4") for _ in range(3)] == [True, True, False]
    with pytest.raises(Refused) as refused:
        rates.take("1.2.3.4")
    clock.now += int(refused.value.headers["Retry-After"])
    assert allowed(rates, "1.2.3.4")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.2.3.4", "1.2.3.5", False),
        ("1.2.3.4", "::ffff:1.2.3.4", True),
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("unix", "other", False),
    ],
)
def test_a_home_is_one_client(one: str, other: str, same: bool):
    rates = Rates(0.001, 1.0)
    assert allowed(rates, one)
    assert allowed(rates, other) is not same


def test_many_clients_do_not_fill_the_memory():
    rates = Rates(1.0, 1.0)
    for number in range(CLIENTS_MAX + 100):
        rates.take(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(rates._left) == CLIENTS_MAX


def test_no_address_is_kept():
    clock = Clock()
    rates = Rates(1.0, 1.0, now=clock)
    rates.take("203.0.113.77")
    packed = bytes([203, 0, 113, 77])
    kept = [*rates._left, *gc.get_referents(rates.__dict__)]
    assert all(packed not in one for one in kept if isinstance(one, bytes))
    before = list(rates._left)
    clock.now += KEY_S + 1
    rates.take("203.0.113.77")
    assert list(rates._left) != before
    assert len(rates._left) == 1


def test_a_place_is_given_back_whatever_happens():
    flying = InFlight()
    with pytest.raises(KeyError), flying.one(1):
        raise KeyError
    with flying.one(1):
        with pytest.raises(Refused) as refused, flying.one(1):
            pass
        assert refused.value.status == 503
    assert flying.count == 0
