"""One measurement being made: steps that are awaited, never raise, and write themselves down."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gatewatch.model.target import is_address
from gatewatch.probe.envelope import envelope
from gatewatch.probe.experiments.common.authorities import signed_failure
from gatewatch.probe.experiments.common.reached import Depth, Reached, handshake_depth
from gatewatch.probe.experiments.common.record import common_keys
from gatewatch.probe.experiments.nettest import Tell
from gatewatch.probe.journal import Journal, Thread
from gatewatch.probe.net import EOF, Via
from gatewatch.probe.ooni import ACCEPT, ACCEPT_LANGUAGE, BODY_LIMIT, USER_AGENT, Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.steps import (
    Channel,
    Exchange,
    Handshake,
    Lookup,
    Request,
    Stream,
    Vantage,
    connect,
    exchange,
    handshake,
    lookup_system,
)
from gatewatch.probe.visits import Visits
from gatewatch.probe.whoami import Whoami, ask_whoami
from gatewatch.refdata.endpoints import Endpoint
from gatewatch.wire.address import endpoint as place

PARALLEL = 3
"Targets tried at a time, as OONI's tests of services do."
MOST_ADDRESSES = 4
"Of one name, tried one after the other. Our choice: what all of a dead name may take stays short."
HEADERS = (("Accept", ACCEPT), ("Accept-Language", ACCEPT_LANGUAGE), ("User-Agent", USER_AGENT))
SPOKEN = frozenset({None, "dns_nxdomain_error", "dns_no_answer"})
"How questions end that a resolver has answered; its errors may be those of a dead line behind it."
NO_ROUTE = frozenset({"network_unreachable", "address_family_not_supported"})
"Failures of a machine that does not have that version of IP: they speak for no address."


@dataclass(slots=True, kw_only=True)
class Session:
    """The zero of all times, the record, and the steps."""

    seat: Seat
    rng: random.Random
    tell: Tell
    vantage: Vantage
    began: datetime
    "The true time, UTC."
    clock: datetime | None
    "What the seat believes the time to be, where it is wrong."
    journal: Journal
    authorities: tuple[str, ...] = ()
    "Authorities in PEM that the service has for itself."
    asking: asyncio.Task[Whoami] | None = None
    "The question who the system's resolver is."

    def fork(self) -> Session:
        """The same measurement with lists of its own, for those who keep one for each target."""
        return Session(
            seat=self.seat,
            rng=self.rng,
            tell=self.tell,
            vantage=self.vantage,
            began=self.began,
            clock=self.clock,
            journal=Journal(asn_of=self.seat.asn_of, scrubber=self.seat.scrubber),
            authorities=self.authorities,
            asking=self.asking,
        )

    async def resolver_speaks(self, besides: str) -> bool:
        """Is the system's resolver known to answer, whatever it does with one name?"""
        if self.asking is not None and (await self.asking).system is not None:
            return True
        return any(
            entry["failure"] in SPOKEN
            for entry in self.journal.queries
            if entry["hostname"] != besides
        )

    def keys(self) -> Json:
        return common_keys(self.journal)

    async def resolve(self, host: str, tags: list[str]) -> Lookup | None:
        """What the system's resolver says of a name; None for an address, and where a proxy
        connects to names itself."""
        if is_address(host) or self.vantage.via is not None:
            return None
        found = await lookup_system(
            self.vantage,
            self.seat.resolver,
            host,
            total_s=self.seat.patience.dns_s,
            system=self.seat.system,
        )
        self.journal.lookup(found, self.journal.thread("system", tags))
        return found

    async def reach(self, target: Endpoint, *, tags: Sequence[str] = ()) -> Reached:
        """Try an endpoint as far as its protocol asks."""
        self.tell(f"{target.url}")
        found = Reached(endpoint=target)
        looked = await self.resolve(target.host, list(tags))
        found.addresses = (target.host,) if looked is None else looked.addresses
        if not found.addresses:
            failure = looked.failure if looked else None
            return found.fail("resolve", failure or "dns_no_answer")
        found.depth = Depth.NAME
        if target.protocol == "dns":
            return found
        for address in found.addresses[:MOST_ADDRESSES]:
            if await self._over(found, address, [*tags]):
                break
        return found

    async def _over(self, found: Reached, address: str, tags: list[str]) -> bool:
        """Try one address; whether no other one need be tried."""
        target = found.endpoint
        secure = target.protocol in ("https", "tls")
        thread = self.journal.thread("tls" if secure else "tcp", tags)
        reached = await connect(
            self.vantage, address, target.port, timeout_s=self.seat.patience.connect_s
        )
        self.journal.connect(reached, thread)
        found.tried[place(address, target.port)] = reached.failure
        if reached.stream is None:
            if found.failure is None or reached.failure not in NO_ROUTE:
                found.fail("connect", reached.failure or EOF)
            self.journal.traffic(reached.events, thread)
            return False
        found.address, found.depth, found.failure, found.operation = (
            address, Depth.CONNECTED, None, None,
        )  # fmt: skip
        try:
            await self._talk(found, address, reached.stream, thread)
        finally:
            reached.stream.close()
            self.journal.traffic(reached.events, thread)
        return True

    async def _talk(self, found: Reached, address: str, stream: Stream, thread: Thread) -> None:
        """What comes after the connection, as the protocol asks."""
        target = found.endpoint
        channel: Channel | None = stream
        alpn = ""
        if target.protocol in ("https", "tls"):
            shaken = await self.shake(stream, target)
            self.journal.handshake(address, target.port, shaken, thread)
            found.chain = shaken.chain
            found.depth = handshake_depth(shaken)
            channel, alpn = shaken.channel, shaken.alpn
            if channel is None or shaken.failure:
                found.fail("tls_handshake", shaken.failure or EOF)
                return
        if target.protocol in ("https", "http", "http_post"):
            method = "POST" if target.protocol == "http_post" else "GET"
            request = Request(url=target.url, method=method, headers=HEADERS)
            answer = await self.fetch(channel, request, alpn)
            self.journal.request(place(address, target.port), alpn, answer, thread)
            if answer.failure:
                found.fail("http_round_trip", answer.failure)
            else:
                found.exchange, found.depth = answer, Depth.ANSWERED

    async def shake(self, stream: Stream, target: Endpoint) -> Handshake:
        """A handshake whose certificate is checked as the target's protocol asks.

        A service with an authority of its own is checked against that and the system's.
        """
        own = bool(self.authorities) and target.protocol == "https"
        found = await handshake(
            stream,
            target.host,
            ca=self.seat.ca,
            clock=self.clock,
            timeout_s=self.seat.patience.tls_s,
            verify=target.protocol == "https" and not own,
        )
        if own and found.failure is None and found.verify_failure is not None:
            found.verify_failure = signed_failure(found.chain, target.host, self.authorities)
        if own:
            found.verified, found.failure = True, found.failure or found.verify_failure
        return found

    async def fetch(
        self,
        channel: Channel,
        request: Request,
        alpn: str = "",
        *,
        most: int | None = None,
    ) -> Exchange:
        return await exchange(
            self.vantage,
            channel,
            request,
            alpn=alpn,
            timeout_s=self.seat.patience.http_s,
            most=most or BODY_LIMIT,
        )

    async def reach_all(
        self, targets: Sequence[Endpoint], *, tags: Sequence[str] = (), parallel: int = PARALLEL
    ) -> list[Reached]:
        """Some at a time, in the order given."""
        gate = asyncio.Semaphore(parallel)

        async def one(target: Endpoint) -> Reached:
            async with gate:
                return await self.reach(target, tags=tags)

        return [*await asyncio.gather(*map(one, targets))]


