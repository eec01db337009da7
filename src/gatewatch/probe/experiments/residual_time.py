"""How long something stays blocked, by single looks that may themselves prolong it.

A look under a block can start its time anew, so whoever polls measures the polling. Here every
place that is blocked is looked at after waits that grow, all places by one geometric ladder and
each on the next free rung of it. Two readings of what is seen compete: the time counts from the
last look at that place (it *extends*), or from its trigger. Once a place is found free, others
that were seen blocked a moment ago are looked at again, which only one of the readings survives.

No sockets here: what a place is and what a look does is for `residual`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Literal, Protocol

FIRST_S = 1.5
"First rung. Our choice: what ends sooner is of no consequence to whoever tries again."
RATIOS = {1: 2.0, 2: 1.5, 3: 1.3}
RATIO = 1.2
"""Between rungs, by the number of places; 1.2 where there are more. With eight places the block is
known within ± 10 % after 1.6 of its own length at most. Fewer places start with wider steps."""
NARROW = 1.42
"Upper over lower bound that we are content with: their geometric mean is then within 20 %."
CHECKS = 2
"Places looked at again at a time to tell the two readings apart. Our choice: one may be lost."
AGREE = 2
"Free places that make an end, where none of them was seen blocked since it was triggered."

Span = tuple[float, float]
"First and last time, seconds since the measurement began."

Reading = Literal["extends", "once"]


class Glance(Protocol):
    """What a look saw, and when it spoke; seconds since the measurement began."""

    @property
    def blocked(self) -> bool: ...

    @property
    def at(self) -> float:
        """When the packet left that tells: of a blocked look the first, of another the answered."""
        ...

    @property
    def said(self) -> Span:
        """When the last packet left that says something, as nearly as is known."""
        ...


class Place(Protocol):
    """Ends of a flow that can be brought under a block of their own."""

    async def trigger(self) -> tuple[Span, Span] | None:
        """When the trigger was sent, and when the last packet since; None: it did not work."""
        ...

    async def look(self) -> Glance:
        """Try something innocent."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """One look, as the two readings time it: bounds of the wait before it, seconds."""

    blocked: bool
    since_last: Span
    since_trigger: Span

    def wait(self, reading: Reading) -> Span:
        return self.since_last if reading == "extends" else self.since_trigger


@dataclass(frozen=True, slots=True)
class Bracket:
    """The block lasts longer than `low` and no longer than `high`, seconds."""

    low: float
    high: float | None
    "None: it was never seen to end."
    reading: Reading | None
    "None: both fit what was seen."
    free: int = 0
    "Looks that found it ended."
    contradicted: int = 0
    "Looks that do not fit; each must have been lost, or its trigger was."

    @property
    def estimate(self) -> float | None:
        if self.high is None:
            return None
        return sqrt(self.low * self.high) if self.low else self.high / 2

    @property
    def narrow(self) -> bool:
        return self.high is not None and self.high <= max(self.low * NARROW, 2 * FIRST_S)


def bracket(looks: Sequence[Look]) -> Bracket:
    """What the looks say together: the reading and the bounds that contradict the fewest.

    Where both readings do equally well, the bounds are those of both.

    >>> after = lambda s: Look(True, (s, s), (s, s))
    >>> free = lambda s: Look(False, (s, s), (s, s))
    >>> bracket([after(2.0), after(3.0), free(4.0)])
    Bracket(low=3.0, high=4.0, reading=None, free=1, contradicted=0)

    A second look that is free so soon after the first was blocked: time ran on.

    >>> bracket([after(2.0), Look(False, (1.0, 1.0), (3.0, 3.0))])
    Bracket(low=2.0, high=3.0, reading='once', free=1, contradicted=0)
    """
    fits = [_fit(looks, reading) for reading in ("extends", "once")]
    fewest = min(fit.contradicted for fit in fits)
    best = [fit for fit in fits if fit.contradicted == fewest]
    if len(best) == 1:
        return best[0]
    one, other = best
    highs = [fit.high for fit in best if fit.high is not None]
    return Bracket(
        low=min(one.low, other.low),
        high=max(highs) if len(highs) == len(best) else None,
        reading=None,
        free=one.free,
        contradicted=fewest,
    )


def _fit(looks: Sequence[Look], reading: Reading) -> Bracket:
    """The bounds that contradict the fewest looks, of several such the longest time."""
    blocked = [look.wait(reading)[0] for look in looks if look.blocked]
    free = [look.wait(reading)[1] for look in looks if not look.blocked]

    def contradicted(length: float) -> int:
        """A block of so many seconds, and a little."""
        return sum(wait > length for wait in blocked) + sum(wait <= length for wait in free)

    low = min(sorted({0.0, *blocked}, reverse=True), key=contradicted)
    later = [wait for wait in free if wait > low]
    return Bracket(
        low=low,
        high=min(later) if later else None,
        reading=reading,
        free=len(later),
        contradicted=contradicted(low),
    )


@dataclass(slots=True)
class _Watched:
    """A place while it is being timed."""

    place: Place
    triggered: Span
    said: Span
    "When the last packet went there that may have started the time anew."
    wait: float = 0.0
    "Until the next look, from then on."
    free: bool = False
    seen_blocked: bool = False
    "Since its trigger, by a look that waited."
    asked: bool = False
    "A look is under way."


@dataclass(slots=True)
class Timing:
    """One measurement of a block's length.

    Args:
        places: to be brought under a block; all others must be free of each other's.
        begun: places that are under one already, with the times of trigger and last look.
        now: seconds since the measurement began.
        until: when it must be over, on the same clock.
        look_s: what a look may take.
    """

    places: Sequence[Place]
    begun: Sequence[tuple[Place, Span, Span]]
    now: Callable[[], float]
    until: float
    look_s: float
    tell: Callable[[str], None] = lambda words: None
    looks: list[Look] = field(default_factory=list)
    _watched: list[_Watched] = field(default_factory=list)
    _rung: float = FIRST_S
    _ratio: float = RATIO
    _witnessed: bool = False
    "A place was seen blocked, and later free."
    _under_way: dict[asyncio.Task[Glance], _Watched] = field(default_factory=dict)

    async def run(self) -> Bracket:
        """Trigger, wait, look, until the bounds are narrow or the time is up."""
        self._watched = [_Watched(place, sent, said) for place, sent, said in self.begun]
        sent = await asyncio.gather(*(place.trigger() for place in self.places))
        self._watched += [
            _Watched(place, *times)
            for place, times in zip(self.places, sent, strict=True)
            if times is not None
        ]
        self._ratio = RATIOS.get(len(self._watched), RATIO)
        for one in self._watched:
            self._climb(one)
        try:
            await self._watch()
            await self._drop_looks()
            await self._refine()
        finally:
            await self._drop_looks()
        return bracket(self.looks)

    async def _drop_looks(self) -> None:
        for task, one in self._under_way.items():
            task.cancel()
            one.asked = False
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._under_way.clear()

    @property
    def triggered(self) -> int:
        """How many places were ever under a block."""
        return len(self._watched)

    def _climb(self, one: _Watched) -> None:
        one.wait = self._rung
        self._rung *= self._ratio

    async def _watch(self) -> None:
        """Up the ladder until the end has been seen, and is believed."""
        while not self._settled():
            now = self.now()
            for one in self._watched:
                if not one.asked and not one.free and self._due(one) <= now:
                    self._start(one)
            ahead = [self._due(o) for o in self._watched if not o.asked and not o.free]
            ahead = [due for due in ahead if due + self.look_s <= self.until]
            if not self._under_way and not ahead:
                return
            await self._next(min(ahead, default=self.until))

    def _due(self, one: _Watched) -> float:
        return one.said[1] + one.wait

    def _start(self, one: _Watched) -> None:
        one.asked = True
        self._under_way[asyncio.create_task(one.place.look())] = one

    async def _next(self, at: float) -> None:
        """Wait for a look to end, or until `at`."""
        if not self._under_way:
            await asyncio.sleep(max(0.0, at - self.now()))
            return
        done, _ = await asyncio.wait(
            self._under_way,
            timeout=max(0.0, at - self.now()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in done:
            self._note(self._under_way.pop(task), task.result())

    def _note(self, one: _Watched, seen: Glance) -> None:
        one.asked = False
        at = seen.at
        self.looks.append(
            Look(
                blocked=seen.blocked,
                since_last=(at - one.said[1], at - one.said[0]),
                since_trigger=(at - one.triggered[1], at - one.triggered[0]),
            )
        )
        words = "still blocked" if seen.blocked else "free"
        self.tell(f"{words} {self.looks[-1].since_last[0]:.1f} s after the last packet")
        if seen.blocked:
            one.said, one.seen_blocked = seen.said, True
            self._climb(one)
            return
        one.free = True
        self._witnessed |= one.seen_blocked
        if bracket(self.looks).reading is None:
            self._look_again()

    def _look_again(self) -> None:
        """Look at once where it was blocked the shortest time ago."""
        blocked = [one for one in self._watched if not one.free and not one.asked]
        for one in sorted(blocked, key=lambda one: -one.said[1])[:CHECKS]:
            self._start(one)

    def _settled(self) -> bool:
        found = bracket(self.looks)
        if self._under_way and found.reading is None:
            return False
        wanted = min(1 if self._witnessed else AGREE, len(self._watched))
        believed = found.free >= wanted and found.free > found.contradicted
        known = found.reading is not None or all(one.free for one in self._watched)
        return believed and (found.narrow or known)

    async def _refine(self) -> None:
        """Trigger free places again and look inside the bounds, until these are narrow."""
        while True:
            found = bracket(self.looks)
            free = [o for o in self._watched if o.free or found.reading == "once"]
            if found.high is None or found.narrow or not free:
                return
            step = (found.high / max(found.low, found.high / 8)) ** (1 / (len(free) + 1))
            waits = [found.high / step ** (n + 1) for n in range(len(free))]
            if self.now() + waits[0] + 2 * self.look_s > self.until:
                return
            sent = await asyncio.gather(*(one.place.trigger() for one in free))
            again = [
                (one, times, wait)
                for one, times, wait in zip(free, sent, waits, strict=True)
                if times is not None
            ]
            if not again:
                return
            for one, times, wait in again:
                one.triggered, one.said = times
                one.wait, one.free, one.seen_blocked = wait, False, False
            await asyncio.gather(*(self._look_once(one) for one, _, _ in again))

    async def _look_once(self, one: _Watched) -> None:
        await asyncio.sleep(max(0.0, self._due(one) - self.now()))
        seen = await one.place.look()
        self._note(one, seen)
        one.free = True  # as far as another trigger is concerned
