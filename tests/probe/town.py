"""A few servers on loopback, each at the lab address that it stands for.

Servers are made of the smallest parts that can misbehave: a function from a question to
answers, a coroutine on a stream.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterable

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from gatewatch.lab.attach import Local, Transport
from gatewatch.probe.net import Vantage

Stream = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Replies = Callable[[bytes], Iterable[tuple[float, bytes]]]
"What a UDP server sends back: seconds to wait, and the datagram."

HERE = "127.0.0.1"
PROBE = "198.18.0.1"
CERTIFICATES = [
    ("valid", None),
    ("expired", "ssl_invalid_certificate"),
    ("wrong_name", "ssl_invalid_hostname"),
    ("unknown_issuer", "ssl_unknown_authority"),
    ("self_signed", "ssl_unknown_authority"),
]
"Kinds of certificates that an `Office` makes, and how a handshake fails that checks them."


class Town:
    """Servers by lab address; an `Attach` for those who would talk to them.

    An address that nobody has answers as a machine without servers does: refused.
    """

    def __init__(self) -> None:
        self._ports: dict[tuple[str, int, Transport], int] = {}
        self._closed = socket.socket()
        self._closed.bind((HERE, 0))
        self._clients: dict[asyncio.StreamWriter, asyncio.Task | None] = {}
        self._kept: list[socket.socket | asyncio.DatagramTransport | asyncio.Server] = []

    def listen_at(self, address: str, port: int, transport: Transport) -> Local:
        return HERE, 0

    def reach(
        self, source: str | None, address: str, port: int, transport: Transport
    ) -> tuple[str, int, Local | None]:
        found = self._ports.get((address, port, transport))
        return HERE, self._closed.getsockname()[1] if found is None else found, None

    def who(self, peer: tuple) -> str:
        return peer[0]

    async def tcp(
        self, address: str, port: int, serve: Stream, context: ssl.SSLContext | None = None
    ) -> None:
        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._clients[writer] = asyncio.current_task()
            try:
                await serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the client left first
            finally:
                writer.close()

        server = await asyncio.start_server(served, HERE, 0, ssl=context)
        self._kept.append(server)
        self._ports[address, port, "tcp"] = server.sockets[0].getsockname()[1]

    async def udp(self, address: str, port: int, replies: Replies) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Answering(replies), local_addr=(HERE, 0)
        )
        self.keep(address, port, "udp", transport)

    def keep(
        self,
        address: str,
        port: int,
        transport: Transport,
        listening: asyncio.DatagramTransport,
    ) -> None:
        """Something that listens already, at the address that it is to have."""
        self._kept.append(listening)
        self._ports[address, port, transport] = listening.get_extra_info("sockname")[1]

    async def unanswered(self, address: str, port: int) -> None:
        """A TCP port whose queue is full, so that the kernel lets every SYN go by."""
        full = socket.socket()
        full.bind((HERE, 0))
        full.listen(0)
        self._kept.append(full)
        for _ in range(2):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
            self._kept.append(waiting)
        self._ports[address, port, "tcp"] = full.getsockname()[1]

    async def __aenter__(self) -> Town:
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._clients:
            writer.transport.abort()
        await asyncio.gather(*filter(None, self._clients.values()))
        for kept in (*self._kept, self._closed):
            kept.close()

    def vantage(self, *addresses: str) -> Vantage:
        zero = asyncio.get_running_loop().time()
        return Vantage(reach=self, addresses=addresses or (PROBE,), zero=zero)


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, replies: Replies) -> None:
        self._replies = replies

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        loop = asyncio.get_running_loop()
        for delay, reply in self._replies(data):
            loop.call_later(delay, self._transport.sendto, reply, addr)


# -- names -----------------------------------------------------------------------------------


def answer(question: bytes, addresses: Iterable[str] = (), rcode: str = "NOERROR") -> bytes:
    """The reply with those of the addresses that were asked for."""
    query = dns.message.from_wire(question)
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.from_text(rcode))
    asked = query.question[0]
    for address in addresses:
        kind = "AAAA" if ":" in address else "A"
        if kind == dns.rdatatype.to_text(asked.rdtype):
            reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", kind, address))
    return reply.to_wire()


def says(*addresses: str, rcode: str = "NOERROR") -> Replies:
    """A resolver with one answer to everything."""
    return lambda question: [(0.0, answer(question, addresses, rcode))]


def zone(names: dict[str, tuple[str, ...]]) -> Replies:
    """A resolver that knows these names, and denies all others."""

    def replies(question: bytes) -> Iterable[tuple[float, bytes]]:
        name = str(dns.message.from_wire(question).question[0].name).rstrip(".").lower()
        known = names.get(name)
        yield 0.0, answer(question, known or (), "NXDOMAIN" if known is None else "NOERROR")

    return replies


def silence(question: bytes) -> Iterable[tuple[float, bytes]]:
    return ()


# -- streams ---------------------------------------------------------------------------------


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST."""
    inner = writer.get_extra_info("socket")
    inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A RST in answer to the first bytes."""
    await reader.read(1)
    reset(writer)


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A FIN in answer to everything that came."""
    await reader.read(65_536)


async def stays_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


def sends(data: bytes, then: Stream = closes) -> Stream:
    """These bytes in answer to the first that come."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(data)
        await writer.drain()
        if then is not closes:
            await then(reader, writer)

    return serve


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status} Fine", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


def pages(answer: Callable[[str, str], bytes]) -> Stream:
    """A web server: host and path → the answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            host = next(line for line in lines if line.lower().startswith("host:"))
            writer.write(answer(host.partition(":")[2].strip(), lines[0].split()[1]))
            await writer.drain()

    return serve


def posts(answer: Callable[[bytes], tuple[str, bytes]]) -> Stream:
    """A server that answers what is posted: body → content type and body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        kind, body = answer(await reader.readexactly(length))
        writer.write(http(200, body, content_type=kind))
        await writer.drain()

    return serve


def control(says: dict) -> Stream:
    """A control server with one answer."""
    return posts(lambda _: ("application/json", json.dumps(says).encode()))


def doh(replies: Replies) -> Stream:
    return posts(lambda q: ("application/dns-message", next(iter(replies(q)))[1]))
