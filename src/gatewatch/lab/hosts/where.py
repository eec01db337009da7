"""Where a client is, as geolocation would say it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import NamedTuple

from gatewatch.lab.scenario import Scenario
from gatewatch.lab.topology import Topology


class Where(NamedTuple):
    """The network that holds an address and its country; None: outside the world."""

    network: str | None
    country: str | None


def locator(scenario: Scenario) -> Callable[[str], Where]:
    """Finds the place of an address in a scenario's world."""
    topology = Topology(scenario)

    def locate(address: str) -> Where:
        network = topology.network_of(ip_address(address).packed)
        return Where(network, topology.networks[network].country if network else None)

    return locate
