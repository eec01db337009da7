"""Residual blocking: is innocent traffic blocked after the trigger, between whom, how long?

The trigger is sent to addresses of ours, each of which then tells about itself, and innocent
attempts are made at the same ends. What one flow must share with the one that set the censor off
is told by what else is blocked right after it; the length, by looks after growing waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from gatewatch.probe.experiments.attempts import finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.residual_places import ENDS_PLACES, LEAST_S, PLACES, places
from gatewatch.probe.experiments.residual_spot import (
    PORTS,
    QUIC,
    TRIES,
    TRIGGERINGS,
    Glance,
    Innocent,
    Kind,
    Spot,
    TriggerTraffic,
    other_service,
)
from gatewatch.probe.experiments.residual_time import Bracket, Span, Timing
from gatewatch.probe.finding import Finding, Trial

SURE = 2
"Triggers that met something, after which nothing innocent was blocked: there is no residue."

Ends = Literal["2-tuple", "3-tuple", "4-tuple"]

NARROWEST: tuple[Ends, ...] = ("4-tuple", "3-tuple", "2-tuple")

ENDS_WORDS: dict[Ends | None, str] = {
    "2-tuple": "the two addresses, whatever the ports",
    "3-tuple": "the client's address and that port of the server",
    "4-tuple": "the client's and the server's address and port",
    None: "nobody",
}
_KINDS: Mapping[Layer, Kind] = {"tls": "sni", "http": "request", "quic": "quic"}
_UNASKED: dict[str, Kind] = {"esni": "esni", "ech": "ech", "encrypted": "random"}
"Words in the name or arm of a finding → what it shows to be blocked."


class Experiment:
    name = "residual"
    version = 1
    question = "Is innocent traffic blocked after the trigger, between whom, and for how long?"
    layers: frozenset[Layer] = frozenset({"tls", "http", "quic"})
    deep = True

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        trigger = trigger_of(bench, suspicion)
        if trigger is None or bench.left_s() < LEAST_S:
            return None
        work = _Work(bench, trigger)
        async with places(bench, trigger, suspicion.address, work.trials) as spots:
            found = await work.tell_ends(spots)
            if found is None and suspicion.address is not None and bench.seat.anchors:
                innocent = Innocent(bench.seat.anchors[0].name, False)
                elsewhere = [
                    Spot(bench, trigger, innocent, address, work.trials)
                    for address in dict.fromkeys((suspicion.address, *suspicion.true_addresses))
                    if bench.can_reach(address)
                ]
                found = await work.tell_ends(await _met(elsewhere))
            if found is None:
                words = "the trigger set nothing off, so that nothing can be said of afterwards"
                return finding(EXPERIMENT, suspicion, "inconclusive", words, work.trials)
            if found.ends is None:
                words = f"right after {found.triggers} triggers innocent attempts went well"
                return finding(EXPERIMENT, suspicion, "none", words, work.trials)
            lasts = await work.time_it(found)
        return finding(
            EXPERIMENT,
            suspicion,
            "residual",
            _words(found.ends, lasts),
            work.trials,
            residual_s=_rounded(lasts.estimate) if lasts.narrow else None,
            residual_s_low=_rounded(lasts.low),
            residual_s_high=_rounded(lasts.high),
            residual_ends=found.ends,
        )


EXPERIMENT = Experiment()


def trigger_of(bench: Bench, suspicion: Suspicion) -> TriggerTraffic | None:
    """What to send, by the suspicion and what was found out about it so far; None for nothing."""
    about = [f for f in bench.findings if f.host == suspicion.host and f.layer == suspicion.layer]
    if any(found.trigger == "address" for found in about):
        return None
    if suspicion.kind != "unasked":
        return TriggerTraffic(_KINDS[suspicion.layer], suspicion.host, suspicion.url)
    mine = [f for f in bench.findings if f.host == suspicion.host]
    proven = [f for f in mine if f.trigger == "protocol" or (f in about and f.trigger)]
    for found in proven:
        words = (found.experiment, found.answer, *(t.arm for t in found.trials if t.failure))
        kinds: list[Kind] = [
            kind for word, kind in _UNASKED.items() if any(word in each for each in words)
        ]
        if suspicion.layer == "tls" and kinds:
            return TriggerTraffic(kinds[0], suspicion.host, suspicion.url)
    if any(found in about for found in proven):
        return TriggerTraffic(_KINDS[suspicion.layer], suspicion.host, suspicion.url)
    return None


class Told(NamedTuple):
    """What shares the fate of a trigger's flow."""

    ends: Ends | None
    triggers: int
    "So many were sent for it."
    begun: list[tuple[Spot, Span, Span]]
    "Places that are blocked now, since when, and when the last packet went there."


