"""All tests by name, and in the groups in which OONI's probe runs them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from gatewatch.model.errors import NotFound
from gatewatch.probe.experiments import (
    dns_proxy,
    dnscheck,
    dnsping,
    echcheck,
    facebook_messenger,
    http_header_field_manipulation,
    http_invalid_request_line,
    http_proxy,
    psiphon,
    quicping,
    script_injection,
    signal,
    simplequicping,
    stunreachability,
    tcpping,
    telegram,
    tls_interception,
    tlsping,
    tor,
    web_connectivity,
    whatsapp,
)
from gatewatch.probe.experiments.nettest import Nettest, Tell, say_nothing
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.visits import Visits
from gatewatch.refdata.endpoints import Endpoints


@dataclass(frozen=True, slots=True)
class WebConnectivity:
    """The test of web pages, as one among the others."""

    name: str = web_connectivity.NAME
    version: str = web_connectivity.VERSION
    question: str = "Can a web page be had, and if not, who keeps it from us?"
    takes: Literal["nothing", "url", "maybe"] = "url"

    def inputs(self, endpoints: Endpoints) -> list[str]:
        return []

    def contacts(self, endpoints: Endpoints) -> list[str]:
        return []

    async def run(
        self,
        input: str | None,
        seat: Seat,
        rng: random.Random,
        tell: Tell = say_nothing,
        visits: Visits | None = None,
    ) -> Json:
        return await web_connectivity.measure(input or "", seat, rng=rng, visits=visits, tell=tell)


GROUPS: dict[str, tuple[Nettest, ...]] = {
    "websites": (WebConnectivity(),),
    "im": (
        telegram.EXPERIMENT,
        whatsapp.EXPERIMENT,
        signal.EXPERIMENT,
        facebook_messenger.EXPERIMENT,
    ),
    "circumvention": (tor.EXPERIMENT, psiphon.EXPERIMENT),
    "middlebox": (
        http_invalid_request_line.EXPERIMENT,
        http_header_field_manipulation.EXPERIMENT,
        tls_interception.EXPERIMENT,
        dns_proxy.EXPERIMENT,
        http_proxy.EXPERIMENT,
        script_injection.EXPERIMENT,
    ),
    "experimental": (
        dnscheck.EXPERIMENT,
        echcheck.EXPERIMENT,
        stunreachability.EXPERIMENT,
        tcpping.EXPERIMENT,
        tlsping.EXPERIMENT,
        quicping.EXPERIMENT,
        simplequicping.EXPERIMENT,
        dnsping.EXPERIMENT,
    ),
}
EXPERIMENTS: dict[str, Nettest] = {test.name: test for tests in GROUPS.values() for test in tests}
ALIASES = {"psiphon": psiphon.EXPERIMENT.name}
"Names that people will try."


def experiment(name: str) -> Nettest:
    """The test of that name.

    Raises:
        NotFound: there is none.
    """
    try:
        return EXPERIMENTS[ALIASES.get(name, name)]
    except KeyError:
        raise NotFound(f"no test {name!r}; there are: {', '.join(EXPERIMENTS)}") from None
