"""The first pass: one URL and its redirects, tried as web_connectivity 0.5 tries them.

For every URL of a chain of redirects: ask the system's resolver, a public one in clear and,
now and then, one over HTTPS; connect to every address, in clear and over TLS; let one connection
fetch the page. Meanwhile the control is asked about the first URL, and what only it knows is
tried as well. What comes of each step goes into the journal.

Beyond OONI's: a 303 is followed, everything after it tagged `AFTER_303`; and HTTP/3 is tried where
the page or the control offers it, tagged `HTTP3`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from gatewatch.model.target import is_address
from gatewatch.probe.claims import AFTER_303
from gatewatch.probe.control import Answers, ask_controls, control_request
from gatewatch.probe.cookies import Cookies
from gatewatch.probe.http3 import exchange3
from gatewatch.probe.journal import Journal, Thread
from gatewatch.probe.ooni import ACCEPT, ACCEPT_LANGUAGE, USER_AGENT, Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.steps import (
    Channel,
    Connect,
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
from gatewatch.probe.urls import SEE_OTHER, h3_port, leads_to, port_of, redirects
from gatewatch.probe.visits import Visits
from gatewatch.refdata.snapshot import load
from gatewatch.wire.address import endpoint, is_bogon, is_loopback

MOST_REDIRECTS = 10
TOO_MANY = "unknown_failure: stopped after too many redirects"
NO_HOST = "http_invalid_redirect_location_host"
GRACE_S = 1.5
"""How long a connection to a less trusted address waits for a better one. OONI waits 0.5 s; ours
outlasts a lost SYN, so that it is the ordinary user's path that is measured."""
HTTP3 = "x_http3"
"Tag of what was tried over QUIC."
ALPN = ("h2", "http/1.1")
SYSTEM, UDP, DOH, LITERAL, CONTROL = range(5)
"Whose word an address is, the most trusted first."

Tell = Callable[[str], None]


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


