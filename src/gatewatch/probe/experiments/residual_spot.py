"""A place to bring under residual blocking: what is sent there, and what is tried after it.

Every connection ends with a RST, whichever way it went. One that is merely closed goes on: the
system repeats what nobody acknowledged, for minutes, and each repetition prolongs the block that
is being timed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.exchanges import target_of
from gatewatch.probe.experiments.attempts import HEADERS
from gatewatch.probe.experiments.mechanism import Bench
from gatewatch.probe.experiments.residual_time import Span
from gatewatch.probe.finding import Trial
from gatewatch.probe.hello import client_hello, ech_extension, name_to_send, say_hello
from gatewatch.probe.net import TIMEOUT, Stream
from gatewatch.probe.steps import Request, connect, exchange, handshake, quic_handshake
from gatewatch.wire.address import in_url

TRIES = 3
"A look that hears nothing is repeated: the loss of one attempt is no block."
SILENT_S = 0.7
"""How long each attempt waits for an answer. Our choice: below the second after which a lost SYN is
sent again (RFC 6298), so that it is known when the last packet left."""
ROUND_TRIPS = 3.0
"On slow paths: so many times what an answered attempt took."
RETRANSMITS_S = 1.0
"When a SYN is sent again first; newer kernels go on every second, older ones after two more."
PORTS = range(33_000, 60_000)
"Of the client. Our choice: what systems draw from as well."
TRIGGERINGS = 8
"Of one place. A censor that acts on a quarter of all triggers misses eight in one case of ten."

Kind = Literal["sni", "ech", "esni", "random", "request", "quic"]
Service = tuple[int, Literal["tcp", "udp"]]
"Server port and protocol."

HTTP: Service = (80, "tcp")
TLS: Service = (443, "tcp")
QUIC: Service = (443, "udp")


class Sent(NamedTuple):
    """What came of one innocent attempt or trigger."""

    failure: str | None
    shown: tuple[Any, ...]
    "What the other side showed: status and length of a page."
    step: Literal["tcp", "tls", "quic", "http", "packet"]
    first: float
    "When its first packet left; seconds since the measurement began."
    answered: float
    "Of a good attempt: when the packet left that was answered."
    said: Span
    "When the last one left that says something, as nearly as is known."
    ended: float


class Glance(NamedTuple):
    """One look of up to `TRIES` attempts, as `residual_time` wants it."""

    blocked: bool
    at: float
    said: Span
    failure: str | None


class Innocent(NamedTuple):
    """What nobody has a quarrel with: a server of ours, or another one asked with our name."""

    name: str
    proves: bool
    "It has the certificate for its name."


# -- what is sent ----------------------------------------------------------------------------


async def look_once(
    bench: Bench, address: str, service: Service, innocent: Innocent, port: int, within_s: float
) -> Sent:
    """An innocent attempt; `port` is the client's, 0 for any."""
    if service == QUIC:
        return await _quic(bench, address, innocent, innocent.name, port, within_s)

    async def http(stream: Stream) -> tuple[str | None, tuple[Any, ...]]:
        request = Request(url=f"http://{innocent.name}/", headers=HEADERS)
        page = await exchange(bench.vantage, stream, request, timeout_s=within_s)
        return page.failure, (page.status, len(page.body))

    async def tls(stream: Stream) -> tuple[str | None, tuple[Any, ...]]:
        shaken = await handshake(
            stream,
            innocent.name,
            ca=bench.seat.ca,
            timeout_s=within_s,
            verify=innocent.proves,
        )
        return shaken.failure, ()

    return await _over_tcp(
        bench, address, service[0], port, within_s, http if service == HTTP else tls
    )


@dataclass(frozen=True, slots=True)
class TriggerTraffic:
    """What set the censor off, to be sent anywhere."""

    kind: Kind
    host: str
    url: str

    @property
    def service(self) -> Service:
        return {"request": HTTP, "quic": QUIC}.get(self.kind, TLS)

    async def send(
        self, bench: Bench, address: str, innocent: Innocent, port: int, within_s: float
    ) -> Sent:
        if self.kind == "quic":
            return await _quic(bench, address, innocent, self.host, port, within_s)
        say = _SAY[self.kind]

        async def said(stream: Stream) -> tuple[str | None, tuple[Any, ...]]:
            return await say(self, bench, stream, within_s)

        return await _over_tcp(bench, address, self.service[0], port, within_s, said)

    def worked(self, sent: Sent, before: Sent) -> bool:
        """Did it meet anything that innocent attempts do not?"""
        if kind_of(sent.failure) is FailureKind.LOCAL:
            return False
        if self.kind == "random":  # to which a server may well answer by hanging up
            return sent.failure == TIMEOUT
        if self.kind == "request":
            return sent.failure is not None or sent.shown != before.shown
        return sent.failure is not None


async def _say_name(
    traffic: TriggerTraffic, bench: Bench, stream: Stream, within_s: float
) -> tuple[str | None, tuple[Any, ...]]:
    shaken = await handshake(
        stream, traffic.host, ca=bench.seat.ca, timeout_s=within_s, verify=False
    )
    return shaken.failure, ()


async def _say_request(
    traffic: TriggerTraffic, bench: Bench, stream: Stream, within_s: float
) -> tuple[str | None, tuple[Any, ...]]:
    """The request as it was made when it met the censor."""
    url = f"http://{in_url(traffic.host)}{target_of(traffic.url)}"
    request = Request(url=url, headers=HEADERS)
    page = await exchange(bench.vantage, stream, request, timeout_s=within_s)
    return page.failure, (page.status, len(page.body))


