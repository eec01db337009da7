"""A server that answers to any name, so that experiments can send it names that may be filtered.

What happens to such a name on the way here, where no site of that name is, happens because of the
name. It serves one small page, and noise of any length to measure how fast a path is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from gatewatch.server.bodies import Receive, Refused, Scope, Send, is_old, refuse, send_all
from gatewatch.server.door import is_local
from gatewatch.server.limits import InFlight, Rates

BYTES_MAX = 1 << 22
"Our choice: seconds of a slow line, and little to take from us."
PER_S, BURST = float(1 << 19), float(1 << 26)
"""Bytes that one client may fetch: 64 MiB, and then half a megabyte a second. Our choice: sixteen
of the longest downloads, enough to compare two names on one path several times over."""
LEAST = 1 << 12
"Bytes that any answer counts as."
IN_FLIGHT = 64
SENDING_S = 120.0
"Seconds for an answer: throttled paths are slow, and nobody holds a connection for ever."
CHUNK = 1 << 14
PAGE = (
    b"<!doctype html><html lang=en><title>An anchor of gatewatch</title>"
    b"<p>This server answers to any name, so that it can be told whether a network filters names."
    b" There is nothing else here.</html>\n"
)


@dataclass(kw_only=True)
class Anchor:
    """The application: `/bytes?n=N` is N bytes of noise, and everything else the page.

    Args:
        rates: bytes that each client may fetch; None does not count.
    """

    rates: Rates | None = field(default_factory=lambda: Rates(PER_S, BURST))
    _flying: InFlight = field(default_factory=InFlight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        old = is_old(scope)
        try:
            with self._flying.one(IN_FLIGHT):
                size = wanted(scope)
                client = scope.get("client")
                if self.rates is not None and client is not None and not is_local(client[0]):
                    self.rates.take(client[0], max(LEAST, size or 0))
                await self._serve(scope, send, size, old=old)
        except Refused as refused:
            await refuse(send, refused, old=old)

    async def _serve(self, scope: Scope, send: Send, size: int | None, *, old: bool) -> None:
        kind = "text/html; charset=utf-8" if size is None else "application/octet-stream"
        length = len(PAGE) if size is None else size
        headers = {
            "Content-Type": kind,
            "Content-Length": str(length),
            "Cache-Control": "no-store",
        }
        body = [PAGE] if size is None else noise(size)
        try:
            async with asyncio.timeout(SENDING_S):
                headless = scope["method"] == "HEAD"
                await send_all(send, 200, headers, [] if headless else body, old=old)
        except TimeoutError:
            return  # the server closes what is cut short


def wanted(scope: Scope) -> int | None:
    """How many bytes of noise a request wants; None: it wants the page.

    Raises:
        Refused: 400, no length that we would send.
    """
    if scope["method"] not in ("GET", "HEAD"):
        raise Refused(400, f"method is {scope['method']}; wanted is GET", close=True)
    if scope["path"] != "/bytes":
        return None
    told = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("n", [""])[0]
    size = int(told) if told.isascii() and told.isdigit() and len(told) < 9 else -1
    if not 0 <= size <= BYTES_MAX:
        raise Refused(400, f"n is {told!r}; wanted is a number from 0 to {BYTES_MAX}")
    return size


def noise(size: int) -> Iterator[bytes]:
    """`size` bytes that no middlebox can make smaller."""
    source = random.Random()
    for at in range(0, size, CHUNK):
        yield source.randbytes(min(CHUNK, size - at))
