"""The control server of the lab: our own test helper, measuring from a host of the lab.

It stands where its host stands, asks a resolver of the lab, and has shorter patience than on the
Internet, so that its answer comes before a client of the lab gives up.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatewatch.lab.hosts.premises import Premises
from gatewatch.lab.scenario import Host, Scenario
from gatewatch.probe.seat import Patience
from gatewatch.server.guard import Guard
from gatewatch.server.helper import Helper
from gatewatch.server.stand import Resolver, Stand

PATIENCE = Patience(
    dns_s=3.0, connect_s=3.0, tls_s=3.0, quic_s=2.0, http_s=6.0, control_s=13.0, late_s=0.0
)
"Our choice: together less than the patience of the lab's probe with us."


def control(host: Host, premises: Premises) -> Helper:
    """The application of a control server."""
    return Helper(stand=stand(host, premises), rates=None, headers={"Server": "nginx"})


def stand(host: Host, premises: Premises) -> Stand:
    """Where the control server measures from."""
    resolver = trusted_resolver(premises)

    def asn_of(address: str) -> int:
        network = premises.where(address).network
        return premises.scenario.networks[network].asn if network else 0

    return Stand(
        reach=premises.attach,
        addresses=one_of_each(host.addresses),
        public=host.addresses,
        resolvers=() if resolver is None else (Resolver("udp", resolver),),
        ca=premises.office.ca_file,
        guard=Guard(host.addresses),
        patience=PATIENCE,
        asn_of=asn_of,
    )


def one_of_each(addresses: Iterable[str]) -> tuple[str, ...]:
    """The first address of each IP version."""
    by_version = {":" in address: address for address in reversed(list(addresses))}
    return tuple(by_version.values())


def trusted_resolver(premises: Premises) -> str | None:
    """Whom the control asks: the first resolver that is in no network with a vantage point."""
    scenario: Scenario = premises.scenario
    resolvers = [h for h in scenario.hosts.values() if h.resolver is not None and not h.down]
    addresses = [host.addresses[0] for host in resolvers]
    outside = [a for a in addresses if premises.where(a).network not in scenario.vantages]
    return next(iter([*outside, *addresses]), None)