def begin(
    seat: Seat,
    rng: random.Random,
    tell: Tell,
    *,
    authorities: tuple[str, ...] = (),
    at: datetime | None = None,
    via: Via | None = None,
) -> Session:
    """A measurement that begins now.

    Args:
        at: the true time, UTC; None is now. The seat's clock may be off from it.
        via: a proxy, from where it is measured.
    """
    zero = asyncio.get_running_loop().time()
    began = at or datetime.now(UTC)
    believed = began + timedelta(days=seat.clock_skew_days) if seat.clock_skew_days else None
    return Session(
        seat=seat,
        rng=rng,
        tell=tell,
        vantage=Vantage(reach=seat.reach, addresses=seat.addresses, zero=zero, via=via),
        began=began,
        clock=believed,
        journal=Journal(asn_of=seat.asn_of, scrubber=seat.scrubber),
        authorities=authorities,
    )


async def conduct(
    seat: Seat,
    rng: random.Random,
    tell: Tell,
    *,
    test: tuple[str, str],
    input: str | None,
    work: Callable[[Session], Awaitable[Json]],
    authorities: tuple[str, ...] = (),
    helper: str | None = None,
    at: datetime | None = None,
    visits: Visits | None = None,
) -> Json:
    """A measurement around some work, and who the resolver is.

    Args:
        test: name and version.
        work: the steps; what it returns are the test keys.
        helper: the test helper used, as OONI names it in `test_helpers`.
        visits: of the run that it is part of.
    """
    session = begin(seat, rng, tell, authorities=authorities, at=at)
    shared = visits or Visits(began=session.began, rng=rng)
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask_whoami(session.vantage, seat, visits=visits))
        session.asking = asking
        keys = await work(session)
    return envelope(
        seat,
        test_name=test[0],
        test_version=test[1],
        input=input,
        test_keys=keys,
        clock=session.began,
        runtime_s=session.vantage.now(),
        visits=shared,
        rng=rng,
        resolver=asking.result().system,
        helpers={"backend": helper} if helper else {},
    )
