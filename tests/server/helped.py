"""A test helper among a few servers on loopback, asked in process as a server would ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatewatch.lab.certificates import Office
from gatewatch.probe.net import Local, Reach, Transport
from gatewatch.probe.seat import Patience
from gatewatch.server.guard import Guard
from gatewatch.server.helper import Helper
from gatewatch.server.limits import Rates
from gatewatch.server.stand import Resolver, Stand
from tests.probe.town import Replies, Town, http, pages, zone

RESOLVER, OTHER_RESOLVER = "8.8.8.8", "9.9.9.9"
HERE, HERE6 = "5.9.1.1", "2a01:4f8::1"
"The control's own addresses."
OWN = (HERE, HERE6, "2a01:4f8:64:ff9b::/96")
"And a network of its owner's, where NAT64 leads inwards."
SITE, NAME = "93.184.216.34", "www.example.com"
QUICK = Patience(dns_s=0.5, connect_s=0.4, tls_s=0.5, quic_s=0.5, http_s=1.5, control_s=4.0)

PAGE = b"<html lang=en><title>Default Web Page</title><script src=/a.js></script>Hello.</html>"
Pages = Callable[[str, str], bytes]


def default_page(host: str, path: str) -> bytes:
    return http(200, PAGE, content_type="text/html", server="lab", x_lab="1")


@dataclass
class Witness:
    """A reach that remembers every address that a socket was opened to."""

    reach_: Reach
    seen: list[tuple[str, int]] = field(default_factory=list)

    def reach(
        self, source: str | None, address: str, port: int, transport: Transport
    ) -> tuple[str, int, Local | None]:
        self.seen.append((address, port))
        return self.reach_.reach(source, address, port, transport)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class World:
    """What the helper can reach."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {NAME: (SITE,)})
    pages: Pages = default_page
    resolver: Replies | None = None
    "In place of `names`."
    sites: tuple[str, ...] = (SITE,)
    "Addresses that serve the pages, on ports 80 and 443."
    more: Callable[[Town], Awaitable[None]] | None = None
    patience: Patience = QUICK
    rates: Rates | None = None
    resolvers: tuple[Resolver, ...] = (Resolver("udp", RESOLVER),)


async def call(
    app: Callable,
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = "/",
    query: bytes = b"",
    headers: Mapping[str, str] | None = None,
    client: tuple[str, int] | None = ("77.75.74.1", 4000),
    pieces: int = 1,
) -> Answer:
    """One request, as an ASGI server hands it over."""
    sent: list[dict] = []
    size = -(-len(body) // pieces) or 1
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    waiting = [
        {"type": "http.request", "body": part, "more_body": part is not parts[-1]} for part in parts
    ]

    async def receive() -> dict:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "https",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": client,
    }
    await app(scope, receive, send)
    start, *rest = sent
    assert start["type"] == "http.response.start"
    assert [message.get("more_body", False) for message in rest] == [True] * (len(rest) - 1) + [
        False
    ]
    return Answer(
        start["status"],
        {k.decode(): v.decode() for k, v in start["headers"]},
        b"".join(message["body"] for message in rest),
    )


def with_helper(
    folder: Path,
    talk: Callable[[Helper, Witness], Awaitable[Any]],
    world: World | None = None,
) -> Any:
    """Lets somebody talk with a helper in a world; gives back what they say of it."""
    world = world or World()

    async def run() -> Any:
        office = Office(folder)
        async with Town() as town:
            await town.udp(RESOLVER, 53, world.resolver or zone(dict(world.names)))
            context = office.context("valid", tuple(world.names) or (NAME,))
            for address in world.sites:
                await town.tcp(address, 80, pages(world.pages))
                await town.tcp(address, 443, pages(world.pages), context)
            if world.more is not None:
                await world.more(town)
            witness = Witness(town)
            stand = Stand(
                reach=witness,
                addresses=(HERE, HERE6),
                public=(HERE, HERE6),
                resolvers=world.resolvers,
                ca=office.ca_file,
                guard=Guard(OWN),
                patience=world.patience,
                asn_of=lambda address: 15133 if address == SITE else 0,
            )
            return await talk(Helper(stand=stand, rates=world.rates), witness)

    return asyncio.run(run())


def asked(folder: Path, question: dict | bytes, world: World | None = None) -> Answer:
    """One question and its answer."""
    body = question if isinstance(question, bytes) else json.dumps(question).encode()
    return with_helper(folder, lambda helper, _: call(helper, body), world)


def bare(told: Any) -> Any:
    """An answer without what is ours."""
    if isinstance(told, dict):
        return {k: bare(v) for k, v in told.items() if not k.startswith("x_")}
    return told
