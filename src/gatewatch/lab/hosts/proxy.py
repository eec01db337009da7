"""An HTTP/1.1 proxy that changes what passes: headers, and scripts in pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import NamedTuple

import h11

from gatewatch.lab.hosts.relay import Ends, relay
from gatewatch.lab.hosts.tcp import CHUNK, reset

RawHeaders = list[tuple[bytes, bytes]]

_BODY_END = re.compile(rb"</body\s*>", re.IGNORECASE)
_FRAMING = (b"content-length", b"transfer-encoding")


class Alterations(NamedTuple):
    """What a proxy changes."""

    script: str
    "Put into HTML pages before `</body>`."
    headers: Mapping[str, str]
    "Added to every response."
    lower_case_headers: bool
    "Names of request headers lose their case."
    injected: Callable[[], None]
    "Called for each page that got the script."

    def any(self) -> bool:
        return bool(self.script or self.headers or self.lower_case_headers)


class Side:
    """A stream, and HTTP on it."""

    def __init__(self, ends: Ends, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self._ends = ends
        self.http = h11.Connection(role)

    async def events(self) -> AsyncIterator[h11.Event]:
        """One message; ends with its last event, or before the first if no other follows.

        Raises:
            h11.RemoteProtocolError: it is no HTTP.
        """
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(await self._ends.reader.read(CHUNK))
                continue
            if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
                return
            yield event
            if isinstance(event, h11.EndOfMessage):
                return

    async def send(self, event: h11.Event) -> None:
        self._ends.writer.write(self.http.send(event) or b"")
        await self._ends.writer.drain()


async def proxy(client: Ends, server: Ends, begun: bytes, alterations: Alterations) -> None:
    """Passes requests and responses on, altered, as long as both sides keep the connection.

    What is not HTTP/1.1 by the letter from the beginning goes on byte for byte.

    Args:
        begun: what the client has sent already.
    """
    near, far = Side(client, h11.SERVER), Side(server, h11.CLIENT)
    if not well_formed(begun):
        server.writer.write(begun)
        await relay(client, server)
        return
    near.http.receive_data(begun)
    try:
        while await exchange(near, far, alterations):
            near.http.start_next_cycle()
            far.http.start_next_cycle()
    except h11.ProtocolError:
        reset(client.writer)
    finally:
        server.writer.close()


def well_formed(begun: bytes) -> bool:
    trial = h11.Connection(h11.SERVER)
    trial.receive_data(begun)
    try:
        trial.next_event()
    except h11.RemoteProtocolError:
        return False
    return True


async def exchange(near: Side, far: Side, alterations: Alterations) -> bool:
    """One request and its response.

    Returns:
        Whether another can follow.
    """
    method = b""
    async for event in near.events():
        if isinstance(event, h11.Request):
            method = event.method
            event = lower_cased(event) if alterations.lower_case_headers else event
        await far.send(event)
    if not method:
        return False
    async for event in altered(far.events(), method, alterations):
        await near.send(event)
    return near.http.our_state is near.http.their_state is far.http.their_state is h11.DONE


def lower_cased(request: h11.Request) -> h11.Request:
    return h11.Request(
        method=request.method,
        target=request.target,
        headers=[(name.lower(), value) for name, value in request.headers.raw_items()],
        http_version=request.http_version,
    )


async def altered(
    events: AsyncIterator[h11.Event], method: bytes, alterations: Alterations
) -> AsyncIterator[h11.Event]:
    """A response with the script in its page and the headers beside its own."""
    page: bytearray | None = None
    start = None
    async for event in events:
        if isinstance(event, h11.Response):
            start = event
            if alterations.script and method != b"HEAD" and is_page(event):
                page = bytearray()
            else:
                yield response(event, event.headers.raw_items(), alterations.headers)
        elif page is not None and isinstance(event, h11.Data):
            page += event.data
        elif page is not None and start is not None and isinstance(event, h11.EndOfMessage):
            body = with_script(bytes(page), alterations.script)
            if body != page:
                alterations.injected()
            headers = framed(start.headers.raw_items(), len(body))
            yield response(start, headers, alterations.headers)
            yield h11.Data(data=body)
            yield h11.EndOfMessage()
        else:
            yield event


def is_page(response: h11.Response) -> bool:
    """Is it HTML that can be read as it is?"""
    headers = dict(response.headers)
    kind = headers.get(b"content-type", b"")
    return kind.startswith(b"text/html") and b"content-encoding" not in headers


def with_script(page: bytes, script: str) -> bytes:
    """
    >>> with_script(b"<body>x</BODY>", "<script/>")
    b'<body>x<script/></BODY>'
    """
    end = _BODY_END.search(page)
    return page if end is None else page[: end.start()] + script.encode() + page[end.start() :]


def framed(headers: Iterable[tuple[bytes, bytes]], length: int) -> RawHeaders:
    """The headers with the body's length in place of what they said of it."""
    kept = [(name, value) for name, value in headers if name.lower() not in _FRAMING]
    return [*kept, (b"Content-Length", str(length).encode())]


def response(
    start: h11.Response, headers: Iterable[tuple[bytes, bytes]], more: Mapping[str, str]
) -> h11.Response:
    added = [(name.encode(), value.encode("latin-1")) for name, value in more.items()]
    return h11.Response(
        status_code=start.status_code, headers=[*headers, *added], reason=start.reason
    )
