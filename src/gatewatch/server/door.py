"""What every request passes on its way in, and every answer on its way out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gatewatch.server.bodies import Refused, read_body, read_json
from gatewatch.server.limits import InFlight, Rates

T = TypeVar("T")

SMALL = 1 << 16
"Bytes of a body that holds no measurement."
LINGER_S = 2.0
"How long the rest of a refused body is read and thrown away, so that the answer is heard."
SLOWEST = 10_000
"Bytes a second that a long body may come with; our choice, a poor mobile line."
BODY_S_MAX = 280.0
PER_S, BURST = 100.0, 10_000.0
"""Requests of one client. Our choice: they cost little, and many probes may share an address."""

Handler = Callable[[Request], Awaitable[Response]]


class DoorLimits(msgspec.Struct, frozen=True, kw_only=True):
    body_bytes: int = 32 << 20
    "Of a submission, unpacked too. Our choice; the largest known measurements have some 10 MB."
    buffered_bytes: int = 256 << 20
    "Of all bodies that are being read or answered."
    body_s: float = 30.0
    "For a body, and more for a long one, at `SLOWEST`."
    requests: int = 512
    "Answered at once."
    per_s: float = PER_S
    burst: float = BURST


class Door:
    """The limits that all requests share."""

    def __init__(self, limits: DoorLimits) -> None:
        self.limits = limits
        self.rates = Rates(limits.per_s, limits.burst)
        self._flying = InFlight()
        self._buffered = 0

    def guarded(self, handler: Handler) -> Handler:
        """A handler behind the door: counted, and only when there is room."""

        async def guarded(request: Request) -> Response:
            try:
                with self._flying.one(self.limits.requests):
                    client = request.client.host if request.client else ""
                    if not is_local(client):
                        self.rates.take(client)
                    return await handler(request)
            except Refused as refused:
                if "Connection" in refused.headers:
                    await _linger(request)
                raise

        return guarded

    async def read(self, request: Request, kind: type[T], limit: int = SMALL) -> T:
        """The body as what it should be.

        Raises:
            Refused: 400, 408, 413, 415 or 503.
        """
        async with self.body(request, limit) as body:
            return read_json(body, kind)

    @asynccontextmanager
    async def body(self, request: Request, limit: int) -> AsyncIterator[bytes]:
        """The body, unpacked, and counted among all that are held for as long as it is used."""
        told = request.headers.get("content-length", "")
        length = int(told) if told.isascii() and told.isdigit() and len(told) < 16 else 0
        if length > limit:
            raise Refused(413, f"body: longer than {limit} bytes", close=True)
        held = 0

        async def receive() -> Any:
            nonlocal held
            message = await request.receive()
            held += self._hold(len(message.get("body", b"")))
            return message

        try:
            within_s = min(BODY_S_MAX, self.limits.body_s + length / SLOWEST)
            encoding = request.headers.get("content-encoding", "")
            body = await read_body(receive, limit, encoding, within_s=within_s)
            held += self._hold(max(0, len(body) - held))
            yield body
        finally:
            self._buffered -= held

    def _hold(self, size: int) -> int:
        if self._buffered + size > self.limits.buffered_bytes:
            raise Refused(503, "too much is being read; come again", close=True, wait_s=5)
        self._buffered += size
        return size


def is_local(client: str) -> bool:
    """Is a client this machine itself? A proxy before us is, and must count its own clients."""
    try:
        return ip_address(client).is_loopback
    except ValueError:
        return False


async def _linger(request: Request) -> None:
    """Read what is still coming: a connection closed on unread data takes the answer with it."""
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # nothing comes before it is asked for
    try:
        async with asyncio.timeout(LINGER_S):
            while (await request.receive()).get("more_body"):
                pass
    except TimeoutError:
        pass


def said(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON, which nobody on the way keeps."""
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )
