"""QUIC handshakes: aioquic without its sockets, over ours."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted
from aioquic.quic.packet import QuicErrorCode

from gatewatch.probe.net import TIMEOUT, Datagrams, Event, Failed, Vantage

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
        with await Datagrams.open(vantage, address, port) as datagrams:
            events = datagrams.events
            alpn = await _shake(datagrams, _connection(server_name, ca), t0 + timeout_s)
    except Failed as failed:
        failure = failed.failure
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


async def _shake(datagrams: Datagrams, quic: QuicConnection, deadline: float) -> str | None:
    """Datagrams to and fro until the handshake is over; the protocol agreed on.

    Raises:
        Failed: as the connection, or the socket, ended.
    """
    vantage, peer = datagrams.vantage, datagrams.peer
    loop = asyncio.get_running_loop()
    quic.connect(peer, now=loop.time())
    while vantage.now() < deadline:
        await _send(datagrams, quic)
        timer = quic.get_timer()
        until = deadline if timer is None else min(timer - vantage.zero, deadline)
        try:
            data = await datagrams.receive(until)
            quic.receive_datagram(data, peer, now=loop.time())
        except Failed as failed:
            if failed.failure != TIMEOUT:
                raise
            quic.handle_timer(now=loop.time())
        while (event := quic.next_event()) is not None:
            if isinstance(event, HandshakeCompleted):
                quic.close()
                await _send(datagrams, quic)
                return event.alpn_protocol
            if isinstance(event, ConnectionTerminated):
                raise Failed(close_failure(event.error_code))
    raise Failed(TIMEOUT)


async def _send(datagrams: Datagrams, quic: QuicConnection) -> None:
    for data, _ in quic.datagrams_to_send(now=asyncio.get_running_loop().time()):
        await datagrams.send(data)


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
