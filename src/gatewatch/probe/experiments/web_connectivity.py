"""One measurement of one URL, as web_connectivity 0.5 makes it.

For every URL of a chain of redirects: ask the system's resolver, a public one in clear and one
over HTTPS; connect to every address, in clear and over TLS; let one connection fetch the page.
Meanwhile the control is asked about the first URL, and what only it knows is tried as well;
and the resolvers are asked who they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from gatewatch.model.target import canonical_host, is_address, redirect_target
from gatewatch.probe.control import ask_control, control_request
from gatewatch.probe.envelope import Controlled, envelope
from gatewatch.probe.journal import Journal, Thread
from gatewatch.probe.ooni import ACCEPT, ACCEPT_LANGUAGE, USER_AGENT, Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.steps import (
    Channel,
    Exchange,
    Lookup,
    Request,
    Stream,
    TlsStream,
    Vantage,
    connect,
    exchange,
    handshake,
    lookup,
    lookup_https,
    lookup_system,
    quic_handshake,
)
from gatewatch.probe.whoami import ask_whoami
from gatewatch.wire.address import endpoint, is_bogon, is_loopback

FOLLOWED = frozenset({301, 302, 307, 308})
"303 is not: OONI's probe takes it for an answer."
MOST_REDIRECTS = 10
TOO_MANY = "unknown_failure: stopped after too many redirects"
NO_HOST = "http_invalid_redirect_location_host"
GRACE_S = 0.5
"How long a connection to a less trusted address waits for a better one."
SYSTEM, UDP, DOH, LITERAL, CONTROL = range(5)
"Whose word an address is, the most trusted first."


async def measure(
    url: str, seat: Seat, *, uid: str | None = None, report_id: str = "", at: datetime | None = None
) -> Json:
    """A measurement of `url` from `seat`.

    Args:
        uid, report_id: ids as the archive would give them.
        at: the true time, UTC; None is now. The seat's clock may be off from it.
    """
    loop = asyncio.get_running_loop()
    vantage = Vantage(reach=seat.reach, addresses=seat.addresses, zero=loop.time())
    clock = (at or datetime.now(UTC)) + timedelta(days=seat.clock_skew_days)
    asked = wire_url(url)
    run = _Run(seat, vantage, clock if seat.clock_skew_days else None)
    try:
        async with asyncio.TaskGroup() as run.tasks:
            whoami = run.tasks.create_task(ask_whoami(vantage, seat))
            if asked is not None:
                await run.visit(asked, 0, "")
    finally:
        run.close()
    return envelope(
        seat,
        url,
        run.journal,
        Controlled(run.question, run.control, run.control_failure),
        whoami.result(),
        clock=clock,
        runtime_s=vantage.now(),
        uid=uid,
        report_id=report_id,
    )


def wire_url(url: str) -> str | None:
    """A web URL with its host in A-labels; None when it is none.

    >>> wire_url("http://Яндекс.рф/x"), wire_url("https://[2606:4700::1]"), wire_url("http://")
    ('http://xn--d1acpjx3f.xn--p1ai/x', 'https://[2606:4700::1]', None)
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = canonical_host(parts.hostname or "")
    except ValueError:
        return None
    if host is None or parts.scheme not in ("http", "https"):
        return None
    shown = f"[{host}]" if ":" in host else host
    path = parts.path.encode("ascii", "backslashreplace").decode()
    return parts._replace(netloc=f"{shown}:{port}" if port else shown, path=path).geturl()


@dataclass(slots=True)
class _Flow:
    """A way to a page: one address and port."""

    address: str
    port: int
    rank: int
    secure: bool
    fetches: bool
    thread: Thread
    task: asyncio.Task[_Ready | None] | None = None


@dataclass(slots=True)
class _Ready:
    """A connection over which a page could be fetched."""

    flow: _Flow
    stream: Stream
    channel: Channel
    alpn: str


