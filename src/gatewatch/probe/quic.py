"""QUIC handshakes: aioquic without its sockets, over ours.

The certificate is checked here and not by aioquic, which tells no fault from another.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent
from aioquic.quic.packet import QuicErrorCode
from cryptography.hazmat.primitives.serialization import Encoding

from gatewatch.model.target import is_address
from gatewatch.probe.certificates import chain_failure
from gatewatch.probe.net import TIMEOUT, Datagrams, Event, Failed, Vantage

QUIC_S = 5.0
RESET_TOKEN = 16
"Bytes of a stateless reset token: RFC 9000, section 10.3."
INCOMPATIBLE = "quic_incompatible_version"
IDLE = "Idle timeout"
"How aioquic gives the reason when its own timer ends a connection."

_CRYPTO_ERROR = 0x100
"RFC 9001, section 4.8: TLS alerts follow from here."
_BAD_CERTIFICATE = 42
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
    "The name that the peer is to prove."
    t0: float
    t: float
    failure: str | None
    alpn: str = ""
    cipher_suite: str = ""
    chain: tuple[bytes, ...] = ()
    "As the peer sent it, leaf first, DER; also when it was refused."
    sni: str = ""
    "The name that was sent, which whoever is on the path can read; empty when none was."
    verified: bool = True
    "Whether a certificate that does not prove the name was to end the handshake."
    verify_failure: str | None = None
    "What is wrong with the certificate, also where that did not end the handshake."
    alert: int | None = None
    "The TLS alert in the peer's CONNECTION_CLOSE."
    events: list[Event] = field(default_factory=list)


async def quic_handshake(
    vantage: Vantage,
    address: str,
    port: int,
    server_name: str,
    *,
    ca: Path,
    sni: str | None = None,
    verify: bool = True,
    timeout_s: float = QUIC_S,
    source_port: int = 0,
) -> QuicHandshake:
    """Start QUIC version 1 for HTTP/3 with a server that is to prove a name.

    Args:
        ca: PEM file of the authorities to trust.
        sni: the name to send; None is the server's own, "" sends none. An address is never sent.
        verify: False lets the handshake end well whatever the certificate.
        source_port: 0 for any.
    """
    found, session = await quic_connect(
        vantage,
        address,
        port,
        server_name,
        ca=ca,
        sni=sni,
        verify=verify,
        timeout_s=timeout_s,
        source_port=source_port,
    )
    if session is not None:
        await session.close()
    return found


async def quic_connect(
    vantage: Vantage,
    address: str,
    port: int,
    server_name: str,
    *,
    ca: Path,
    sni: str | None = None,
    verify: bool = True,
    timeout_s: float = QUIC_S,
    source_port: int = 0,
) -> tuple[QuicHandshake, Session | None]:
    """As `quic_handshake`, with the open connection where there is one, for the caller to close."""
    t0 = vantage.now()
    sent = server_name if sni is None else sni
    sent = "" if is_address(sent) else sent
    found = QuicHandshake(
        address=address,
        port=port,
        server_name=server_name,
        t0=t0,
        t=t0,
        failure=None,
        sni=sent,
        verified=verify,
    )
    session = None
    try:
        session = await Session.open(
            vantage, address, port, sent, timeout_s, source_port=source_port
        )
        found.events = session.datagrams.events
        await session.shake(found, t0 + timeout_s)
        found.verify_failure = chain_failure(found.chain, server_name, ca=ca)
        if verify and found.verify_failure:
            raise Failed(found.verify_failure)
    except Failed as failed:
        found.failure = failed.failure
    found.t = vantage.now()
    if session is not None:
        session.datagrams.mark("quic_handshake_done", found.failure)
        if found.failure is not None:
            await session.close(_CRYPTO_ERROR + _BAD_CERTIFICATE if found.chain else 0)
            session = None
    return found, session


class _Connection(QuicConnection):
    """Remembers who ended it; HTTP/3 and aioquic itself do when they are told nonsense."""

    ended_here = False

    def close(self, *args: Any, **options: Any) -> None:
        self.ended_here = True
        super().close(*args, **options)


class Session:
    """A QUIC connection over `Datagrams`: one step at a time, each with what happened in it."""

    def __init__(self, datagrams: Datagrams, quic: _Connection) -> None:
        self.datagrams, self.quic = datagrams, quic
        self.received = 0
        "Bytes."
        self.pending: list[QuicEvent] = []
        "What happened after the end of the handshake, and before anybody asked."
        self._offered_other_versions = False

    @classmethod
    async def open(
        cls,
        vantage: Vantage,
        address: str,
        port: int,
        sni: str,
        timeout_s: float,
        *,
        source_port: int = 0,
    ) -> Session:
        """
        Raises:
            Failed: there is no socket, or the name cannot be sent.
        """
        if not sni.isascii():
            raise Failed("invalid_argument")
        configuration = QuicConfiguration(
            alpn_protocols=["h3"],
            server_name=sni or None,
            verify_mode=ssl.CERT_NONE,
            idle_timeout=max(60.0, 2 * timeout_s),  # so that deadlines are ours
        )
        datagrams = await Datagrams.open(vantage, address, port, source_port=source_port)
        datagrams.mark("quic_handshake_start")
        return cls(datagrams, _Connection(configuration=configuration))

    async def shake(self, found: QuicHandshake, deadline: float) -> None:
        """
        Raises:
            Failed: as the connection, or the socket, ended.
        """
        self.quic.connect(self.datagrams.peer, now=asyncio.get_running_loop().time())
        done = None
        try:
            while done is None:
                for event in await self.step(deadline):
                    if done is not None:
                        self.pending.append(event)
                    elif isinstance(event, HandshakeCompleted):
                        done = event
                    elif isinstance(event, ConnectionTerminated):
                        ours = self.quic.ended_here
                        found.alert = None if ours else alert_number(event.error_code)
                        raise Failed(self._end_of(event))
        finally:
            found.chain = self._chain()
        found.alpn = done.alpn_protocol or ""
        found.cipher_suite = self._cipher()

    async def step(self, deadline: float) -> list[QuicEvent]:
        """Send what there is to send, wait for a datagram or a timer, and say what came of it.

        Raises:
            Failed: the socket's failure, or the deadline has passed.
        """
        loop, datagrams = asyncio.get_running_loop(), self.datagrams
        await self.flush()
        if datagrams.vantage.now() >= deadline:
            raise Failed(TIMEOUT)
        timer = self.quic.get_timer()
        zero = datagrams.vantage.zero
        until = deadline if timer is None else min(timer - zero, deadline)
        try:
            data = await datagrams.receive(until)
            self.received += len(data)
            if self._is_reset(data):
                raise Failed("connection_reset")
            self._offered_other_versions |= _offers_versions(data)
            self.quic.receive_datagram(data, datagrams.peer, now=loop.time())
        except Failed as failed:
            if failed.failure != TIMEOUT:
                raise
            self.quic.handle_timer(now=loop.time())
        events: list[QuicEvent] = []
        while (event := self.quic.next_event()) is not None:
            events.append(event)
        return events

    def _end_of(self, event: ConnectionTerminated) -> str:
        """The failure of a handshake that ended."""
        ours = event.error_code == QuicErrorCode.INTERNAL_ERROR
        if ours and self._offered_other_versions:
            return INCOMPATIBLE
        if ours and event.reason_phrase == IDLE:
            return TIMEOUT
        return close_failure(event.error_code)

    async def flush(self) -> None:
        for data, _ in self.quic.datagrams_to_send(now=asyncio.get_running_loop().time()):
            await self.datagrams.send(data)

    async def close(self, error: int = 0) -> None:
        """Take leave, whether or not anybody hears it."""
        try:
            self.quic.close(error_code=error)
            await self.flush()
        except Failed:
            pass
        finally:
            self.datagrams.close()

    def _is_reset(self, data: bytes) -> bool:
        """A stateless reset ends in a token that only the server could know."""
        inner: Any = self.quic
        token = inner._peer_cid.stateless_reset_token
        return bool(token) and len(data) > RESET_TOKEN and data[-RESET_TOKEN:] == token

    def _chain(self) -> tuple[bytes, ...]:
        tls: Any = getattr(self.quic, "tls", None)
        leaf = getattr(tls, "_peer_certificate", None)
        if leaf is None:
            return ()
        return tuple(c.public_bytes(Encoding.DER) for c in (leaf, *tls._peer_certificate_chain))

    def _cipher(self) -> str:
        schedule = self.quic.tls.key_schedule
        return f"TLS_{schedule.cipher_suite.name}" if schedule is not None else ""


def _offers_versions(data: bytes) -> bool:
    """Version 0 in a long header is Version Negotiation: RFC 9000, section 17.2.1.

    >>> _offers_versions(bytes.fromhex("80 00000000 00 00 ff00001d")), _offers_versions(b"")
    (True, False)
    """
    return len(data) > 5 and bool(data[0] & 0x80) and data[1:5] == bytes(4)


def alert_number(error: int) -> int | None:
    """The TLS alert in the error code of a CONNECTION_CLOSE.

    >>> alert_number(0x128), alert_number(0x2)
    (40, None)
    """
    return error - _CRYPTO_ERROR if _CRYPTO_ERROR <= error < 2 * _CRYPTO_ERROR else None


def close_failure(error: int) -> str:
    """The failure code of a CONNECTION_CLOSE, sent or received.

    >>> close_failure(0x2), close_failure(0x130), close_failure(0xA)
    ('connection_refused', 'ssl_unknown_authority', 'connection_reset')
    """
    if error == QuicErrorCode.CONNECTION_REFUSED:
        return "connection_refused"
    if error == QuicErrorCode.VERSION_NEGOTIATION_ERROR:
        return INCOMPATIBLE
    alert = alert_number(error)
    if alert is not None:
        return _ALERTS.get(alert, "ssl_failed_handshake")
    return "connection_reset"
