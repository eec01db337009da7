"""Questions to resolvers: over UDP as stub resolvers ask them, over TCP, TLS, HTTPS, and as
programs ask the system.

dnspython is only the codec. The UDP socket is connected, so that ICMP errors show, and stays
open after the answer, so that a second one does too.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.exception
import dns.flags
import dns.message

from gatewatch.probe.exchanges import Request
from gatewatch.probe.http import exchange
from gatewatch.probe.http3 import exchange3
from gatewatch.probe.net import EOF, TIMEOUT, Channel, Datagrams, Failed, Vantage, connect
from gatewatch.probe.replies import (
    MISBEHAVING,
    NO_ANSWER,
    WRONG_ID,
    Lookup,
    Record,
    Reply,
    merged,
    read_reply,
    stray_reply,
)
from gatewatch.probe.tls import TlsStream, handshake
from gatewatch.wire.address import endpoint

__all__ = [
    "Lookup",
    "Record",
    "Reply",
    "System",
    "lookup",
    "lookup_https",
    "lookup_system",
    "lookup_tcp",
    "lookup_tls",
]

TOTAL_S = 4.0
"How long OONI waits for a resolver."
TRIES, TRY_S = 3, 1.5
"Our choice, near what stub resolvers do: one lost packet in twenty is survived."
LATE_S = 0.3
"How long to listen for answers after the first. Our choice; OONI waits 0.5 s."
MOST_LATE = 64
"Our choice: replies after the first that are kept of one question."
NO_SYSTEM = "dns_temporary_failure"
"Of a system that has nobody to ask: what getaddrinfo says there."
DNS_PORT, TLS_PORT, HTTPS_PORT = 53, 853, 443
DOH_ALPN = ("h2", "http/1.1")
MOST_MESSAGE = 1 << 16
"A DNS message is no longer: RFC 1035, section 4.2.2."

System = Callable[[Vantage, str], Awaitable[Lookup]]
"How an ordinary program asks for the addresses of a name. It never raises."


async def lookup(
    vantage: Vantage,
    resolver: str,
    hostname: str,
    query_type: str,
    *,
    total_s: float = TOTAL_S,
    tries: int = TRIES,
    try_s: float = TRY_S,
    late_s: float = LATE_S,
    port: int = DNS_PORT,
) -> Lookup:
    """Ask a resolver over UDP, and over TCP where it says that the answer was cut.

    Args:
        total_s: until the question is given up.
        tries, try_s: how often it is sent, and after which wait again.
        late_s: how long to go on listening after an answer; 0 for those who do not care.
    """
    asked = _Asked(vantage, hostname, query_type, total_s)

    async def ask(question: dns.message.QueryMessage) -> Reply:
        reply = await _over_udp(asked, question, (resolver, port), tries, try_s, late_s)
        return await _over_tcp(asked, question, (resolver, port)) if reply is None else reply

    return await asked.lookup("udp", endpoint(resolver, port), ask)


async def lookup_tcp(
    vantage: Vantage,
    resolver: str,
    hostname: str,
    query_type: str,
    *,
    total_s: float = TOTAL_S,
    port: int = DNS_PORT,
) -> Lookup:
    """Ask a resolver over TCP. Failing to reach it is the failure of the question."""
    asked = _Asked(vantage, hostname, query_type, total_s)

    async def ask(question: dns.message.QueryMessage) -> Reply:
        return await _over_tcp(asked, question, (resolver, port))

    return await asked.lookup("tcp", endpoint(resolver, port), ask)


async def lookup_tls(
    vantage: Vantage,
    name: str,
    address: str | None,
    hostname: str,
    query_type: str,
    *,
    ca: Path,
    total_s: float = TOTAL_S,
    port: int = TLS_PORT,
    system: System | None = None,
) -> Lookup:
    """Ask a resolver over TLS (RFC 7858). Failing to reach it is the failure of the question.

    Args:
        name, address: as for `lookup_https`.
        ca: PEM file of the authorities to trust.
    """
    asked = _Asked(vantage, hostname, query_type, total_s)

    async def ask(question: dns.message.QueryMessage) -> Reply:
        where = await asked.locate(name, address, system)
        channel, _ = await asked.secure(name, where, port, ca, ())
        try:
            return await _over_stream(asked, question, channel)
        finally:
            channel.close()

    return await asked.lookup("dot", endpoint(name if address is None else address, port), ask)


async def lookup_https(
    vantage: Vantage,
    name: str,
    address: str | None,
    hostname: str,
    query_type: str,
    *,
    ca: Path,
    total_s: float = TOTAL_S,
    path: str = "/dns-query",
    port: int = HTTPS_PORT,
    system: System | None = None,
    http3: bool = False,
) -> Lookup:
    """Ask a resolver over HTTPS (RFC 8484). Failing to reach it is the failure of the question.

    Args:
        name, address: the resolver's server name, and where it is; None asks `system`.
        ca: PEM file of the authorities to trust.
        path: as in the template of its URL.
        http3: over QUIC, and not over TCP.
    """
    shown = name if port == HTTPS_PORT else f"{name}:{port}"
    request = Request(url=f"https://{shown}{path}", method="POST", headers=_DOH_HEADERS)
    asked = _Asked(vantage, hostname, query_type, total_s)

    async def ask(question: dns.message.QueryMessage) -> Reply:
        question.id = 0  # so that caches can serve it: RFC 8484, section 4.1
        where = await asked.locate(name, address, system)
        posted = dataclasses.replace(request, body=question.to_wire())
        if http3:
            shaken, answer = await exchange3(
                vantage, where, port, posted, ca=ca, timeout_s=asked.left, most=MOST_MESSAGE
            )
            if answer is None:
                raise Failed(shaken.failure or EOF)
        else:
            channel, alpn = await asked.secure(name, where, port, ca, DOH_ALPN)
            try:
                answer = await exchange(
                    vantage, channel, posted, alpn=alpn, timeout_s=asked.left, most=MOST_MESSAGE
                )
            finally:
                channel.close()
        if answer.failure:
            raise Failed(answer.failure)
        reply = asked.read(answer.body, question) if answer.status == 200 else None
        if reply is None:
            raise Failed(MISBEHAVING)
        return reply

    return await asked.lookup("doh3" if http3 else "doh", request.url, ask)


_DOH_HEADERS = (("Accept", "application/dns-message"), ("Content-Type", "application/dns-message"))


async def lookup_system(
    vantage: Vantage,
    resolver: str | None,
    hostname: str,
    *,
    total_s: float = TOTAL_S,
    late_s: float = LATE_S,
    system: System | None = None,
) -> Lookup:
    """Both address types as the system would find them, as one answer.

    Args:
        resolver: that the system is told to use. A system without one gets no answer, at once.
        system: how to ask the system itself, where it is a real one; the resolver is then its
            own affair, and late answers stay with it.
    """
    if system is not None:
        return await system(vantage, hostname)
    t0 = vantage.now()
    if resolver is None:
        reply = Reply(t=t0, failure=NO_SYSTEM)
        halves: list[Lookup] = []
    else:
        asking = (
            lookup(vantage, resolver, hostname, kind, total_s=total_s, late_s=late_s)
            for kind in ("A", "AAAA")
        )
        halves = await asyncio.gather(*asking)
        reply = merged([half.reply for half in halves])
    return Lookup(
        engine="getaddrinfo",
        resolver="",
        hostname=hostname,
        query_type="ANY",
        t0=t0,
        reply=reply,
        late=[late for half in halves for late in half.late],
    )


class _Asked:
    """A question on its way, by whatever transport."""

    def __init__(self, vantage: Vantage, hostname: str, query_type: str, total_s: float) -> None:
        self.vantage, self.hostname, self.query_type = vantage, hostname, query_type.upper()
        self.deadline = vantage.now() + total_s
        self.late: list[Reply] = []

    @property
    def left(self) -> float:
        return self.deadline - self.vantage.now()

    async def lookup(
        self,
        engine: str,
        resolver: str,
        ask: Callable[[dns.message.QueryMessage], Awaitable[Reply]],
    ) -> Lookup:
        t0 = self.vantage.now()
        try:
            reply = await ask(dns.message.make_query(self.hostname, self.query_type))
        except Failed as failed:
            wrong = failed.failure == TIMEOUT and bool(self.late)
            reply = Reply(t=self.vantage.now(), failure=WRONG_ID if wrong else failed.failure)
        except dns.exception.DNSException:  # a name that cannot be written in a question
            reply = Reply(t=self.vantage.now(), failure="dns_non_recoverable_failure")
        return Lookup(
            engine=engine,
            resolver=resolver,
            hostname=self.hostname,
            query_type=self.query_type,
            t0=t0,
            reply=reply,
            late=self.late,
        )

    async def locate(self, name: str, address: str | None, system: System | None) -> str:
        """Where the resolver of that name is.

        Raises:
            Failed: nobody knows.
        """
        if address is not None:
            return address
        if system is None:
            raise Failed(NO_SYSTEM)
        try:
            async with asyncio.timeout(max(self.left, 0.0)):
                found = await system(self.vantage, name)
        except TimeoutError:
            raise Failed(TIMEOUT) from None
        if not found.addresses:
            raise Failed(found.failure or NO_ANSWER)
        return found.addresses[0]

    async def secure(
        self, name: str, address: str, port: int, ca: Path, alpn: tuple[str, ...]
    ) -> tuple[TlsStream, str]:
        """TLS with the resolver, for the caller to close, and the protocol agreed on.

        Raises:
            Failed: by name.
        """
        reached = await connect(self.vantage, address, port, timeout_s=self.left)
        if reached.stream is None:
            raise Failed(reached.failure or EOF)
        shaken = None
        try:
            shaken = await handshake(reached.stream, name, ca=ca, alpn=alpn, timeout_s=self.left)
            if shaken.channel is None:
                raise Failed(shaken.failure or EOF)
            return shaken.channel, shaken.alpn
        finally:
            if shaken is None or shaken.channel is None:
                reached.stream.close()

    def read(self, data: bytes, question: dns.message.QueryMessage) -> Reply | None:
        """The answer in a message; None when it is none to this question."""
        return read_reply(data, question, self.vantage.now())

    def stray(self, data: bytes) -> None:
        """A message that is no answer to our question is kept, and believed by nobody."""
        if len(self.late) < MOST_LATE:
            self.late.append(stray_reply(data, self.vantage.now()))


async def _over_udp(
    asked: _Asked,
    question: dns.message.QueryMessage,
    where: tuple[str, int],
    tries: int,
    try_s: float,
    late_s: float,
) -> Reply | None:
    """The first answer; None for a cut one."""
    vantage = asked.vantage
    wire = question.to_wire()
    with await Datagrams.open(vantage, *where) as datagrams:

        async def next_answer(until: float) -> Reply | None:
            while True:
                data = await datagrams.receive(until)
                reply = asked.read(data, question)
                if reply is not None:
                    return None if data[2] & (dns.flags.TC >> 8) else reply
                asked.stray(data)

        for _ in range(tries):
            await datagrams.send(wire)
            try:
                reply = await next_answer(min(asked.deadline, vantage.now() + try_s))
                break
            except Failed as failed:
                if failed.failure != TIMEOUT:
                    raise
        else:
            raise Failed(TIMEOUT)
        if reply is not None and late_s:
            await _listen_on(next_answer, vantage.now() + late_s, asked.late)
        return reply


async def _listen_on(
    next_answer: Callable[[float], Awaitable[Reply | None]], until: float, late: list[Reply]
) -> None:
    """Later answers to a question that has its answer; an error says only that none will come."""
    try:
        while True:
            reply = await next_answer(until)
            if reply is not None and len(late) < MOST_LATE:
                late.append(reply)
    except Failed:
        return


async def _over_tcp(
    asked: _Asked, question: dns.message.QueryMessage, where: tuple[str, int]
) -> Reply:
    reached = await connect(asked.vantage, *where, timeout_s=asked.left)
    if reached.stream is None:
        raise Failed(reached.failure or EOF)
    try:
        return await _over_stream(asked, question, reached.stream)
    finally:
        reached.stream.close()


async def _over_stream(
    asked: _Asked, question: dns.message.QueryMessage, channel: Channel
) -> Reply:
    """RFC 7766: the same message behind two bytes of length.

    A message that is no answer to the question is kept, and the wait goes on, as over UDP.
    """
    wire = question.to_wire()
    await channel.write(len(wire).to_bytes(2, "big") + wire, asked.deadline)
    buffer = b""
    while True:
        data, buffer = await _framed(channel, buffer, asked)
        reply = asked.read(data, question)
        if reply is not None:
            return reply
        asked.stray(data)


async def _framed(channel: Channel, buffer: bytes, asked: _Asked) -> tuple[bytes, bytes]:
    """The next message, and what came behind it."""
    while len(buffer) < 2 or len(buffer) < 2 + int.from_bytes(buffer[:2], "big"):
        more = await channel.read(asked.deadline)
        if not more:
            raise Failed(MISBEHAVING if asked.late else EOF)
        buffer += more
    end = 2 + int.from_bytes(buffer[:2], "big")
    return buffer[2:end], buffer[end:]
