from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewatch.probe.experiments.residual_time import FIRST_S, Bracket, Look, Timing, bracket
from tests.probe.experiments.hourglass import now, run

param = pytest.param
RTT_S, GIVE_UP_S = 0.2, 2.0


@dataclass
class Seen:
    blocked: bool
    at: float
    said: tuple[float, float]


@dataclass
class Blocking:
    """A censor of places, and a line that loses what is sent now and then."""

    seconds: float
    extends: bool
    loss: float = 0.0
    works: float = 1.0
    "Share of triggers that it acts upon."
    seed: int = 0
    until: dict[int, float] = field(default_factory=dict)
    triggers: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def places(self, number: int) -> list[Spot]:
        return [Spot(self, n) for n in range(number)]


@dataclass
class Spot:
    censor: Blocking
    number: int

    async def trigger(self):
        for _ in range(8):
            at = now()
            if (found := await self._trigger_once()) is not None:
                return (at, at), found
        return None

    async def _trigger_once(self):
        censor, at = self.censor, now()
        censor.triggers += 1
        if censor.rng.random() < censor.works:
            censor.until[self.number] = at + censor.seconds
        await asyncio.sleep(RTT_S)
        seen = await self.look()
        return seen.said if seen.blocked else None

    async def look(self):
        censor, at = self.censor, now()
        if at < censor.until.get(self.number, 0.0):
            if censor.extends:
                censor.until[self.number] = at + censor.seconds
            await asyncio.sleep(GIVE_UP_S)
            return Seen(True, at, (at, at))
        lost = censor.rng.random() < censor.loss
        await asyncio.sleep(GIVE_UP_S if lost else RTT_S)
        return Seen(lost, at, (at, at))


def timed(censor: Blocking, places: int, *, within: float = 3600.0) -> tuple[Bracket, float]:
    """What is found, and after how long."""

    async def measure():
        timing = Timing(censor.places(places), [], now, within, GIVE_UP_S)
        return await timing.run(), now()

    return run(measure)


@settings(max_examples=200, deadline=None)
@given(
    seconds=st.floats(3.0, 400.0),
    extends=st.booleans(),
    places=st.integers(4, 12),
)
def test_the_length_is_found_within_a_fifth_in_little_more_than_twice_itself(
    seconds, extends, places
):
    found, took = timed(Blocking(seconds, extends), places)
    assert found.estimate == pytest.approx(seconds, rel=0.2)
    assert found.low <= seconds <= found.high
    assert found.contradicted == 0
    assert took <= 2.5 * seconds + 5 * GIVE_UP_S


@settings(max_examples=100, deadline=None)
@given(seconds=st.floats(3.0, 400.0), extends=st.booleans(), places=st.integers(1, 3))
def test_few_places_take_longer_and_find_it_too(seconds, extends, places):
    found, took = timed(Blocking(seconds, extends), places)
    assert found.estimate == pytest.approx(seconds, rel=0.2)
    assert took <= 8 * seconds + 10 * GIVE_UP_S


@pytest.mark.parametrize("extends", [True, False])
@pytest.mark.parametrize(
    ("loss", "works"),
    [
        param(0.004, 1.0, id="one look in 250 is lost"),
        param(0.004, 0.5, id="half of the triggers do nothing, which shows"),
    ],
)
def test_losses_rarely_mislead(extends, loss, works):
    draw, wrong = random.Random(7), 0
    for seed in range(300):
        seconds = draw.uniform(3.0, 200.0)
        found, _ = timed(Blocking(seconds, extends, loss=loss, works=works, seed=seed), 8)
        wrong += found.estimate is None or abs(found.estimate / seconds - 1) > 0.2
    assert wrong <= 6


def test_a_block_that_outlasts_the_time_has_a_lower_bound_only():
    found, took = timed(Blocking(500.0, True), 8, within=120.0)
    assert (found.high, found.estimate, found.free) == (None, None, 0)
    assert 60 < found.low <= 120
    assert took <= 120


def test_what_ends_at_once_is_known_to_be_short():
    found, took = timed(Blocking(0.5, True), 8)
    assert found.low == 0.0
    assert found.high is not None
    assert found.high <= FIRST_S * 1.5
    assert took < 5


def test_triggers_that_never_work_time_nothing():
    censor = Blocking(60.0, True, works=0.0)
    found, _ = timed(censor, 4)
    assert (found, censor.triggers) == (Bracket(0.0, None, None), 32)


SURE = (5.0, 5.0)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        param([], Bracket(0.0, None, None), id="nothing was looked at"),
        param(
            [Look(True, (5.0, 5.0), (20.0, 20.0))],
            Bracket(5.0, None, None),
            id="blocked, and the lower of the readings is what is sure",
        ),
        param(
            [Look(True, SURE, SURE), Look(False, (8.0, 9.0), (8.0, 9.0))],
            Bracket(5.0, 9.0, None, free=1),
            id="an end between two looks",
        ),
        param(
            [Look(True, SURE, SURE), Look(False, (6.0, 6.0), (12.0, 12.0)),
             Look(True, (4.0, 4.0), (14.0, 14.0))],
            Bracket(5.0, 6.0, "extends", free=1),
            id="blocked still, long after the trigger: each look prolongs it",
        ),
        param(
            [Look(True, (n, n), (n, n)) for n in (2.0, 9.0, 3.0)]
            + [Look(False, (n, n), (n, n)) for n in (4.0, 5.0, 6.0)],
            Bracket(3.0, 4.0, None, free=3, contradicted=1),
            id="one was lost",
        ),
    ],
)  # fmt: skip
def test_looks_say_together_how_long_it_lasts(looks, expected):
    assert bracket(looks) == expected
