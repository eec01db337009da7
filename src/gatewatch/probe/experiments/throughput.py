"""Throttling: does a name make a transfer slow, where another name from the same server is quick?

The same bytes are fetched from a server of ours with the suspected name and with an innocent one,
in turn, so that whatever else slows the line slows both. A transfer that stalls counts as what
had come when it was given up. Only where our server shows nothing is the site's own asked the
same way; a site that is slow under any name may just be slow, and is not accused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from gatewatch.probe.exchanges import target_of
from gatewatch.probe.experiments.attempts import CONNECT_S, HEADERS, finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.net import TIMEOUT, Channel, Stream
from gatewatch.probe.steps import Request, connect, exchange, handshake
from gatewatch.wire.address import in_url

TRANSFER_BYTES = 1 << 18
"""What an anchor is asked for. Our choice: eight times the largest documented amount that passes
before the throttling begins (32 kB), and no burden: 2 MB for an experiment on a quick line."""
TRANSFER_S = 2.5
"When a transfer is given up. At 150 kbit/s 48 kB and the first burst have come by then."
LEAST_BYTES = 8_192
"Less than that is sent at once by any server (ten segments, RFC 6928), and has no speed."
BEGUN_BYTES = 4_096
"""So much shows that an answer has begun, though its first TLS record, of up to 16 kB, may not be
whole. Our choice: several times what TLS itself says after a handshake."""
PAIRS = (4, 8)
"Pairs after which we decide, if we can."
SLOWED = 0.5
"""A name slows a transfer if the whole 95 % interval of its throughput over the innocent name's is
below this. Our choice: caches that know one name and not the other, queues and TCP's own luck make
ratios down to a half; documented throttling is below a tenth (130 of several 1,000 kbit/s). Of
lines that are not throttled the rule accuses, in simulation, none that loses little, 1 in 800
where throughputs spread by a factor of 2 (5 % of packets lost), 1 in 170 where by more than 3."""
SPREAD = 0.1
"Standard deviation of a log-ratio that four pairs may understate, and we do not believe less of."
STALLED = 2
"Pairs that stall on both sides, after which more would tell no more."
STALL_S = 1.0
"Silence at the end of a transfer after which it has stalled, and is not merely slow."

T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)
"Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom."


# -- the effect ------------------------------------------------------------------------------


class Effect(NamedTuple):
    """Throughput of one arm over that of the other, and its 95 % interval."""

    ratio: float
    low: float
    high: float


def effect(suspect: Sequence[float], innocent: Sequence[float]) -> Effect:
    """The ratio of two arms measured in pairs, from Student's t on the logarithms.

    Args:
        suspect, innocent: throughputs in the order of their pairs, any unit, above 0; 2 to 13.

    >>> tuple(round(x, 3) for x in effect([1.0, 1.1, 0.9, 1.0], [10.0, 10.0, 10.0, 10.0]))
    (0.1, 0.085, 0.117)
    """
    logs = [log(one / other) for one, other in zip(suspect, innocent, strict=True)]
    middle, n = fmean(logs), len(logs)
    half = T_95[n - 2] * max(stdev(logs), SPREAD) / sqrt(n)
    return Effect(exp(middle), exp(middle - half), exp(middle + half))


def decided(found: Effect) -> Literal["slowed", "not_slowed"] | None:
    """What an interval shows; None if it shows neither."""
    if found.high < SLOWED:
        return "slowed"
    return "not_slowed" if found.low > SLOWED else None


# -- the experiment --------------------------------------------------------------------------


class Transfer(NamedTuple):
    """One fetch."""

    trial: Trial
    kbps: float | None
    "Of all that came over the connection since the request; None: it never got so far."
    body: int
    "Bytes."
    whole: bool
    stalled: bool
    status: int | None


@dataclass(slots=True)
class _Compared:
    """Two arms at one server."""

    suspect: list[Transfer] = field(default_factory=list)
    innocent: list[Transfer] = field(default_factory=list)
    effect: Effect | None = None
    decision: Literal["slowed", "not_slowed"] | None = None

    @property
    def trials(self) -> list[Trial]:
        return [one.trial for one in (*self.suspect, *self.innocent)]

    @property
    def stalls(self) -> bool:
        """All of the suspect's transfers stopped, and did not trickle."""
        return bool(self.suspect) and all(one.stalled for one in self.suspect)

    @property
    def both_stall(self) -> bool:
        every = (*self.suspect, *self.innocent)
        return len(every) >= 2 * STALLED and all(one.stalled for one in every)

    @property
    def both_stop(self) -> bool:
        """They stall in the middle: who has not begun to answer may be thinking."""
        every = (*self.suspect, *self.innocent)
        return self.both_stall and all((one.trial.bytes or 0) >= BEGUN_BYTES for one in every)


