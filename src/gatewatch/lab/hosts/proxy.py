"""An HTTP/1.1 proxy that changes what passes: headers, and scripts in pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

import h11

from gatewatch.lab.hosts.relay import Ends
from gatewatch.lab.hosts.tcp import CHUNK, reset
from gatewatch.wire.http import request_head

RawHeaders = list[tuple[bytes, bytes]]

_BODY_END = re.compile(rb"</body\s*>", re.IGNORECASE)
_FRAMING = (b"content-length", b"transfer-encoding")


class Alterations(NamedTuple):
    """What a proxy does to one request and to the response."""

    page: Callable[[], bytes] | None
    "Makes a whole response in the server's place, after which the connection ends."
    script: str
    "Put into HTML pages before `</body>`."
    headers: Mapping[str, str]
    "Added to every response."
    lower_case_headers: bool
    "Names of request headers lose their case."
    injected: Callable[[], None]
    "Called for each page that got the script."


class Side:
    """A stream, and HTTP on it."""

    def __init__(self, ends: Ends, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self._ends = ends
        self.http = h11.Connection(role)

    async def event(self) -> h11.Event | None:
        """What comes next; None: the other side has ended, or goes on with another protocol.

        Raises:
            h11.RemoteProtocolError: it is no HTTP.
        """
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(await self._ends.reader.read(CHUNK))
        if isinstance(event, h11.Event) and not isinstance(event, h11.ConnectionClosed):
            return event
        return None

    async def events(self) -> AsyncIterator[h11.Event]:
        """What is still to come of a message, its last event included."""
        while event := await self.event():
            yield event
            if isinstance(event, h11.EndOfMessage):
                return

    async def send(self, event: h11.Event) -> None:
        self._ends.writer.write(self.http.send(event) or b"")
        await self._ends.writer.drain()

    def close(self) -> None:
        self._ends.writer.close()


async def proxy(
    client: Ends,
    begun: bytes,
    onward: Callable[[], Awaitable[Ends | None]],
    alterations: Callable[[str], Alterations],
) -> None:
    """Passes requests and responses on, each altered, while both sides keep the connection.

    Args:
        begun: what the client has sent already; HTTP/1.1 by the letter, see `well_formed`.
        onward: connects to the server when the first request goes on; None: there is none.
        alterations: by whom a request is for, as boxes on the way read it.
    """
    near, far = Side(client, h11.SERVER), None
    near.http.receive_data(begun)
    try:
        while isinstance(request := await near.event(), h11.Request):
            altering = alterations(host_of(request))
            if altering.page is not None:
                client.writer.write(altering.page())
                await client.writer.drain()
                return
            if far is None:
                server = await onward()
                if server is None:
                    return
                far = Side(server, h11.CLIENT)
            if not await exchange(request, near, far, altering):
                return
    except h11.ProtocolError:
        reset(client.writer)
    finally:
        if far is not None:
            far.close()


def well_formed(begun: bytes) -> bool:
    trial = h11.Connection(h11.SERVER)
    trial.receive_data(begun)
    try:
        trial.next_event()
    except h11.RemoteProtocolError:
        return False
    return True


def host_of(request: h11.Request) -> str:
    """Whom a request is for, empty if it says nothing of it.

    >>> host_of(h11.Request(method="GET", target="/", headers=[("Host", "Example.org:80")]))
    'example.org'
    """
    lines = [b"%s %s HTTP/1.1" % (request.method, request.target)]
    lines += [b"%s: %s" % header for header in request.headers]
    head = request_head(b"\r\n".join([*lines, b"", b""]))
    return (head.host if head else None) or ""


async def exchange(request: h11.Request, near: Side, far: Side, alterations: Alterations) -> bool:
    """One request and its response.

    Returns:
        Whether another can follow.
    """
    await far.send(lower_cased(request) if alterations.lower_case_headers else request)
    async for event in near.events():
        await far.send(event)
    async for event in altered(far.events(), request.method, alterations):
        await near.send(event)
    if not near.http.our_state is near.http.their_state is far.http.their_state is h11.DONE:
        return False
    near.http.start_next_cycle()
    far.http.start_next_cycle()
    return True


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
