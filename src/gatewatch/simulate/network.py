"""A small Internet: what names resolve to, what addresses do, and what a censor does in between.

A `Network` is pure data. `helper` reads its uncensored side, `probe` and `legacy` the censored
one, so that everything recorded in one measurement follows from the same facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a resolver says of a name; neither address nor failure means an answer without one."""

    addresses: tuple[str, ...] = ()
    cnames: tuple[str, ...] = ()
    failure: str | None = None
    late: tuple[str, ...] = ()
    "An address in each further answer to the same UDP question."

    def of(self, version: int) -> tuple[str, ...]:
        """The addresses of one IP version."""
        return tuple(a for a in self.addresses if (":" in a) == (version == 6))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One HTTP answer, or the failure in its place."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes = ""
    failure: str | None = None
    "How the exchange ended; with a status, the headers still arrived."
    length: int | None = None
    "Full length where `body` is only what a probe keeps of it, bytes."
    seconds: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """How a TLS handshake ends: None and no chain is a genuine, verified certificate."""

    failure: str | None = None
    chain: tuple[bytes, ...] = ()
    seconds: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What an address does to everybody who reaches it."""

    asn: int
    org: str
    connect: Mapping[int, str] = field(default_factory=dict)
    "Port → failure; other ports accept."
    tls: Handshake = Handshake()
    page: Page | None = None
    "The page for whatever is asked; None serves the site that was asked for."


class Place(NamedTuple):
    """Where the probe is and whom it asks."""

    cc: str
    asn: int
    network: str
    resolver_ip: str
    resolver_asn: int
    resolver_network: str


GARR = Place("IT", 137, "Consortium GARR", "130.192.3.21", 137, "Consortium GARR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The true Internet, and what differs on the probe's path.

    Keys of every mapping of names also cover the names below them; `*` covers all.
    """

    names: Mapping[str, Answer] = field(default_factory=dict)
    "Name → what honest resolvers say."
    isp_names: Mapping[str, Answer] = field(default_factory=dict)
    "What the probe's own resolver says instead."
    cleartext_names: Mapping[str, Answer] = field(default_factory=dict)
    "What comes back instead for any question in clear, whichever resolver is asked."
    udp_names: Mapping[str, Answer] = field(default_factory=dict)
    "What the public resolver asked over UDP says instead."
    doh_names: Mapping[str, Answer] = field(default_factory=dict)
    "What DNS over HTTPS says instead: usually a failure to reach it."
    control_names: Mapping[str, Answer] = field(default_factory=dict)
    "What the control's resolver says instead: where it stands, a CDN may answer otherwise."
    servers: Mapping[str, Server] = field(default_factory=dict)
    pages: Mapping[str, Page] = field(default_factory=dict)
    "URL, origin or host → what the site serves."
    probe_pages: Mapping[str, Page] = field(default_factory=dict)
    "What the site itself serves to this probe instead."
    blocked_connects: Mapping[str, str] = field(default_factory=dict)
    "`address` or `address:port` → failure on the probe's path."
    tampered_tls: Mapping[str, Handshake] = field(default_factory=dict)
    "Server name → what the path does to the handshake."
    tampered_http: Mapping[str, Page] = field(default_factory=dict)
    "Host in a request in clear → what the path answers."
    control_failure: str | None = None
    "None: a test helper answers. Otherwise how all of them failed."
    ipv6_failure: str | None = "network_unreachable"
    "What a connect over IPv6 gives the probe; None where it has IPv6."

    def resolve(self, name: str, *overrides: Mapping[str, Answer]) -> Answer:
        """The first override that covers the name, or the truth; NXDOMAIN when nothing does."""
        for names in (*overrides, self.names):
            answer = lookup(names, name)
            if answer is not None:
                return answer
        return Answer(failure="dns_nxdomain_error")

    def page(self, url: str, *, probe: bool) -> Page:
        """What the site behind a URL serves; a 404 where nothing is said."""
        parts = urlsplit(url)
        keys = (url, f"{parts.scheme}://{parts.hostname}", parts.hostname or "")
        for pages in (self.probe_pages, self.pages) if probe else (self.pages,):
            for key in keys:
                if key in pages:
                    return pages[key]
        return Page(status=404, headers={"Content-Type": "text/plain"}, body="not found\n")

    def asn(self, address: str) -> tuple[int, str] | None:
        """Network number and name of an address, where its server is described."""
        server = self.servers.get(address)
        return (server.asn, server.org) if server and server.asn else None


def lookup(names: Mapping[str, T], name: str) -> T | None:
    """The entry for a name, or for the nearest name above it, or for `*`."""
    labels = name.split(".")
    for start in range(len(labels)):
        found = names.get(".".join(labels[start:]))
        if found is not None:
            return found
    return names.get("*")


@lru_cache(1024)
def ascii_url(url: str) -> str:
    """A URL with its host in A-labels, lower case, as it goes over the wire.

    >>> ascii_url("http://Яндекс.рф/x")
    'http://xn--d1acpjx3f.xn--p1ai/x'
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    shown = f"[{host}]" if ":" in host else host
    netloc = f"{shown}:{parts.port}" if parts.port else shown
    return parts._replace(netloc=netloc).geturl()


def redirect_target(url: str, location: str) -> str | None:
    """Where a `Location` leads from a URL; None when it names no host.

    >>> redirect_target("http://a.org/b/c", "../d"), redirect_target("http://a.org/", "http://")
    ('http://a.org/d', None)
    """
    if "://" in location and not urlsplit(location).hostname:
        return None
    return ascii_url(urljoin(url, location))
