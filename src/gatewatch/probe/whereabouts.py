"""Where the machine is: the address under which others see it, and so its network and country.

The address is asked for to keep it out of what is recorded, and to look up the network; it stays
in memory. Nothing is asked where an interface has a public address of its own.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from gatewatch.probe.dns import lookup
from gatewatch.probe.net import Vantage
from gatewatch.probe.seat import Seat
from gatewatch.wire.address import is_bogon

MY_ADDRESS = "myip.opendns.com"
"""OpenDNS's resolvers answer this name with the address of whoever asks.
Source: https://support.opendns.com (what is my IP by DNS)."""
OPENDNS = ("208.67.222.222", "208.67.220.220")
ASKED_S = 2.0


class Network(NamedTuple):
    asn: int | None
    country: str | None
    name: str | None


def asked(seat: Seat) -> tuple[str, ...]:
    """Addresses of those whom `public_address` asks; none where an interface tells it."""
    return OPENDNS if _own(seat) is None else ()


def _own(seat: Seat) -> str | None:
    return next((address for address in seat.secrets if not is_bogon(address)), None)


async def public_address(vantage: Vantage, seat: Seat) -> str | None:
    """The address under which others see this machine; None where nobody tells."""
    own = _own(seat)
    if own is not None:
        return own
    for resolver in asked(seat):
        found = await lookup(
            vantage, resolver, MY_ADDRESS, "A", total_s=ASKED_S, tries=2, try_s=1.0, late_s=0.0
        )
        told = [address for address in found.addresses if not is_bogon(address)]
        if told:
            return told[0]
    return None


def settled(seat: Seat, network_of: Callable[[str], Network]) -> tuple[Seat, str | None]:
    """The seat in its network, and the public address that told it, if anything did."""

    async def go() -> str | None:
        return await public_address(Vantage.of(seat.reach, seat.addresses), seat)

    address = asyncio.run(go())
    return placed(seat, address, network_of), address


def placed(seat: Seat, address: str | None, network_of: Callable[[str], Network]) -> Seat:
    """The seat with its public address kept secret, and in the network that this tells.

    What the seat says already is left as it is.
    """
    if address is None:
        return seat
    network = network_of(address)
    known = seat.asn, seat.country != "ZZ"
    return dataclasses.replace(
        seat,
        asn=seat.asn or network.asn or 0,
        country=seat.country if known[1] else network.country or "ZZ",
        network=seat.network or (network.name or "" if not known[0] else ""),
        secrets=tuple(dict.fromkeys((*seat.secrets, address))),
    )
