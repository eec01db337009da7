"""Facebook Messenger: are its names answered with Facebook's addresses, and do these connect?

OONI's test `facebook_messenger`.
"""

from __future__ import annotations

from gatewatch.probe.experiments.common.reached import Reached
from gatewatch.probe.experiments.common.services import ByKind, ServiceTest
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat

NAMES = {
    "b-api.facebook.com": "b_api",
    "b-graph.facebook.com": "b_graph",
    "edge-mqtt.facebook.com": "edge",
    "external.xx.fbcdn.net": "external_cdn",
    "scontent.xx.fbcdn.net": "scontent_cdn",
    "star.c10r.facebook.com": "star",
    "stun.fbsbx.com": "stun",
}
"What OONI's keys call each host."


def read(reached: ByKind, seat: Seat) -> Json:
    keys: Json = {}
    for one in (one for ones in reached.values() for one in ones):
        called = NAMES.get(one.endpoint.host)
        if called is None:
            continue
        consistent = dns_consistent(one, seat)
        keys[f"facebook_{called}_dns_consistent"] = consistent
        tried = one.endpoint.protocol == "tcp" and consistent
        keys[f"facebook_{called}_reachable"] = one.well if tried else None
    values = keys.items()
    dns = [value for key, value in values if key.endswith("_dns_consistent")]
    tcp = [value for key, value in values if key.endswith("_reachable")]
    return {**keys, "facebook_dns_blocking": _any_false(dns), "facebook_tcp_blocking": False in tcp}


def dns_consistent(one: Reached, seat: Seat) -> bool | None:
    """Is every answer in Facebook's network? None where networks are not known here."""
    if not one.addresses:
        return False
    numbers = {seat.asn_of(address) for address in one.addresses}
    if numbers <= {*one.endpoint.networks}:
        return True
    return None if None in numbers and not numbers - {None, *one.endpoint.networks} else False


def _any_false(values: list[bool | None]) -> bool | None:
    """
    >>> _any_false([True, False]), _any_false([True, None]), _any_false([True])
    (True, None, False)
    """
    return True if False in values else None if None in values else False


EXPERIMENT = ServiceTest(
    name="facebook_messenger",
    version="0.2.1",
    question="Can Facebook Messenger be used?",
    service="messenger",
    read=read,
)
