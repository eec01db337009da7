"""Which anchors an experiment is given, and what is known of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gatewatch.probe.experiments.mechanism import Bench
from gatewatch.probe.net import Plain, Vantage
from gatewatch.probe.seat import Anchor, Seat
from tests.probe.experiments.hourglass import now, run

param = pytest.param

A, B, C, SIX = "198.51.100.1", "198.51.100.2", "198.51.100.3", "2001:db8::4"


def at(work: Callable[[Bench], Awaitable[None]], anchors: tuple[str, ...] = (A, B, C)) -> None:
    """Let it work at a bench with these anchors, in time that passes when it waits."""

    async def go() -> None:
        vantage = Vantage(reach=Plain(), addresses=(), zero=now())
        seat = Seat(
            asn=1,
            country="ZZ",
            network="A network",
            addresses=(),
            resolver=None,
            anchors=tuple(Anchor(name="anchor.example", address=one) for one in anchors),
            ca=Path("none.pem"),
            reach=vantage.reach,
        )
        await work(Bench(seat=seat, vantage=vantage, rng=random.Random(1), deadline=60.0))

    run(go)


def addresses(anchors: list[Anchor]) -> list[str]:
    return [anchor.address for anchor in anchors]


def test_clean_anchors_come_first_then_those_whose_trigger_is_longest_ago():
    async def work(bench: Bench) -> None:
        bench.taint(A, 50.0)
        bench.taint(C, 40.0)
        assert addresses(bench.free()) == [B]
        assert addresses(bench.free(tainted=True)) == [B, C, A]
        with bench.lend(2, tainted=True) as anchors:
            assert addresses(anchors) == [B, C]
            assert addresses(bench.free(tainted=True)) == [A]
            assert addresses(bench.free()) == []

    at(work)


def test_what_is_held_is_for_nobody_else_until_it_is_given_back():
    async def work(bench: Bench) -> None:
        with bench.hold(bench.free()[:2]):
            assert addresses(bench.free()) == [C]
            with bench.hold(bench.free()):
                assert bench.free() == []
            assert addresses(bench.free()) == [C]
        assert addresses(bench.free()) == [A, B, C]

    at(work)


@pytest.mark.parametrize(
    ("like", "given"),
    [param(None, [A, SIX], id="either"), param(B, [A], id="of IPv4"), param("::1", [SIX], id="6")],
)
def test_anchors_are_of_the_wanted_version(like, given):
    async def work(bench: Bench) -> None:
        assert addresses(bench.free(like, tainted=True)) == given

    at(work, (SIX, A))


def test_a_trigger_is_remembered_for_its_time_and_a_harmless_one_as_long_as_one_before():
    async def work(bench: Bench) -> None:
        bench.taint(A, 20.0)
        bench.clear(A, bench.taint(A, 40.0))
        bench.clear(B, bench.taint(B, 40.0))
        assert (bench.is_tainted(A), bench.is_tainted(B)) == (True, False)
        await asyncio.sleep(21.0)
        assert not bench.is_tainted(A)

    at(work)
