"""Which addresses of ours residual blocking is looked for at.

First those that no trigger was sent to. At the others something may still be blocked; where it is
not, innocent attempts go well, each of them, and bring the page that nobody can change. So what
happens there after the next trigger is its own. Where too few are left, one is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

from gatewatch.probe.experiments.mechanism import Bench
from gatewatch.probe.experiments.residual_spot import Innocent, Spot, TriggerTraffic
from gatewatch.probe.finding import Trial
from gatewatch.probe.seat import Anchor

PLACES = 8
"Addresses, or client's ports, that are timed together."
ENDS_PLACES = 2
"Addresses at which the ends are told; a block must show at all of them."
LEAST_S = 20.0
"Without that much time left nothing is begun, or waited for."


@asynccontextmanager
async def places(
    bench: Bench, trigger: TriggerTraffic, like: str | None, trials: list[Trial]
) -> AsyncIterator[list[Spot]]:
    """Up to `PLACES` addresses of ours that innocents can reach, for nobody else meanwhile.

    Args:
        like: an address whose IP version theirs should be.
        trials: where the attempts made for it are put.
    """
    search = _Search(bench, trigger, like, trials)
    while True:
        with ExitStack() as held:
            found = await search.spots(held)
            again = search.again_at()
            if again is None or len(found) >= ENDS_PLACES:
                yield found
                return
        wait = max(0.0, again - bench.vantage.now())
        bench.tell(f"residual blocking: what was set off before may hold for {wait:.0f} s more")
        await asyncio.sleep(wait)


@dataclass(slots=True)
class _Search:
    bench: Bench
    trigger: TriggerTraffic
    like: str | None
    trials: list[Trial]
    dead: set[str] = field(default_factory=set)
    "Addresses that innocents cannot reach, though no trigger was sent there."
    blocked: set[str] = field(default_factory=set)
    "Addresses where something was seen to be blocked still."

    async def spots(self, held: ExitStack) -> list[Spot]:
        """What is fit for it now; those addresses stay lent until `held` is closed."""
        found: list[Spot] = []
        seen: set[str] = set()
        await self.bench.turn(self.like, ENDS_PLACES)
        while len(found) < PLACES and self.bench.left_s() >= LEAST_S:
            more = [one for one in self._free() if one.address not in seen]
            if not more:
                break
            more = more[: PLACES - len(found)]
            seen |= {one.address for one in more}
            with self.bench.hold(more):
                good = await self._fit(more)
            held.enter_context(self.bench.hold([one for one, _ in good]))
            found += [spot for _, spot in good]
        return found

    def again_at(self) -> float | None:
        """When a blocked one may be free, in time for being used; None: never."""
        ends = [self.bench.tainted[one] for one in self.blocked if self.bench.is_tainted(one)]
        in_time = [one for one in ends if one + LEAST_S <= self.bench.deadline]
        return min(in_time, default=None)

    def _free(self) -> list[Anchor]:
        return [
            one
            for one in self.bench.free(self.like, tainted=True)
            if one.address not in self.dead
            and not (one.address in self.blocked and self.bench.is_tainted(one.address))
        ]

    async def _fit(self, anchors: Sequence[Anchor]) -> list[tuple[Anchor, Spot]]:
        spots = [
            Spot(self.bench, self.trigger, Innocent(a.name, True), a.address, self.trials)
            for a in anchors
        ]
        fit = await asyncio.gather(*(self._is_fit(spot) for spot in spots))
        return [both for both, good in zip(zip(anchors, spots, strict=True), fit, strict=True)
                if good]  # fmt: skip

    async def _is_fit(self, spot: Spot) -> bool:
        if self.bench.is_tainted(spot.address):
            if await spot.is_fair():
                return True
            self.bench.taint(spot.address)  # attempts under a block may prolong it
            self.blocked.add(spot.address)
            return False
        if await spot.meet():
            return True
        self.dead.add(spot.address)
        return False
