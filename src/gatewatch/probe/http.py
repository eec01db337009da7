"""One HTTP/1.1 request over a channel, and what came back, whole or in part."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

from gatewatch.probe.net import EOF, Channel, Failed, Vantage
from gatewatch.probe.ooni import BODY_LIMIT

HTTP_S = 8.0
"OONI waits 10; our choice, as for the other steps."
MALFORMED = "unknown_failure: malformed HTTP response"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    "Besides Host and Content-Length."
    body: bytes = b""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and its answer; times in seconds since the measurement began."""

    request: Request
    t0: float
    t: float = 0.0
    failure: str | None = None
    status: int | None = None
    "None when no answer began."
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    truncated: bool = False
    "There was, or may have been, more of it than we keep."


async def exchange(
    vantage: Vantage,
    channel: Channel,
    request: Request,
    *,
    timeout_s: float = HTTP_S,
    most: int = BODY_LIMIT,
) -> Exchange:
    """Send a request and read its answer, up to `most` bytes of body.

    An answer that fails on its way keeps what had come of it.
    """
    found = Exchange(request=request, t0=vantage.now())
    deadline = found.t0 + timeout_s
    try:
        connection = h11.Connection(h11.CLIENT)
        await channel.write(_written(connection, request), deadline)
        await _read(connection, channel, found, deadline, most)
    except Failed as failed:
        found.failure = failed.failure
    except (h11.ProtocolError, UnicodeEncodeError):
        found.failure = MALFORMED
    found.t = vantage.now()
    return found


def _written(connection: h11.Connection, request: Request) -> bytes:
    parts = urlsplit(request.url)
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    headers = [("Host", parts.netloc), *request.headers]
    if request.body:
        headers.append(("Content-Length", str(len(request.body))))
    head = h11.Request(method=request.method, target=target, headers=headers)
    events = [head, h11.Data(data=request.body), h11.EndOfMessage()]
    return b"".join(connection.send(event) or b"" for event in events)


async def _read(
    connection: h11.Connection, channel: Channel, found: Exchange, deadline: float, most: int
) -> None:
    body, seen, ended = bytearray(), b"", False
    try:
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:
                raise Failed(EOF if ended and seen.startswith(b"HTTP/") else MALFORMED) from None
            if event is h11.NEED_DATA:
                data = await channel.read(deadline)
                seen = (seen + data)[:5]
                ended = not data
                if not seen:
                    raise Failed(EOF)
                if not b"HTTP/".startswith(seen):
                    raise Failed(MALFORMED)
                connection.receive_data(data)
            elif isinstance(event, h11.Response):
                found.status = event.status_code
                found.headers = [
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in event.headers.raw_items()
                ]
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) >= most:
                    found.truncated = True
                    return
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return
    finally:
        found.body = bytes(body[:most])
