"""Observed measurements made by hand, and a small world of reference data to judge them in.

Every builder makes one attempt with ordinary values; a test names only what it is about. The
addresses are those set aside for documentation, which this world takes for public ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from ipaddress import ip_address, ip_network
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from gatewatch.judge.case import Case
from gatewatch.judge.pool import NO_POOL, Pool
from gatewatch.judge.rules import RULES
from gatewatch.judge.verdict import judge
from gatewatch.judge.weigh import fire
from gatewatch.model.errors import NotFound
from gatewatch.model.records import (
    Connect,
    Exchange,
    Finding,
    Handshake,
    Lookup,
    Measurement,
    Observed,
)
from gatewatch.model.target import Target, canonical_host, endpoint_of, is_address
from gatewatch.model.verdict import Verdict
from gatewatch.refdata.nouns import Fingerprint
from gatewatch.refdata.snapshot import RefData

SITE = "site.example"
DAY = date(2024, 5, 6)
HTTP, HTTPS = f"http://{SITE}/", f"https://{SITE}/"
HERE, TWIN = "192.0.2.7", "192.0.2.8"
"Two addresses of the site, in the site's own network."
ELSEWHERE = "198.51.100.9"
"An address in a network that has nothing to do with the site."
ACCESS = "203.0.113.5"
"An address in the probe's own access network."
BOGON, LOOPBACK, PRIVATE = "10.77.0.1", "127.0.0.1", "192.168.1.1"
BOGON6, PRIVATE6 = "2001::1f0d:4a0d", "fd00:64::c000:207"
"What injectors answer for IPv6; and an IPv4 address under a translator's private prefix."
PUBLIC, SEALED = "8.8.8.8:53", "https://dns.example/dns-query"
"Resolvers asked in clear, and over TLS."
FORGED_BOGON, FORGED = "10.10.34.35", "198.51.100.66"
"Published as false answers."

SITE_ASN, OTHER_ASN, ACCESS_ASN = 64500, 64501, 64510
_NETWORKS = {
    ip_network("192.0.2.0/24"): SITE_ASN,
    ip_network("198.51.100.0/24"): OTHER_ASN,
    ip_network("203.0.113.0/24"): ACCESS_ASN,
    ip_network("2001:db8::/32"): SITE_ASN,
}
_BOGONS = [
    ip_network(p)
    for p in (
        "0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "2001::/40", "fc00::/7"
    )
]  # fmt: skip


def _fingerprint(id: str, scope: str, location: str = "body", *countries: str) -> Fingerprint:
    return Fingerprint(
        id=id,
        scope=scope,
        location=location,
        pattern_type="contains",
        pattern=f"[{id}]",
        countries=list(countries),
        source="a test",
    )


FINGERPRINTS = {
    one.id: one
    for one in (
        _fingerprint("nat.ir", "nat", "body", "IR"),
        _fingerprint("nat.any", "nat"),
        _fingerprint("isp.any", "isp"),
        _fingerprint("prod.any", "prod"),
        _fingerprint("nat.location", "nat", "header.location"),
        _fingerprint("vague", "vbw"),
        _fingerprint("mistaken", "fp"),
        _fingerprint("captcha", "server"),
        _fingerprint("hotel", "portal"),
        _fingerprint("school", "inst"),
        _fingerprint("dns.ir", "nat", "dns", "IR"),
        _fingerprint("dns.odd", "vbw", "dns"),
    )
}
_FORGERIES = {FORGED_BOGON: "dns.ir", FORGED: "dns.ir", "198.51.100.67": "dns.odd"}


class World:
    """Reference data small enough to hold in the head; a page shows the `[id]`s it contains."""

    version = "a test world"

    def asn_of(self, address: str) -> int | None:
        if not is_address(address):
            return None
        found = (n for net, n in _NETWORKS.items() if ip_address(address) in net)
        return next(found, None)

    def asns_of(self, addresses: Iterable[str], at: date | None = None) -> list[int | None]:
        return [self.asn_of(address) for address in addresses]

    def country_of(self, address: str, at: date | None = None) -> str | None:
        """The access network's country, or the one far away."""
        return {ACCESS_ASN: "IR", OTHER_ASN: "SE"}.get(self.asn_of(address) or 0)

    def is_bogon(self, address: str) -> bool:
        if not is_address(address):
            return True
        return any(ip_address(address) in net for net in _BOGONS)

    def injected_answer(self, address: str) -> Fingerprint | None:
        return FINGERPRINTS.get(_FORGERIES.get(address, ""))

    def fingerprint(self, id: str) -> Fingerprint:
        if id not in FINGERPRINTS:
            raise NotFound(id)
        return FINGERPRINTS[id]

    def match_page(self, body: str, headers: list[tuple[str, str]], title: str | None) -> list[str]:
        shown = "\n".join([body, *(f"{name}: {value}" for name, value in headers)])
        return [one.id for one in FINGERPRINTS.values() if one.pattern in shown]

    def target_of(self, given: str) -> Target | None:
        try:
            endpoint = endpoint_of(given) if "://" in given else None
            host = endpoint.host if endpoint else canonical_host(urlsplit(given).path)
        except ValueError:
            return None
        if host is None or ("://" in given and endpoint is None):
            return None
        domain = None if is_address(host) else ".".join(host.split(".")[-2:])
        return Target(given, host, domain, None)


