"""One question of a probe, measured: names, endpoints, the page, and HTTP/3 where it is offered.

The answer is OONI's, field by field; what we know beyond it stands in fields that begin with
`x_`, which other clients pass over. `docs/test-helper.md` lists them.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from gatewatch.probe.http3 import exchange3
from gatewatch.probe.net import TIMEOUT
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import (
    Connect,
    Handshake,
    Lookup,
    QuicHandshake,
    Request,
    connect,
    handshake,
    quic_handshake,
)
from gatewatch.server.bodies import Refused
from gatewatch.server.dialect import (
    BODY_LIMIT,
    BOGON,
    RESOLVED_BY_PROBE,
    RESOLVED_HERE,
    VALID,
    dns_failure,
    tcp_failure,
)
from gatewatch.server.fetch import H3, Fetch, Page, http_request
from gatewatch.server.guard import checked_host
from gatewatch.server.question import Plan, Question, Way, plan
from gatewatch.server.stand import Names, Stand, Unable
from gatewatch.wire.address import endpoint, is_bogon

T = TypeVar("T")

AT_ONCE = 24
"Connections of one question at the same time. Our choice: fifty questions stay below 2,000."
QUIC_MAX = 8
"Addresses with which QUIC is tried; our choice."
CERTIFICATES_MAX = 1 << 20
"Bytes of certificates in one answer; our choice, a hundred times the usual."
OUT_OF = {f"unknown_failure: {name}" for name in ("EMFILE", "ENFILE", "ENOMEM", "EAGAIN")}
OUT_OF |= {"no_buffer_space", "address_in_use", "address_not_available", "network_down"}
"""Failures that are ours and no site's: sockets, memory or ports have run out. To report them as
the site's would make it down for everybody."""


async def answer(asked: Question, stand: Stand) -> Json:
    """What the URL looks like from here.

    Raises:
        Refused: 503, this machine could not measure.
    """
    try:
        async with asyncio.timeout(stand.patience.control_s):
            return await _Visit(asked, stand).answer()
    except TimeoutError:
        raise Refused(503, "the measurement did not end in time", wait_s=5) from None
    except Unable as unable:
        raise Refused(503, f"{unable}; come again", wait_s=5) from None


