"""The probes of the world, when they take part, and which sites they test in one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from gatewatch.simulate.atlas import COUNTRIES, SITES, Site
from gatewatch.simulate.network import Place
from gatewatch.simulate.scene import Probe

PROBES_PER_NETWORK = 5
"""In the demo's world; larger worlds have more in proportion, up to `MOST_PROBES`."""

MOST_PROBES = 400

PORTAL_SHARE = 0.01
"""Share of runs behind a captive portal. Our choice; it only has to be rare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of the application: a probe, and the sites it tests one after the other."""

    probe: Probe
    sites: tuple[Site, ...]
    portal: bool


def population(seed: int, size: float) -> dict[str, list[list[Probe]]]:
    """Country → network → its probes.

    Args:
        size: measurements a day, relative to the demo's.
    """
    rng = Random(f"{seed}/population")
    count = min(MOST_PROBES, max(2, round(PROBES_PER_NETWORK * size)))
    out: dict[str, list[list[Probe]]] = {}
    serial = 0
    for country in COUNTRIES:
        networks: list[list[Probe]] = []
        for network in country.networks:
            probes: list[Probe] = []
            for n in range(count):
                serial += 1
                probes.append(_probe(serial, n, country.cc, network, rng))
            networks.append(probes)
        out[country.cc] = networks
    return out


def _probe(serial: int, n: int, cc: str, network: tuple[int, str, str], rng: Random) -> Probe:
    asn, name, resolver = network
    place = Place(cc, asn, name, resolver, asn, name)
    public = n > 0 and rng.random() < 0.2
    if public:
        place = place._replace(
            resolver_ip="172.253.12.131", resolver_asn=15169, resolver_network="Google LLC"
        )
    start = 0.0 if n == 0 else max(0.0, rng.uniform(-0.6, 0.7))
    return Probe(
        id=serial,
        place=place,
        public_resolver=public,
        ipv6=rng.random() < 0.3,
        office=cc == "US" and n == 1,
        clock_days_behind=2900 if cc == "BR" and n == 1 else 0,
        engine="0.4" if n > 0 and rng.random() < 0.1 else "0.5",
        active=(start, 1.0 if n == 0 else min(1.0, start + rng.uniform(0.4, 1.0))),
    )


def runs(people: dict[str, list[list[Probe]]], moment: float, rng: Random) -> Iterator[Run]:
    """Endless runs of probes that take part at `moment`, a share of the period."""
    weights = [c.weight for c in COUNTRIES]
    site_weights = [s.weight for s in SITES]
    while True:
        country = rng.choices(COUNTRIES, weights)[0]
        network = rng.choice(people[country.cc])
        active = [p for p in network if p.active[0] <= moment <= p.active[1]]
        wanted = set(rng.choices(range(len(SITES)), site_weights, k=rng.randint(6, 18)))
        yield Run(
            probe=rng.choice(active),
            sites=tuple(SITES[i] for i in sorted(wanted)),
            portal=rng.random() < PORTAL_SHARE,
        )
