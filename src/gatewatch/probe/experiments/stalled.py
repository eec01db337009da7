"""At which hop is a connection cut off that stalls, whoever is named, some way into the answer?

Requests are answered there, so that requests with limited TTLs show nothing, and at servers of
ours nothing stalls. So the site's own page is fetched until it stalls. Then bytes that these
connections have said are said again with limited TTLs, and so is the beginning of a request on
connections that were only just opened: routers beyond the box tell of the latter alone. A server
that stops by itself still acknowledges what comes to it, and then nothing is said of anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.experiments.attempts import CONNECT_S, HEADERS, finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.questions import innocent_name
from gatewatch.probe.experiments.throughput import STALL_S, TRANSFER_BYTES, TRANSFER_S
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
    say_again,
)
from gatewatch.probe.steps import Request, exchange, handshake
from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.limited import ANSWER_S, ROUND_TRIPS, Target, trace
from gatewatch.probe.trace.path import path_of
from gatewatch.probe.trace.probes import Probe
from gatewatch.probe.trace.stalled import AGREE_LEAST, read_stalled, repeated

STALLING, GOING = 3, 2
"Connections that are to stall, and that only begin. Our choice: few, as the site is another's."
AHEAD = 48
"Bytes of a request that is begun and not ended: more than there are hops, and without any name."
COPIES, SPACING_S = 3, 0.3
"Of what is said again; routers tell of some packets a second only."
LEAST_S = 15.0
"With less time left nothing is begun: three times what a usual path takes."
STALLS = frozenset({"stalled_at_address", "stalled_by_name"})


class Stalled:
    """What was said on stalled connections again, with limited TTLs."""

    name = "stalled"
    version = 1
    question = "At which hop are connections cut off that stall?"
    layers: frozenset[Layer] = frozenset({"tls", "http"})
    deep = True

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        said = _said(bench, suspicion)
        if suspicion.address is None or not _arises(suspicion, said):
            return None
        if bench.left_s() < LEAST_S:
            return None
        bench.tell(f"at which hop do connections to {suspicion.address} stall?")
        bench.taint(suspicion.address)
        try:
            return await self._found(bench, suspicion, suspicion.address)
        except Failed as failed:
            no_right = failed.failure == "permission_denied"
            words = f"Not tried: {NO_RIGHT if no_right else failed.failure}."
            answer = "no_right" if no_right else "inconclusive"
            return finding(self, suspicion, answer, words, [])

    async def _found(self, bench: Bench, suspicion: Suspicion, address: str) -> Finding:
        syn = Target(address, suspicion.port, "syn")
        knocked = await trace(bench.vantage, syn, None, None, random=bench.rng)
        knocks = collect(knocked.test, knocks=True).probes
        distance = path_of(knocks, trusted=True).distance
        if distance is None or not 1 < distance < AHEAD - 1:
            words = "How far the server is cannot be told."
            return finding(self, suspicion, "inconclusive", words, [])
        line = _Line(bench, suspicion, address)
        with Tap.open([address]) as tap:
            fetched = await asyncio.gather(*(line.fetch() for _ in range(STALLING)))
            begun = await asyncio.gather(*(line.begin() for _ in range(GOING)))
            try:
                stalled = [one.stream for one in fetched if one.stream is not None and one.stalled]
                going = [one.stream for one in begun if one.stream is not None]
                if len(stalled) >= AGREE_LEAST and going:
                    slowest = max(one.t - one.t0 for one in begun)
                    await line.repeat(tap, stalled, going, range(1, distance + 2), slowest)
                frames = tap.frames()
                ports = [[one.source_port for one in some] for some in (stalled, going)]
            finally:
                for one in (*fetched, *begun):
                    if one.stream is not None:
                        one.stream.reset()
        trials = [one.trial for one in fetched]
        if len(stalled) < AGREE_LEAST:
            words = f"{len(stalled)} of {len(fetched)} connections stalled: too few to look at."
            return finding(self, suspicion, "not_repeated", words, trials)
        quiet, others = (repeated(frames, some) for some in ports)
        cut = read_stalled(quiet, others, knocks)
        if cut is None:
            return finding(self, suspicion, "not_seen", _unsaid(quiet, others), trials)
        here, after = (cut.hops.get(ttl) or "a silent one" for ttl in (cut.last, cut.first))
        return finding(
            self,
            suspicion,
            "found",
            f"Connections that have stalled are cut off behind hop {cut.last} ({here}), before "
            f"hop {cut.first} ({after}). {'; '.join(cut.evidence)}.",
            trials,
            trigger="address" if _is_address(bench, suspicion) else None,
            placement="in_path",  # who only listens cannot keep packets
            hop_address=cut.hops.get(cut.last),
            hop_ttl=cut.last,
        )


def _said(bench: Bench, suspicion: Suspicion) -> list[Finding]:
    """What is known of it already."""
    return [
        one
        for one in bench.findings
        if (one.host, one.depth, one.layer) == (suspicion.host, suspicion.depth, suspicion.layer)
    ]


def _arises(suspicion: Suspicion, said: Sequence[Finding]) -> bool:
    """It stalls, or is known to be blocked by silence, and for what; and no hop is known."""
    if any(one.hop_ttl is not None for one in said):
        return False
    silent = kind_of(suspicion.failure) is FailureKind.TIMEOUT
    return any(
        one.answer in STALLS or (silent and one.trigger is not None and one.mechanism is not None)
        for one in said
    )


def _is_address(bench: Bench, suspicion: Suspicion) -> bool:
    """Under an innocent name the address stalls as well; and now it is known not to do it."""
    return suspicion.reached is True and any(
        one.answer == "stalled_at_address" for one in _said(bench, suspicion)
    )


def _unsaid(quiet: Sequence[Sequence[Probe]], others: Sequence[Sequence[Probe]]) -> str:
    """Why no hop is named."""
    if any(probe.heard for probes in quiet for probe in probes):
        return "The server still answers on connections that have stalled, or they go on."
    last, far = (
        max((p.ttl for probes in some for p in probes if p.expired), default=0)
        for some in (quiet, others)
    )
    return (
        f"What is said again on stalled connections is told of up to hop {last}, on others up to "
        f"hop {far}: that does not tell where they are cut off."
    )


@dataclass(frozen=True, slots=True)
class _Fetched:
    """One connection to the site, left open."""

    stream: Stream | None
    stalled: bool
    trial: Trial


@dataclass(frozen=True, slots=True)
class _Line:
    """Connections to the site."""

    bench: Bench
    suspicion: Suspicion
    address: str

    @property
    def secure(self) -> bool:
        return urlsplit(self.suspicion.url).scheme == "https"

    async def fetch(self) -> _Fetched:
        """The site's page, until it has come, or nothing more comes."""
        bench, host = self.bench, self.suspicion.host
        reached = await self._connect()
        stream = reached.stream
        if stream is None:
            return self._fetched(reached, "tcp", reached.failure)
        channel: Channel = stream
        if self.secure:
            shaken = await handshake(
                stream, host, ca=bench.seat.ca, alpn=("http/1.1",), timeout_s=TRANSFER_S,
                verify=False,
            )  # fmt: skip
            if shaken.channel is None:
                return self._fetched(reached, "tls", shaken.failure)
            channel = shaken.channel
        got = await exchange(
            bench.vantage,
            channel,
            Request(url=self.suspicion.url, headers=HEADERS),
            timeout_s=TRANSFER_S,
            most=TRANSFER_BYTES,
        )
        return self._fetched(reached, "http", got.failure)

    async def begin(self) -> Connect:
        """A connection on which a request was begun, as far as it names nobody."""
        reached = await self._connect()
        if reached.stream is not None:
            now = self.bench.vantage.now()
            try:
                await reached.stream.write(self._beginning(), now + CONNECT_S)
            except Failed:  # it is told of at no hop, then, and nothing rests on it
                reached.stream.mark("write_failed")
        return reached

    def _beginning(self) -> bytes:
        if self.secure:
            return client_hello(innocent_name(self.bench), random=self.bench.rng)[:AHEAD]
        return b"GET /".ljust(AHEAD, b"a")

    async def repeat(
        self,
        tap: Tap,
        stalled: Sequence[Stream],
        going: Sequence[Stream],
        ttls: Sequence[int],
        round_trip_s: float,
    ) -> None:
        """Say again what was said, some times, and wait for what comes of it.

        Those that stall first: where routers tell of few packets, the others go without, and
        nothing is found.

        Raises:
            Failed: packets may not be made.
        """
        await asyncio.sleep(round_trip_s)  # what was begun is acknowledged first
        for _ in range(COPIES):
            heard = tap.frames()
            for stream in (*stalled, *going):
                say_again(stream, heard, ttls)
            await asyncio.sleep(SPACING_S)
        await asyncio.sleep(max(ANSWER_S, ROUND_TRIPS * round_trip_s))

    async def _connect(self) -> Connect:
        port = self.suspicion.port
        return await connect(self.bench.vantage, self.address, port, timeout_s=CONNECT_S)

    def _fetched(
        self, reached: Connect, step: Literal["tcp", "tls", "http"], failure: str | None
    ) -> _Fetched:
        stream, t = reached.stream, self.bench.vantage.now()
        last = stream.arrivals[-1][0] if stream is not None and stream.arrivals else reached.t
        stalled = stream is not None and failure == TIMEOUT and t - last >= STALL_S
        trial = Trial(
            arm="stalled" if stalled else "suspect",
            step=step,
            address=self.address,
            port=self.suspicion.port,
            name=self.suspicion.host,
            failure=failure,
            t0=reached.t0,
            t=t,
            bytes=stream.received if stream is not None else None,
        )
        return _Fetched(stream, stalled, trial)


EXPERIMENT = Stalled()
