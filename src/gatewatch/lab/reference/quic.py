"""QUIC handshakes: aioquic without its sockets, over ours."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted
from aioquic.quic.packet import QuicErrorCode

from gatewatch.lab.reference.sockets import TIMEOUT, Event, Failed, Vantage, failure_of
from gatewatch.simulate.network import endpoint

QUIC_S = 5.0

_CRYPTO_ERROR = 0x100
"RFC 9001, section 4.8: TLS alerts follow from here."
_ALERTS = {
    **dict.fromkeys((42, 43, 44, 45, 46), "ssl_invalid_certificate"),
    **dict.fromkeys((40, 51), "ssl_failed_handshake"),
    48: "ssl_unknown_authority",
    112: "ssl_invalid_hostname",
}


@dataclass(slots=True, kw_only=True)
class QuicHandshake:
    """One attempt to start QUIC; times in seconds since the measurement began."""

    address: str
    port: int
    server_name: str
    t0: float
    t: float
    failure: str | None
    alpn: str = ""
    events: list[Event] = field(default_factory=list)


async def quic_handshake(
    vantage: Vantage,
    address: str,
    port: int,
    server_name: str,
    *,
    ca: Path,
    timeout_s: float = QUIC_S,
) -> QuicHandshake:
    """Start QUIC version 1 for HTTP/3 with a server name.

    Args:
        ca: PEM file of the authorities to trust.
    """
    t0, failure, alpn = vantage.now(), None, None
    events: list[Event] = []
    try:
        opened, where = vantage.opened(address, port, "udp")
        with opened:
            await asyncio.get_running_loop().sock_connect(opened, where)
            dialogue = _Dialogue(vantage, opened, endpoint(address, port), events)
            alpn = await dialogue.run(_connection(server_name, ca), vantage.zero + t0 + timeout_s)
    except Failed as failed:
        failure = failed.failure
    except OSError as error:
        failure = failure_of(error)
    return QuicHandshake(
        address=address,
        port=port,
        server_name=server_name,
        t0=t0,
        t=vantage.now(),
        failure=failure,
        alpn=alpn or "",
        events=events,
    )


def _connection(server_name: str, ca: Path) -> QuicConnection:
    configuration = QuicConfiguration(
        alpn_protocols=["h3"],
        server_name=server_name,
        cafile=str(ca),
        verify_mode=ssl.CERT_REQUIRED,
    )
    return QuicConnection(configuration=configuration)


class _Dialogue:
    """Datagrams to and fro until the handshake is over, either way."""

    def __init__(
        self, vantage: Vantage, socket: socket.socket, where: str, events: list[Event]
    ) -> None:
        self.vantage, self.socket, self.where, self.events = vantage, socket, where, events

    async def run(self, quic: QuicConnection, deadline: float) -> str | None:
        """The protocol agreed on.

        Args:
            deadline: by the event loop's clock.

        Raises:
            Failed: as the connection ended.
            OSError: as the socket did.
        """
        loop = asyncio.get_running_loop()
        quic.connect(self.socket.getpeername(), now=loop.time())
        while loop.time() < deadline:
            await self._send(quic)
            try:
                async with asyncio.timeout_at(min(quic.get_timer() or deadline, deadline)):
                    data = await loop.sock_recv(self.socket, 65_535)
                self._note("read_from", len(data))
                quic.receive_datagram(data, self.socket.getpeername(), now=loop.time())
            except TimeoutError:
                quic.handle_timer(now=loop.time())
            while (event := quic.next_event()) is not None:
                if isinstance(event, HandshakeCompleted):
                    quic.close()
                    await self._send(quic)
                    return event.alpn_protocol
                if isinstance(event, ConnectionTerminated):
                    raise Failed(close_failure(event.error_code))
        raise Failed(TIMEOUT)

    async def _send(self, quic: QuicConnection) -> None:
        loop = asyncio.get_running_loop()
        for data, _ in quic.datagrams_to_send(now=loop.time()):
            await loop.sock_sendall(self.socket, data)
            self._note("write_to", len(data))

    def _note(self, operation: str, size: int) -> None:
        now = self.vantage.now()
        self.events.append(Event(operation, self.where, None, size, now, now, "udp"))


def close_failure(error: int) -> str:
    """The failure code of a CONNECTION_CLOSE, sent or received.

    >>> close_failure(0x2), close_failure(0x130), close_failure(0xA)
    ('connection_refused', 'ssl_unknown_authority', 'connection_reset')
    """
    if error == QuicErrorCode.CONNECTION_REFUSED:
        return "connection_refused"
    if error >= _CRYPTO_ERROR:
        return _ALERTS.get(error - _CRYPTO_ERROR, "ssl_failed_handshake")
    return "connection_reset"
