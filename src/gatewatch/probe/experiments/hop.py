"""At which hop does it happen? The same request with limited TTLs, and one for an innocent name.

A request that has not come as far as the box is left alone, and the router at which it expires
says so. From the first distance on at which the name is answered by somebody else, or vanishes,
the box is behind the hop before.
"""

from __future__ import annotations

from gatewatch.probe.experiments.attempts import finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.spots import Spot, spots
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.net import NO_RIGHT, Failed
from gatewatch.probe.trace.case import Reading
from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.knocking import parted, read_knocks, read_stopped
from gatewatch.probe.trace.limited import Trace, trace
from gatewatch.probe.trace.path import path_of
from gatewatch.probe.trace.reading import Examined, examine
from gatewatch.probe.trace.replies import replies

LEAST_S = 12.0
"What looking at one spot may take on a slow path; with less left nothing is begun. Our choice."
STEPS = {"syn": "tcp", "dns": "dns", "tls": "tls", "quic": "quic", "http": "http"}


class Hop:
    """Limited TTLs, until the box shows between two hops."""

    name = "hop"
    version = 1
    question = "At which hop does it happen, and beside the traffic or in its way?"
    layers: frozenset[Layer] = frozenset({"dns", "tcp", "tls", "quic", "http"})
    deep = True

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        if suspicion.kind == "slow" or (":" in suspicion.host and suspicion.layer != "tcp"):
            return None
        trials: list[Trial] = []
        seen: list[str] = []
        spared = False
        by_name = any(one.trigger == "name" for one in bench.findings)
        await bench.turn(suspicion.address)
        with spots(bench, suspicion) as places:
            for spot in places:
                if bench.left_s() < LEAST_S:
                    break
                if spot.ours and spared and not by_name:
                    continue  # the name alone is not the reason: to the address itself
                bench.tell(f"at which hop? {spot.target.protocol} to {spot.target.address}")
                t0 = bench.vantage.now()
                try:
                    found = await _look(bench, spot)
                except Failed as failed:
                    return _without(self, suspicion, failed.failure)
                if spot.target.protocol != "dns":
                    bench.taint(spot.target.address)
                if spot.tainted and not _is_fair(found):
                    continue
                examined = _read(suspicion, found)
                trials.append(_trial(spot, examined.reading, t0, bench.vantage.now()))
                if examined.reading.verdict == "blocked":
                    return _found(self, suspicion, examined, trials)
                spared = spared or (spot.ours and examined.reading.verdict == "none")
                diverted = await _diverted(bench, suspicion, spot, found, examined)
                if diverted is not None:
                    return _found(self, suspicion, diverted, trials)
                stopped = await _stopped(bench, suspicion, spot, found)
                if stopped is not None:
                    return _found(self, suspicion, stopped, trials)
                resolver = _resolver_itself(suspicion, spot, found, examined)
                if resolver is not None:
                    return _found(self, suspicion, resolver, trials)
                seen.append(f"{spot.target.address}: {'; '.join(examined.reading.evidence)}")
        answer = "not_seen" if any(t.failure is None for t in trials) else "inconclusive"
        words = "With limited TTLs nothing happened to it. " + " ".join(seen)
        if not trials:
            words = "There was no place, or no time, to send it to with limited TTLs."
        return finding(self, suspicion, answer, words, trials)


async def _look(bench: Bench, spot: Spot) -> Trace:
    return await trace(
        bench.vantage,
        spot.target,
        spot.name,
        spot.control_name,
        random=bench.rng,
        control_path="/" if spot.ours else None,
        tell=bench.tell,
    )


def _read(suspicion: Suspicion, found: Trace) -> Examined:
    if found.target.protocol == "syn":
        return read_knocks(found.test, reached=suspicion.reached is True)
    return examine(found.test, found.control or None, name=found.name)


async def _diverted(
    bench: Bench, suspicion: Suspicion, spot: Spot, found: Trace, examined: Examined
) -> Examined | None:
    """Whoever took the server's place has another way to it than the rest of the address."""
    reading = examined.reading
    if reading.verdict == "blocked" or not _replaced(suspicion, spot, found):
        return None
    bench.tell(f"is {spot.target.address} the same machine on every port?")
    other_port = next(p for p in (*suspicion.answering, 443, 80) if p != spot.target.port)
    mine = path_of(collect(found.test).probes, trusted=True)
    knocked = spot.target._replace(port=other_port, protocol="syn")
    other = await trace(bench.vantage, knocked, None, None, random=bench.rng)
    probes = collect(other.test, knocks=True).probes
    for probe in probes:  # a RST is the word of a server, too, where nothing listens
        probe.synack = probe.synack or probe.refused
    ways = path_of(probes, trusted=True)
    if ways.distance is None:
        arrived = [p.ttl for p in probes if p.heard and not p.expired]
        ways.distance = min(arrived, default=None)
    apart = parted(mine, ways)
    if apart is None:
        return None
    ttl, why = apart
    hops = {t: a for t in ways.hops if (a := ways.address(t))}
    shown = Reading(
        server=spot.target.address,
        name=found.name,
        verdict="blocked",
        placement="in_path",
        hop=mine.address(ttl),
        hop_ttl=ttl,
        evidence=(why,),
    )
    return Examined(shown, hops, None)


