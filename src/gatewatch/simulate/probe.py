"""What a probe with web_connectivity 0.5 records of a network: its documented flow, simulated.

Per URL of a chain of redirects: ask the system resolver, one public resolver over UDP and, once,
DNS over HTTPS; try every address in clear and over TLS; let one connection fetch. The control is
asked at the first URL, and addresses that only it knows are tried afterwards.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gatewatch.probe.claims import claims
from gatewatch.probe.control import control_request
from gatewatch.probe.ooni import Json, tcp_connect
from gatewatch.simulate import helper, ooni
from gatewatch.simulate.network import (
    GARR,
    Answer,
    Handshake,
    Network,
    Page,
    Place,
    ascii_url,
    lookup,
    redirect_target,
)
from gatewatch.wire.address import endpoint, is_bogon, is_loopback

REDIRECTS = {301, 302, 307, 308}
MAX_REDIRECTS = 10
TOO_MANY = "unknown_failure: stopped after too many redirects"
DNS_TIMEOUT, STEP_TIMEOUT = 4.0, 10.0
GRACE = 0.5
"Seconds during which a connection over a less trusted address waits for a better one."

UDP_RESOLVERS = ("8.8.8.8:53", "1.1.1.1:53", "9.9.9.9:53", "8.8.4.4:53")
DOH_RESOLVER = "https://dns.google/dns-query"


@dataclass(slots=True)
class _Ready:
    """A connection that could fetch."""

    at: float
    rank: int
    address: str
    port: int
    tags: list[str]
    transaction: int


@dataclass
class _Run:
    net: Network
    place: Place
    rng: random.Random
    doh: bool
    queries: list[Json] = field(default_factory=list)
    connects: list[Json] = field(default_factory=list)
    handshakes: list[Json] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    duplicates: list[Json] = field(default_factory=list)
    known: dict[str, dict[str, int]] = field(default_factory=dict)
    "Host → its addresses → how much the source is trusted, 0 most."
    counters: dict[int, int] = field(default_factory=dict)
    resolver: str = ""
    control: Json | None = None
    control_request: Json | None = None
    end: float = 0.0

    def number(self, base: int) -> int:
        self.counters[base] = self.counters.get(base, base) + 1
        return self.counters[base]

    def took(self, failure: str | None, typical: float, timeout: float) -> float:
        if failure == "generic_timeout_error":
            return timeout
        return typical * self.rng.uniform(0.6, 1.6)

    # -- names ---------------------------------------------------------------------------------

    def resolve(self, host: str, depth: int, now: float) -> float:
        """Ask everybody for a name, once a measurement; the time when all have answered."""
        if host in self.known:
            return now
        found: dict[str, int] = {}
        self.known[host] = found
        literal = helper.literal(host)
        if literal:
            found[literal.addresses[0]] = 3
            return now
        net = self.net
        system = net.resolve(host, net.cleartext_names, net.isp_names)
        udp = net.resolve(host, net.cleartext_names, net.udp_names)
        ends = [
            self._ask("getaddrinfo", "", host, system, ("ANY",), 10000, depth, now),
            self._ask("udp", self.resolver, host, udp, ("A", "AAAA"), 20000, depth, now),
        ]
        sources = [system, udp]
        if self.doh and depth == 0:
            doh = net.resolve(host, net.doh_names)
            ends.append(self._ask("doh", DOH_RESOLVER, host, doh, ("A", "AAAA"), 30000, depth, now))
            sources.append(doh)
        for rank, answer in enumerate(sources):
            for address in () if answer.failure else answer.addresses:
                found.setdefault(address, rank)
        return max(ends)

    def _ask(
        self,
        engine: str,
        resolver: str,
        host: str,
        answer: Answer,
        types: tuple[str, ...],
        base: int,
        depth: int,
        now: float,
    ) -> float:
        transaction = self.number(base)
        tags = [f"depth={depth}"]
        if engine == "getaddrinfo":
            tags.insert(0, "classic")
        last = now
        for query_type in types:
            got = {"ANY": answer.addresses, "A": answer.of(4), "AAAA": answer.of(6)}[query_type]
            failure = answer.failure or (None if got else "dns_no_answer")
            shown: list[Json] = []
            if answer.failure is None and not (engine == "getaddrinfo" and not got):
                cnames = answer.cnames if got or not answer.addresses else ()
                shown = ooni.answers(self.net, got, cnames)
            end = now + self.took(failure, 0.15 if engine == "doh" else 0.04, DNS_TIMEOUT)
            entry: dict[str, Any] = {
                "engine": engine,
                "hostname": host,
                "query_type": query_type,
                "resolver": resolver,
                "tags": tags,
                "transaction": transaction,
            }
            self.queries.append(
                ooni.query(failure=failure, answers=shown, span=(now, end), **entry)
            )
            if engine == "udp" and query_type == "A":
                for n, address in enumerate(answer.late):
                    late = ooni.answers(self.net, (address,))
                    span = (now, end + 0.002 * (n + 1))
                    self.duplicates.append(
                        ooni.query(failure=None, answers=late, span=span, **entry)
                    )
            last = max(last, end)
        return last

    # -- endpoints -----------------------------------------------------------------------------

    def dial(self, url: str, address: str, rank: int, depth: int, now: float) -> list[_Ready]:
        """Try an address in every way the URL calls for; the connections that could fetch."""
        if is_loopback(address):
            return []
        parts = urlsplit(url)
        host = parts.hostname or ""
        secure = parts.scheme == "https"
        flows = [(parts.port or (443 if secure else 80), secure, True)]
        if not secure and parts.port is None:
            flows.append((443, True, False))
        ready: list[_Ready] = []
        for port, tls, fetches in flows:
            tags = ["classic"] if rank == 0 else []
            tags += ["tcptls_experiment"] if depth == 0 else []
            tags += [f"depth={depth}", f"fetch_body={str(fetches).lower()}"]
            transaction = self.number(50000 if tls else 40000)
            end, failure = self._connect(address, port, now, tags, transaction)
            if failure is None and tls:
                end, failure = self._secure(address, port, host, end, tags, transaction)
            if failure is None and fetches:
                ready.append(_Ready(end, rank, address, port, tags, transaction))
        return ready

    def _connect(
        self, address: str, port: int, now: float, tags: list[str], transaction: int
    ) -> tuple[float, str | None]:
        failure = connect_failure(self.net, address, port)
        end = now + self.took(failure, 0.08, STEP_TIMEOUT)
        self.connects.append(tcp_connect(address, port, failure, (now, end), tags, transaction))
        where = endpoint(address, port)
        self.events.append(
            ooni.network_event("connect", where, failure, (now, end), tags, transaction)
        )
        self.end = max(self.end, end)
        return end, failure

    def _secure(
        self, address: str, port: int, host: str, now: float, tags: list[str], transaction: int
    ) -> tuple[float, str | None]:
        shake = tls_of(self.net, address, host)
        failure = shake.failure
        end = now + self.took(failure, shake.seconds, STEP_TIMEOUT)
        self.handshakes.append(
            ooni.tls_handshake(
                address, port, host, failure, shake.chain, (now, end), tags, transaction
            )
        )
        where = endpoint(address, port)
        wrote = (now, now + 0.0002)
        self.events.append(
            ooni.network_event("write", where, None, wrote, tags, transaction, 280 + len(host))
        )
        certified = failure is None or failure.startswith("ssl_")
        self.events.append(
            ooni.network_event(
                "read",
                where,
                None if certified else failure,
                (wrote[1], end),
                tags,
                transaction,
                2900 if certified else 0,
            )
        )
        self.end = max(self.end, end)
        return end, failure

    # -- pages ---------------------------------------------------------------------------------

    def visit(self, url: str, depth: int, referer: str, now: float) -> None:
        """One URL and, through its redirects, all that follow."""
        host = urlsplit(url).hostname or ""
        now = self.resolve(host, depth, now)
        found = self.known[host]
        ready = [r for a, rank in found.items() for r in self.dial(url, a, rank, depth, now)]
        if depth == 0:
            self.ask_control(url, list(found))
            for address in self.control["dns"]["addrs"] if self.control else ():
                if address not in found and not is_bogon(address):
                    ready += self.dial(url, address, 4, depth, now + 1.3)
        chosen = choose(ready)
        if chosen is None:
            return
        self.fetch(url, depth, referer, chosen)

    def ask_control(self, url: str, addresses: list[str]) -> None:
        self.control_request = control_request(url, addresses)
        if self.net.control_failure is None:
            self.control = helper.answer(self.net, url, addresses)

    def fetch(self, url: str, depth: int, referer: str, conn: _Ready) -> None:
        parts = urlsplit(url)
        page = served(self.net, url, conn.address)
        start = max(conn.at, self.end if depth else conn.at)
        end = start + self.took(page.failure, page.seconds, STEP_TIMEOUT)
        failure = page.failure
        target: str | None = None
        if failure is None and page.status in REDIRECTS and "Location" in page.headers:
            target = redirect_target(url, page.headers["Location"])
            if target is None:
                failure = "http_invalid_redirect_location_host"
            elif depth >= MAX_REDIRECTS:
                failure, target = TOO_MANY, None
        where = endpoint(conn.address, conn.port)
        self.requests.append(
            ooni.request(
                url=url,
                host=parts.netloc,
                referer=referer,
                address=where,
                alpn="h2" if parts.scheme == "https" else "",
                page=page,
                failure=failure,
                span=(start, end),
                tags=conn.tags,
                transaction=conn.transaction,
            )
        )
        marks: Any = {"tags": conn.tags, "transaction": conn.transaction}
        wrote = (start, start + 0.0002)
        self.events.append(ooni.network_event("write", where, None, wrote, num_bytes=420, **marks))
        size = 300 + len(page.body) if page.failure is None or page.headers else 0
        self.events.append(
            ooni.network_event(
                "read", where, page.failure, (wrote[1], end), num_bytes=size, **marks
            )
        )
        self.end = max(self.end, end)
        if target is not None:
            self.visit(target, depth + 1, url, end)

    def test_keys(self) -> Json:
        when = _by_time
        keys: Json = {
            "agent": "redirect",
            "client_resolver": self.place.resolver_ip,
            "retries": None,
            "socksproxy": None,
            "network_events": sorted(self.events, key=when),
            "x_dns_whoami": {
                "system_v4": [{"address": self.place.resolver_ip}],
                "udp_v4": {self.resolver: [{"address": self.place.resolver_ip}]},
            },
            "x_doh": {"network_events": [], "queries": [], "requests": [], "tcp_connect": []},
            "x_do53": {"network_events": [], "queries": []},
            "x_dns_duplicate_responses": self.duplicates,
            "queries": sorted(self.queries, key=when),
            "requests": self.requests[::-1],
            "tcp_connect": sorted(self.connects, key=when),
            "tls_handshakes": sorted(self.handshakes, key=when),
            "x_control_request": self.control_request,
            "control": self.control,
            "x_conn_priority_log": [],
            "control_failure": self.net.control_failure,
            "x_dns_flags": 0,
            "x_blocking_flags": 0,
            "x_null_null_flags": 0,
        }
        return {**keys, **claims(keys)}


def measure(
    net: Network,
    url: str,
    place: Place = GARR,
    *,
    seed: str = "",
    doh: bool = True,
    **about: Any,
) -> Json:
    """A whole measurement of `url` on `net`, as web_connectivity 0.5 would write it.

    Args:
        seed: decides times and which public resolver is asked; the same seed, the same record.
        doh: whether this measurement is one of those that also ask over HTTPS.
        about: fields of the envelope to set otherwise.
    """
    rng = random.Random(f"{seed}/{url}")
    run = _Run(net, place, rng, doh)
    run.resolver = rng.choice(UDP_RESOLVERS)
    run.visit(ascii_url(url), 0, "", 0.0)
    about.setdefault("test_runtime", round(max(run.end, 1.6) + 0.4, 6))
    return ooni.envelope(place, url, run.test_keys(), **about)


def connect_failure(net: Network, address: str, port: int) -> str | None:
    """How a connect from the probe ends."""
    if ":" in address and net.ipv6_failure:
        return net.ipv6_failure
    blocked = net.blocked_connects.get(endpoint(address, port)) or net.blocked_connects.get(address)
    return blocked or helper.reach(net.servers.get(address), port)


def tls_of(net: Network, address: str, host: str) -> Handshake:
    """How a handshake from the probe ends: tampered with by name or address, or the server's."""
    tampered = net.tampered_tls.get(address) or lookup(net.tampered_tls, host)
    return tampered or net.servers[address].tls


def served(net: Network, url: str, address: str) -> Page:
    """What the probe gets for a URL from an address."""
    parts = urlsplit(url)
    server = net.servers[address]
    if parts.scheme == "http" and server.page is None:
        tampered = lookup(net.tampered_http, parts.hostname or "")
        if tampered is not None:
            return tampered
    return server.page or net.page(url, probe=True)


def choose(ready: list[_Ready]) -> _Ready | None:
    """The connection that may fetch: the best source's, of those ready soon after the first."""
    if not ready:
        return None
    first = min(r.at for r in ready)
    in_time = [r for r in ready if r.at <= first + GRACE]
    return min(in_time, key=lambda r: (r.rank, r.at))


def _by_time(entry: Json) -> float:
    return entry["t"]