WORLD = cast(RefData, World())


def measurement(**about: Any) -> Measurement:
    ordinary: dict[str, Any] = {
        "record_id": "r0",
        "measurement_id": "m0",
        "source_file": "here.jsonl",
        "source_member": None,
        "source_line": 1,
        "source_offset": 0,
        "source_length": 2,
        "test_name": "web_connectivity",
        "test_version": "0.5.28",
        "software": "ooniprobe-cli 3.25.0",
        "report_id": "report",
        "input": HTTP,
        "target": SITE,
        "domain": SITE,
        "service": None,
        "probe_cc": "IR",
        "probe_asn": ACCESS_ASN,
        "probe_network": "An Access Network",
        "resolver_asn": ACCESS_ASN,
        "resolver_ip": "203.0.113.53",
        "measured_at": datetime(2024, 5, 6, 7, 8, 9),
        "received_at": datetime(2024, 5, 6, 7, 9),
        "control_failure": None,
        "probe_failure": None,
        "flaws": [],
    }
    return Measurement(**{**ordinary, **about})


def _common(failure: str | None, vantage: str, hop: int) -> dict[str, Any]:
    return {
        "record_id": "r0",
        "vantage": vantage,
        "hop": hop,
        "transaction_id": None,
        "elapsed_ms": None,
        "failure": failure,
        "failure_words": None,
    }


def lookup(
    *addresses: str,
    failure: str | None = None,
    host: str = SITE,
    resolver: str = "system",
    hop: int = 0,
    asns: list[int | None] | None = None,
    vantage: str = "probe",
) -> Lookup:
    """A question to the system resolver, to a public one (`8.8.8.8:53`) or over HTTPS."""
    transport = "doh" if resolver.startswith("https:") else "udp"
    return Lookup(
        **_common(failure, vantage, hop),
        hostname=host,
        query_type="ANY",
        resolver=resolver,
        transport="system" if resolver == "system" else transport,
        addresses=list(addresses),
        asns=World().asns_of(addresses) if asns is None else asns,
        late_addresses=[],
    )


def connect(
    address: str = HERE,
    port: int = 80,
    failure: str | None = None,
    *,
    hop: int = 0,
    vantage: str = "probe",
) -> Connect:
    return Connect(**_common(failure, vantage, hop), address=address, port=port)


def handshake(
    address: str | None = HERE,
    failure: str | None = None,
    *,
    chain: str = "valid",
    sni: str | None = SITE,
    port: int | None = 443,
    hop: int = 0,
    transport: str = "tcp",
    vantage: str = "probe",
) -> Handshake:
    return Handshake(
        **_common(failure, vantage, hop),
        address=address,
        port=port,
        transport=transport,
        sni=sni,
        tls_version="TLSv1.3",
        chain_state=chain,
        leaf_sha256=None,
        leaf_issuer=None,
    )


