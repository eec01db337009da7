"""What a way does to packets between two points where something may happen to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from gatewatch.lab.scenario import Link
from gatewatch.lab.topology import Place, Stretch


class Queue:
    """The sending side of a rate-limited link: serialises, holds `queue_kb`, drops the newest."""

    def __init__(self, link: Link) -> None:
        assert link.rate_kbps is not None
        self._seconds_per_byte = 8 / (link.rate_kbps * 1000)
        self._most_s = link.queue_kb * 1000 * self._seconds_per_byte
        self._free_at = 0.0

    def departure(self, now: float, size: int) -> float | None:
        """When the last bit has left, seconds; None: the queue is full."""
        start = max(now, self._free_at)
        if start - now > self._most_s:
            return None
        self._free_at = start + size * self._seconds_per_byte
        return self._free_at


class Reach:
    """From the beginning of a leg to some point of it."""

    __slots__ = ("delay_s", "jitter_s", "kept", "last")

    def __init__(self, delay_s: float, jitter_s: float, kept: float) -> None:
        self.delay_s, self.jitter_s = delay_s, jitter_s
        self.kept = kept
        "Share of packets that survive."
        self.last = 0.0
        "When the latest packet arrives: packets keep their order."

    def arrival(self, start: float, chance: Random) -> float | None:
        if self.kept < 1.0 and chance.random() >= self.kept:
            return None
        arrives = start + self.delay_s
        if self.jitter_s:
            arrives += chance.random() * self.jitter_s
        if arrives < self.last:
            arrives = self.last
        self.last = arrives
        return arrives


class Leg:
    """Some stretches with nothing between them that looks at packets.

    It begins with at most one queue and ends at a machine, at a hop with a box, or before the
    next queue; where packets sit still longest, events are made.
    """

    __slots__ = ("_end", "_to_hops", "delay_s", "ends_at", "hops", "outward", "queue")

    def __init__(
        self, stretches: list[Stretch], queue: Queue | None, ends_at: Place | None
    ) -> None:
        self.queue = queue
        self.ends_at = ends_at
        self.outward = stretches[-1].outward
        self.hops: list[Place] = []
        "Passed in this order, one TTL each, the last of them included."
        self._to_hops: list[Reach] = []
        delay_s, jitter_s, kept = 0.0, 0.0, 1.0
        for stretch in stretches:
            delay_s += stretch.link.delay_ms / 1000
            jitter_s += stretch.link.jitter_ms / 1000
            kept *= 1 - stretch.link.loss
            if stretch.to is not None:
                self.hops.append(stretch.to)
                self._to_hops.append(Reach(delay_s, jitter_s, kept))
        self._end = Reach(delay_s, jitter_s, kept)
        self.delay_s = delay_s

    def arrival(
        self, start: float, size: int, chance: Random, hop: int | None = None
    ) -> float | None:
        """When a packet that starts now is there, seconds; None: it is lost.

        Args:
            hop: which of the hops, for a packet that gets no farther; None: the end.
        """
        if self.queue is not None:
            left = self.queue.departure(start, size)
            if left is None:
                return None
            start = left
        reach = self._end if hop is None else self._to_hops[hop]
        return reach.arrival(start, chance)


def legs_of(
    way: Iterable[Stretch],
    stops: Callable[[Place], bool],
    queue_of: Callable[[Stretch], Queue | None],
) -> list[Leg]:
    """Cut a way into legs.

    Args:
        stops: is there a box at this hop?
        queue_of: the queue of a rate-limited stretch, shared by all that pass it in its
            direction; None where the rate is not limited.
    """
    legs: list[Leg] = []
    held: list[Stretch] = []
    queue: Queue | None = None
    for stretch in way:
        entering = queue_of(stretch)
        if entering is not None:
            if held:
                legs.append(Leg(held, queue, None))
            held, queue = [], entering
        held.append(stretch)
        if stretch.to is not None and stops(stretch.to):
            legs.append(Leg(held, queue, stretch.to))
            held, queue = [], None
    if held:
        legs.append(Leg(held, queue, None))
    return legs
