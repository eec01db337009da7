"""A street of services on loopback, with a control that sees them from elsewhere."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from gatewatch.lab.certificates import Office
from gatewatch.probe.experiments.nettest import Nettest
from gatewatch.probe.seat import Control, Patience, Seat
from gatewatch.refdata.endpoints import EndpointClass, Endpoints
from tests.probe.town import PROBE, Replies, Stream, Town, http, pages, posts, zone

RESOLVER, CONTROL = "130.192.3.21", "162.55.247.208"
PATIENCE = Patience(
    dns_s=0.6, connect_s=0.4, tls_s=0.4, quic_s=0.4, http_s=0.6, control_s=2.0, late_s=0.01
)
Json = dict[str, Any]
Furnish = Callable[[Town, Office], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """What the control sees: endpoints that it connects to, names, and pages by host."""

    reaches: frozenset[str] = frozenset()
    "As `192.0.2.1:443`."
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pages: Mapping[str, int] = field(default_factory=dict)
    "Host → status; a host without a page fails."
    shakes: Mapping[str, str | None] = field(default_factory=dict)
    "Endpoint → the failure of its handshake."
    asn: int = 15133

    def said(self, body: bytes) -> bytes:
        return json.dumps(self.answer(body)).encode()

    def answer(self, body: bytes) -> Json:
        asked = json.loads(body)
        url = asked["http_request"]
        host = url.split("/")[2].rsplit(":", 1)[0].strip("[]")
        port = int(url.split("/")[2].rsplit(":", 1)[1]) if ":" in url.split("/")[2] else None
        port = port or (443 if url.startswith("https") else 80)
        told = [*asked["tcp_connect"], *(f"{a}:{port}" for a in self.names.get(host, ()))]
        status = self.pages.get(host)
        return {
            "tcp_connect": {
                one: {
                    "status": one in self.reaches,
                    "failure": None if one in self.reaches else "generic_timeout_error",
                }
                for one in told
            },
            "tls_handshake": {
                one: {"server_name": host, "status": failure is None, "failure": failure}
                for one, failure in self.shakes.items()
                if one in told
            },
            "quic_handshake": {},
            "http_request": {
                "body_length": -1 if status is None else 100,
                "discovered_h3_endpoint": "",
                "failure": None if status else "unknown_error",
                "headers": {},
                "status_code": status or -1,
                "title": "",
            },
            "http3_request": None,
            "dns": {"failure": None, "addrs": [*self.names.get(host, ())]},
            "ip_info": {
                a: {"asn": self.asn, "flags": 10} for one in self.names.values() for a in one
            },
        }


def measured(
    test: Nettest,
    furnish: Furnish,
    office: Office,
    *,
    names: Mapping[str, tuple[str, ...]] | Replies | None = None,
    elsewhere: Elsewhere | None = None,
    input: str | None = None,
    **about: Any,
) -> Json:
    """A measurement of a street. Without `elsewhere` there is no control."""

    async def go() -> Json:
        async with Town() as town:
            resolver = names if callable(names) else zone(dict(names or {}))
            await town.udp(RESOLVER, 53, resolver)
            await furnish(town, office)
            if elsewhere is not None:
                sees = elsewhere
                said = posts(lambda body: ("application/json", sees.said(body)))
                context = office.context("valid", ["control.example"], alpn=["http/1.1"])
                await town.tcp(CONTROL, 443, said, context)
            controls = (Control(name="control.example", address=CONTROL),)
            seat = Seat(
                **{
                    "asn": 137,
                    "country": "IT",
                    "network": "Consortium GARR",
                    "addresses": (PROBE,),
                    "resolver": RESOLVER,
                    "controls": controls if elsewhere is not None else (),
                    "ca": office.ca_file,
                    "reach": town,
                    "patience": PATIENCE,
                    "secrets": (PROBE,),
                    **about,
                }
            )
            return await test.run(input, seat, random.Random(7))

    return asyncio.run(go())


def table(*classes: Json) -> Endpoints:
    """A table of endpoints as the reference data has them."""
    facts = {"as_of": date(2026, 1, 1), "source": "test", "need": "all"}
    return Endpoints([EndpointClass(**{**facts, **one}) for one in classes], [], version="test")


def with_table(test: Any, endpoints: Endpoints | None, **changes: Any) -> Any:
    return replace(test, table=endpoints, **changes)


def site(status: int = 200, body: bytes = b"fine") -> Stream:
    """A web server with one answer to everything."""
    return pages(lambda host, path: http(status, body, content_type="text/html"))


async def serve_tls(
    town: Town, office: Office, address: str, name: str, stream: Stream, port: int = 443
) -> None:
    context = office.context("valid", [name], alpn=["http/1.1"])
    await town.tcp(address, port, stream, context)
