"""The hosts of a world: one process that is all of its machines.

`serve` runs every host of a scenario on that host's own addresses. Behind them are real servers
from libraries, so that clients meet the habits of real software.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gatewatch.lab.attach import Attach
from gatewatch.lab.box import Act
from gatewatch.lab.certificates import Office
from gatewatch.lab.hosts import dns, tcp
from gatewatch.lab.hosts.control import control
from gatewatch.lab.hosts.doh import with_resolver
from gatewatch.lab.hosts.middlebox import Diverted
from gatewatch.lab.hosts.premises import Original, Premises
from gatewatch.lab.hosts.site import App, Site
from gatewatch.lab.hosts.tcp import Listening
from gatewatch.lab.hosts.web import HTTP_PORT, HTTPS_PORT, WebServer
from gatewatch.lab.scenario import Host, Resolver, Scenario, Web


async def serve(
    scenario: Scenario,
    attach: Attach,
    folder: Path,
    *,
    ready: Callable[[], None],
    tell: Callable[[Act], None],
    original: Original | None = None,
) -> None:
    """Runs all hosts until cancelled.

    Args:
        folder: for certificates; `ca.pem` in it is the authority to trust.
        ready: called once everything listens.
        tell: told of each interference by a middlebox; times are seconds from this call.
        original: without it nothing is diverted, and middleboxes do not listen.
    """
    premises = Premises(scenario, attach, Office(folder), tell, original)
    async with Listening(attach) as listening:
        for name, host in scenario.hosts.items():
            if not host.down:
                await start(name, host, premises, listening)
        ready()
        await asyncio.get_running_loop().create_future()


async def start(name: str, host: Host, premises: Premises, listening: Listening) -> None:
    """Starts all that a host is, on each of its addresses."""
    for address in host.addresses:
        if host.resolver is not None:
            await start_resolver(host, host.resolver, address, premises, listening)
        if host.middlebox is not None and premises.original is not None:
            box = Diverted(name, host.middlebox, address, premises, premises.original)
            await box.listen(listening)
        for port, service in host.tcp.items():
            await listening.streams(address, int(port), tcp.SERVICES[service])
    app, web = application(host, premises)
    if web is not None:
        await start_web(host, web, app, premises, listening)


async def start_resolver(
    host: Host, resolver: Resolver, address: str, premises: Premises, listening: Listening
) -> None:
    """Resolves over everything but HTTPS, which is the web's part."""
    resolving = dns.Resolving(resolver, premises, address)
    over_udp = partial(resolving.answer, way="udp")
    if "udp" in resolver.transports:
        datagrams = partial(dns.Datagrams, over_udp, listening)
        await listening.datagrams(address, dns.PORT, datagrams)
    if "tcp" in resolver.transports:
        await listening.streams(address, dns.PORT, partial(dns.stream, answer=resolving.answer))
    if "dot" in resolver.transports:
        context = premises.office.context("valid", subjects(host), alpn=["dot"])
        over_tls = partial(dns.stream, answer=resolving.answer)
        await listening.streams(address, dns.DOT_PORT, over_tls, context)


def application(host: Host, premises: Premises) -> tuple[App, Web | None]:
    """What a host answers over HTTP, and how it is served; None if it is no web server."""
    web = host.web or Web()
    app = Site(web, host.names, premises.locate)
    if host.control:
        return control(host, premises), web
    if host.resolver is not None and "doh" in host.resolver.transports:
        resolving = dns.Resolving(host.resolver, premises, host.addresses[0])
        return with_resolver(app, resolving.answer), host.web or Web(http=False)
    return app, host.web


async def start_web(
    host: Host, web: Web, app: App, premises: Premises, listening: Listening
) -> None:
    """Serves an application as the host's web settings say."""
    names = subjects(host, web)
    server = WebServer(app, premises.office.file(web.certificate, names))
    alpn = ["h2", "http/1.1"] if web.h2 else ["http/1.1"]
    context = premises.office.context(web.certificate, names, alpn=alpn)
    for address in host.addresses:
        if web.http:
            await listening.streams(address, HTTP_PORT, server.stream)
        if web.https and web.handshake != "normal":
            await listening.streams(address, HTTPS_PORT, tcp.spoiler(web.handshake))
        elif web.https:
            await listening.streams(address, HTTPS_PORT, server.stream, context)
        if web.h3:
            await server.quic(address, listening)


def subjects(host: Host, web: Web | None = None) -> tuple[str, ...]:
    """What a host's certificate is for: its names, or those it is told to claim, and addresses."""
    return (*((web and web.certificate_names) or host.names), *host.addresses)
