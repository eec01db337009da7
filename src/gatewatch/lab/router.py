"""The Internet of a world: one loop that carries every packet between the lab's interfaces.

A packet is read from the interface of a machine, walks the legs of its way in real time, meets
the boxes on it, and is written to the interface of the machine it is for. Nothing else is
forwarded: both ends must be machines of the world, and a sender must use its own address.
"""

from __future__ import annotations

import os
import select
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from heapq import heappop, heappush
from ipaddress import ip_address
from random import Random
from typing import Protocol

from gatewatch.lab.link import Leg, Queue, legs_of
from gatewatch.lab.nat import Nat
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.topology import Place, Stretch, Topology
from gatewatch.wire.packet import (
    MalformedPacket,
    Packet,
    icmp_time_exceeded,
    may_be_told,
    parse,
    with_ttl,
)

READS = 64
"Packets taken from one interface before the others and the clock get their turn."


class Interface(Protocol):
    """One end of the wire, as `namespaces.Tun` makes them."""

    name: str

    def fileno(self) -> int: ...


class Passed(Protocol):
    """What packets meet at a hop; `box.Box` is one."""

    def handle(self, packet: Packet, outward: bool, now: float) -> list[tuple[bytes, float]]: ...


Capture = Callable[[str, bytes], None]
"Told of every packet that an interface sends or is sent, by its name."