async def _stopped(bench: Bench, suspicion: Suspicion, spot: Spot, found: Trace) -> Examined | None:
    """QUIC itself ends at a hop, whoever it is for, and SYNs to the same port go on."""
    itself = any(
        one.layer == "quic" and one.trigger == "protocol" and one.depth == suspicion.depth
        for one in bench.findings
    )
    if suspicion.layer != "quic" or not itself:
        return None
    bench.tell(f"does TCP go farther on the way to {spot.target.address}?")
    knocked = spot.target._replace(protocol="syn")
    other = await trace(bench.vantage, knocked, None, None, random=bench.rng)
    return read_stopped(
        [*collect(found.control).probes, *collect(found.test).probes],
        collect(other.test, knocks=True).probes,
    )


def _is_fair(found: Trace) -> bool:
    """Does an innocent name fare well there, though another one was said there before?"""
    probes = collect(found.control).probes
    answered = path_of(probes, trusted=True).distance is not None
    return answered and not found.failures and not any(p.expired and p.heard for p in probes)


def _replaced(suspicion: Suspicion, spot: Spot, found: Trace) -> bool:
    """It is suspected that somebody else is where the server should be."""
    if spot.target.protocol == "dns":
        return spot.ours and _gives_it(suspicion, found)
    failure = suspicion.failure or ""
    return not spot.ours and (suspicion.kind == "page" or failure.startswith("ssl_"))


def _resolver_itself(
    suspicion: Suspicion, spot: Spot, found: Trace, examined: Examined
) -> Examined | None:
    """The resolver gives the suspected answer from its own distance: it is not on the way."""
    if spot.target.protocol != "dns" or spot.ours or examined.reading.verdict != "none":
        return None
    if not _gives_it(suspicion, found):
        return None
    why = (
        f"the resolver {spot.target.address}, {examined.distance} hops away, gives this answer "
        "itself: nobody on the way does"
    )
    reading = Reading(
        server=spot.target.address,
        name=found.name,
        verdict="blocked",
        placement="endpoint",
        hop=spot.target.address,
        hop_ttl=examined.distance,
        evidence=(*examined.reading.evidence, why),
    )
    return Examined(reading, examined.hops, examined.distance)


def _gives_it(suspicion: Suspicion, found: Trace) -> bool:
    """A resolver gave the answer that is suspected."""
    given = [
        reply
        for probe in collect(found.test).probes
        if probe.name == found.name
        for reply in replies(probe)
        if reply.kind == "dns"
    ]
    forged = any({*reply.addresses} & {*suspicion.answers} for reply in given)
    failed = suspicion.kind == "failed" and any(not reply.addresses for reply in given)
    return forged or failed


def _found(
    experiment: Hop, suspicion: Suspicion, examined: Examined, trials: list[Trial]
) -> Finding:
    """The finding, with the last hop before the box: it is at or just behind that one."""
    reading = examined.reading
    ttl, address = reading.hop_ttl, reading.hop
    if reading.placement == "endpoint":
        where = f"at the server itself, {ttl} hops away"
    elif ttl is None or (examined.distance is not None and ttl >= examined.distance):
        ttl, address = None, None  # what set it off may have been the answer
        where = "at no hop that could be told"
    else:
        ttl -= 1
        after = examined.hops.get(ttl + 1) or "a silent one"
        address = examined.hops.get(ttl)
        where = f"behind hop {ttl} ({address or 'a silent one'}), before hop {ttl + 1} ({after})"
    beside = {
        "on_path": "Somebody beside the traffic does it",
        "in_path": "Somebody in the traffic's way does it",
        "endpoint": "It is done",
        "unknown": "It is done",
    }[reading.placement]
    words = f"{beside}, {where}. " + "; ".join(reading.evidence) + "."
    return finding(
        experiment,
        suspicion,
        "found" if ttl is not None else "placed",
        words,
        trials,
        mechanism=_proved(reading),
        placement=reading.placement,
        hop_address=address,
        hop_ttl=ttl,
    )


def _proved(reading: Reading) -> str | None:
    """What the packets prove; in HTTP the host is not told from the rest of the request."""
    mechanism = reading.mechanism
    return "http.reset" if mechanism == "http.reset.host" else mechanism


def _trial(spot: Spot, reading: Reading, t0: float, t: float) -> Trial:
    failure = None if reading.verdict == "none" else reading.mechanism or "inconclusive"
    return Trial(
        arm="limited_ttl",
        step=STEPS[spot.target.protocol],  # pyright: ignore[reportArgumentType]
        address=spot.target.address,
        port=spot.target.port,
        name=spot.name,
        failure=failure,
        t0=t0,
        t=t,
        words="; ".join(reading.evidence),
    )


def _without(experiment: Hop, suspicion: Suspicion, failure: str) -> Finding:
    if failure == "permission_denied":
        return finding(experiment, suspicion, "no_right", f"Not tried: {NO_RIGHT}.", [])
    return finding(experiment, suspicion, "inconclusive", f"Packets cannot be seen: {failure}.", [])


EXPERIMENT = Hop()
