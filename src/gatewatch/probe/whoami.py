"""Who resolves: a name that is answered with the address under which its servers are asked.

OONI's probes learn so which network their resolver is in, and whether it is there at all. One
that nobody hears from is written as `NOBODY` in `AS0`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from gatewatch.probe.dns import DNS_PORT
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.steps import Vantage, lookup
from gatewatch.probe.visits import Visits
from gatewatch.wire.address import endpoint

WHOAMI = "whoami.v4.powerdns.org"
NOBODY = "127.0.0.2"


class Whoami(NamedTuple):
    """Under which address each resolver is seen; None for one that did not answer."""

    system: str | None
    udp: dict[str, str | None]
    "By resolver, as OONI writes it: `8.8.8.8:53`."

    def entry(self) -> Json:
        """As in `x_dns_whoami`."""
        answered = {resolver: _seen(address) for resolver, address in self.udp.items() if address}
        return {"system_v4": _seen(self.system), "udp_v4": answered}


def _seen(address: str | None) -> list[Json] | None:
    return None if address is None else [{"address": address}]


async def ask_whoami(
    vantage: Vantage, seat: Seat, public: Iterable[str] = (), visits: Visits | None = None
) -> Whoami:
    """Ask the system's resolver, and public ones in clear, all at once.

    Args:
        public: addresses of the others.
        visits: knows what was answered a moment ago; silence is asked again.
    """

    async def ask(resolver: str | None) -> str | None:
        if resolver is None:
            return None
        known = visits.who_is(resolver) if visits else None
        if known is not None:
            return known
        found = await lookup(vantage, resolver, WHOAMI, "A", late_s=0.0)
        address = next(iter(found.addresses), None)
        if visits is not None and address is not None:
            visits.remember(resolver, address)
        return address

    others = {endpoint(resolver, DNS_PORT): resolver for resolver in public}
    system, *udp = await asyncio.gather(ask(seat.resolver), *map(ask, others.values()))
    return Whoami(system, dict(zip(others, udp, strict=True)))
