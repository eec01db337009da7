"""Where the test helper measures from: its sockets, its resolvers, its patience, and its guard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from gatewatch.model.target import is_address
from gatewatch.probe.net import Plain, Reach
from gatewatch.probe.seat import Patience
from gatewatch.probe.steps import Lookup, Vantage, lookup, lookup_https
from gatewatch.refdata.snapshot import RefData
from gatewatch.server.guard import Guard, Guarded, own_addresses

PATIENCE = Patience(dns_s=4.0, connect_s=8.0, tls_s=8.0, quic_s=4.0, http_s=15.0, control_s=28.0)
"""OONI's helper gives connects and handshakes 15 s each, and its clients give up after 30 s in
all. Our choice: less, so that the last of the steps is still heard."""


class Resolver(NamedTuple):
    """Whom to ask for names. A resolver of the server's own network is a poor choice for a public
    server: what it knows of inner names it would tell to anybody."""

    way: Literal["udp", "doh"]
    address: str
    name: str = ""
    "Its server name, for DNS over HTTPS."

    @property
    def label(self) -> str:
        """As OONI writes it."""
        return f"https://{self.name}/dns-query" if self.way == "doh" else f"{self.address}:53"


RESOLVERS = (
    Resolver("doh", "8.8.8.8", "dns.google"),
    Resolver("doh", "1.1.1.1", "cloudflare-dns.com"),
    Resolver("doh", "9.9.9.9", "dns.quad9.net"),
)
"""Public resolvers over an authenticated channel, as OONI's helper asks the first of them; several,
because they stand at different places and none of them answers for all sites."""


CUT_OFF = {"network_unreachable", "host_unreachable", "network_down", "connection_refused"}
"""Failures of a resolver that is not there. A time-out is not among them: it may be the name's own
servers that let the resolver wait."""


class Unable(Exception):
    """What this machine could not measure, for reasons of its own."""


def no_network(address: str) -> int:
    """For a helper that does not know which network announces an address."""
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A place to measure from."""

    reach: Reach
    addresses: tuple[str, ...] = ()
    "As of `Vantage`."
    public: tuple[str, ...] = ()
    "The addresses that sites see, told to clients; they are those of a public server."
    resolvers: tuple[Resolver, ...] = RESOLVERS
    ca: Path
    "PEM file of the authorities it trusts."
    guard: Guard
    patience: Patience = PATIENCE
    asn_of: Callable[[str], int] = no_network
    "0 where it is not known."
    domain_of: Callable[[str], str | None] = lambda host: host
    "Registrable domain of a host, for cookies."
    quic: bool = True
    "HTTP/3 is tried where a client asks for it and a page offers it."

    def vantages(self) -> tuple[Vantage, Vantage]:
        """For the measurement, under guard; and for its questions to resolvers, which may be
        anywhere. Both count time from now."""
        zero = asyncio.get_running_loop().time()
        guarded = Guarded(self.reach, self.guard)
        return (
            Vantage(reach=guarded, addresses=self.addresses, zero=zero),
            Vantage(reach=self.reach, addresses=self.addresses, zero=zero),
        )


def real_stand(
    refdata: RefData,
    ca: Path,
    *,
    own: Iterable[str] = (),
    public: Iterable[str] = (),
    resolvers: Sequence[Resolver] = RESOLVERS,
    quic: bool = True,
) -> Stand:
    """This machine on the Internet.

    Args:
        ca: PEM file of the authorities to trust, as of `certifi.where()`.
        own: addresses and networks never to be sent to, besides those of this machine's
            interfaces: its address before a NAT, its neighbours', NAT64 prefixes of its network.
        public: its addresses as sites see them, for clients to know; they are refused like `own`.
    """
    public = tuple(public)

    return Stand(
        reach=Plain(),
        public=public,
        resolvers=tuple(resolvers),
        ca=ca,
        guard=Guard([*own, *public, *own_addresses()]),
        asn_of=lambda address: refdata.asn_of(address) or 0,
        domain_of=refdata.domain_of,
        quic=quic,
    )


class Names:
    """Names as they are for one question: each is resolved once, and stays what it was then."""

    def __init__(self, stand: Stand, vantage: Vantage) -> None:
        self._stand, self._vantage = stand, vantage
        self._asked: dict[str, asyncio.Task[list[list[Lookup]]]] = {}

    async def lookups(self, host: str) -> list[list[Lookup]]:
        """The questions to each resolver; none for an address."""
        if is_address(host):
            return []
        if host not in self._asked:
            self._asked[host] = asyncio.ensure_future(self._ask_all(host))
        return await asyncio.shield(self._asked[host])  # whoever gives up, others wait for it

    async def addresses(self, host: str) -> tuple[tuple[str, ...], str | None]:
        """Every address that a resolver names, and the failure where none does.

        One answer in common is agreement, so that more resolvers make false accusations fewer.

        Raises:
            Unable: it is our network that is out of order, and no name.
        """
        if is_address(host):
            return (host,), None
        lookups = [lookup for answers in await self.lookups(host) for lookup in answers]
        if len(self._stand.resolvers) > 1 and all(one.failure in CUT_OFF for one in lookups):
            raise Unable("this server reaches none of its resolvers")
        found = tuple(dict.fromkeys(a for lookup in lookups for a in lookup.addresses))
        failures = [lookup.failure for lookup in lookups if lookup.failure]
        if not lookups:
            failures = ["dns_temporary_failure"]
        return found, None if found else next(iter(failures), None)

    async def _ask_all(self, host: str) -> list[list[Lookup]]:
        return await asyncio.gather(*(self._ask(one, host) for one in self._stand.resolvers))

    async def _ask(self, resolver: Resolver, host: str) -> list[Lookup]:
        total_s, vantage = self._stand.patience.dns_s, self._vantage
        kinds: Iterable[str] = ("A", "AAAA")
        if resolver.way == "doh":
            asking = (
                lookup_https(
                    vantage,
                    resolver.name,
                    resolver.address,
                    host,
                    kind,
                    ca=self._stand.ca,
                    total_s=total_s,
                )
                for kind in kinds
            )
        else:
            asking = (
                lookup(vantage, resolver.address, host, kind, total_s=total_s, late_s=0)
                for kind in kinds
            )
        return await asyncio.gather(*asking)