class _Visit:
    """One question being answered."""

    def __init__(self, asked: Question, stand: Stand) -> None:
        self._asked, self._stand = asked, stand
        self._vantage, asking = stand.vantages()
        self._names = Names(stand, asking)
        self._few = asyncio.Semaphore(AT_ONCE)
        self._room = CERTIFICATES_MAX

    async def answer(self) -> Json:
        """Names first; then endpoints and the page at the same time."""
        asked, stand = self._asked, self._stand
        own, failure = (), None
        if not asked.x_endpoints_only:
            own, failure = _ours(await self._names.addresses(asked.host))
        planned = plan(asked, own, stand.guard)
        reaching = [self._few_at_once(self._reach(way)) for way in planned.ways]
        (page, quic, page3), *reached = await _together(self._pages(own), *reaching)
        shaken = {place: tls for place, _, tls in reached if tls is not None}
        told = planned.told
        return {
            "tcp_connect": {place: tcp for place, tcp, _ in reached},
            "tls_handshake": shaken,
            "quic_handshake": quic,
            "http_request": page,
            "http3_request": page3,
            "dns": {"failure": dns_failure(failure), "addrs": list(own)},
            "ip_info": {
                address: self._about(address, told, own, shaken)
                for address in dict.fromkeys((*told, *own))
            },
            **await self._more(planned),
        }

    def _about(self, address: str, told: Sequence[str], own: Sequence[str], shaken: Json) -> Json:
        return {
            "asn": self._stand.asn_of(address),
            "flags": RESOLVED_BY_PROBE * (address in told)
            | RESOLVED_HERE * (address in own)
            | BOGON * is_bogon(address)
            | VALID * shaken.get(endpoint(address, 443), {}).get("status", False),
        }

    async def _more(self, planned: Plan) -> Json:
        """What other helpers do not say."""
        found: Json = {"x_control": {"addresses": list(self._stand.public)}}
        if not self._asked.x_endpoints_only:
            lookups = await self._names.lookups(self._asked.host)
            pairs = zip(self._stand.resolvers, lookups, strict=False)
            found["x_dns"] = [query(r.label, one) for r, asked in pairs for one in asked]
        if planned.skipped:
            found["x_not_measured"] = planned.skipped
        return found

    # -- endpoints -----------------------------------------------------------------------------

    async def _few_at_once(self, doing: Awaitable[T]) -> T:
        async with self._few:
            return await doing

    async def _reach(self, way: Way) -> tuple[str, Json, Json | None]:
        """Connects to an endpoint and, where it is wanted, starts TLS."""
        patience, port = self._stand.patience, way.port
        found = await connect(self._vantage, way.address, port, timeout_s=patience.connect_s)
        failure = _theirs(found.failure)
        tcp = {"status": failure is None, "failure": tcp_failure(failure), **_timed(found)}
        if found.stream is None:
            return way.place, {**tcp, "x_failure": failure}, None
        try:
            if way.server_name is None:
                return way.place, tcp, None
            shaken = await handshake(
                found.stream,
                way.server_name or way.address,
                sni=way.server_name,
                ca=self._stand.ca,
                timeout_s=patience.tls_s,
            )
            return way.place, tcp, self._outcome(way.server_name, shaken)
        finally:
            found.stream.close()

    def _outcome(self, server_name: str, found: Handshake | QuicHandshake) -> Json:
        """A handshake as the helper reports it, and the certificates that were shown."""
        failure = _theirs(found.failure)
        told: Json = {"server_name": server_name, "status": failure is None, "failure": failure}
        size = sum(map(len, found.chain))
        if found.chain and size <= self._room:
            self._room -= size
            shown = [base64.b64encode(one).decode("ascii") for one in found.chain]
            told["x_peer_certificates"] = shown
        return told | _timed(found)

    # -- pages ---------------------------------------------------------------------------------

    async def _pages(self, own: Sequence[str]) -> tuple[Json, Json, Json | None]:
        """The page; then QUIC with every address, and the page over HTTP/3."""
        asked = self._asked
        if asked.x_endpoints_only:
            return await http_request(Page()), {}, None
        fetch = Fetch(self._stand, self._vantage, self._names)
        page = await fetch.page(asked.http_request, asked.copied)
        _theirs(page.failure)
        first = await http_request(page)
        if not (self._stand.quic and asked.x_quic_enabled and page.h3):
            return first, {}, None
        return first, *await self._quic(page.h3, asked.host, own)

    async def _quic(self, h3: H3, host: str, own: Sequence[str]) -> tuple[Json, Json | None]:
        """An alternative service proves the site's name, not its own (RFC 7838, section 2.1)."""
        addresses = own if h3.host == host else await self._alternative(h3.host)
        allowed = [a for a in addresses if self._stand.guard.endpoint(a, h3.port) is None]
        if not allowed:
            return {}, None
        ca, wait_s = self._stand.ca, self._stand.patience.quic_s
        shaken = await _together(
            *(
                quic_handshake(self._vantage, address, h3.port, host, ca=ca, timeout_s=wait_s)
                for address in allowed[:QUIC_MAX]
            )
        )
        found = {endpoint(one.address, h3.port): self._outcome(host, one) for one in shaken}
        working = next((one for one in shaken if one.failure is None), None)
        if working is None:
            return found, await http_request(Page(failure=shaken[0].failure, h3=h3))
        return found, await self._page3(h3, working.address)

    async def _alternative(self, host: str) -> Sequence[str]:
        try:
            return (await self._names.addresses(checked_host(host, "alt-svc")))[0]
        except Refused:
            return ()

    async def _page3(self, h3: H3, address: str) -> Json:
        url = self._asked.http_request
        request = Request(
            url=urlsplit(url)._replace(scheme="https").geturl(), headers=self._asked.copied
        )
        patience = self._stand.patience
        page = Page(h3=h3)
        try:
            async with asyncio.timeout(patience.quic_s):
                shaken, page.answer = await exchange3(
                    self._vantage,
                    address,
                    h3.port,
                    request,
                    ca=self._stand.ca,
                    timeout_s=patience.quic_s,
                    most=BODY_LIMIT,
                )
            page.failure = page.answer.failure if page.answer else shaken.failure
        except TimeoutError:
            page.failure = TIMEOUT
        if page.failure is not None:
            page.answer = None
        return await http_request(page)


async def _together(*doing: Awaitable) -> list:
    """As `gather`; where one fails, the others are stopped before it is told."""
    tasks = [asyncio.ensure_future(one) for one in doing]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ours(found: tuple[tuple[str, ...], str | None]) -> tuple[tuple[str, ...], str | None]:
    _theirs(found[1])
    return found


def _theirs(failure: str | None) -> str | None:
    """
    Raises:
        Unable: the failure is our own.
    """
    if failure in OUT_OF:
        raise Unable("this server is out of sockets")
    return failure


def query(resolver: str, asked: Lookup) -> Json:
    """One question to one resolver, as the probe's records have it."""
    reply = asked.reply
    return {
        "engine": asked.engine,
        "resolver_address": resolver,
        "hostname": asked.hostname,
        "query_type": asked.query_type,
        "failure": asked.failure,
        "addrs": list(reply.addresses),
        "cnames": list(reply.cnames),
        "ttl": reply.ttl_s,
        "t0": round(asked.t0, 6),
        "t": round(reply.t, 6),
    }


def _timed(found: Connect | Handshake | QuicHandshake) -> Json:
    """Seconds since the question began to be measured."""
    return {"x_t0": round(found.t0, 6), "x_t": round(found.t, 6)}
