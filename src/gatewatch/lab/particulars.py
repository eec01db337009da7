"""What else is true of a blocked measurement: what sets the censor off, where it sits, what stays.

These are what experiments can find out, and a plain measurement cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, collapse_addresses, ip_address, ip_network
from typing import TypeVar
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from gatewatch.lab.box import Act
from gatewatch.lab.rules import Action, Censor, Trigger
from gatewatch.lab.scenario import Expectation, Scenario
from gatewatch.lab.topology import Place, Topology
from gatewatch.lab.triggers.names import Names
from gatewatch.lab.truth import cause_of

TRIGGERS = {
    "dns": "name",
    "sni": "name",
    "quic_sni": "name",
    "host": "name",
    "keyword": "keyword",
    "quic": "protocol",
    "hello": "protocol",
}
"What a trigger looks for, as `lab.truth.cause_of` calls it → what an experiment calls it."

T = TypeVar("T")

MOST = 1 << 31
"IPv4 addresses: half of all. A censor of more has an allow-list. Our choice."

_IN_PATH = ("null_route", "divert", "refuse", "icmp", "throttle", "drop")
"Actions that only somebody in the path can take."


class Particulars(Struct, frozen=True, kw_only=True):
    """Of one measurement; everything is empty where no censor acted."""

    triggers: tuple[str, ...] = ()
    placements: tuple[str, ...] = ()
    hop_ttls: tuple[int, ...] = ()
    "Distance of the hops with acting censors, from the vantage point."
    hop_addresses: tuple[str, ...] = ()
    "What those hops call themselves; none of silent ones."
    residuals: tuple[tuple[float, str], ...] = ()
    "Seconds, and the ends that are blocked."
    everything: bool = False
    """A censor that acted lets next to nothing through. By which mechanism the site is kept away
    cannot be found out then: it fares as all else does, the control included, and so it would if
    a cable were cut. Where the ways end can be."""


def particulars_of(
    scenario: Scenario, expectation: Expectation, network: str, acts: Sequence[Act]
) -> Particulars:
    """What the censors that acted on a measurement are like.

    Args:
        acts: what was done to it, as `lab.truth.acts_on` finds.
    """
    if expectation.outcome != "blocked":
        return Particulars()
    acted = {act.censor for act in acts}
    culprits = [
        censor
        for censor in scenario.censors
        if censor.id in acted and (not expectation.by or censor.id in expectation.by)
    ]
    topology = Topology(scenario)
    hops = [
        (distance, topology.addresses(topology.place(censor.at)))
        for censor in culprits
        for distance in _distances(topology, network, censor, acts)
    ]
    return Particulars(
        triggers=_unique(
            trigger
            for censor in culprits
            for trigger in _triggers(scenario, censor, urlsplit(expectation.url).hostname or "")
        ),
        placements=_unique(
            one for censor in culprits for one in _placements(censor, topology, network)
        ),
        hop_ttls=_unique(distance for distance, _ in hops),
        hop_addresses=_unique(address for _, addresses in hops for address in addresses),
        residuals=_unique(
            (censor.residual.seconds, censor.residual.ends)
            for censor in culprits
            if censor.residual is not None
        ),
        everything=any(_spares_nothing(censor.trigger) for censor in culprits),
    )


def _unique(items: Iterator[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


def _spares_nothing(trigger: Trigger) -> bool:
    """Is it a shutdown, whatever the hour and for whom, if not for a few that are let through?"""
    bare = replace(trigger, everything=False, ip=(), networks=(), schedule=None)
    if replace(bare, bidirectional=False) != Trigger():
        return False
    shut = [ip_network(prefix, strict=False) for prefix in trigger.ip]
    whole = collapse_addresses(one for one in shut if isinstance(one, IPv4Network))
    return trigger.everything or sum(one.num_addresses for one in whole) > MOST


def _triggers(scenario: Scenario, censor: Censor, host: str) -> Iterator[str]:
    """All that is fair to call it: of several conditions each, and for what an earlier trigger
    left behind, the address at which it did."""
    trigger = censor.trigger
    named = (*trigger.sni, *trigger.host, *trigger.dns, *trigger.quic_sni)
    if censor.residual is not None and named and host not in Names(named):
        yield "address"
        return
    divert = censor.action.divert
    box = scenario.hosts[divert.to].middlebox if divert is not None else None
    if box is not None and box.names:
        yield "name"
    cause = cause_of(trigger)
    if cause in TRIGGERS:
        yield TRIGGERS[cause]
    if trigger.look:
        yield "protocol"
    if (trigger.ip or trigger.endpoint) and not _spares_nothing(trigger):
        # who is spared is on no list that a probe has: all that it can try is shut, as by a
        # censor of everything
        yield "address"
    if cause == "packet" and trigger.port and box is None:
        yield "port"
        if trigger.transport == "udp":
            yield "protocol"  # QUIC is what goes to that port


def _placements(censor: Censor, topology: Topology, network: str) -> Iterator[str]:
    yield _placement(censor.action)
    forges, resolvers = censor.action.forge_dns, censor.trigger.ip
    if (
        forges is not None
        and forges.swallow
        and resolvers
        and all(_is_at_the_door(topology, network, censor, one) for one in resolvers)
    ):
        yield "endpoint"  # in the resolver's place and name: nothing tells it from the resolver
    if censor.residual is not None and censor.residual.action is not None:
        yield _placement(censor.residual.action)


def _placement(action: Action) -> str:
    given = action.given()
    swallows = any(getattr(value, "swallow", False) for _, value in given)
    in_path = swallows or any(name in _IN_PATH for name, _ in given)
    return "in_path" if in_path else "on_path"


def _is_at_the_door(topology: Topology, network: str, censor: Censor, server: str) -> bool:
    """Is a censor at the last hop before one server, so that no distance tells the two apart?"""
    try:
        way = _way(topology, network, server)
    except ValueError:  # a prefix is more than one server
        return False
    return bool(way) and way[-1] == topology.place(censor.at)


def _way(topology: Topology, network: str, server: str) -> list[Place]:
    """The hops from the vantage point to an address."""
    target = topology.network_of(ip_address(server).packed)
    way = topology.way(network, target) if target is not None else []
    return [stretch.to for stretch in way if stretch.to is not None]


def _distances(
    topology: Topology, network: str, censor: Censor, acts: Sequence[Act]
) -> Iterator[int]:
    """Hops from the vantage point to the censor, on the ways to those it acted against."""
    place = topology.place(censor.at)
    for act in acts:
        if act.censor != censor.id:
            continue
        server = act.server.rpartition(":")[0].strip("[]") or act.server
        hops = _way(topology, network, server)
        if place in hops:
            yield hops.index(place) + 1
