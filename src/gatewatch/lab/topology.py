"""Where everything in a world is: which network holds an address, and the way from here to there.

Networks are a tree below one core (see `lab.scenario`), so there is one way between any two
points, and it is the same in both directions.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from gatewatch.lab.scenario import Link, Network, Scenario

INSIDE = Link(delay_ms=0.5)
"Between two hops of one network. Our choice: small beside what joins networks."


class Place(NamedTuple):
    """One router hop."""

    network: str
    number: int
    "From 1, the innermost."

    def __str__(self) -> str:
        return f"{self.network}/{self.number}"


class Stretch(NamedTuple):
    """One link of a way, and the hop that it leads to."""

    link: Link
    key: str
    "Names link and direction: what shares a queue has the same key."
    to: Place | None
    "None: a machine, which ends the way; or the core, which is no hop."
    outward: bool
    "Reached from its inner side."


class Topology:
    """The map of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.networks: dict[str, Network] = scenario.networks
        self.core: Link = scenario.core
        self._prefixes = sorted(
            (
                (ip_network(prefix), name)
                for name, network in scenario.networks.items()
                for prefix in network.prefixes
            ),
            key=lambda row: -row[0].prefixlen,
        )
        self.network_of = lru_cache(maxsize=65536)(self._network_of)
        self._chains = {name: self._chain(name) for name in self.networks}

    def _network_of(self, address: bytes) -> str | None:
        """The network that holds a packed address; None is outside the world."""
        where = ip_address(address)
        return next((name for prefix, name in self._prefixes if where in prefix), None)

    def _chain(self, network: str) -> list[Place]:
        """The hops from a network's machines to the core."""
        hops: list[Place] = []
        at: str | None = network
        while at is not None:
            hops += [Place(at, n + 1) for n in range(len(self.networks[at].hops))]
            at = self.networks[at].via
        return hops

    def place(self, at: str) -> Place:
        """A place as scenarios name it: `network` is its outermost hop, `network/1` its innermost.

        Raises:
            KeyError: no such network or hop.
        """
        name, _, number = at.partition("/")
        hops = len(self.networks[name].hops)
        place = Place(name, int(number) if number else hops)
        if not 1 <= place.number <= hops:
            raise KeyError(at)
        return place

    def addresses(self, place: Place) -> tuple[str, ...]:
        """What the hop calls itself in ICMP errors; a silent hop has none."""
        return self.networks[place.network].hops[place.number - 1]

    def below(self, place: Place, network: str | None) -> bool:
        """Do the machines of `network` reach the core through `place`?"""
        return network is not None and place in self._chains[network]

    def way(self, start: str | Place, target: str) -> list[Stretch]:
        """The stretches from a network's machines, or from a hop, to the machines of `target`."""
        climb = self._chains[start if isinstance(start, str) else start.network]
        if isinstance(start, Place):
            climb = climb[climb.index(start) :]
        descent = self._chains[target]
        meeting = next((place for place in climb if place in descent), None)
        up = climb if meeting is None else climb[: climb.index(meeting) + 1]
        down = descent if meeting is None else descent[: descent.index(meeting)]
        found: list[Stretch] = []
        before: Place | None = None
        if isinstance(start, Place):
            before, up = start, up[1:]
        for place in up:
            found.append(Stretch(*self._link(before, place, start, "out"), place, True))
            before = place
        if meeting is None:
            if before is not None:
                found.append(Stretch(*self._uplink(before.network, "out"), None, True))
            found.append(Stretch(self.core, f"core to {target}", None, True))
        after = before if meeting is not None else None
        for place in reversed(down):
            link, key = self._down(after, place)
            found.append(Stretch(link, key, place, False))
            after = place
        found.append(Stretch(self.networks[target].access, f"{target} access in", None, False))
        return found

    def _link(
        self, before: Place | None, place: Place, start: str | Place, way: str
    ) -> tuple[Link, str]:
        if before is None:
            return self.networks[place.network].access, f"{start} access {way}"
        if before.network == place.network:
            return INSIDE, f"{before} {way}"
        return self._uplink(before.network, way)

    def _down(self, before: Place | None, place: Place) -> tuple[Link, str]:
        if before is not None and before.network == place.network:
            return INSIDE, f"{place} in"
        return self._uplink(place.network, "in")

    def _uplink(self, network: str, way: str) -> tuple[Link, str]:
        return self.networks[network].uplink, f"{network} uplink {way}"
