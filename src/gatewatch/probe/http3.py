"""HTTP/3: a handshake and one request over it; aioquic does the protocol, over our sockets."""

from __future__ import annotations

from pathlib import Path

from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamReset

from gatewatch.probe.exchanges import (
    AROUND_LIMIT,
    HTTP_S,
    MALFORMED,
    UNWRITABLE,
    Exchange,
    Request,
)
from gatewatch.probe.net import TIMEOUT, Failed, Vantage
from gatewatch.probe.ooni import BODY_LIMIT
from gatewatch.probe.quic import IDLE, QuicHandshake, Session, quic_connect

STREAM_ERROR = "unknown_failure: stream error"
NO_ERROR = 0x100
"H3_NO_ERROR: RFC 9114, section 8.1."


async def exchange3(
    vantage: Vantage,
    address: str,
    port: int,
    request: Request,
    *,
    ca: Path,
    sni: str | None = None,
    verify: bool = True,
    timeout_s: float = HTTP_S,
    most: int = BODY_LIMIT,
    server_name: str | None = None,
) -> tuple[QuicHandshake, Exchange | None]:
    """Start QUIC with a server and send it one request.

    Args:
        ca, sni, verify: as for `quic_handshake`.
        timeout_s: for the handshake, and again for the exchange.
        most: bytes of body that are kept.
        server_name: the name to be proved; None is the URL's host.

    Returns:
        The exchange is None where the handshake failed.
    """
    name = request.host if server_name is None else server_name
    shaken, session = await quic_connect(
        vantage, address, port, name, ca=ca, sni=sni, verify=verify, timeout_s=timeout_s
    )
    if session is None:
        return shaken, None
    found = Exchange(request=request, t0=vantage.now())
    client = _Client(session, found, most)
    try:
        await client.run(found.t0 + timeout_s)
    except Failed as failed:
        found.failure = failed.failure
    finally:
        await session.close(NO_ERROR)
    found.t = vantage.now()
    return shaken, found


class _Client:
    def __init__(self, session: Session, found: Exchange, most: int) -> None:
        self._session, self._found, self._most = session, found, most
        self._h3 = H3Connection(session.quic)
        self._body = bytearray()
        self._stream = session.quic.get_next_available_stream_id()

    async def run(self, deadline: float) -> None:
        """
        Raises:
            Failed: by name; what came before stays in the exchange.
        """
        session, request = self._session, self._found.request
        try:
            pairs = request.pseudo_headers()
        except UnicodeEncodeError:
            raise Failed(UNWRITABLE) from None
        self._h3.send_headers(self._stream, pairs, end_stream=not request.body)
        if request.body:
            self._h3.send_data(self._stream, request.body, end_stream=True)
        start = session.received
        try:
            events, session.pending = session.pending, []
            while not any(self._ends(event) for event in events):
                events = await session.step(deadline)
                if session.received - start > len(self._body) + AROUND_LIMIT:
                    raise Failed(MALFORMED)
        finally:
            self._found.body = bytes(self._body[: self._most])

    def _ends(self, event: QuicEvent) -> bool:
        if isinstance(event, ConnectionTerminated):
            raise Failed(self._end_of(event))
        if isinstance(event, StreamReset) and event.stream_id == self._stream:
            raise Failed(f"{STREAM_ERROR} {event.error_code:#x}")
        ended = any(self._takes(one) for one in self._h3.handle_event(event))
        if self._session.quic.ended_here and not ended:
            raise Failed(MALFORMED)
        return ended

    def _end_of(self, event: ConnectionTerminated) -> str:
        """What is said within a connection that has keys is the server's own word."""
        if self._session.quic.ended_here:
            return MALFORMED
        idle = event.reason_phrase == IDLE
        return TIMEOUT if idle else f"unknown_failure: closed with {event.error_code:#x}"

    def _takes(self, event: H3Event) -> bool:
        """Whether there is nothing more to wait for."""
        found = self._found
        match event:
            case HeadersReceived(stream_id=self._stream) if found.status is None:
                if not _informs(event.headers):
                    found.answered(event.headers)
                return event.stream_ended
            case HeadersReceived(stream_id=self._stream):
                return event.stream_ended
            case DataReceived(stream_id=self._stream):
                self._body += event.data
                found.truncated = len(self._body) >= self._most
                return found.truncated or event.stream_ended
            case _:
                return False


def _informs(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether this is an interim answer."""
    return any(name == b":status" and value.startswith(b"1") for name, value in headers)
