"""The way of packets that exist in this process alone: legs, delays, and the boxes on them.

What `lab.router` is to interfaces, this is to the ends of flows in `streams` and `datagrams`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Protocol

from gatewatch.lab.box import Box
from gatewatch.lab.link import Leg, Queue, legs_of
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.topology import Place, Stretch, Topology
from gatewatch.wire.packet import Packet, parse

Fate = Callable[[bool], None]
"Told whether a packet got to its destination, once that is known."


class Pace(Protocol):
    """How time passes for a packet on its way."""

    def crossing_s(self, leg: Leg, size: int) -> float | None:
        """How long a packet of so many bytes is on a leg, seconds; None: it is lost there."""
        ...

    def later(self, delay_s: float, call: Callable[[], None]) -> None: ...


class RealTime:
    """As long as it takes."""

    def __init__(self, chance: Random) -> None:
        self._loop = asyncio.get_running_loop()
        self._chance = chance

    def crossing_s(self, leg: Leg, size: int) -> float | None:
        now = self._loop.time()
        arrives = leg.arrival(now, size, self._chance)
        return None if arrives is None else arrives - now

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        self._loop.call_later(delay_s, call)


class AtOnce:
    """In the order in which it would happen, and without waiting; links lose nothing."""

    def __init__(self) -> None:
        self._now = 0.0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    def crossing_s(self, leg: Leg, size: int) -> float | None:
        return leg.delay_s

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        self._order += 1
        heappush(self._coming, (self._now + delay_s, self._order, call))

    def run(self) -> None:
        """Let everything happen that has been put off, and all that follows from it."""
        while self._coming:
            self._now, _, call = heappop(self._coming)
            call()


class Ways:
    """Every way of a world.

    Args:
        boxes: the censors of each hop that has some.
        clock: seconds since the world began.
        deliver: is given what arrives, and says whether somebody was there to take it.
    """

    def __init__(
        self,
        scenario: Scenario,
        topology: Topology,
        boxes: Mapping[Place, Box],
        *,
        clock: Callable[[], float],
        seed: int,
        deliver: Callable[[Packet, Pace], bool],
    ) -> None:
        self.real_time = RealTime(Random(f"{seed} links"))
        self._topology = topology
        self._boxes = boxes
        self._clock = clock
        self._deliver = deliver
        self._queues: dict[str, Queue] = {}
        self._legs: dict[tuple[str | Place, str], list[Leg]] = {}

    def guarded(self, source: bytes, target: bytes) -> bool:
        """Is there a box between two addresses of the world?"""
        here, there = self._topology.network_of(source), self._topology.network_of(target)
        if here is None or there is None:
            return False
        return any(leg.ends_at is not None for leg in self._between(here, there))

    def send(self, packet: Packet, pace: Pace, fate: Fate | None = None) -> None:
        """Set a packet on its way from the machine that it says it is from."""
        here = self._topology.network_of(packet.src)
        assert here is not None, "every machine is in a network"
        self._set_out(here, packet, pace, fate)

    def _between(self, start: str | Place, target: str) -> list[Leg]:
        if (start, target) not in self._legs:
            way = self._topology.way(start, target)
            self._legs[start, target] = legs_of(way, self._boxes.__contains__, self._queue)
        return self._legs[start, target]

    def _queue(self, stretch: Stretch) -> Queue | None:
        if stretch.link.rate_kbps is None:
            return None
        return self._queues.setdefault(stretch.key, Queue(stretch.link))

    def _set_out(self, start: str | Place, packet: Packet, pace: Pace, fate: Fate | None) -> None:
        there = self._topology.network_of(packet.dst)
        if there is None:
            _tell(fate, False)
            return
        self._walk(self._between(start, there), packet, pace, fate)

    def _walk(self, legs: list[Leg], packet: Packet, pace: Pace, fate: Fate | None) -> None:
        """Put a packet on the first of some legs; it shows up again at its end."""
        leg, *rest = legs
        crossing_s = pace.crossing_s(leg, len(packet.data))
        if crossing_s is None:
            _tell(fate, False)
        elif leg.ends_at is not None:
            meet = partial(self._meet, leg.ends_at, leg.outward, packet, pace, fate)
            pace.later(crossing_s, meet)
        elif rest:
            pace.later(crossing_s, partial(self._walk, rest, packet, pace, fate))
        else:
            pace.later(crossing_s, lambda: _tell(fate, self._deliver(packet, pace)))

    def _meet(
        self, place: Place, outward: bool, packet: Packet, pace: Pace, fate: Fate | None
    ) -> None:
        """A box does what it does; what it sends goes on from there, each by its destination."""
        passed = False
        for data, delay_ms in self._boxes[place].handle(packet, outward, self._clock()):
            onward = packet if data is packet.data else parse(data)
            own = says_the_same(onward, packet)
            passed |= own
            set_out = partial(self._set_out, place, onward, pace, fate if own else None)
            pace.later(delay_ms / 1000, set_out) if delay_ms else set_out()
        if not passed:
            _tell(fate, False)


def _tell(fate: Fate | None, arrived: bool) -> None:
    if fate is not None:
        fate(arrived)


def says_the_same(one: Packet, other: Packet) -> bool:
    """Are they one packet, if perhaps readdressed?"""
    return (
        (one.sport, one.dport, one.seq, one.flags) == (
            other.sport, other.dport, other.seq, other.flags)
        and one.payload == other.payload
    )  # fmt: skip
