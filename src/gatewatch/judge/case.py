"""A measurement laid out along the ordinary user's path.

The ordinary user asks the system resolver, connects to what it answers, and follows the URL as
asked. What the probe learnt on the side (other resolvers, other addresses, port 443 of a plain
URL) bears on the mechanism and is kept apart as evidence.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from gatewatch.judge.compare import Answers, Likeness, compare_answers, compare_pages
from gatewatch.judge.control import Control, Seen
from gatewatch.judge.day import day_of
from gatewatch.judge.pool import NO_POOL, Pool, want
from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.model.records import Connect, Exchange, Handshake, Lookup, Observed
from gatewatch.model.target import Endpoint, endpoint_of, is_address, redirect_target
from gatewatch.refdata.snapshot import RefData

_PROVED = ("valid", "absent", "untrusted")
"""Chain states under which a handshake the probe calls good counts as authenticated. Records
often lack the chain or its intermediates; a chain that is readable and wrong never counts."""


REDIRECTS = frozenset({301, 302, 303, 307, 308})

_SEALED = ("doh", "dot")
"Transports that authenticate the resolver, so that its answer is its own word."

_SILENCE = (FailureKind.TIMEOUT, FailureKind.UNREACHABLE, FailureKind.LOCAL, FailureKind.UNKNOWN,
            FailureKind.DNS_OTHER)  # fmt: skip
"""Failures that a probe without any network has too."""


class Hop(NamedTuple):
    """One URL of the redirect chain and what was tried for it."""

    depth: int
    url: str
    endpoint: Endpoint | None
    system: list[Lookup]
    others: list[Lookup]
    addresses: frozenset[str] | None
    "What the user's resolver answered; None where nothing says."
    connects: list[Connect]
    "To those addresses, at the URL's port."
    handshakes: list[Handshake]
    "To those addresses, for an https URL."
    twins: list[Handshake]
    "To port 443 of those addresses, for an http URL: do they hold the name's certificate?"
    detours: list[Handshake]
    "With the same name to other addresses."
    exchange: Exchange | None

    @property
    def host(self) -> str:
        return self.endpoint.host if self.endpoint else ""

    @property
    def sealed(self) -> set[str]:
        """What resolvers answer that the network cannot speak for."""
        return {a for o in self.others if o.transport in _SEALED for a in o.addresses}

    @property
    def in_clear(self) -> set[str]:
        """What resolvers other than the user's answer to questions in clear."""
        return {a for o in self.others if o.transport == "udp" for a in o.addresses}


class Obstacle(NamedTuple):
    """The first step of the path that failed."""

    hop: Hop
    layer: str
    kind: FailureKind
    failure: str
    words: str