class _Work:
    """What is shared between the parts of one run."""

    def __init__(self, bench: Bench, trigger: TriggerTraffic) -> None:
        self.bench, self.trigger = bench, trigger
        self.trials: list[Trial] = []
        self.spots: list[Spot] = []
        self.earlier: dict[str, float] = {}
        "Until when what was sent there before may be remembered, on another service say."

    async def tell_ends(self, spots: list[Spot]) -> Told | None:
        """None: nothing shows that the trigger sets anything off at these."""
        self.spots = spots
        self.earlier = {spot.address: self.bench.tainted.get(spot.address, 0.0) for spot in spots}
        self.bench.tell("residual blocking: which ends it has")
        told = await asyncio.gather(*(self._tell(spot) for spot in self.spots[:ENDS_PLACES]))
        seen = [one for one in told if one is not None]
        if not seen:
            return None
        blocked = [one for one in seen if one.ends is not None]
        if not blocked:
            return Told(None, sum(one.triggers for one in seen), [])
        narrow: Ends = next(e for e in NARROWEST if any(one.ends == e for one in blocked))
        return Told(
            narrow,
            sum(one.triggers for one in blocked),
            [place for one in blocked for place in one.begun],
        )

    async def _tell(self, spot: Spot) -> Told | None:
        """What is blocked right after the trigger at one address."""
        worked, earlier = 0, None
        for number in range(TRIGGERINGS):
            port = self.bench.rng.choice(PORTS)
            before = self.bench.taint(spot.address)
            earlier = before if number == 0 else earlier
            visibly, sent = await spot.send_trigger(port)
            worked += visibly
            same, another_port, another_service = await asyncio.gather(
                self._same(spot, port),
                spot.try_(self.trigger.service, 0, "other client port"),
                self._other(spot),
            )
            ends = ends_of(same, another_port, another_service)
            if ends is not None:
                looks = [
                    one for one in (same, another_port, another_service) if one and one.blocked
                ]
                said = max(look.said[0] for look in looks), max(look.said[1] for look in looks)
                spot.port = port if ends == "4-tuple" else 0
                return Told(ends, number + 1, [(spot, sent, said)])
            if worked >= SURE:
                self.bench.clear(spot.address, earlier)
                return Told(None, number + 1, [])
        return None

    async def _same(self, spot: Spot, port: int) -> Glance | None:
        """Over UDP what has the same ends is the same flow, which is blocked without residue."""
        service = self.trigger.service
        return None if service == QUIC else await spot.try_(service, port, "same ends")

    async def _other(self, spot: Spot) -> Glance | None:
        other = other_service(self.trigger.service)
        return await spot.try_(other, 0, "other service") if other in spot.before else None

    async def time_it(self, told: Told) -> Bracket:
        """How long it lasts, at all the places there are."""
        begun = {id(spot) for spot, _, _ in told.begun}
        fresh = [spot for spot in self.spots if id(spot) not in begun]
        if told.ends == "4-tuple":
            fresh = [self._own_port(spot) for spot in (self.spots * PLACES)[: PLACES - len(begun)]]
        for spot in fresh:
            self.bench.taint(spot.address)
        doubted = told.triggers > len(told.begun) or self.trigger.kind == "random"
        for spot in (*self.spots, *fresh):
            spot.doubted = doubted
        look_s = max(spot.within_s for spot in self.spots) * 2 * TRIES
        timing = Timing(
            places=fresh,
            begun=told.begun,
            now=self.bench.vantage.now,
            until=self.bench.deadline,
            look_s=look_s,
            tell=lambda words: self.bench.tell(f"residual blocking: {words}"),
        )
        lasts = await timing.run()
        if lasts.high is not None:
            until = self.bench.vantage.now() + lasts.high
            for address, earlier in self.earlier.items():
                self.bench.tainted[address] = max(until, earlier)
        return lasts

    def _own_port(self, spot: Spot) -> Spot:
        return replace(spot, port=self.bench.rng.choice(PORTS))


async def _met(spots: Sequence[Spot]) -> list[Spot]:
    """Those that innocents can reach."""
    good = await asyncio.gather(*(spot.meet() for spot in spots))
    return [spot for spot, met in zip(spots, good, strict=True) if met]


def ends_of(
    same: Glance | None, another_port: Glance, another_service: Glance | None
) -> Ends | None:
    """What a flow must share with the trigger's to be blocked, from what was right after it.

    Args:
        same, another_service: None where they would say nothing.
    """
    if another_port.blocked:
        wide = another_service is not None and another_service.blocked
        return "2-tuple" if wide else "3-tuple"
    return "4-tuple" if same is not None and same.blocked else None


def _words(ends: Ends, lasts: Bracket) -> str:
    long = f"more than {lasts.low:.0f} s"
    if lasts.high is not None:
        long = f"between {lasts.low:.0f} and {lasts.high:.0f} s"
    how = {
        "extends": "; each attempt under it starts the time anew",
        "once": "; attempts under it do not prolong it",
        None: "",
    }[lasts.reading]
    return f"innocent attempts between {ENDS_WORDS[ends]} are blocked for {long}{how}"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
