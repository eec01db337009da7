"""Questions to resolvers: over UDP as stub resolvers ask them, over TCP, TLS, HTTPS, and as
programs ask the system.

dnspython is only the codec. The UDP socket is connected, so that ICMP errors show, and stays
open after the answer, so that a second one does too.
"""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import dns.exception
import dns.flags
import dns.message

from gatewatch.probe.asking import NO_SYSTEM, Asked, System, over_stream, over_tcp, over_udp
from gatewatch.probe.exchanges import Request
from gatewatch.probe.http import exchange
from gatewatch.probe.http3 import exchange3
from gatewatch.probe.net import EOF, Failed, Vantage
from gatewatch.probe.replies import (
    MISBEHAVING,
    Lookup,
    Record,
    Reply,
    merged,
    system_lookup,
)
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
DNS_PORT, TLS_PORT, HTTPS_PORT = 53, 853, 443
DOH_ALPN = ("h2", "http/1.1")
MOST_MESSAGE = 1 << 16
"A DNS message is no longer: RFC 1035, section 4.2.2."


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
    asked = Asked(vantage, hostname, query_type, total_s)

    async def ask(question: dns.message.QueryMessage) -> Reply:
        reply = await over_udp(asked, question, (resolver, port), tries, try_s, late_s)
        return await over_tcp(asked, question, (resolver, port)) if reply is None else reply

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
    asked = Asked(vantage, hostname, query_type, total_s)

    async def ask(question: dns.message.QueryMessage) -> Reply:
        return await over_tcp(asked, question, (resolver, port))

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
    asked = Asked(vantage, hostname, query_type, total_s)

    async def ask(question: dns.message.QueryMessage) -> Reply:
        where = await asked.locate(name, address, system)
        channel, _ = await asked.secure(name, where, port, ca, ())
        try:
            return await over_stream(asked, question, channel)
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
    asked = Asked(vantage, hostname, query_type, total_s)

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
    return system_lookup(hostname, t0, reply, late=(late for half in halves for late in half.late))
