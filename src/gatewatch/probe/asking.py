"""A question to a resolver on its way: over UDP, over TCP, or over a channel that is there.

Here it is said what counts as its answer; `dns` says whom to ask, and how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.exception
import dns.flags
import dns.message

from gatewatch.probe.net import EOF, TIMEOUT, Channel, Datagrams, Failed, Vantage, connect
from gatewatch.probe.replies import (
    MISBEHAVING,
    NO_ANSWER,
    WRONG_ID,
    Lookup,
    Reply,
    read_reply,
    stray_reply,
)
from gatewatch.probe.tls import TlsStream, handshake

System = Callable[[Vantage, str], Awaitable[Lookup]]
"How an ordinary program asks for the addresses of a name. It never raises."
MOST_LATE = 64
"Our choice: replies after the first that are kept of one question."
NO_SYSTEM = "dns_temporary_failure"
"Of a system that has nobody to ask: what getaddrinfo says there."


class Asked:
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


async def over_udp(
    asked: Asked,
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


async def over_tcp(
    asked: Asked, question: dns.message.QueryMessage, where: tuple[str, int]
) -> Reply:
    reached = await connect(asked.vantage, *where, timeout_s=asked.left)
    if reached.stream is None:
        raise Failed(reached.failure or EOF)
    try:
        return await over_stream(asked, question, reached.stream)
    finally:
        reached.stream.close()


async def over_stream(asked: Asked, question: dns.message.QueryMessage, channel: Channel) -> Reply:
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


async def _framed(channel: Channel, buffer: bytes, asked: Asked) -> tuple[bytes, bytes]:
    """The next message, and what came behind it."""
    while len(buffer) < 2 or len(buffer) < 2 + int.from_bytes(buffer[:2], "big"):
        more = await channel.read(asked.deadline)
        if not more:
            raise Failed(MISBEHAVING if asked.late else EOF)
        buffer += more
    end = 2 + int.from_bytes(buffer[:2], "big")
    return buffer[2:end], buffer[end:]
