"""Resolvers of the lab: the zone over UDP, TCP and TLS, or what another resolver says.

DNS over HTTPS is served with the web (`hosts.web`), from the same `Resolving`.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Literal

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from gatewatch.lab.attach import Attach
from gatewatch.lab.hosts.premises import Peer, Premises
from gatewatch.lab.hosts.tcp import Listening
from gatewatch.lab.scenario import Resolver
from gatewatch.lab.zone import ByName, Reply
from gatewatch.wire.dns import framed

PORT, DOT_PORT = 53, 853
UPSTREAM_TIMEOUT_S = 5.0
MAX_UDP_PLAIN = 512
"RFC 1035, section 4.2.1."
NEGATIVE_TTL_S = 60
MAX_TCP_IDLE_S = 30.0

Way = Literal["udp", "tcp"]
"Datagrams may be too small for an answer; streams never are."


class Resolving:
    """One resolver's way to answer.

    Args:
        address: its own, which questions to `upstream` come from.
    """

    def __init__(self, resolver: Resolver, premises: Premises, address: str) -> None:
        self._resolver = resolver
        self._own = ByName(resolver.answers)
        self._premises = premises
        self._address = address

    async def answer(self, query: bytes, peer: Peer, way: Way = "tcp") -> bytes | None:
        """The answer in wire format; None is silence, which malformed queries meet, too."""
        asked = parsed(query)
        if self._resolver.silent or asked is None:
            return None
        await asyncio.sleep(self._resolver.delay_ms / 1000)
        question = asked.question[0]
        name = question.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(question.rdtype)
        upstream = self._resolver.upstream
        if upstream is not None and self._own.get(name.lower()) is None:
            said = await ask(query, upstream, self._address, self._premises.attach)
            return said or encoded(asked, Reply("SERVFAIL"), way)
        asker = self._premises.attach.who(peer)
        reply = self._premises.zone.reply(name, kind, asker, self._own, resolver=self._address)
        return None if reply.silent else encoded(asked, reply, way)


def parsed(query: bytes) -> dns.message.Message | None:
    """A query with one question; None for anything else."""
    try:
        found = dns.message.from_wire(query)
    except dns.exception.DNSException:
        return None
    is_query = not found.flags & dns.flags.QR and len(found.question) == 1
    return found if is_query else None


def encoded(query: dns.message.Message, reply: Reply, way: Way = "tcp") -> bytes:
    """The reply in wire format, truncated where a datagram is too small for it."""
    message = dns.message.make_response(query, recursion_available=True)
    message.set_rcode(dns.rcode.from_text(reply.rcode))
    for record in reply.records:
        value = f"{record.value}." if record.type == "CNAME" else record.value
        message.answer.append(
            dns.rrset.from_text(f"{record.name}.", record.ttl_s, "IN", record.type, value)
        )
    negative = not any(record.type != "CNAME" for record in reply.records)
    if negative and reply.rcode in ("NOERROR", "NXDOMAIN"):
        message.authority.append(start_of_authority(query))
    room = max(query.payload, MAX_UDP_PLAIN) if way == "udp" else 65_535
    return message.to_wire(max_size=room, prefer_truncation=True)


def start_of_authority(query: dns.message.Message) -> dns.rrset.RRset:
    """What a negative answer carries (RFC 2308, section 3)."""
    words = f"ns.lab. hostmaster.lab. 1 3600 600 86400 {NEGATIVE_TTL_S}"
    zone = query.question[0].name.split(2)[1]
    return dns.rrset.from_text(zone, NEGATIVE_TTL_S, "IN", "SOA", words)


async def ask(
    query: bytes,
    server: str,
    source: str,
    attach: Attach,
    *,
    port: int = PORT,
    timeout_s: float = UPSTREAM_TIMEOUT_S,
) -> bytes | None:
    """What comes back first to a query over UDP, as a naive forwarder believes it.

    Only the id is compared. None: nothing in time, or an error in its place.
    """
    loop = asyncio.get_running_loop()
    first: asyncio.Future[bytes | None] = loop.create_future()
    ip, port, local = attach.reach(source, server, port, "udp")
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _First(first, query[:2]), remote_addr=(ip, port), local_addr=local
        )
    except OSError:
        return None
    try:
        transport.sendto(query)
        return await asyncio.wait_for(first, timeout_s)
    except TimeoutError:
        return None
    finally:
        transport.close()


class _First(asyncio.DatagramProtocol):
    """Keeps the first datagram with the right id."""

    def __init__(self, first: asyncio.Future[bytes | None], id: bytes) -> None:
        self._first = first
        self._id = id

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        if data[:2] == self._id and not self._first.done():
            self._first.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._first.done():
            self._first.set_result(None)


class Datagrams(asyncio.DatagramProtocol):
    """Answers over UDP, from the very address asked.

    Args:
        answer: called with each datagram and its sender as the socket names it.
    """

    def __init__(
        self, answer: Callable[[bytes, Peer], Awaitable[bytes | None]], listening: Listening
    ) -> None:
        self._answer = answer
        self._listening = listening

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        self._listening.start(self._reply(data, addr))

    async def _reply(self, data: bytes, addr: tuple) -> None:
        said = await self._answer(data, addr)
        if said is not None:
            self._transport.sendto(said, addr)


async def stream(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Callable[[bytes, Peer], Awaitable[bytes | None]],
) -> None:
    """Answers over TCP or TLS: each message after its length (RFC 1035, section 4.2.2)."""
    peer = writer.get_extra_info("peername")
    while True:
        try:
            async with asyncio.timeout(MAX_TCP_IDLE_S):
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                query = await reader.readexactly(length)
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            return
        said = await answer(query, peer)
        if said is not None:
            writer.write(framed(said))
            await writer.drain()
