"""A small world on loopback, sound but for what a test changes, and measurements made in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gatewatch.lab.certificates import Office
from gatewatch.lab.pages import page
from gatewatch.probe.experiments.web_connectivity import measure
from gatewatch.probe.seat import Control, Patience, Seat
from tests.probe.town import PROBE, Replies, Stream, Town, control, doh, http, pages, zone

NAME, OTHER, IDN = "www.example.org", "other.example", "xn--d1acpjx3f.xn--p1ai"
SITE, CONTROL, BLOCKER = "93.184.216.34", "162.55.247.208", "83.224.65.41"
ISP, PUBLIC, SECURE = "130.192.3.21", "8.8.8.8", "9.9.9.9"
NAMES = {NAME: (SITE,), OTHER: (SITE,), IDN: (SITE,)}
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = b"<html><head><title>An ordinary site</title></head><body>%s</body></html>" % (
    b"word " * 300
)
IRAN = str(page("iran").body).encode()


def site(host: str, path: str) -> bytes:
    """An ordinary site, with a few odd corners."""
    if path.startswith("/loop"):
        return http(302, location=path + "x")
    corners = {
        "/moved": http(301, location=f"https://{NAME}/"),
        "/nowhere": http(302, location="http://"),
        "/other": http(303, location="/elsewhere"),
        "/h3": http(200, PAGE, content_type="text/html", alt_svc='h3=":443"; ma=60'),
    }
    return corners.get(path) or http(200, PAGE, content_type="text/html", x_lab="1")


def seen(*, failure: str | None = None, addresses: tuple[str, ...] = (SITE,)) -> dict[str, Any]:
    """What the control says of the site, or of its absence."""
    reached = {"status": failure is None, "failure": failure}
    page = {"body_length": len(PAGE), "title": "An ordinary site", "status_code": 200}
    nothing = {"body_length": -1, "title": "", "status_code": -1}
    return {
        "tcp_connect": {f"{SITE}:443": reached, f"{SITE}:80": reached},
        "tls_handshake": {} if failure else {f"{SITE}:443": {**reached, "server_name": NAME}},
        "quic_handshake": {},
        "http_request": {
            **(nothing if failure else page),
            "discovered_h3_endpoint": "",
            "failure": failure,
            "headers": {} if failure else {"Content-Type": "text/html", "X-Lab": "1"},
        },
        "http3_request": None,
        "dns": {"failure": None if addresses else "dns_name_error", "addrs": list(addresses)},
        "ip_info": {a: {"asn": 15133, "flags": 11} for a in addresses},
    }


HONEST, SOUND = zone(NAMES), pages(site)


@dataclass(frozen=True, kw_only=True)
class World:
    """A sound world; each case changes what it is about."""

    isp: Replies = HONEST
    public: Replies = HONEST
    secure: Replies = HONEST
    plain: Stream | None = SOUND
    tls: Stream | None = SOUND
    raw_tls: Stream | None = None
    "In place of TLS."
    control: dict[str, Any] | None = None
    "None: as of the sound site."
    controlled: bool = True
    extra: Callable[[Town, Office], Awaitable[None]] | None = None
    "Servers besides these."

    async def furnish(self, town: Town, office: Office) -> None:
        def context(*names: str):
            return office.context("valid", names, alpn=["http/1.1"])

        for resolver, replies in ((ISP, self.isp), (PUBLIC, self.public)):
            await town.udp(resolver, 53, replies)
        await town.tcp(SECURE, 443, doh(self.secure), context("dns.example"))
        if self.plain is not None:
            await town.tcp(SITE, 80, self.plain)
            await town.tcp(BLOCKER, 80, pages(lambda host, path: http(403, IRAN)))
        if self.raw_tls is not None:
            await town.tcp(SITE, 443, self.raw_tls)
        elif self.tls is not None:
            await town.tcp(SITE, 443, self.tls, context(NAME, OTHER, IDN, SITE))
        if self.controlled:
            answers = control(self.control or seen())
            await town.tcp(CONTROL, 443, answers, context("control.example"))
        if self.extra is not None:
            await self.extra(town, office)


def measured(
    url: str, world: World, office: Office, *, made: dict[str, Any] | None = None, **about: Any
) -> dict[str, Any]:
    """A measurement.

    Args:
        made: arguments of `measure`.
        about: fields of the seat to set otherwise.
    """

    async def go() -> dict[str, Any]:
        async with Town() as town:
            await world.furnish(town, office)
            seat = Seat(
                **{
                    "asn": 137,
                    "country": "IR",
                    "network": "Consortium GARR",
                    "addresses": (PROBE,),
                    "resolver": ISP,
                    "udp_resolvers": (PUBLIC,),
                    "doh_resolvers": (("dns.example", SECURE),),
                    "controls": (Control(name="control.example", address=CONTROL),),
                    "ca": office.ca_file,
                    "reach": town,
                    "patience": Patience(late_s=0.05),
                    **about,
                }
            )
            asked = {"uid": "lab-here-1", "report_id": "lab-here", "at": AT, **(made or {})}
            return await measure(url, seat, **asked)

    return asyncio.run(go())


def denied(*names: str) -> Replies:
    return zone({name: found for name, found in NAMES.items() if name not in names})
