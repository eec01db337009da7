"""Do all ways end at the same hop? SYNs with limited TTLs to addresses that share no network.

Where nothing answers, neither the suspected nor ours nor the control, there is nobody to compare
with, and no experiment on names or addresses says anything. How far packets get can be seen all
the same. It is a fact about the way out and no accusation: a cut cable, a router without power, a
gateway that wants a login and a shutdown by order all look like this, so no mechanism and no
trigger is named. The placement says only that what does not go on was not let go on.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address, ip_network

from gatewatch.probe.experiments.attempts import finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.net import NO_RIGHT, TIMEOUT, Failed
from gatewatch.probe.trace.ending import WAYS_LEAST, Ending, common_end, end_of
from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.limited import Target, trace
from gatewatch.probe.trace.probes import Probe
from gatewatch.wire.address import is_bogon

WAYS_MOST = 5
"""Addresses to try. Our choice: they are all tried at once, and a router of Linux tells one sender
of six packets in a burst (icmp_ratelimit)."""
LEAST_S = 12.0
"What it may take; with less left it is not begun. Our choice, as in `hop`."
DNS_PORT, HTTPS_PORT = 53, 443
SHUT = frozenset({"everything", "resolver_silent"})
"Answers of those before this one, by which not only what was asked for is silent."
PREFIX = {4: 16, 6: 32}
"Bits by which addresses are of one network, where its number is not known. Our choice."


class EverythingEnds:
    """SYNs with limited TTLs to whatever we know that is elsewhere."""

    name = "everything_ends"
    version = 1
    question = "Where nothing answers, do all ways end at the same hop?"
    layers: frozenset[Layer] = frozenset({"dns", "tcp"})
    deep = True

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        if not self._arises(bench, suspicion):
            return None
        suspicion = replace(suspicion, layer="tcp")  # SYNs are what ends, whatever was suspected
        targets = _elsewhere(bench, suspicion)
        if len(targets) < WAYS_LEAST:
            words = f"Only {len(targets)} addresses are known that share no network: too few."
            return finding(self, suspicion, "inconclusive", words, [])
        bench.tell(f"do the ways to {len(targets)} addresses end at the same hop?")
        t0 = bench.vantage.now()
        try:
            ways = await asyncio.gather(*(_knocks(bench, target) for target in targets))
        except Failed as failed:
            return _without(self, suspicion, failed.failure)
        t = bench.vantage.now()
        trials = [_trial(*one, t0, t) for one in zip(targets, ways, strict=True)]
        ending = common_end(ways)
        if ending is None or not ending.ttl or ending.ours:
            answer, words = _nowhere(ending, targets, ways)
            return finding(self, suspicion, answer, words, trials)
        return finding(
            self,
            suspicion,
            "everything_ends",
            _words(ending, targets),
            trials,
            placement="in_path",
            hop_address=ending.address,
            hop_ttl=ending.ttl,
        )

    def _arises(self, bench: Bench, suspicion: Suspicion) -> bool:
        """Once for all suspicions, where it may be that nothing answers, and no hop is known."""
        if suspicion.kind != "failed" or bench.left_s() < LEAST_S:
            return False
        known = bench.findings
        if any(one.experiment == self.name or one.hop_ttl is not None for one in known):
            return False
        shut = any(
            one.answer in SHUT
            and (one.host, one.depth, one.layer)
            == (suspicion.host, suspicion.depth, suspicion.layer)
            for one in known
        )
        return shut or (suspicion.layer == "tcp" and suspicion.reached is None)


def _elsewhere(bench: Bench, suspicion: Suspicion) -> list[Target]:
    """Addresses that are not in our own network, one of each other network, all of one IP version.

    What is suspected, and what we have of our own; then resolvers, at two ports, so that it is not
    one port that ends.
    """
    seat = bench.seat
    known = [
        (suspicion.address, suspicion.port),
        *((address, suspicion.port) for address in suspicion.true_addresses),
        *((control.address, control.port) for control in seat.controls),
        *((anchor.address, HTTPS_PORT) for anchor in seat.anchors),
        *((address, DNS_PORT) for address in seat.udp_resolvers),
        *((address, HTTPS_PORT) for _, address in seat.doh_resolvers),
    ]
    fit = [(a, p) for a, p in known if a and bench.can_reach(a) and not is_bogon(a)]
    version = min((ip_address(address).version for address, _ in fit), default=4)
    found: dict[object, Target] = {}
    for address, port in fit:
        network = _network(bench, address)
        if ip_address(address).version == version and network != seat.asn:
            found.setdefault(network, Target(address, port, "syn"))
    return list(found.values())[:WAYS_MOST]


def _network(bench: Bench, address: str) -> object:
    """The network of an address: its number or, where nobody knows that, its prefix."""
    bits = PREFIX[ip_address(address).version]
    return bench.seat.asn_of(address) or ip_network(f"{address}/{bits}", strict=False)


async def _knocks(bench: Bench, target: Target) -> list[Probe]:
    found = await trace(bench.vantage, target, None, None, random=bench.rng)
    return collect(found.test, knocks=True).probes


def _trial(target: Target, knocks: list[Probe], t0: float, t: float) -> Trial:
    end = end_of(knocks)
    words = "answered" if end is None else f"last heard of at hop {end.ttl}"
    return Trial(
        arm="limited_ttl",
        step="tcp",
        address=target.address,
        port=target.port,
        name=None,
        failure=None if end is None else TIMEOUT,
        t0=t0,
        t=t,
        words=f"{words}{f' ({end.address})' if end and end.address else ''}",
    )


def _words(ending: Ending, targets: list[Target]) -> str:
    hop = f"hop {ending.ttl} ({ending.address or 'more than one router'})"
    last = f"the last to tell of any is {hop}, on {ending.ways} of the ways"
    if ending.told:
        last += f", which says {ending.told} times that there is no way on"
    return (
        f"SYNs to {_named(targets)}, which share no network, are answered by none of them: {last}."
        " Every way that was tried ends there, whoever it leads to. A cut cable, a failure, a"
        " gateway that wants a login and an order look the same from here: this accuses nobody."
    )


def _named(targets: list[Target]) -> str:
    return ", ".join(f"{one.address} port {one.port}" for one in targets)


def _nowhere(
    ending: Ending | None, targets: list[Target], ways: list[list[Probe]]
) -> tuple[str, str]:
    """The answer where no hop can be named, and why."""
    answered = [t for t, knocks in zip(targets, ways, strict=True) if end_of(knocks) is None]
    if answered:
        return "goes_on", f"Not everything ends: {_named(answered)} answer."
    if ending is None:
        return "inconclusive", f"SYNs to {_named(targets)} end at no hop common to them."
    if not ending.ttl:
        return "own_line", f"No hop tells of SYNs to {_named(targets)}: the line may be dead."
    words = f"SYNs to {_named(targets)} get no farther than hop {ending.ttl}, all of the way on"
    return "own_line", f"{words} private addresses: it may be the own line that is dead."


def _without(experiment: EverythingEnds, suspicion: Suspicion, failure: str) -> Finding:
    if failure == "permission_denied":
        return finding(experiment, suspicion, "no_right", f"Not tried: {NO_RIGHT}.", [])
    return finding(experiment, suspicion, "inconclusive", f"Packets cannot be seen: {failure}.", [])


EXPERIMENT = EverythingEnds()
