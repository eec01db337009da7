"""A place to bring under residual blocking: what is sent there, and what is tried after it.

Every connection ends with a RST, whichever way it went. One that is merely closed goes on: the
system repeats what nobody acknowledged, for minutes, and each repetition prolongs the block that
is being timed.
"""

from __future__ import annotations

import asyncio
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
CHECK_S = 3.0
"The same, of those made before anything is sent. Our choice: a lost SYN is sent again once."
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


def other_service(service: Service) -> Service:
    """One that shares no more than the addresses with this one."""
    return TLS if service == HTTP else HTTP


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


async def look_in_secret(bench: Bench, address: str, innocent: Innocent, within_s: float) -> Sent:
    """The innocent page where nobody on the way can change it; for who proves its name."""

    async def page(stream: Stream) -> tuple[str | None, tuple[Any, ...]]:
        shaken = await handshake(
            stream, innocent.name, ca=bench.seat.ca, alpn=("http/1.1",), timeout_s=within_s
        )
        if shaken.channel is None:
            return shaken.failure, ()
        request = Request(url=f"https://{in_url(innocent.name)}/", headers=HEADERS)
        got = await exchange(bench.vantage, shaken.channel, request, timeout_s=within_s)
        return got.failure, (got.status, len(got.body))

    return await _over_tcp(bench, address, TLS[0], 0, within_s, page)


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

    async def meet(self) -> bool:
        """Can innocents reach its service? The other one is tried as well."""
        service = self.traffic.service
        good, _ = await asyncio.gather(self._check(service), self._check(other_service(service)))
        return good

    async def is_fair(self) -> bool:
        """Is nothing blocked there any more, though a trigger was sent there before?

        Then all innocent attempts go well, to either service, and the page in clear, which
        whoever blocks may replace, is the one that comes where it cannot be.
        """
        service = self.traffic.service
        good = await asyncio.gather(
            self._check(service, each=True),
            self._check(other_service(service), each=True),
            self._true_page(),
        )
        return good[0] and good[1] and good[2] == self.before[HTTP].shown

    async def _check(self, service: Service, *, each: bool = False) -> bool:
        """Does an innocent attempt go well, or each? Later looks are held against the last.

        Args:
            each: it goes well every time, and not once in a few.
        """
        for _ in range(TRIES):
            sent = await look_once(self.bench, self.address, service, self.innocent, 0, CHECK_S)
            self._keep("before", service, self.innocent.name, sent)
            if sent.failure is None:
                self.before[service] = sent
                took = sent.ended - sent.first
                self.within_s = max(self.within_s, ROUND_TRIPS * took)
            if (sent.failure is None) != each:
                return not each
        return each

    async def _true_page(self) -> tuple[Any, ...] | None:
        """What the page is when it comes from whoever has the certificate."""
        sent = await look_in_secret(self.bench, self.address, self.innocent, CHECK_S)
        self._keep("before", TLS, self.innocent.name, sent)
        return None if sent.failure is not None else sent.shown

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
