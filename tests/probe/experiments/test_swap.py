"""Name or address: what a comparison concludes in networks of known making."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from gatewatch.probe.experiments.attempts import Attempt
from gatewatch.probe.experiments.mechanism import Bench
from gatewatch.probe.experiments.swap import CHANCE, Swapped, fisher, swap
from gatewatch.probe.finding import Trial
from gatewatch.probe.net import Plain, Vantage
from gatewatch.probe.seat import Anchor, Seat

param = pytest.param

SITE, LISTED, INNOCENT, UNKNOWN = "192.0.2.1", "listed.example", "anchor.example", "x.example"
ANCHORS = tuple(f"198.51.100.{n}" for n in range(1, 9))
RESET = "connection_reset"

Rule = Callable[["Net", str, str], str | None]
"What becomes of a name sent to an address: a failure, or None."


@dataclass
class Net:
    """A network that acts by a rule, and remembers where a listed name was sent."""

    rule: Rule
    sent: list[tuple[str, str]] = field(default_factory=list)

    def attempt(self, arm: str, address: str, name: str) -> Attempt:
        failure = self.rule(self, address, name)
        self.sent.append((address, name))
        trial = Trial(
            arm=arm,
            step="tls",
            address=address,
            port=443,
            name=name,
            failure=failure,
            t0=float(len(self.sent)),
            t=float(len(self.sent)),
        )
        return Attempt(trial=trial, shown=("ours",) if address != SITE else ("site",))

    async def innocent(self, anchor: Anchor, within_s: float) -> Attempt:
        return self.attempt("innocent_name", anchor.address, INNOCENT)

    async def suspect(self, anchor: Anchor, within_s: float) -> Attempt:
        return self.attempt("innocent_address", anchor.address, LISTED)

    async def unknown(self, anchor: Anchor, within_s: float) -> Sequence[Attempt]:
        return [self.attempt("unknown_name", anchor.address, UNKNOWN) for _ in range(2)]

    async def again(self, within_s: float) -> Attempt | None:
        return self.attempt("suspect", SITE, LISTED)

    async def innocent_here(self, within_s: float) -> Attempt | None:
        return self.attempt("innocent_here", SITE, INNOCENT)


def bench(anchors: Sequence[str] = ANCHORS) -> Bench:
    vantage = Vantage(reach=Plain(), addresses=("192.0.2.99",), zero=0.0)
    seat = Seat(
        asn=1,
        country="ZZ",
        network="A network",
        addresses=vantage.addresses,
        resolver=None,
        anchors=tuple(Anchor(name=INNOCENT, address=one) for one in anchors),
        ca=Path("none.pem"),
        reach=vantage.reach,
    )
    return Bench(seat=seat, vantage=vantage, rng=random.Random(1), deadline=float("inf"))


def swapped(rule: Rule, at: Bench | None = None) -> Swapped:
    at = bench() if at is None else at

    async def go() -> Swapped:
        return await swap(at, Net(rule), SITE)

    return asyncio.run(go())


def by_name(net: Net, address: str, name: str) -> str | None:
    return RESET if name == LISTED else None


def by_address(net: Net, address: str, name: str) -> str | None:
    return RESET if address == SITE else None


def by_name_with_memory(net: Net, address: str, name: str) -> str | None:
    return RESET if name == LISTED or (address, LISTED) in net.sent else None


def by_both(net: Net, address: str, name: str) -> str | None:
    return RESET if (address, name) == (SITE, LISTED) else None


def all_but_ours(net: Net, address: str, name: str) -> str | None:
    return RESET if name != INNOCENT else None


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        param(by_name, "name", id="a list of names"),
        param(by_name_with_memory, "name", id="a list of names that remembers who asked"),
        param(by_address, "address", id="a list of addresses"),
        param(by_both, "here_only", id="this name at this address"),
        param(all_but_ours, "any_name", id="every name but ours, as a portal may"),
        param(lambda *_: RESET, "everything", id="everything"),
        param(lambda *_: None, "not_repeated", id="nothing, any more"),
    ],
)
def test_the_comparison_tells_what_a_network_goes_by(rule, answer):
    assert swapped(rule).answer == answer


def test_an_anchor_that_is_remembered_is_not_used_again_and_others_are_free():
    at = bench()
    swapped(by_name_with_memory, at)
    assert 0 < len(at.tainted) <= 3, "no more than it took"
    assert not at.lent

    at = bench()
    swapped(by_name, at)
    assert not at.tainted


def test_what_fails_at_an_anchor_that_was_tainted_before_is_no_news():
    at = bench(ANCHORS[:2])
    for address in ANCHORS[:2]:
        at.tainted[address] = float("inf")
    found = swapped(lambda net, address, name: RESET, at)
    assert found.answer == "unclear"


def test_half_the_failures_are_not_enough():
    def now_and_then(net: Net, address: str, name: str) -> str | None:
        return RESET if name == LISTED and len(net.sent) % 2 else None

    found = swapped(now_and_then)
    assert found.answer in ("name", "unclear")
    assert (found.answer == "name") == (found.chance <= CHANCE)


def test_without_anchors_the_site_itself_is_compared_with():
    assert swapped(by_name, bench(())).answer == "name_here"
    assert swapped(by_address, bench(())).answer == "unclear", "it may be everything"


def test_every_attempt_is_on_record():
    found = swapped(by_name)
    arms = {trial.arm for trial in found.trials}
    assert {"innocent_name", "innocent_address", "suspect", "unknown_name"} <= arms
    assert "3 of 3 times against 0 of" in found.counts


@given(failed=integers(0, 6), tried=integers(1, 6), other=integers(0, 6), others=integers(1, 6))
def test_chance_is_a_probability_and_falls_with_each_failure(failed, tried, other, others):
    failed, other = min(failed, tried), min(other, others)
    chance = fisher(failed, tried, other, others)
    assert 0.0 < chance <= 1.0
    if failed < tried and other > 0:
        assert fisher(failed + 1, tried, other - 1, others) <= chance
