"""Which worlds are visited: one for each mechanism, and one in which nothing is filtered."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from msgspec.structs import replace

from gatewatch.lab.load import load
from gatewatch.lab.scenario import Scenario
from gatewatch.model.mechanism import LEAVES

OPEN = "open"


class Target(NamedTuple):
    """What a client is sent to, and whom it asks for the way."""

    url: str
    host: str
    port: int
    resolver: str | None
    "None: the client knows of none."

    @property
    def tls_port(self) -> int:
        """Where TLS is tried: also beside a site asked for in clear."""
        return 443 if urlsplit(self.url).scheme == "http" else self.port


def scenario_of(mechanism: str) -> Scenario:
    """The leaf scenario of a mechanism, which is named after it; or the open world."""
    if mechanism == OPEN:
        world = load("tcp-reset")
        same = world.expect[0]
        opened = replace(same, outcome="open", mechanisms=(), by=())
        return replace(world, id=OPEN, censors=(), expect=(opened,))
    return load(mechanism.replace(".", "-").replace("_", "-"))


def target_of(scenario: Scenario) -> Target:
    """The URL of the scenario's first expectation, from its first vantage point."""
    url = scenario.expect[0].url
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    resolver = scenario.networks[scenario.vantages[0]].resolver
    return Target(url, parts.hostname or "", port, resolver)


def mechanisms() -> list[str]:
    """The open world, then every mechanism in the order of the tree."""
    return [OPEN, *LEAVES]
