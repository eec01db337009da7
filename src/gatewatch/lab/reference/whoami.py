"""Who resolves: a name that is answered with the address under which its servers are asked.

OONI's probes learn so which network their resolver is in, and whether it is there at all. One
that nobody hears from is written as `NOBODY` in `AS0`.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from gatewatch.lab.reference.names import DNS_PORT
from gatewatch.lab.reference.seat import Seat
from gatewatch.lab.reference.steps import Vantage, lookup
from gatewatch.lab.zone import WHOAMI
from gatewatch.simulate.network import endpoint
from gatewatch.simulate.ooni import Json

NOBODY = "127.0.0.2"


class Whoami(NamedTuple):
    """Resolvers by the addresses that are seen of them; None for one that did not answer."""

    system: str | None = None
    udp: tuple[tuple[str, str | None], ...] = ()
    "Resolver as OONI writes it, and what is seen of it."

    def entry(self) -> Json:
        """As in `x_dns_whoami`."""
        udp = {resolver: _seen(address) for resolver, address in self.udp if address}
        return {"system_v4": _seen(self.system), "udp_v4": udp}


def _seen(address: str | None) -> list[Json] | None:
    return None if address is None else [{"address": address}]


async def ask_whoami(vantage: Vantage, seat: Seat) -> Whoami:
    """Ask the system's resolver, and the public one that the measurement asks, both at once."""

    async def ask(resolver: str) -> str | None:
        found = await lookup(vantage, resolver, WHOAMI, "A", late_s=0.0)
        return next(iter(found.addresses), None)

    system = [] if seat.resolver is None else [seat.resolver]
    public = seat.udp_resolvers[:1]
    seen = await asyncio.gather(*(ask(resolver) for resolver in (*system, *public)))
    told = zip((endpoint(resolver, DNS_PORT) for resolver in public), seen[len(system) :])
    return Whoami(seen[0] if system else None, tuple(told))