@dataclass
class _Run:
    seat: Seat
    vantage: Vantage
    clock: datetime | None
    "What the seat believes the time to be, where it is wrong."
    journal: Journal = field(init=False)
    tasks: asyncio.TaskGroup = field(init=False)
    control: Json | None = None
    question: Json | None = None
    control_failure: str | None = None
    known: dict[str, dict[str, int]] = field(default_factory=dict)
    "Host → its addresses → whose word they are."
    _opened: list[tuple[Stream, Thread]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = Journal(self.seat.asn_of)

    def close(self) -> None:
        """The end of all connections, and of what there is to say about them."""
        for stream, thread in self._opened:
            stream.close()
            self.journal.traffic(stream.events, thread)

    # -- names ---------------------------------------------------------------------------------

    async def resolve(self, host: str, depth: int) -> dict[str, int]:
        """Ask everybody for a name, once a measurement."""
        if host in self.known:
            return self.known[host]
        found = self.known[host] = {}
        if is_address(host):
            found[host] = LITERAL
            return found
        asked = await asyncio.gather(*self._questions(host, depth))
        for rank, answers in zip((SYSTEM, UDP, DOH), asked, strict=True):
            for address in answers:
                found.setdefault(address, rank)
        return found

    def _questions(self, host: str, depth: int) -> Iterator[Awaitable[list[str]]]:
        """What is asked of the system's resolver, of one in clear, and of one over HTTPS."""
        seat, vantage, journal = self.seat, self.vantage, self.journal
        tags = [f"depth={depth}"]
        late, kinds = seat.patience.late_s, ("A", "AAAA")
        yield self._ask(
            [lookup_system(vantage, seat.resolver, host, late_s=late)],
            journal.thread("system", ["classic", *tags]),
        )
        yield self._ask(
            [
                lookup(vantage, resolver, host, kind, late_s=late)
                for resolver in seat.udp_resolvers[:1]
                for kind in kinds
            ],
            journal.thread("udp", tags),
        )
        yield self._ask(
            [
                lookup_https(vantage, name, address, host, kind, ca=seat.ca)
                for name, address in (seat.doh_resolvers[:1] if depth == 0 else ())
                for kind in kinds
            ],
            journal.thread("doh", tags),
        )

    async def _ask(self, asking: Sequence[Awaitable[Lookup]], thread: Thread) -> list[str]:
        """The addresses that one resolver names."""
        answers = await asyncio.gather(*asking)
        for answer in answers:
            self.journal.lookup(answer, thread)
        return [address for answer in answers for address in answer.addresses]

    # -- endpoints -----------------------------------------------------------------------------

    def dial(self, url: str, addresses: dict[str, int], depth: int) -> list[_Flow]:
        """Start every flow that the URL calls for; those that could fetch are returned."""
        flows = [
            flow
            for address, rank in addresses.items()
            if not is_loopback(address)
            for flow in self._flows(url, address, rank, depth)
        ]
        host = urlsplit(url).hostname or ""
        for flow in flows:
            flow.task = self.tasks.create_task(self._open(flow, host))
        return [flow for flow in flows if flow.fetches]

    def _flows(self, url: str, address: str, rank: int, depth: int) -> list[_Flow]:
        """The URL's own port, and for a plain URL without one also port 443, to see whether the
        address holds the name's certificate."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        wanted = [(parts.port or (443 if secure else 80), secure, True)]
        if not secure and parts.port is None:
            wanted.append((443, True, False))
        found: list[_Flow] = []
        for port, tls, fetches in wanted:
            tags = ["classic"] if rank == SYSTEM else []
            tags += ["tcptls_experiment"] if depth == 0 else []
            tags += [f"depth={depth}", f"fetch_body={str(fetches).lower()}"]
            thread = self.journal.thread("tls" if tls else "tcp", tags)
            found.append(_Flow(address, port, rank, tls, fetches, thread))
        return found

    async def _open(self, flow: _Flow, host: str) -> _Ready | None:
        reached = await connect(
            self.vantage, flow.address, flow.port, timeout_s=self.seat.patience.connect_s
        )
        self.journal.connect(reached, flow.thread)
        if reached.stream is None:
            self.journal.traffic(reached.events, flow.thread)
            return None
        self._opened.append((reached.stream, flow.thread))
        if not flow.secure:
            return _Ready(flow, reached.stream, reached.stream, "")
        shaken = await handshake(
            reached.stream,
            host,
            ca=self.seat.ca,
            clock=self.clock,
            timeout_s=self.seat.patience.tls_s,
        )
        self.journal.handshake(flow.address, flow.port, shaken, flow.thread)
        channel: TlsStream | None = shaken.channel
        return None if channel is None else _Ready(flow, reached.stream, channel, shaken.alpn)

    # -- pages ---------------------------------------------------------------------------------

    async def visit(self, url: str, depth: int, referer: str) -> None:
        """One URL and, through its redirects, all that follow."""
        host = urlsplit(url).hostname or ""
        addresses = await self.resolve(host, depth)
        flows = self.dial(url, addresses, depth)
        detours = self.tasks.create_task(self._detours(url, addresses)) if depth == 0 else None
        chosen = await granted(flows)
        if chosen is None and detours is not None:
            chosen = await granted(await detours)
        answer = await self._fetch(url, depth, referer, chosen) if chosen else None
        if detours is not None:
            self.tasks.create_task(self._try_quic(host, answer, detours))
        target = None if answer is None or answer.failure else _leads_to(answer)
        if target is not None:
            await self.visit(target, depth + 1, url)

    async def _detours(self, url: str, addresses: dict[str, int]) -> list[_Flow]:
        """Ask the control, and try the addresses that only it knows."""
        self.question = control_request(url, list(addresses))
        self.question["x_quic_enabled"] = True
        self.control, self.control_failure = await ask_control(
            self.vantage, self.seat, self.question
        )
        dns = (self.control or {}).get("dns") or {}
        told = [a for a in dns.get("addrs") or [] if is_address(a) and not is_bogon(a)]
        return self.dial(url, {a: CONTROL for a in told if a not in addresses}, 0)

    async def _fetch(self, url: str, depth: int, referer: str, ready: _Ready) -> Exchange:
        request = Request(url=url, headers=_headers(referer))
        ready.stream.mark("http_transaction_start")
        answer = await exchange(
            self.vantage, ready.channel, request, timeout_s=self.seat.patience.http_s
        )
        if answer.failure is None and _redirects(answer):
            if depth >= MOST_REDIRECTS:
                answer.failure = TOO_MANY
            elif _leads_to(answer) is None:
                answer.failure = NO_HOST
        ready.stream.mark("http_transaction_done", answer.failure)
        where = endpoint(ready.flow.address, ready.flow.port)
        self.journal.request(where, ready.alpn, answer, ready.flow.thread)
        return answer

    async def _try_quic(
        self, host: str, answer: Exchange | None, control: asyncio.Task[list[_Flow]]
    ) -> None:
        """Where HTTP/3 is offered, try the handshake with every address of the input's name."""
        await control
        if not (self.seat.quic or _offers_h3(answer, self.control)):
            return
        tags = ["tcptls_experiment", "depth=0", "fetch_body=false"]
        for address in self.known[host]:
            if not is_loopback(address):
                thread = self.journal.thread("quic", tags)
                self.tasks.create_task(self._quic(address, host, thread))

    async def _quic(self, address: str, host: str, thread: Thread) -> None:
        found = await quic_handshake(
            self.vantage,
            address,
            443,
            host,
            ca=self.seat.ca,
            timeout_s=self.seat.patience.quic_s,
        )
        self.journal.quic(found, thread)


async def granted(flows: Sequence[_Flow]) -> _Ready | None:
    """The one connection that may fetch: the most trusted of those ready soon after the first.

    A connection to an address of the best source there is need not wait for others.
    """
    if not flows:
        return None
    best = min(flow.rank for flow in flows)
    waiting = {flow.task for flow in flows if flow.task is not None}
    ready: list[_Ready] = []
    until: float | None = None
    loop = asyncio.get_running_loop()
    while waiting and not any(one.flow.rank == best for one in ready):
        left = None if until is None else max(until - loop.time(), 0.0)
        done, waiting = await asyncio.wait(
            waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            break
        ready += [one for task in done if (one := task.result()) is not None]
        if ready and until is None:
            until = loop.time() + GRACE_S
    return min(ready, key=lambda one: (one.flow.rank, one.flow.thread.transaction), default=None)


def _headers(referer: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Accept", ACCEPT),
        ("Accept-Language", ACCEPT_LANGUAGE),
        ("Referer", referer),
        ("User-Agent", USER_AGENT),
    )


def _redirects(answer: Exchange) -> bool:
    return answer.status in FOLLOWED and _header(answer, "location") is not None


def _leads_to(answer: Exchange) -> str | None:
    """Where a redirect goes; None when it is none, or names no host."""
    location = _header(answer, "location")
    if location is None or answer.status not in FOLLOWED:
        return None
    try:
        nameless = "://" in location and not urlsplit(location).hostname
    except ValueError:
        return None
    target = None if nameless else redirect_target(answer.request.url, location)
    return wire_url(target) if target else None


def _header(answer: Exchange, name: str) -> str | None:
    return next((value for key, value in answer.headers if key.lower() == name), None)


def _offers_h3(answer: Exchange | None, control: Json | None) -> bool:
    services = (_header(answer, "alt-svc") or "").split(",") if answer else []
    offered = any(service.strip().startswith("h3=") for service in services)
    seen = ((control or {}).get("http_request") or {}).get("discovered_h3_endpoint")
    return offered or bool(seen)
