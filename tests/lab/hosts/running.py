"""Hosts of small worlds on loopback, and clients that meet them."""

from __future__ import annotations

import asyncio
import itertools
import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gatewatch.lab.attach import Loopback
from gatewatch.lab.box import Act
from gatewatch.lab.hosts import serve
from gatewatch.lab.hosts.premises import Original
from gatewatch.lab.scenario import Host, Network, Resolver, Scenario
from gatewatch.probe.steps import Exchange, Request, Vantage, connect, exchange, handshake

PROBE, PROBE_V6, ABROAD = "130.192.91.211", "2001:760::211", "77.75.74.1"
SITE, RESOLVER, CONTROL = "93.184.216.34", "8.8.8.8", "5.9.1.1"

_worlds = itertools.count(os.getpid() * 16)


def network(country: str, prefix: str, *, probe: tuple[str, ...] = ()) -> Network:
    return Network(asn=1, name="", country=country, prefixes=(prefix,), hops=((),), probe=probe)


NETWORKS = {
    "access": network("IT", "130.192.0.0/16", probe=(PROBE, PROBE_V6)),
    "abroad": network("CZ", "77.75.0.0/16", probe=(ABROAD,)),
    "outside": network("US", "0.0.0.0/1"),
}


def world(hosts: dict[str, Host], **fields) -> Scenario:
    """The hosts and a resolver, with a probe in Italy and another in Czechia."""
    resolver = Host(addresses=(RESOLVER,), names=("dns.example",), resolver=Resolver())
    return Scenario(
        title="",
        words="",
        kind="innocent",
        networks=NETWORKS,
        hosts={"resolver": resolver, **hosts},
        **fields,
    )


@dataclass
class Running:
    """A world whose hosts are at work."""

    attach: Loopback
    ca: Path
    acts: list[Act] = field(default_factory=list)

    def vantage(self, address: str = PROBE) -> Vantage:
        zero = asyncio.get_running_loop().time()
        return Vantage(reach=self.attach, addresses=(address, PROBE_V6), zero=zero)

    async def stream(
        self,
        address: str,
        port: int,
        context: ssl.SSLContext | None = None,
        name: str | None = None,
        source: str = PROBE,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ip, port, local = self.attach.reach(source, address, port, "tcp")
        return await asyncio.open_connection(
            ip, port, local_addr=local, ssl=context, server_hostname=name
        )

    async def get(self, url: str, address: str, source: str = PROBE, **fields) -> Exchange:
        """What a URL is answered with at an address."""
        vantage = self.vantage(source)
        secure = url.startswith("https:")
        found = await connect(vantage, address, 443 if secure else 80)
        assert found.stream is not None, found.failure
        channel = found.stream
        try:
            if secure:
                shaken = await handshake(found.stream, url.split("/")[2], ca=self.ca)
                assert shaken.channel is not None, shaken.failure
                channel = shaken.channel
            return await exchange(vantage, channel, Request(url=url, **fields), most=1 << 24)
        finally:
            found.stream.close()


@asynccontextmanager
async def hosts_of(
    scenario: Scenario,
    original: Original | None = None,
) -> AsyncIterator[Running]:
    """The hosts of a scenario; afterwards nothing of them is left, and none had a fault."""
    loop = asyncio.get_running_loop()
    faults: list[dict] = []
    loop.set_exception_handler(lambda _, about: faults.append(about))
    attach = Loopback.of(scenario, world=256 + next(_worlds) % 65_000)
    before = asyncio.all_tasks()
    with tempfile.TemporaryDirectory() as folder:
        running = Running(attach, Path(folder) / "ca.pem")
        ready = asyncio.Event()
        serving = loop.create_task(
            serve(
                scenario,
                attach,
                Path(folder),
                ready=ready.set,
                tell=running.acts.append,
                original=original,
            )
        )
        waiting = loop.create_task(ready.wait())
        await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        try:
            assert ready.is_set(), serving.exception()
            yield running
        finally:
            waiting.cancel()
            serving.cancel()
            await asyncio.wait([serving, waiting])
    assert asyncio.all_tasks() - before == set()
    peers = (OSError,)  # asyncio's debug mode reports failed handshakes of peers, too
    assert [about for about in faults if not isinstance(about.get("exception"), peers)] == []


def meet(
    scenario: Scenario,
    visit: Callable[[Running], Awaitable[None]],
    original: Original | None = None,
) -> None:
    """Run a visit to the hosts of a scenario."""

    async def story() -> None:
        async with hosts_of(scenario, original) as running:
            await visit(running)

    asyncio.run(story())