@dataclass(kw_only=True)
class Browse:
    """One first pass. `run` once; all connections are closed when it returns."""

    seat: Seat
    vantage: Vantage
    visits: Visits
    rng: random.Random
    resolver: str | None
    "The public resolver that is asked in clear."
    clock: datetime | None = None
    "What the seat believes the time to be, where it is wrong."
    everyone: bool = False
    "All controls are asked."
    tell: Tell
    journal: Journal = field(init=False)
    tasks: asyncio.TaskGroup = field(init=False)
    question: Json | None = None
    controls: Answers = field(default_factory=Answers)
    known: dict[str, dict[str, int]] = field(default_factory=dict)
    "Host → its addresses → whose word they are."
    after_303: bool = False
    grants: list[Json] = field(default_factory=list)
    "`x_conn_priority_log`."
    cookies: Cookies = field(default_factory=lambda: Cookies(load().domain_of))
    _opened: list[tuple[Connect, Thread]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.journal = Journal(self.seat.asn_of, self.rng, scrubber=self.seat.scrubber)

    async def run(self, url: str, tasks: asyncio.TaskGroup) -> None:
        """Visit a URL as the wire has it, with tasks of a group that the caller waits for."""
        self.tasks = tasks
        await self.visit(url, 0, "")

    def close(self) -> None:
        """The end of all connections, and of what there is to say about them."""
        for reached, thread in self._opened:
            if reached.stream is not None:
                reached.stream.close()
            self.journal.traffic(reached.events, thread, reached.stream)

    def tags(self, depth: int, *others: str) -> list[str]:
        return [*others, f"depth={depth}", *([AFTER_303] if self.after_303 else [])]

    # -- names ---------------------------------------------------------------------------------

    async def resolve(self, host: str, depth: int) -> dict[str, int]:
        """Ask everybody for a name, once a measurement."""
        if host in self.known:
            return self.known[host]
        found = self.known[host] = {}
        if is_address(host):
            found[host] = LITERAL
            return found
        self.tell(f"asking for {host}")
        asked = await asyncio.gather(*self._questions(host, depth))
        for rank, answers in zip((SYSTEM, UDP, DOH), asked, strict=True):
            for address in answers:
                found.setdefault(address, rank)
        return found

    def _questions(self, host: str, depth: int) -> Iterator[Awaitable[list[str]]]:
        """What is asked of the system's resolver, of one in clear, and of one over HTTPS."""
        seat, vantage, journal = self.seat, self.vantage, self.journal
        late, total, kinds = seat.patience.late_s, seat.patience.dns_s, ("A", "AAAA")
        sealed = self.visits.doh(seat.doh_resolvers)
        yield self._ask(
            [partial(lookup_system, vantage, seat.resolver, host, total_s=total, late_s=late)],
            journal.thread("system", self.tags(depth, "classic")),
        )
        yield self._ask(
            [
                partial(lookup, vantage, self.resolver, host, kind, total_s=total, late_s=late)
                for kind in kinds
                if self.resolver is not None
            ],
            journal.thread("udp", self.tags(depth)),
        )
        yield self._ask(
            [
                partial(lookup_https, vantage, *sealed, host, kind, ca=seat.ca, total_s=total)
                for kind in kinds
                if sealed is not None
            ],
            journal.thread("doh", self.tags(depth)),
        )

    async def _ask(
        self, asking: Sequence[Callable[[], Awaitable[Lookup]]], thread: Thread
    ) -> list[str]:
        """The addresses that one resolver names."""
        answers = await asyncio.gather(*(ask() for ask in asking))
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
        wanted = [(port_of(url), secure, True)]
        if not secure and parts.port is None:
            wanted.append((443, True, False))
        found: list[_Flow] = []
        for port, tls, fetches in wanted:
            said = ["classic"] if rank == SYSTEM else []
            said += ["tcptls_experiment"] if depth == 0 else []
            tags = [*self.tags(depth, *said), f"fetch_body={str(fetches).lower()}"]
            thread = self.journal.thread("tls" if tls else "tcp", tags)
            found.append(_Flow(address, port, rank, tls, fetches, thread))
        return found

    async def _open(self, flow: _Flow, host: str) -> _Ready | None:
        reached = await connect(
            self.vantage, flow.address, flow.port, timeout_s=self.seat.patience.connect_s
        )
        self.journal.connect(reached, flow.thread)
        self._opened.append((reached, flow.thread))
        if reached.stream is None:
            return None
        if not flow.secure:
            return _Ready(flow, reached.stream, reached.stream, "")
        shaken = await handshake(
            reached.stream,
            host,
            ca=self.seat.ca,
            alpn=ALPN,
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
        self.tell(f"connecting to {len(addresses)} addresses of {host}")
        flows = self.dial(url, addresses, depth)
        detours = self.tasks.create_task(self._detours(url, addresses)) if depth == 0 else None
        chosen = await self._granted(flows)
        if chosen is None and detours is not None:
            chosen = await self._granted(await detours)
        answer = await self._fetch(url, depth, referer, chosen) if chosen else None
        if detours is not None:
            over = chosen.flow.address if chosen else None
            self.tasks.create_task(self._try_quic(url, over, answer, detours))
        target = None if answer is None or answer.failure else leads_to(answer)
        if answer is not None and target is not None:
            self.after_303 = self.after_303 or answer.status == SEE_OTHER
            await self.visit(target, depth + 1, url)

    async def _granted(self, flows: Sequence[_Flow]) -> _Ready | None:
        chosen = await granted(flows)
        if flows:
            said = "nobody" if chosen is None else endpoint(chosen.flow.address, chosen.flow.port)
            self.grants.append({"msg": f"granted: {said}", "t": round(self.vantage.now(), 6)})
        return chosen

    async def _detours(self, url: str, addresses: dict[str, int]) -> list[_Flow]:
        """Ask the control, and try the addresses that only it knows."""
        self.question = control_request(url, list(addresses))
        self.question["x_quic_enabled"] = True
        self.controls = await ask_controls(
            self.vantage, self.seat, self.question, everyone=self.everyone
        )
        if is_address(urlsplit(url).hostname or ""):
            return []
        dns = (self.controls.answer or {}).get("dns") or {}
        told = [a for a in dns.get("addrs") or [] if is_address(a) and not is_bogon(a)]
        return self.dial(url, {a: CONTROL for a in told if a not in addresses}, 0)

    async def _fetch(self, url: str, depth: int, referer: str, ready: _Ready) -> Exchange:
        self.tell(f"fetching {url}")
        request = self._request(url, referer)
        ready.stream.mark("http_transaction_start")
        answer = await exchange(
            self.vantage,
            ready.channel,
            request,
            alpn=ready.alpn,
            timeout_s=self.seat.patience.http_s,
        )
        self.cookies.take(url, answer.headers)
        if answer.failure is None and redirects(answer):
            if depth >= MOST_REDIRECTS:
                answer.failure = TOO_MANY
            elif leads_to(answer) is None:
                answer.failure = NO_HOST
        ready.stream.mark("http_transaction_done", answer.failure)
        where = endpoint(ready.flow.address, ready.flow.port)
        self.journal.request(where, ready.alpn, answer, ready.flow.thread)
        return answer

    def _request(self, url: str, referer: str) -> Request:
        headers = (
            ("Accept", ACCEPT),
            ("Accept-Language", ACCEPT_LANGUAGE),
            *self.cookies.header(url),
            ("Referer", referer),
            ("User-Agent", USER_AGENT),
        )
        return Request(url=url, headers=headers)

    # -- QUIC ----------------------------------------------------------------------------------

    async def _try_quic(
        self,
        url: str,
        over: str | None,
        answer: Exchange | None,
        control: asyncio.Task[list[_Flow]],
    ) -> None:
        """Where HTTP/3 is offered, try it with every address of the input's name; the page is
        asked for once, at the address that gave it over TCP if there is one."""
        await control
        port = h3_port(answer)
        if port is None and (self.seat.quic or self._control_saw_h3()):
            port = 443
        host = urlsplit(url).hostname or ""
        if port is None:
            return
        self.tell(f"trying QUIC with {host}")
        ranked = sorted(self.known[host].items(), key=lambda known: (known[0] != over, known[1]))
        addresses = [address for address, _ in ranked if not is_loopback(address)]
        for number, address in enumerate(addresses):
            fetches = number == 0
            tags = ["tcptls_experiment", "depth=0", f"fetch_body={str(fetches).lower()}", HTTP3]
            thread = self.journal.thread("quic", tags)
            step = self._fetch3 if fetches else self._quic
            self.tasks.create_task(step(address, port, url, thread))

    def _control_saw_h3(self) -> bool:
        page = (self.controls.answer or {}).get("http_request") or {}
        return bool(page.get("discovered_h3_endpoint"))

    async def _quic(self, address: str, port: int, url: str, thread: Thread) -> None:
        found = await quic_handshake(
            self.vantage,
            address,
            port,
            urlsplit(url).hostname or "",
            ca=self.seat.ca,
            timeout_s=self.seat.patience.quic_s,
        )
        self.journal.quic(found, thread)

    async def _fetch3(self, address: str, port: int, url: str, thread: Thread) -> None:
        secure = urlsplit(url)._replace(scheme="https").geturl()
        found, answer = await exchange3(
            self.vantage,
            address,
            port,
            self._request(secure, ""),
            ca=self.seat.ca,
            timeout_s=self.seat.patience.quic_s,
        )
        self.journal.quic(found, thread)
        if answer is not None:
            where = endpoint(address, port)
            self.journal.request(where, "h3", answer, thread, network="udp")


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