def exchange(
    url: str = HTTP,
    status: int | None = 200,
    failure: str | None = None,
    *,
    address: str | None = HERE,
    hop: int = 0,
    title: str | None = "A site of many words",
    length: int | None = 5000,
    headers: Iterable[str] = (),
    location: str | None = None,
    fingerprints: Iterable[str] = (),
    complete: bool = True,
    vantage: str = "probe",
) -> Exchange:
    """An answer with the ordinary page of the site, unless it says otherwise."""
    answered = status is not None
    lines = [f"location: {location}"] if location is not None else []
    encrypted = url.startswith("https:")
    return Exchange(
        transport="tcp",
        **_common(failure, vantage, hop),
        url=url,
        address=address,
        port=443 if encrypted else 80,
        encrypted=encrypted,
        status=status,
        location=location,
        headers=[*headers, *lines] if answered else None,
        title=title if answered else None,
        body_length=length if answered else None,
        body_complete=answered and complete,
        body_sha256=None,
        fingerprints=list(fingerprints),
    )


def finding(
    mechanism: str | None = None,
    *,
    layer: str = "tls",
    answer: str = "name",
    host: str = SITE,
    trials: int = 6,
    effect_high: float | None = None,
) -> Finding:
    """What an experiment found out about the site."""
    return Finding(
        **_common(None, "probe", 0),
        experiment="some_experiment",
        layer=layer,
        host=host,
        answer=answer,
        mechanism=mechanism,
        trigger="name",
        placement=None,
        hop_address=None,
        hop_ttl=None,
        residual_s=None,
        effect=None,
        effect_low=None,
        effect_high=effect_high,
        trials=trials,
        words="what was tried, and how it went",
    )


def hop_at(address: str) -> Finding:
    """The last hop from which anything was heard on the way to the site."""
    return msgspec.structs.replace(
        finding("tcp", layer="tcp", answer="found"),
        experiment="hop",
        hop_address=address,
        hop_ttl=4,
    )


def redirect(url: str, location: str, *, hop: int = 0, status: int = 302, **about: Any) -> Exchange:
    return exchange(url, status, location=location, hop=hop, title=None, length=0, **about)


def unanswered(url: str, failure: str, **about: Any) -> Exchange:
    return exchange(url, None, failure, **about)


Attempt = Lookup | Connect | Handshake | Exchange | Finding


def observed(*attempts: Attempt | list[Attempt], **about: Any) -> Observed:
    """A measurement of the site, with these attempts; lists among them are taken apart."""
    flat: list[Attempt] = []
    for one in attempts:
        flat += one if isinstance(one, list) else [one]
    return Observed(
        measurement=measurement(**about),
        lookups=[o for o in flat if isinstance(o, Lookup)],
        connects=[o for o in flat if isinstance(o, Connect)],
        handshakes=[o for o in flat if isinstance(o, Handshake)],
        exchanges=[o for o in flat if isinstance(o, Exchange)],
        findings=[o for o in flat if isinstance(o, Finding)],
    )


def control(
    *addresses: str,
    lookup_failure: str | None = None,
    step_failure: str | None = None,
    page: Exchange | None = None,
) -> list[Attempt]:
    """A helper that tries the site's address and fetches a page; all well unless it says not."""
    attempts: list[Attempt] = [
        lookup(
            *(() if lookup_failure else addresses or (HERE,)),
            failure=lookup_failure,
            resolver="control",
            vantage="control",
        ),
        exchange(HTTP, address=None, vantage="control") if page is None else as_control(page),
    ]
    attempts += [connect(HERE, port, step_failure, vantage="control") for port in (80, 443)]
    attempts.append(handshake(HERE, step_failure, chain="absent", vantage="control"))
    return attempts


def as_control(page: Exchange) -> Exchange:
    return msgspec.structs.replace(page, vantage="control", address=None)


def dead_control(failure: str = "generic_timeout_error", **about: Any) -> list[Attempt]:
    """A helper for which the site is down as well."""
    return control(step_failure=failure, page=unanswered(HTTP, failure), **about)


def fired(seen: Observed, pool: Pool = NO_POOL) -> set[str]:
    """Ids of the rules that fire."""
    return {rule.id for rule, _ in fire(Case(seen, WORLD, pool), RULES)}


def verdict(seen: Observed, pool: Pool = NO_POOL) -> Verdict:
    return judge(seen, WORLD, pool)


# -- whole measurements that many tests start from -------------------------------------------


def plain_path(**about: Any) -> list[Attempt]:
    """An http URL that answers; `about` changes the final exchange."""
    return [lookup(HERE), connect(), exchange(HTTP, **about)]


def secure_path(**about: Any) -> list[Attempt]:
    """An https URL that answers over a proved connection."""
    return [lookup(HERE), connect(port=443), handshake(), exchange(HTTPS, **about)]
