"""Small worlds for tests, built by hand so that a test shows all that matters to it."""

from __future__ import annotations

from ipaddress import ip_address

from gatewatch.lab.scenario import Host, Link, Network, Scenario

QUICK = Link(delay_ms=1.0)

ACCESS = Network(
    asn=137,
    name="Access",
    country="IT",
    prefixes=("130.192.0.0/16", "2001:760::/32"),
    hops=(("130.192.0.1", "2001:760::1"), (), ("130.192.0.3",)),
    via="national",
    access=Link(delay_ms=2.0),
    uplink=Link(delay_ms=4.0),
    probe=("130.192.91.211", "2001:760::211"),
    resolver="8.8.8.8",
)
NATIONAL = Network(
    asn=3269,
    name="National",
    country="IT",
    prefixes=("79.0.0.0/10",),
    hops=(("79.0.0.1",), ("79.0.0.2",)),
    uplink=Link(delay_ms=10.0),
)
HOSTING = Network(
    asn=15133,
    name="Hosting",
    country="US",
    prefixes=("93.184.216.0/24", "2606:2800::/32"),
    hops=(("93.184.216.1", "2606:2800::1"),),
)
GOOGLE = Network(
    asn=15169, name="Google", country="US", prefixes=("8.8.8.0/24",), hops=(("8.8.8.1",),)
)

SITE, PROBE = "93.184.216.34", "130.192.91.211"


def packed(address: str) -> bytes:
    return ip_address(address).packed


def scenario(**fields) -> Scenario:
    """A vantage in Italy behind two networks, a site and a resolver abroad; `fields` replace."""
    given = {
        "title": "A small world",
        "words": "For tests.",
        "kind": "innocent",
        "networks": {
            "access": ACCESS,
            "national": NATIONAL,
            "hosting": HOSTING,
            "google": GOOGLE,
        },
        "hosts": {
            "site": Host(addresses=(SITE, "2606:2800::34"), names=("www.example.com",)),
            "resolver": Host(addresses=("8.8.8.8",)),
        },
        "core": Link(delay_ms=5.0),
    }
    return Scenario(**{**given, **fields})
