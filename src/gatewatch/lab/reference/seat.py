"""Who measures, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatewatch.lab.attach import Attach
from gatewatch.lab.reference.names import LATE_S
from gatewatch.lab.reference.record import AsnOf, number_nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A vantage point: its network, its resolvers, its control, and how it gets its sockets."""

    asn: int
    country: str
    network: str
    addresses: tuple[str, ...]
    "Its own, at most one of each IP version."
    resolver: str | None
    "Address of the system's resolver."
    udp_resolvers: tuple[str, ...] = ()
    "Public resolvers asked in clear; the first is."
    doh_resolvers: tuple[tuple[str, str], ...] = ()
    "Server name and address; the first is asked."
    control: tuple[str, str] | None = None
    "Server name and address of the control server."
    ca: Path
    "PEM file of the authorities it trusts."
    attach: Attach
    clock_skew_days: float = 0.0
    "How far its clock is ahead."
    software: str = "gatewatch-lab"
    quic: bool = False
    "QUIC is tried also where no page and no control says that it is offered."
    late_s: float = LATE_S
    "How long to listen for more answers after the first."
    asn_of: AsnOf = number_nowhere
    "Network of an address, where the vantage point knows; the reader looks up the rest."