async def _say_bytes(
    traffic: TriggerTraffic, bench: Bench, stream: Stream, within_s: float
) -> tuple[str | None, tuple[Any, ...]]:
    rng, name = bench.rng, name_to_send(traffic.host)
    if traffic.kind == "ech":
        data = client_hello(name, ech=ech_extension(rng), random=rng)
    elif traffic.kind == "esni":
        data = client_hello(None, esni=True, random=rng)
    else:
        data = b"\xff" + rng.randbytes(rng.randrange(200, 600))  # as no known protocol begins
    return (await say_hello(stream, data, within_s)).failure, ()


Say = Callable[
    [TriggerTraffic, Bench, Stream, float], Awaitable[tuple[str | None, tuple[Any, ...]]]
]

_SAY: Mapping[Kind, Say] = {
    "sni": _say_name,
    "request": _say_request,
    "ech": _say_bytes,
    "esni": _say_bytes,
    "random": _say_bytes,
}


async def _over_tcp(
    bench: Bench,
    address: str,
    to_port: int,
    port: int,
    within_s: float,
    say: Callable[[Stream], Awaitable[tuple[str | None, tuple[Any, ...]]]],
) -> Sent:
    """Connect, say something, and end with a RST."""
    reached = await connect(bench.vantage, address, to_port, timeout_s=within_s, source_port=port)
    answered = reached.t0 + int((reached.t - reached.t0) / RETRANSMITS_S)
    if reached.stream is None:
        at = answered, answered
        return Sent(reached.failure, (), "tcp", reached.t0, answered, at, reached.t)
    try:
        failure, shown = await say(reached.stream)
    finally:
        reached.stream.reset()
    ended = bench.vantage.now()
    step = "http" if to_port == HTTP[0] else "tls"
    # What is not acknowledged is sent again at times of the system's own choice.
    said = (reached.t, ended if failure == TIMEOUT else reached.t)
    return Sent(failure, shown, step, reached.t0, answered, said, ended)


async def _quic(
    bench: Bench, address: str, innocent: Innocent, sni: str, port: int, within_s: float
) -> Sent:
    """Its end says something too, so that the last packet leaves when it is over.

    Not so for the flow that set the censor off: what follows in it may be nothing new to it.
    """
    found = await quic_handshake(
        bench.vantage,
        address,
        QUIC[0],
        innocent.name,
        ca=bench.seat.ca,
        sni=sni,
        verify=innocent.proves and sni == innocent.name,
        timeout_s=within_s,
        source_port=port,
    )
    last = found.t0 if sni != innocent.name else found.t
    return Sent(found.failure, (), "quic", found.t0, found.t0, (last, found.t), found.t)


# -- a place ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Spot:
    """Ends of a flow: an address, and, where it matters, the client's port."""

    bench: Bench
    traffic: TriggerTraffic
    innocent: Innocent
    address: str
    trials: list[Trial]
    within_s: float = SILENT_S
    port: int = 0
    "Of the client; 0 for any."
    doubted: bool = False
    "Triggers do not always work: each is followed by a look."
    before: dict[Service, Sent] = field(default_factory=dict)
    "What innocent attempts met before anything was sent."

    async def check(self, service: Service) -> bool:
        """Can innocents reach it? What they meet is what later looks are held against."""
        for _ in range(TRIES):
            sent = await look_once(self.bench, self.address, service, self.innocent, 0, 3.0)
            self._keep("before", service, self.innocent.name, sent)
            if sent.failure is None:
                self.before[service] = sent
                took = sent.ended - sent.first
                self.within_s = max(self.within_s, ROUND_TRIPS * took)
                return True
        return False

    async def send_trigger(self, port: int) -> tuple[bool, Span]:
        """Whether it met anything, and when it was first and last sent."""
        service = self.traffic.service
        sent = await self.traffic.send(self.bench, self.address, self.innocent, port, self.within_s)
        self._keep("trigger", service, self.traffic.host, sent)
        return self.traffic.worked(sent, self.before[service]), sent.said

    async def trigger(self) -> tuple[Span, Span] | None:
        """Bring it under a block, as `residual_time` wants it."""
        for _ in range(TRIGGERINGS):
            visibly, sent = await self.send_trigger(self.port)
            if visibly and not self.doubted:
                return sent, sent
            seen = await self.look()
            if seen.blocked:
                return sent, seen.said
        return None

    async def look(self) -> Glance:
        return await self.try_(self.traffic.service, self.port, "look")

    async def try_(self, service: Service, port: int, arm: str) -> Glance:
        """Whether innocents are blocked between these ends now."""
        at: float | None = None
        failure, said = "", (0.0, 0.0)
        for _ in range(TRIES):
            sent = await look_once(
                self.bench, self.address, service, self.innocent, port, self.within_s
            )
            self._keep(arm, service, self.innocent.name, sent)
            at = sent.first if at is None else at
            if sent.failure is None and sent.shown == self.before[service].shown:
                return Glance(False, sent.answered, sent.said, None)
            if kind_of(sent.failure) is FailureKind.LOCAL:  # our own port, say: it tells nothing
                return Glance(False, sent.answered, sent.said, sent.failure)
            failure, said = sent.failure or "another answer", sent.said
            if failure != TIMEOUT:
                break
        return Glance(True, said[0] if at is None else at, said, failure)

    def _keep(self, arm: str, service: Service, name: str, sent: Sent) -> None:
        self.trials.append(
            Trial(
                arm=arm,
                step=sent.step,
                address=self.address,
                port=service[0],
                name=name,
                failure=sent.failure,
                t0=sent.first,
                t=sent.ended,
            )
        )
