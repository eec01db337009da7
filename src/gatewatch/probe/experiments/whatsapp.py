"""WhatsApp: its chat endpoints, its registration, its page. OONI's test `whatsapp`."""

from __future__ import annotations

from gatewatch.probe.experiments.common.services import ByKind, ServiceTest, first_failure
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat


def read(reached: ByKind, seat: Seat) -> Json:
    """One endpoint that connects is enough; a host is blocked when all of its ports are."""
    endpoints = reached.get("endpoint", [])
    hosts: dict[str, bool] = {}
    for one in endpoints:
        hosts[one.endpoint.host] = hosts.get(one.endpoint.host, False) or one.well
    registration, _ = first_failure(reached.get("registration", []))
    web, _ = first_failure(reached.get("web", []))
    return {
        "registration_server_failure": registration,
        "registration_server_status": "blocked" if registration else "ok",
        "whatsapp_endpoints_blocked": [host for host, well in hosts.items() if not well],
        "whatsapp_endpoints_dns_inconsistent": [],
        "whatsapp_endpoints_status": "ok" if any(hosts.values()) else "blocked",
        "whatsapp_web_failure": web,
        "whatsapp_web_status": "blocked" if web else "ok",
    }


EXPERIMENT = ServiceTest(
    name="whatsapp",
    version="0.11.0",
    question="Can WhatsApp be used, by its apps and in a browser?",
    service="whatsapp",
    read=read,
    parallel=8,
)
"""More at a time than OONI: there are 34 targets, of which each may take a time-out."""
