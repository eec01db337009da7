"""At which hop is it held back? For what is slow, or stalls, only after its name was seen.

The request itself is answered there, so that requests with limited TTLs show nothing. So the name
is said aside: on a connection to a server of ours, ahead of all else, in a segment that expires on
the way; then the connection goes on with an innocent name. What lets the rest pass slowly, or not
at all, has seen the segment; the server has not. The same with an innocent name in the segment is
the measure at every distance. After Xue et al., Throttling Twitter, IMC 2021.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.experiments.attempts import CONNECT_S, HEADERS, finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.throughput import SLOWED
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.hello import client_hello
from gatewatch.probe.net import (
    NO_RIGHT,
    TIMEOUT,
    Channel,
    Connect,
    Failed,
    Stream,
    Tap,
    connect,
    say_aside,
)
from gatewatch.probe.seat import Anchor
from gatewatch.probe.steps import Request, exchange, handshake
from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.limited import Target, distance_of, request_of, trace
from gatewatch.probe.trace.path import path_of
from gatewatch.wire.address import in_url
from gatewatch.wire.pcap import Frame

BYTES = 1 << 17
"""What is fetched each time. Our choice: four times the largest documented amount that passes
before the rest is held back (32 kB)."""
FETCH_S = 2.5
"When a handshake, and a transfer, is given up; at 150 kbit/s a third of it has come by then."
MOST_HOPS = 12
"Distances that are tried. Our choice: boxes that hold back stand near the people, not far off."
AT_ONCE = 4
"Distances at a time, two transfers each. Our choice: no burden for a line of some Mbit/s."
ANCHORS = 4
AGAIN = 2
"How often the two distances that decide are tried once more."
SETTLE_S = 0.1
"At least so long after the segment the connection goes on: then it has come as far as it goes."
BUDGET_S = 40.0
"Our choice: three times what a usual path takes."
HELD = frozenset({"slowed_by_name", "stalled_by_name"})

Fate = Literal["held", "free"]


@dataclass(frozen=True, slots=True)
class Fetch:
    """One transfer after a segment said aside."""

    trial: Trial
    ttl: int
    ours: bool
    "An innocent name was in the segment."
    kbps: float | None
    "0: the handshake was left without an answer; None: no measure of anything."
    whole: bool


@dataclass(slots=True)
class Sweep:
    """Transfers of several distances, each once."""

    fetches: list[Fetch] = field(default_factory=list)
    hops: dict[int, str] = field(default_factory=dict)
    "Where segments expired."

    def add(self, other: Sweep) -> None:
        self.fetches += other.fetches
        self.hops |= other.hops


def fates(fetches: Sequence[Fetch]) -> dict[int, Fate]:
    """What became of transfers after the suspected name, by the distance that it went.

    Nothing is said unless every innocent one came whole, and of no distance whose transfer
    failed in any other way than by being late.
    """
    ours = [one for one in fetches if one.ours]
    if not ours or not all(one.whole for one in ours):
        return {}
    usual = min(one.kbps or 0.0 for one in ours)
    return {
        one.ttl: "held" if one.kbps < SLOWED * usual else "free"
        for one in fetches
        if not one.ours and one.kbps is not None
    }


def step_in(found: dict[int, Fate], ttls: Sequence[int]) -> int | None:
    """The largest distance that leaves all free, where every larger one is held; else None.

    >>> step_in({1: "free", 2: "held", 3: "held"}, [1, 2, 3])
    1
    >>> step_in({1: "held", 2: "free", 3: "held"}, [1, 2, 3])
    """
    if any(ttl not in found for ttl in ttls):
        return None
    held = [ttl for ttl in ttls if found[ttl] == "held"]
    last = min(held, default=0) - 1
    return last if held and all(found[ttl] == "held" for ttl in ttls if ttl > last) else None


class HeldBack:
    """The name aside with limited TTLs, until what follows is held back."""

    name = "held_back"
    version = 1
    question = "At which hop is it held back once its name was seen?"
    layers: frozenset[Layer] = frozenset({"tls", "http"})
    deep = True

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        if not _arises(bench, suspicion):
            return None
        secure = urlsplit(suspicion.url).scheme == "https"
        await bench.turn(suspicion.address, ANCHORS)
        with bench.lend(ANCHORS, suspicion.address, tainted=True) as anchors:
            if not anchors:
                return None
            earlier = {anchor.address: bench.taint(anchor.address) for anchor in anchors}
            bench.tell(f"at which hop is {suspicion.host} held back?")
            line = _Line(bench, suspicion, secure, anchors)
            try:
                found = await self._found(line)
            except Failed as failed:
                no_right = failed.failure == "permission_denied"
                words = f"Not tried: {NO_RIGHT}." if no_right else f"Not tried: {failed.failure}."
                return finding(
                    self, suspicion, "no_right" if no_right else "inconclusive", words, []
                )
            if found.answer == "found":  # innocent transfers went well there to the last
                for address, before in earlier.items():
                    bench.clear(address, before)
            return found

    async def _found(self, line: _Line) -> Finding:
        suspicion, until = line.suspicion, line.bench.vantage.now() + BUDGET_S
        every = Sweep()
        distance = await line.distance()
        if distance is None or distance < 2:
            words = "How far our server is cannot be told."
            return finding(self, suspicion, "inconclusive", words, [])
        ttls = range(1, min(distance, MOST_HOPS + 1))

        async def swept(which: Sequence[int]) -> dict[int, Fate]:
            sweep = Sweep()
            for start in range(0, len(which), AT_ONCE):
                if line.bench.vantage.now() > until or line.bench.left_s() < 4 * FETCH_S:
                    break
                sweep.add(await line.volley(which[start:][:AT_ONCE]))
            every.add(sweep)
            return fates(sweep.fetches)

        first = await swept(ttls)
        if (last := step_in(first, ttls)) is None and "held" in first.values():
            last = step_in(await swept(ttls), ttls)
        trials = [one.trial for one in every.fetches]
        if last is None:
            seen = len(first) == len(ttls) and "held" not in first.values()
            words = (
                "What follows the name is held back at no distance short of our server."
                if seen
                else "Transfers differ too much among themselves to tell the distance."
            )
            return finding(self, suspicion, "not_seen" if seen else "inconclusive", words, trials)
        pair = [ttl for ttl in (last, last + 1) if ttl]
        again = [step_in(await swept(pair), pair) for _ in range(AGAIN)]
        trials = [one.trial for one in every.fetches]
        if any(one != last for one in again):
            words = f"First held back behind hop {last}, and otherwise when it was repeated."
            return finding(self, suspicion, "inconclusive", words, trials)
        here, after = every.hops.get(last), every.hops.get(last + 1)
        words = (
            f"It is held back behind hop {last} ({here or 'a silent one'}), before hop {last + 1} "
            f"({after or 'a silent one'}): a name that goes no farther than hop {last} slows "
            f"nothing, one that goes on to hop {last + 1} or beyond slows what follows it to "
            f"{_share(every.fetches, last)} of what follows an innocent name."
        )
        return finding(
            self,
            suspicion,
            "found",
            words,
            trials,
            placement="in_path",  # who only listens cannot hold packets back
            hop_address=here,
            hop_ttl=last,
        )


def _arises(bench: Bench, suspicion: Suspicion) -> bool:
    """The name is known to be the reason, what it causes is delay, and no hop is known."""
    said = [
        one
        for one in bench.findings
        if (one.host, one.depth, one.layer) == (suspicion.host, suspicion.depth, suspicion.layer)
    ]
    if any(one.hop_ttl is not None for one in said):
        return False
    if any(one.answer in HELD for one in said):
        return True
    silent = kind_of(suspicion.failure) is FailureKind.TIMEOUT
    return silent and any(one.trigger == "name" for one in said)


def _share(fetches: Sequence[Fetch], last: int) -> str:
    held = [one.kbps or 0.0 for one in fetches if not one.ours and one.ttl > last]
    usual = [one.kbps or 0.0 for one in fetches if one.ours]
    return f"{sum(held) / len(held) / (sum(usual) / len(usual)):.0%}"


@dataclass(frozen=True, slots=True)
class _Line:
    """Connections to servers of ours."""

    bench: Bench
    suspicion: Suspicion
    secure: bool
    anchors: Sequence[Anchor]

    @property
    def port(self) -> int:
        return 443 if self.secure else 80

    async def distance(self) -> int | None:
        """Of the nearest of our servers; TTLs below it reach none of them."""
        rng = self.bench.rng
        seen = await asyncio.gather(
            *(
                trace(self.bench.vantage, Target(one, self.port, "syn"), None, None, random=rng)
                for one in dict.fromkeys(anchor.address for anchor in self.anchors)
            )
        )
        found = [distance_of(one.test) for one in seen]
        return None if None in found else min(one for one in found if one is not None)

    async def volley(self, ttls: Sequence[int]) -> Sweep:
        """For each distance two transfers, after the suspected name and after an innocent one.

        Raises:
            Failed: packets may not be heard, or made.
        """
        turn = self.bench.rng.randrange(len(self.anchors))
        plan = [
            (ttl, self.anchors[(turn + n) % len(self.anchors)], ours)
            for n, ttl in enumerate(ttls)
            for ours in (True, False)
        ]
        with Tap.open([anchor.address for anchor in self.anchors]) as tap:
            opened = await asyncio.gather(
                *(connect(self.bench.vantage, a.address, self.port, timeout_s=CONNECT_S)
                  for _, a, _ in plan)
            )  # fmt: skip
            said = self._aside(plan, opened, tap)
            slowest = max(one.t - one.t0 for one in opened)
            await asyncio.sleep(max(SETTLE_S, slowest))
            heard = tap.frames()
        expired, arrived = _seen(heard)
        fetched = await asyncio.gather(
            *(
                self._fetch(one, *planned, is_said and _port(one) not in arrived)
                for planned, one, is_said in zip(plan, opened, said, strict=True)
            )
        )
        return Sweep(list(fetched), expired)

    def _aside(
        self, plan: Sequence[tuple[int, Anchor, bool]], opened: Sequence[Connect], tap: Tap
    ) -> list[bool]:
        heard = tap.frames()
        try:
            return [
                one.stream is not None
                and say_aside(one.stream, heard, self._name(anchor, ours), ttl)
                for (ttl, anchor, ours), one in zip(plan, opened, strict=True)
            ]
        except Failed:
            for one in opened:
                if one.stream is not None:
                    one.stream.reset()
            raise

    def _name(self, anchor: Anchor, ours: bool) -> bytes:
        name = anchor.name if ours else self.suspicion.host
        if self.secure:
            return client_hello(name, random=self.bench.rng)
        target = Target(anchor.address, self.port, "http", f"/bytes?n={BYTES}")
        return request_of(target, name, self.bench.rng)

    async def _fetch(
        self, reached: Connect, ttl: int, anchor: Anchor, ours: bool, usable: bool
    ) -> Fetch:
        """The innocent transfer over a connection on which a name was said aside."""
        stream = reached.stream
        if stream is None:
            return self._fetched(reached, ttl, anchor, ours, "tcp", reached.failure, reached.t)
        try:
            channel: Channel = stream
            if self.secure:
                shaken = await handshake(
                    stream, anchor.name, ca=self.bench.seat.ca, alpn=("http/1.1",),
                    timeout_s=FETCH_S, verify=False,
                )  # fmt: skip
                if shaken.channel is None:
                    kbps = 0.0 if usable and shaken.failure == TIMEOUT else None
                    return self._fetched(
                        reached, ttl, anchor, ours, "tls", shaken.failure, shaken.t, kbps
                    )
                channel = shaken.channel
            return await self._transfer(reached, stream, channel, ttl, anchor, ours, usable)
        finally:
            stream.reset()

    async def _transfer(
        self,
        reached: Connect,
        stream: Stream,
        channel: Channel,
        ttl: int,
        anchor: Anchor,
        ours: bool,
        usable: bool,
    ) -> Fetch:
        scheme = "https" if self.secure else "http"
        url = f"{scheme}://{in_url(anchor.name)}/bytes?n={BYTES}"
        before = stream.received
        got = await exchange(
            self.bench.vantage,
            channel,
            Request(url=url, headers=HEADERS),
            timeout_s=FETCH_S,
            most=BYTES,
        )
        size = stream.received - before
        kbps = None
        if usable and got.failure in (None, TIMEOUT):
            kbps = size * 8 / 1000 / max(got.t - got.t0, 1e-3)
        return self._fetched(reached, ttl, anchor, ours, "http", got.failure, got.t, kbps, size)

    def _fetched(
        self,
        reached: Connect,
        ttl: int,
        anchor: Anchor,
        ours: bool,
        step: Literal["tcp", "tls", "http"],
        failure: str | None,
        t: float,
        kbps: float | None = None,
        size: int | None = None,
    ) -> Fetch:
        aside = "innocent" if ours else "suspect"
        words = "" if kbps is None else f", {kbps:.0f} kbit/s"
        trial = Trial(
            arm=f"{aside} to hop {ttl}",
            step=step,
            address=anchor.address,
            port=self.port,
            name=anchor.name,
            failure=failure,
            t0=reached.t0,
            t=t,
            bytes=size,
            words=f"said aside: {anchor.name if ours else self.suspicion.host}{words}",
        )
        return Fetch(trial, ttl, ours, kbps, whole=kbps is not None and failure is None)


def _port(reached: Connect) -> int | None:
    return None if reached.stream is None else reached.stream.source_port


def _seen(heard: Sequence[Frame]) -> tuple[dict[int, str], set[int]]:
    """Where segments expired, by TTL; and the source ports of those that came to the server."""
    probes = [probe for probe in collect(heard).probes if probe.request]
    path = path_of(probes)
    hops = {ttl: address for ttl in path.hops if (address := path.address(ttl)) is not None}
    return hops, {probe.key.client_port for probe in probes if probe.heard and not probe.expired}


EXPERIMENT = HeldBack()