class Router:
    """Carries packets until told to stop.

    Args:
        probes: interface of each vantage network.
        world: interface of the namespace in which all other machines are.
        boxes: the censors of each hop that has some.
        clock: seconds, monotonic.
        capture: told of every packet that an interface sends or is sent, once.
    """

    def __init__(
        self,
        scenario: Scenario,
        probes: Mapping[str, Interface],
        world: Interface,
        boxes: Mapping[Place, Passed],
        *,
        clock: Callable[[], float],
        seed: int,
        capture: Capture | None = None,
    ) -> None:
        self.refused: Counter[str] = Counter()
        "Packets that were not for or from a machine of the world, by what was wrong."
        self.carried = 0
        self._topology = Topology(scenario)
        self._boxes = boxes
        self._clock = clock
        self._chance = Random(f"{seed} links")
        self._capture = capture
        self._interfaces = {i.fileno(): i for i in (*probes.values(), world)}
        self._home: dict[bytes, Interface] = {}
        "Which interface each machine is behind."
        self._own: dict[int, set[bytes]] = {
            interface.fileno(): set() for interface in self._interfaces.values()
        }
        for network, interface in probes.items():
            for address in scenario.networks[network].probe:
                self._settle(address, interface)
        self._nat: dict[int, Nat] = {
            probe.fileno(): Nat(scenario.rebind_every_s)
            for probe in probes.values()
            if scenario.rebind_every_s is not None
        }
        for host in scenario.hosts.values():
            for address in host.addresses if not host.down else ():
                self._settle(address, world)
        self._queues: dict[str, Queue] = {}
        self._ways: dict[tuple[str | Place, str], list[Leg]] = {}
        self._coming: list[tuple[float, int, Packet, Callable[[Packet, float], None]]] = []
        "When, a tie breaker, the packet, and what becomes of it then."
        self._order = 0

    def _settle(self, address: str, interface: Interface) -> None:
        packed = ip_address(address).packed
        self._home[packed] = interface
        self._own[interface.fileno()].add(packed)

    def run(self, stop: int) -> None:
        """Carry packets until the descriptor `stop` becomes readable."""
        waited = [*self._interfaces, stop]
        while True:
            timeout = None
            if self._coming:
                timeout = max(0.0, self._coming[0][0] - self._clock())
            # select, not poll: its time-out is finer than a millisecond
            ready = select.select(waited, (), (), timeout)[0]
            for fd in ready:
                if fd == stop:
                    return
                self._take(fd)
            self._move(self._clock())

    def _take(self, fd: int) -> None:
        now = self._clock()
        for _ in range(READS):
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                return
            self._enter(fd, data, now)

    def _enter(self, fd: int, data: bytes, now: float) -> None:
        try:
            packet = parse(data)
        except MalformedPacket:
            self.refused["malformed"] += 1
            return
        if self._capture and self._home.get(packet.dst) is not self._interfaces[fd]:
            # between two machines behind one interface it is seen once, where it arrives:
            # seen twice, every conversation would look like one long retransmission
            self._capture(self._interfaces[fd].name, data)
        if packet.src not in self._own[fd]:
            self.refused["source is not the sender's"] += 1
            return
        nat = self._nat.get(fd)
        if nat is not None:
            packet = parse(nat.outward(packet, now))
        here = self._topology.network_of(packet.src)
        assert here is not None, "every machine is in a network"
        self._send(here, packet, now)

    def _send(self, start: str | Place, packet: Packet, now: float) -> None:
        """Set a packet on its way from a network's machines or from a hop."""
        there = self._topology.network_of(packet.dst)
        if there is None:
            self.refused["destination is not in the world"] += 1
            return
        legs = self._ways.get((start, there))
        if legs is None:
            way = self._topology.way(start, there)
            legs = self._ways[start, there] = legs_of(way, self._boxes.__contains__, self._queue)
        self._walk(legs, 0, packet, now)

    def _queue(self, stretch: Stretch) -> Queue | None:
        if stretch.link.rate_kbps is None:
            return None
        return self._queues.setdefault(stretch.key, Queue(stretch.link))

    def _walk(self, legs: list[Leg], at: int, packet: Packet, now: float) -> None:
        """Put a packet on a leg; it shows up again at its end."""
        leg = legs[at]
        hops = len(leg.hops)
        if packet.ttl <= hops:
            self._expire(packet, leg, now)
            return
        arrives = leg.arrival(now, len(packet.data), self._chance)
        if arrives is None:
            return
        if hops:
            packet = parse(with_ttl(packet.data, packet.ttl - hops))
        self._at(arrives, packet, self._next(legs, at))

    def _at(self, when: float, packet: Packet, then: Callable[[Packet, float], None]) -> None:
        self._order += 1
        heappush(self._coming, (when, self._order, packet, then))

    def _expire(self, packet: Packet, leg: Leg, now: float) -> None:
        """The hop at which the TTL runs out says so, if the packet gets there at all."""
        hop = packet.ttl - 1
        when = leg.arrival(now, len(packet.data), self._chance, hop)
        if when is None or not may_be_told(packet):
            return
        place = leg.hops[hop]
        for address in self._topology.addresses(place):
            packed = ip_address(address).packed
            if len(packed) == len(packet.src):
                error = icmp_time_exceeded(packed, with_ttl(packet.data, 1))
                self._at(when, parse(error), partial(self._send, place))

    def _move(self, now: float) -> None:
        """Bring forward everything whose time has come."""
        coming = self._coming
        while coming and coming[0][0] <= now:
            when, _, packet, then = heappop(coming)
            then(packet, when)

    def _next(self, legs: list[Leg], at: int) -> Callable[[Packet, float], None]:
        """What becomes of a packet at the end of a leg."""
        leg = legs[at]
        if leg.ends_at is not None:
            return partial(self._meet, leg.ends_at, leg.outward)
        if at + 1 < len(legs):
            return partial(self._walk, legs, at + 1)
        return self._deliver

    def _meet(self, place: Place, outward: bool, packet: Packet, now: float) -> None:
        for data, delay_ms in self._boxes[place].handle(packet, outward, now):
            onward = packet if data is packet.data else parse(data)
            if delay_ms:
                self._at(now + delay_ms / 1000, onward, partial(self._send, place))
            else:
                self._send(place, onward, now)

    def _deliver(self, packet: Packet, now: float) -> None:
        home = self._home.get(packet.dst)
        if home is None:
            return  # nobody has this address, and nobody says so
        data = packet.data
        nat = self._nat.get(home.fileno())
        if nat is not None:
            data = nat.inward(packet)
            if data is None:
                return
        try:
            os.write(home.fileno(), data)
        except OSError:
            self.refused["interface would not take it"] += 1
            return
        self.carried += 1
        if self._capture:
            self._capture(home.name, data)
