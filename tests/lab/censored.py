"""A small world with one censor, or none, at the border of the vantage point's network."""

from __future__ import annotations

from collections.abc import Callable

from gatewatch.lab.rules import Action, Censor, ForgeDns, Trigger
from gatewatch.lab.scenario import Host, Resolver, Scenario
from tests.lab.worlds import SITE, scenario

SITE6, RESOLVER, ELSEWHERE, NOBODY = "2606:2800::34", "8.8.8.8", "93.184.216.35", "93.184.216.99"
AT_HOME = "130.192.1.53"
"A resolver in the vantage point's own network."
FORGED = "10.10.34.35"
LISTED, INNOCENT = "www.example.com", "www.example.org"
HOSTS = {
    "site": Host(
        addresses=(SITE, SITE6),
        names=(LISTED, INNOCENT),
        tcp={"80": "echo", "443": "echo", "8443": "echo"},
    ),
    "elsewhere": Host(addresses=(ELSEWHERE,), tcp={"443": "echo"}),
    "resolver": Host(addresses=(RESOLVER,), resolver=Resolver()),
    "at-home": Host(addresses=(AT_HOME,), resolver=Resolver()),
}
ASKED, SAID, NAMED = Trigger(dns=(LISTED,)), Trigger(sni=(LISTED,)), Trigger(host=(LISTED,))
FORGES = Action(forge_dns=ForgeDns(a=(FORGED,), aaaa=("2001:db8::bad",)))
ONE_WAY_S = 0.0325
"From the vantage point to the site: access 2, 2 × 0.5, uplink 4, 0.5, 10, core 5, 8 and 2 ms."


def world(trigger: Trigger | None = None, action: Action | None = None, **more) -> Scenario:
    """A small world with a censor, if any, at the border of the vantage point's network."""
    fields = {name: more.pop(name) for name in ("hosts", "networks") if name in more}
    censors = ()
    if trigger and action:
        censors = (Censor(id="censor", at="access", trigger=trigger, action=action, **more),)
    return scenario(**{"hosts": HOSTS, "censors": censors, **fields})


def only(what: Callable[[], object], place: str = "access") -> dict:
    """One client, that has no need to know the world it is in."""
    return {place: lambda _: what()}
