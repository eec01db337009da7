"""Plain TCP: how hosts listen, small services, and servers that spoil the TLS handshake."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, Self

from gatewatch.lab.attach import Attach, bound

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

CHUNK = 65_536
PEER_IS_GONE = (OSError, EOFError)
"However rudely peers go, it is part of the world."
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
HANDSHAKE_FAILURE = bytes([21, 3, 3, 0, 2, 2, 40])
"A TLS 1.2 record: fatal alert handshake_failure (RFC 5246, section 7.2)."


class Listening:
    """Everything that a running world listens with, and the work of each connection.

    A connection's work that fails by a fault of ours is reported to the event loop, and the
    world goes on. At the end all is closed and cancelled.
    """

    def __init__(self, attach: Attach) -> None:
        self.attach = attach
        self._open: list[asyncio.Server | asyncio.DatagramTransport] = []
        self._work: set[asyncio.Task[None]] = set()
        self._ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        for listener in self._open:
            listener.close()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def streams(
        self, address: str, port: int, handler: Handler, context: ssl.SSLContext | None = None
    ) -> None:
        """Hands each connection to a port, with TLS if there is a context, to a handler."""

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._ended:  # a handshake that was under way when all ended
                writer.transport.abort()
            else:
                self.start(_until_closed(handler, reader, writer))

        sock = bound(self.attach, address, port, "tcp")
        self._open.append(await asyncio.start_server(connected, sock=sock, ssl=context))

    async def datagrams(
        self, address: str, port: int, protocol: Callable[[], asyncio.DatagramProtocol]
    ) -> None:
        sock = bound(self.attach, address, port, "udp")
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(protocol, sock=sock)
        self._open.append(transport)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Work that ends with the world, if not before."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._settle)

    def _settle(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        fault = None if task.cancelled() else task.exception()
        if isinstance(fault, BaseExceptionGroup):
            _, fault = fault.split(PEER_IS_GONE)
        if fault is not None and not isinstance(fault, PEER_IS_GONE):
            about = {"message": "a host of the lab failed", "exception": fault, "task": task}
            task.get_loop().call_exception_handler(about)


async def _until_closed(
    handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        await handler(reader, writer)
    finally:
        writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back every byte."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def discard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes everything and says nothing; `silent` is the same to whoever says nothing either."""
    while await reader.read(CHUNK):
        pass


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and hangs up."""


async def messenger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each message with as much opaque data, as an encrypted messenger would; and HTTP, by
    which some carry their messages, with a refusal."""
    while data := await reader.read(CHUNK):
        web = data.startswith((b"GET ", b"POST "))
        writer.write(NOT_FOUND if web else random.Random(data).randbytes(max(64, len(data))))
        await writer.drain()


async def headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tells a client, in JSON, the request line and the headers that arrived, case and all."""
    head = await reader.readuntil(b"\r\n\r\n")
    body = json.dumps(echoed(head)).encode()
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    await writer.drain()


def echoed(head: bytes) -> dict[str, object]:
    """What the JSON echo says of a request's head, in the form that OONI's helper uses.

    >>> echoed(b"GeT / HTTP/1.1\\r\\nhOST: x.example\\r\\n\\r\\n")["headers_dict"]
    {'hOST': ['x.example']}
    """
    line, *rest = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    pairs = [(name, value.strip()) for name, _, value in (field.partition(":") for field in rest)]
    by_name: dict[str, list[str]] = {}
    for name, value in pairs:
        by_name.setdefault(name, []).append(value)
    return {"request_line": line, "request_headers": pairs, "headers_dict": by_name}


SERVICES: dict[str, Handler] = {
    "echo": echo,
    "discard": discard,
    "silent": discard,
    "close": close,
    "messenger": messenger,
    "headers": headers,
}


def spoiler(how: Literal["silent", "reset", "close", "alert"]) -> Handler:
    """A server that answers the first bytes of a handshake badly."""

    async def spoil(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(CHUNK)
        if how == "silent":
            await discard(reader, writer)
        elif how == "alert":
            writer.write(HANDSHAKE_FAILURE)
            await writer.drain()
        elif how == "reset":
            reset(writer)

    return spoil


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection with an RST: closing does it when nothing may linger."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
