"""Passing streams on: the plumbing of middleboxes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from gatewatch.lab.attach import Attach
from gatewatch.lab.hosts.tcp import CHUNK, reset


class Ends(NamedTuple):
    """Both directions of a stream."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def connect(
    attach: Attach,
    source: str,
    server: tuple[str, int],
    context: ssl.SSLContext | None = None,
    name: str | None = None,
) -> Ends:
    """A stream to a lab address from another, with TLS if there is a context.

    Raises:
        OSError: no connection, or no handshake.
    """
    ip, port, local = attach.reach(source, *server, "tcp")
    return Ends(
        *await asyncio.open_connection(
            ip, port, local_addr=local, ssl=context, server_hostname=name
        )
    )


async def relay(one: Ends, other: Ends) -> None:
    """Passes everything on in both directions until both have ended; resets are passed on, too."""
    try:
        await asyncio.gather(pump(one.reader, other.writer), pump(other.reader, one.writer))
    finally:
        one.writer.close()
        other.writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()
    except OSError:
        reset(writer)


@asynccontextmanager
async def terminate(client: Ends, begun: bytes, context: ssl.SSLContext) -> AsyncIterator[Ends]:
    """The stream inside TLS with a client whose first bytes have been read already.

    asyncio starts TLS on sockets, not in the middle of streams; so the client is relayed to a
    socket pair, and TLS starts at its far end.

    Raises:
        OSError: no handshake.
    """
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    for end in (near, far):
        end.setblocking(False)
    outer = Ends(*await asyncio.open_connection(sock=near))
    outer.writer.write(begun)
    feeding = loop.create_task(relay(client, outer))
    try:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, far, ssl=context)
        yield Ends(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
        await feeding
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])