class Case:
    """Everything the rules look at."""

    def __init__(self, observed: Observed, refdata: RefData, pool: Pool = NO_POOL) -> None:
        self.observed, self.refdata, self.pool = observed, refdata, pool
        self.measurement = observed.measurement
        self.control = Control(observed)
        self.wanted: set[str] = set()
        self.hops = _hops(observed)

    @property
    def first(self) -> Hop | None:
        return self.hops[0] if self.hops else None

    @cached_property
    def answers(self) -> Answers:
        """The system resolver's answer for the input's own name, against the control's."""
        if self.first is None:
            return Answers.UNKNOWN
        return compare_answers(_usable(self.first.system), self.control.lookup)

    @cached_property
    def obstacle(self) -> Obstacle | None:
        for hop in self.hops:
            found = self._obstacle(hop)
            if found:
                return found
        return None

    @cached_property
    def final(self) -> tuple[Hop, Exchange] | None:
        """The last answer on the path, when no step failed."""
        if self.obstacle or not self.hops:
            return None
        hop = self.hops[-1]
        return (hop, hop.exchange) if hop.exchange and hop.exchange.status else None

    @cached_property
    def likeness(self) -> Likeness | None:
        """Of the final page to the control's, where there are two pages to compare."""
        page = self.control.page
        if self.final is None or page is None or not answered(page.status):
            return None
        exchange = self.final[1]
        return None if exchange.status in REDIRECTS else compare_pages(exchange, page)

    @cached_property
    def authenticated(self) -> bool:
        """Did the final answer come over TLS from the party asked for, with no hop between
        that a network could have rewritten? A redirect in clear to another site breaks it."""
        if self.final is None:
            return False
        last, _ = self.final
        if not proves(last):
            return False
        clear = [hop for hop in self.hops if hop.depth < last.depth and not proves(hop)]
        return not clear or self.domain(last.url) == self.domain(self.measurement.input or "")

    def domain(self, url: str) -> str | None:
        target = self.refdata.target_of(url)
        return None if target is None else target.domain or target.host

    def bogons(self, hop: Hop) -> list[str]:
        return [a for a in sorted(hop.addresses or ()) if self.refdata.is_bogon(a)]

    def only_bogons(self, hop: Hop) -> bool:
        literal = hop.endpoint is not None and is_address(hop.endpoint.host)
        return (
            bool(hop.addresses)
            and not literal
            and len(self.bogons(hop)) == len(hop.addresses or ())
        )

    def scopes(self, exchange: Exchange) -> dict[str, str]:
        """Scopes of the fingerprints an answer matched → one id of each."""
        found: dict[str, str] = {}
        for name in exchange.fingerprints:
            found.setdefault(self.refdata.fingerprint(name).scope, name)
        return found

    # -- what the control says of a step -----------------------------------------------------

    def seen(self, obstacle: Obstacle) -> Seen:
        """Does the control get past the step that stopped the probe?"""
        own = self._own_control(obstacle)
        if own is not Seen.NONE or (self.control.exchange is not None and obstacle.hop.depth == 0):
            return own
        return self.lent(obstacle.hop.host, obstacle.layer)

    def lent(self, host: str, layer: str) -> Seen:
        """What the controls of other measurements say; `wanted` remembers who was asked about.

        They know that the host was up, and not that this probe was: a probe that shows no sign
        of a working network has nothing to be compared.
        """
        day = day_of(self.measurement)
        if day is None or not self.alive:
            return Seen.NONE
        self.wanted.add(want(host, day))
        return self.pool.seen(host, layer, day)

    @cached_property
    def alive(self) -> bool:
        """Did the probe hear anything at all, be it a denial?"""
        observed = self.observed
        attempts = [
            *observed.lookups, *observed.connects, *observed.handshakes, *observed.exchanges
        ]  # fmt: skip
        return any(o.vantage == "probe" and kind_of(o.failure) not in _SILENCE for o in attempts)

    def _own_control(self, obstacle: Obstacle) -> Seen:
        control, hop = self.control, obstacle.hop
        if hop.depth > 0 or obstacle.layer == "http":
            return control.page_seen
        if obstacle.layer == "dns":
            return self._control_resolves()
        seen = (
            control.connects(hop.connects)
            if obstacle.layer == "tcp"
            else control.handshakes(hop.handshakes)
        )
        if seen is Seen.FAILS and control.page is not None:
            # The helper tries whatever address the probe names; that one of them is dead for
            # everybody does not make the site down.
            return Seen.ELSEWHERE
        return control.page_seen if seen is Seen.NONE else seen

    def _control_resolves(self) -> Seen:
        control = self.control
        if any(not self.refdata.is_bogon(a) for a in control.addresses):
            return Seen.REACHES
        if control.addresses or control.name_missing:
            return Seen.FAILS
        if control.page is not None:
            return Seen.REACHES
        return Seen.NONE if control.lookup is None else Seen.FAILS

    # -- where the path ends -----------------------------------------------------------------

    def _obstacle(self, hop: Hop) -> Obstacle | None:
        answered = hop.exchange is not None and hop.exchange.failure is None
        if hop.system and not answered:
            failed = _lookup_failure(hop.system)
            if failed:
                return _obstacle(hop, "dns", failed)
            proved = any(authentic(o) for o in (*hop.handshakes, *hop.twins))
            if self.only_bogons(hop) and not proved:
                shown = ", ".join(self.bogons(hop)[:3])
                return Obstacle(hop, "dns", FailureKind.DNS_OTHER, "dns_bogon_error", shown)
        if answered:
            return None
        for layer, attempts in (("tcp", hop.connects), ("tls", hop.handshakes)):
            if attempts and all(o.failure for o in attempts):
                return _obstacle(hop, layer, attempts[0])
        if hop.exchange is not None and hop.exchange.failure:
            if _lacks_ipv6(hop):
                words = "no IPv6 at the probe, and the name has no other address"
                return Obstacle(hop, "tcp", FailureKind.LOCAL, "network_unreachable", words)
            return _obstacle(hop, self._exchange_layer(hop, hop.exchange), hop.exchange)
        return None

    def _exchange_layer(self, hop: Hop, exchange: Exchange) -> str:
        """Old records hold one failure for the whole request; say where it can only have been."""
        kind = kind_of(exchange.failure)
        if kind in (FailureKind.NXDOMAIN, FailureKind.DNS_OTHER, FailureKind.SERVFAIL):
            return "dns"
        if kind in (FailureKind.REFUSED, FailureKind.UNREACHABLE) and not hop.connects:
            return "tcp"
        if kind in (FailureKind.CERTIFICATE, FailureKind.TLS_ERROR):
            return "tls"
        unrecorded = exchange.encrypted and not hop.handshakes and exchange.status is None
        return "tls" if unrecorded and kind is not FailureKind.UNKNOWN else "http"


def answered(status: int | None) -> bool:
    """Did the server give what was asked for, or say where it is?"""
    return status is not None and 200 <= status < 400


def proves(hop: Hop) -> bool:
    """Is the answer of this hop authenticated by a certificate for its name?"""
    exchange = hop.exchange
    if exchange is None or not exchange.encrypted:
        return False
    same = [o for o in hop.handshakes if exchange.address in (None, o.address)]
    return any(authentic(o) for o in same)


