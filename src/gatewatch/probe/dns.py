"""Questions to resolvers: over UDP as stub resolvers ask them, over TCP, and over HTTPS.

dnspython is only the codec. The UDP socket is connected, so that ICMP errors show, and stays
open after the answer, so that a second one does too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from gatewatch.probe.http import Request, exchange
from gatewatch.probe.net import EOF, TIMEOUT, Datagrams, Failed, Stream, Vantage, connect
from gatewatch.probe.tls import handshake
from gatewatch.wire.address import endpoint

TOTAL_S = 4.0
"How long OONI waits for a resolver."
TRIES, TRY_S = 3, 1.5
"Our choice, near what stub resolvers do: one lost packet in twenty is survived."
LATE_S = 0.3
"How long to listen for answers after the first. Our choice; OONI waits 0.5 s."
WRONG_ID = "dns_reply_with_wrong_query_id"
DNS_PORT, HTTPS_PORT = 53, 443

_RCODES = {
    dns.rcode.NXDOMAIN: "dns_nxdomain_error",
    dns.rcode.REFUSED: "dns_refused_error",
    dns.rcode.SERVFAIL: "dns_servfail_error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One message from a resolver; times in seconds since the measurement began."""

    t: float
    failure: str | None
    rcode: int = 0
    addresses: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    raw: bytes = b""


@dataclass(slots=True, kw_only=True)
class Lookup:
    """One question to one resolver, and how it ended."""

    engine: str
    resolver: str
    "As OONI writes it: empty for the system's, `8.8.8.8:53`, or a URL."
    hostname: str
    query_type: str
    t0: float
    reply: Reply
    late: list[Reply] = field(default_factory=list)
    "What else came, replies with a wrong id among them."

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.reply.addresses

    @property
    def failure(self) -> str | None:
        return self.reply.failure


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
) -> Lookup:
    """Ask a resolver over UDP, and over TCP where it says that the answer was cut.

    Args:
        total_s: until the question is given up.
        tries, try_s: how often it is sent, and after which wait again.
        late_s: how long to go on listening after an answer; 0 for those who do not care.
    """
    asked = _Asked(vantage, hostname, query_type, vantage.now() + total_s)

    async def ask(question: dns.message.QueryMessage) -> Reply:
        reply = await _over_udp(asked, question, resolver, tries, try_s, late_s)
        return await _over_tcp(asked, question, resolver) if reply is None else reply

    return await asked.lookup("udp", endpoint(resolver, DNS_PORT), ask)


async def lookup_system(
    vantage: Vantage,
    resolver: str | None,
    hostname: str,
    *,
    total_s: float = TOTAL_S,
    late_s: float = LATE_S,
) -> Lookup:
    """Both address types from the resolver that the system is told to use, as one answer.

    A system without a resolver gets no answer, at once.
    """
    t0 = vantage.now()
    if resolver is None:
        reply = Reply(t=t0, failure="dns_temporary_failure")
        halves: list[Lookup] = []
    else:
        asking = (
            lookup(vantage, resolver, hostname, kind, total_s=total_s, late_s=late_s)
            for kind in ("A", "AAAA")
        )
        halves = await asyncio.gather(*asking)
        reply = _merged([half.reply for half in halves])
    return Lookup(
        engine="getaddrinfo",
        resolver="",
        hostname=hostname,
        query_type="ANY",
        t0=t0,
        reply=reply,
        late=[late for half in halves for late in half.late],
    )


def _merged(replies: list[Reply]) -> Reply:
    addresses = tuple(a for reply in replies for a in reply.addresses)
    return Reply(
        t=max(reply.t for reply in replies),
        failure=None if addresses else next(r.failure for r in replies if r.failure),
        addresses=addresses,
        cnames=tuple(dict.fromkeys(c for reply in replies for c in reply.cnames)),
    )


