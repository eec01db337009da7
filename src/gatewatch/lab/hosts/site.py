"""What a web host answers to a request: an ASGI application made from its routes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gatewatch.lab.hosts.premises import Peer
from gatewatch.lab.hosts.where import Where
from gatewatch.lab.pages import page
from gatewatch.lab.scenario import Route, Web

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CHUNK = 16_384
MADE_ELSEWHERE = frozenset({"content-length", "date"})
"Headers of stored pages that the server writes itself."
ALT_SVC = 'h3=":443"; ma=3600'


class Request(NamedTuple):
    """What routes look at."""

    scheme: str
    host: str
    "The Host header in lower case, without a port."
    path: str
    where: Where


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Sequence[bytes] | Iterator[bytes]


class Site:
    """The application of one web host.

    Args:
        names: of the host; the first one is its title when it is asked by another.
        locate: the place of a client, by its socket address.
    """

    def __init__(self, web: Web, names: Sequence[str], locate: Callable[[Peer], Where]) -> None:
        self._web = web
        self._names = names
        self._locate = locate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope, self._locate(scope["client"]))
        route = next((r for r in self._web.routes if leads(r, request)), None)
        route = route or Route(page=self._web.page)
        await asyncio.sleep(route.delay_ms / 1000)
        found = response(route, self._title(request.host))
        if scope["scheme"] == "https" and self._web.h3:
            found.headers["Alt-Svc"] = ALT_SVC
        await respond(scope, send, found)

    def _title(self, host: str) -> str:
        return host if host in self._names or not self._names else self._names[0]


def request_of(scope: Scope, where: Where) -> Request:
    headers = dict(scope["headers"])
    host = urlsplit(f"//{headers.get(b'host', b'').decode('latin-1')}").hostname or ""
    return Request(scope["scheme"], host, scope["path"], where)


def leads(route: Route, request: Request) -> bool:
    """Does a route fit a request?"""
    return (
        fnmatchcase(request.path, route.path)
        and fnmatchcase(request.host, route.host.lower())
        and (not route.countries or request.where.country in route.countries)
        and (not route.networks or request.where.network in route.networks)
        and route.scheme in (None, request.scheme)
    )


def response(route: Route, title: str) -> Response:
    """The answer of a route.

    A page that is known by a status of its own keeps it unless the route names another.
    """
    if route.size is not None:
        kind = {"Server": "nginx", "Content-Type": "application/octet-stream"}
        length = {"Content-Length": str(route.size)}
        return Response(route.status, {**kind, **length, **route.headers}, noise(title, route.size))
    stored = page(route.page, title=title)
    headers = {k: v for k, v in stored.headers.items() if k.lower() not in MADE_ELSEWHERE}
    headers = {"Server": "nginx", **headers, **route.headers}
    body = stored.body.encode() if isinstance(stored.body, str) else stored.body
    if route.location is not None:
        headers["Location"] = route.location
        body = b""
    headers["Content-Length"] = str(len(body))
    return Response(route.status if route.status != 200 else stored.status, headers, [body])


def noise(seed: str, size: int) -> Iterator[bytes]:
    """`size` random bytes, the same for the same seed."""
    source = random.Random(seed)
    for at in range(0, size, CHUNK):
        yield source.randbytes(min(CHUNK, size - at))


async def respond(scope: Scope, send: Send, found: Response) -> None:
    """Sends an answer; HTTP/2 and 3 know header names in lower case only."""
    old = scope["http_version"] in ("1.0", "1.1")
    dated = {"Date": format_datetime(datetime.now(UTC), usegmt=True), **found.headers}
    headers = [
        ((name if old else name.lower()).encode(), value.encode("latin-1"))
        for name, value in dated.items()
    ]
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    if scope["method"] != "HEAD":
        for chunk in found.body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def body_of(receive: Receive, limit: int) -> bytes | None:
    """The body of a request; None where it is longer than the limit, or the client has gone."""
    found = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        found += message.get("body", b"")
        if len(found) > limit:
            return None
        if not message.get("more_body"):
            return found