def authentic(handshake: Handshake) -> bool:
    """The probe calls it good, and nothing in the bytes we have says otherwise."""
    return handshake.failure is None and handshake.chain_state in _PROVED


def _obstacle(hop: Hop, layer: str, attempt: Lookup | Connect | Handshake | Exchange) -> Obstacle:
    failure = attempt.failure or "unknown_failure"
    kind = kind_of(failure) or FailureKind.UNKNOWN
    return Obstacle(hop, layer, kind, failure, attempt.failure_words or failure)


def _lookup_failure(lookups: list[Lookup]) -> Lookup | None:
    """The failure of a resolver that gave no address at all; an empty AAAA is not one."""
    if any(o.addresses for o in lookups):
        return None
    failed = [o for o in lookups if o.failure]
    telling = [o for o in failed if kind_of(o.failure) is not FailureKind.NO_ANSWER]
    return next(iter(telling or failed), None)


def _usable(lookups: list[Lookup]) -> list[Lookup]:
    return [o for o in lookups if o.failure is None or o.addresses]


def _hops(observed: Observed) -> list[Hop]:
    mine = [o for o in observed.exchanges if o.vantage == "probe" and o.transport == "tcp"]
    urls: dict[int, str] = {}
    for exchange in mine:
        urls.setdefault(exchange.hop, exchange.url)
    if observed.measurement.input:
        urls.setdefault(0, observed.measurement.input)
    for depth, url in _followed(observed, urls):
        urls.setdefault(depth, url)
    return [_hop(observed, depth, urls[depth]) for depth in sorted(urls)]


def _followed(observed: Observed, urls: dict[int, str]) -> list[tuple[int, str]]:
    """A redirect whose target was looked up or connected to and never answered is a hop too."""
    last = max(urls, default=0)
    mine = [o for o in observed.exchanges if (o.vantage, o.transport) == ("probe", "tcp")]
    exchange = next((o for o in mine if o.hop == last), None)
    if exchange is None or exchange.failure or not exchange.location:
        return []
    attempts = [*observed.lookups, *observed.connects, *observed.handshakes]
    if not any(o.vantage == "probe" and o.hop == last + 1 for o in attempts):
        return []
    to = redirect_target(exchange.url, exchange.location)
    return [(last + 1, to)] if to else []


def _hop(observed: Observed, depth: int, url: str) -> Hop:
    endpoint = endpoint_of(url)
    host = endpoint.host if endpoint else ""
    lookups = [
        o
        for o in observed.lookups
        if o.vantage == "probe" and o.hop == depth and o.hostname == host
    ]
    system = [o for o in lookups if o.transport == "system"]
    if is_address(host):
        addresses: frozenset[str] | None = frozenset((host,))
    elif system:
        addresses = frozenset(a for o in system for a in o.addresses)
    else:
        addresses = None
    here = [o for o in observed.connects if o.vantage == "probe" and o.hop == depth]
    connects = [
        o
        for o in here
        if endpoint and o.port == endpoint.port and (addresses is None or o.address in addresses)
    ]
    named = [
        o
        for o in observed.handshakes
        if o.vantage == "probe" and o.hop == depth and o.transport == "tcp" and o.sni == host
    ]
    on_path = [addresses is None or o.address in (None, *addresses) for o in named]
    mine = [o for o, on in zip(named, on_path, strict=True) if on]
    secure = endpoint is not None and endpoint.scheme == "https"
    return Hop(
        depth=depth,
        url=url,
        endpoint=endpoint,
        system=system,
        others=[o for o in lookups if o.transport != "system"],
        addresses=addresses,
        connects=_without_missing_ipv6(connects),
        handshakes=[o for o in mine if secure and endpoint and o.port in (None, endpoint.port)],
        twins=[] if secure else [o for o in mine if o.port == 443],
        detours=[o for o, on in zip(named, on_path, strict=True) if not on],
        exchange=_exchange(observed, depth, addresses),
    )


def _lacks_ipv6(hop: Hop) -> bool:
    unreachable = hop.exchange and kind_of(hop.exchange.failure) is FailureKind.UNREACHABLE
    return bool(unreachable and hop.addresses) and all(":" in a for a in hop.addresses or ())


def _without_missing_ipv6(connects: list[Connect]) -> list[Connect]:
    """An unreachable IPv6 address means that the probe has no IPv6."""
    return [
        o
        for o in connects
        if not (":" in o.address and kind_of(o.failure) is FailureKind.UNREACHABLE)
    ]


def _exchange(observed: Observed, depth: int, addresses: frozenset[str] | None) -> Exchange | None:
    """The hop's request to an address the system resolver gave, or to one nobody recorded."""
    for exchange in observed.exchanges:
        if (exchange.vantage, exchange.transport, exchange.hop) == ("probe", "tcp", depth):
            on_path = exchange.address is None or addresses is None or exchange.address in addresses
            if on_path:
                return exchange
    return None