async def lookup_https(
    vantage: Vantage,
    name: str,
    address: str,
    hostname: str,
    query_type: str,
    *,
    ca: Path,
    total_s: float = TOTAL_S,
) -> Lookup:
    """Ask a resolver over HTTPS (RFC 8484). Failing to reach it is the failure of the question.

    Args:
        name, address: the resolver's server name, and where it is.
        ca: PEM file of the authorities to trust.
    """
    url = f"https://{name}/dns-query"
    asked = _Asked(vantage, hostname, query_type, vantage.now() + total_s)

    async def ask(question: dns.message.QueryMessage) -> Reply:
        question.id = 0  # so that caches can serve it: RFC 8484, section 4.1
        left = asked.deadline - vantage.now()
        reached = await connect(vantage, address, HTTPS_PORT, timeout_s=left)
        if reached.stream is None:
            raise Failed(reached.failure or EOF)
        try:
            left = asked.deadline - vantage.now()
            shaken = await handshake(reached.stream, name, ca=ca, timeout_s=left)
            if shaken.channel is None:
                raise Failed(shaken.failure or EOF)
            left = asked.deadline - vantage.now()
            request = Request(url=url, method="POST", headers=_DOH_HEADERS, body=question.to_wire())
            answer = await exchange(vantage, shaken.channel, request, timeout_s=left)
        finally:
            reached.stream.close()
        if answer.failure:
            raise Failed(answer.failure)
        reply = asked.read(answer.body, question) if answer.status == 200 else None
        if reply is None:
            raise Failed("dns_server_misbehaving")
        return reply

    return await asked.lookup("doh", url, ask)


_DOH_HEADERS = (("Accept", "application/dns-message"), ("Content-Type", "application/dns-message"))


class _Asked:
    """A question on its way, by whatever transport."""

    def __init__(self, vantage: Vantage, hostname: str, query_type: str, deadline: float) -> None:
        self.vantage, self.hostname, self.query_type = vantage, hostname, query_type
        self.deadline = deadline
        self.late: list[Reply] = []

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

    def read(self, data: bytes, question: dns.message.QueryMessage) -> Reply | None:
        """The answer in a message; None when it is none to this question."""
        try:
            message = dns.message.from_wire(data, ignore_trailing=True)
        except (dns.exception.DNSException, ValueError):
            return None
        if not question.is_response(message):
            return None
        wanted = dns.rdatatype.from_text(self.query_type)
        records = [(s.rdtype, record) for s in message.answer for record in s]
        addresses = tuple(str(r.address) for kind, r in records if kind == wanted)
        cnames = tuple(str(r.target) for kind, r in records if kind == dns.rdatatype.CNAME)
        rcode = message.rcode()
        failure = None if addresses else "dns_no_answer"
        if rcode != dns.rcode.NOERROR:
            failure = _RCODES.get(rcode, "dns_server_misbehaving")
        return Reply(
            t=self.vantage.now(),
            failure=failure,
            rcode=int(rcode),
            addresses=addresses if failure is None else (),
            cnames=cnames,
            raw=data,
        )

    def stray(self, data: bytes) -> None:
        """A message that is no answer to our question is kept, and believed by nobody."""
        self.late.append(Reply(t=self.vantage.now(), failure=WRONG_ID, raw=data))


async def _over_udp(
    asked: _Asked,
    question: dns.message.QueryMessage,
    resolver: str,
    tries: int,
    try_s: float,
    late_s: float,
) -> Reply | None:
    """The first answer; None for a cut one."""
    vantage = asked.vantage
    wire = question.to_wire()
    with await Datagrams.open(vantage, resolver, DNS_PORT) as datagrams:

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
            if reply is not None:
                late.append(reply)
    except Failed:
        return


async def _over_tcp(asked: _Asked, question: dns.message.QueryMessage, resolver: str) -> Reply:
    """RFC 7766: the same message behind two bytes of length."""
    vantage = asked.vantage
    reached = await connect(vantage, resolver, DNS_PORT, timeout_s=asked.deadline - vantage.now())
    if reached.stream is None:
        raise Failed(reached.failure or EOF)
    try:
        wire = question.to_wire()
        await reached.stream.write(len(wire).to_bytes(2, "big") + wire, asked.deadline)
        data = await _framed(reached.stream, asked.deadline)
    finally:
        reached.stream.close()
    reply = asked.read(data, question)
    if reply is None:
        raise Failed("dns_server_misbehaving")
    return reply


async def _framed(stream: Stream, deadline: float) -> bytes:
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
        more = await stream.read(deadline)
        if not more:
            raise Failed(EOF)
        data += more
    return data[2:]
