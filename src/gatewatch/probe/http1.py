"""HTTP/1.1 over a channel: h11 does the protocol."""

from __future__ import annotations

import h11

from gatewatch.probe.exchanges import (
    AROUND_LIMIT,
    HEADER_LIMIT,
    MALFORMED,
    UNWRITABLE,
    Exchange,
    Request,
)
from gatewatch.probe.net import EOF, Channel, Failed


async def fetch(channel: Channel, found: Exchange, deadline: float, most: int) -> None:
    """Send the request of an exchange, and put into it what comes back.

    Raises:
        Failed: by name; what came before stays.
    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_LIMIT)
    try:
        written = _written(connection, found.request)
    except (h11.LocalProtocolError, UnicodeEncodeError):
        raise Failed(UNWRITABLE) from None
    await channel.write(written, deadline)
    await read_answer(connection, channel, found, deadline, most)


def _written(connection: h11.Connection, request: Request) -> bytes:
    headers = [("Host", request.authority), *request.headers]
    if request.body:
        headers.append(("Content-Length", str(len(request.body))))
    head = h11.Request(method=request.method, target=request.target, headers=headers)
    events = [head, h11.Data(data=request.body), h11.EndOfMessage()]
    return b"".join(connection.send(event) or b"" for event in events)


async def read_answer(
    connection: h11.Connection, channel: Channel, found: Exchange, deadline: float, most: int
) -> None:
    """Put into an exchange what answers a request that was sent.

    Raises:
        Failed: by name; what came before stays.
    """
    body, seen, ended, total = bytearray(), b"", False, 0
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
                total += len(data)
                if not seen:
                    raise Failed(EOF)
                if not b"HTTP/".startswith(seen) or total > len(body) + AROUND_LIMIT:
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