class Experiment:
    name = "throughput"
    version = 1
    question = "Is the suspected name slower than an innocent one from the same server?"
    layers: frozenset[Layer] = frozenset({"http"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        """For what was slow; where all is asked, also for pages that came as they should."""
        if suspicion.kind != "slow" and not (bench.deep and suspicion.kind == "unasked"):
            return None
        secure = urlsplit(suspicion.url).scheme == "https"
        with bench.lend(1, suspicion.address) as anchors:
            if not anchors:
                return None
            anchor = anchors[0]
            name = anchor.name
            ours = _Server(bench, anchor.address, 443 if secure else 80, secure)
            target = f"/bytes?n={TRANSFER_BYTES}"
            bench.taint(anchor.address)
            bench.tell(f"speed of {suspicion.host} against {name}")
            here = await _compare(
                bench,
                _Arm(ours, "suspect", suspicion.host, name if secure else suspicion.host, target),
                _Arm(ours, "innocent_name", name, name, target),
            )
        quick = bool(here.innocent) and all(one.whole for one in here.innocent)
        if here.decision == "slowed" or suspicion.address is None or not quick:
            return _said(suspicion, here, None, secure)
        path = target_of(suspicion.url)
        theirs = _Server(bench, suspicion.address, suspicion.port, secure)
        there = await _compare(
            bench,
            _Arm(theirs, "suspect at its address", suspicion.host, suspicion.host, path),
            _Arm(
                theirs,
                "innocent_name at its address",
                name,
                suspicion.host if secure else name,
                path,
            ),
        )
        return _said(suspicion, here, there, secure)


EXPERIMENT = Experiment()


@dataclass(frozen=True, slots=True)
class _Server:
    bench: Bench
    address: str
    port: int
    secure: bool


@dataclass(frozen=True, slots=True)
class _Arm:
    server: _Server
    arm: str
    name: str
    "In clear: the server name, or the Host where there is no TLS."
    host: str
    target: str

    async def fetch(self) -> Transfer:
        """One transfer over a connection of its own, ended with a RST."""
        bench, server = self.server.bench, self.server
        reached = await connect(bench.vantage, server.address, server.port, timeout_s=CONNECT_S)
        if reached.stream is None:
            return self._failed("tcp", reached.failure, reached.t0, reached.t)
        stream: Stream = reached.stream
        try:
            channel: Channel = stream
            if server.secure:
                shaken = await handshake(
                    stream,
                    self.name,
                    ca=bench.seat.ca,
                    alpn=("http/1.1",),
                    timeout_s=2 * TRANSFER_S,
                    verify=False,
                )
                if shaken.channel is None:
                    return self._failed("tls", shaken.failure, shaken.t0, shaken.t)
                channel = shaken.channel
            return await self._transfer(channel, stream)
        finally:
            stream.reset()

    async def _transfer(self, channel: Channel, stream: Stream) -> Transfer:
        bench, scheme = self.server.bench, "https" if self.server.secure else "http"
        request = Request(url=f"{scheme}://{in_url(self.host)}{self.target}", headers=HEADERS)
        before = stream.received
        got = await exchange(
            bench.vantage, channel, request, timeout_s=TRANSFER_S, most=TRANSFER_BYTES
        )
        size, took = stream.received - before, max(got.t - got.t0, 1e-3)
        given_up = got.failure == TIMEOUT
        last = stream.arrivals[-1][0] if stream.arrivals else got.t0
        stalled = given_up and got.t - max(last, got.t0) >= STALL_S
        measured = got.failure is None or given_up
        kbps = max(size, 1) * 8 / 1000 / took if measured else None
        words = "" if kbps is None else f"{kbps:.0f} kbit/s{', stalled' if stalled else ''}"
        trial = self._trial("http", got.failure, got.t0, got.t, size, words)
        return Transfer(trial, kbps, len(got.body), got.failure is None, stalled, got.status)

    def _failed(
        self, step: Literal["tcp", "tls"], failure: str | None, t0: float, t: float
    ) -> Transfer:
        return Transfer(self._trial(step, failure, t0, t, None, ""), None, 0, False, False, None)

    def _trial(
        self,
        step: Literal["tcp", "tls", "http"],
        failure: str | None,
        t0: float,
        t: float,
        size: int | None,
        words: str,
    ) -> Trial:
        return Trial(
            arm=self.arm,
            step=step,
            address=self.server.address,
            port=self.server.port,
            name=self.name,
            failure=failure,
            t0=t0,
            t=t,
            bytes=size,
            words=words,
        )


async def _compare(bench: Bench, suspect: _Arm, innocent: _Arm) -> _Compared:
    """Fetch in the order innocent, suspect, suspect, innocent, until it can be decided."""
    found = _Compared()
    for pair in range(PAIRS[-1]):
        if bench.left_s() < 4 * TRANSFER_S:
            break
        order = (innocent, suspect) if pair % 2 == 0 else (suspect, innocent)
        got = {arm.arm: await arm.fetch() for arm in order}
        found.suspect.append(got[suspect.arm])
        found.innocent.append(got[innocent.arm])
        if not _comparable(found) or (len(found.suspect) == STALLED and found.both_stall):
            break
        if pair + 1 in PAIRS:
            found.effect = effect(*_speeds(found))
            found.decision = decided(found.effect)
            if found.decision is not None:
                break
    return found


def _comparable(found: _Compared) -> bool:
    """Did both arms transfer enough of the same to have a speed?"""
    if any(one.kbps is None for one in (*found.suspect, *found.innocent)):
        return False
    status = {one.status for one in (*found.suspect, *found.innocent) if one.status is not None}
    sizes = [one.body for one in (*found.suspect, *found.innocent) if one.whole]
    alike = not sizes or (min(sizes) >= LEAST_BYTES and max(sizes) == min(sizes))
    return len(status) <= 1 and alike


def _speeds(found: _Compared) -> tuple[list[float], list[float]]:
    return ([one.kbps or 0.0 for one in found.suspect], [one.kbps or 0.0 for one in found.innocent])


def _said(suspicion: Suspicion, ours: _Compared, theirs: _Compared | None, secure: bool) -> Finding:
    trials = [*ours.trials, *(theirs.trials if theirs else ())]
    slowed = next((one for one in (ours, theirs) if one and one.decision == "slowed"), None)
    if slowed is not None and slowed.effect is not None:
        stalls = slowed.stalls
        proven = "tls.throttle.sni" if secure else "http.throttle.host"
        verb = "stalls" if stalls else "is slowed"
        where = "at our server" if slowed is ours else "at its own address"
        return finding(
            EXPERIMENT,
            suspicion,
            "stalled_by_name" if stalls else "slowed_by_name",
            f"{_share(slowed.effect)} of an innocent name's throughput {where}: what carries this "
            f"name {verb}",
            trials,
            mechanism=None if stalls else proven,
            trigger="name",
            placement="in_path",  # who only listens cannot hold packets back
            **_numbers(slowed.effect),
        )
    if theirs is not None and theirs.both_stop and any(one.whole for one in ours.innocent):
        size = fmean(one.trial.bytes or 0 for one in (*theirs.suspect, *theirs.innocent))
        words = (
            f"whatever the name, this address stalls after {size / 1000:.0f} kB; ours does not. "
            "The server may do it itself"
        )
        return finding(EXPERIMENT, suspicion, "stalled_at_address", words, trials)
    for one in (theirs, ours):
        if one is not None and one.decision == "not_slowed" and one.effect is not None:
            words = f"{_share(one.effect)} of an innocent name's throughput: the name slows nothing"
            return finding(
                EXPERIMENT, suspicion, "not_slowed", words, trials, **_numbers(one.effect)
            )
    words = "transfers failed, or differ too much among themselves to be compared"
    more = _numbers(ours.effect) if ours.effect is not None else {}
    return finding(EXPERIMENT, suspicion, "inconclusive", words, trials, **more)


def _share(found: Effect) -> str:
    return f"{found.ratio:.0%} ({found.low:.0%} to {found.high:.0%})"


def _numbers(found: Effect) -> dict[str, Any]:
    return {
        "effect": round(found.ratio, 4),
        "effect_low": round(found.low, 4),
        "effect_high": round(found.high, 4),
    }
