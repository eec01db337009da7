"""Who measures, from where, with whose help, and with how much patience."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gatewatch.probe.dns import System
from gatewatch.probe.journal import AsnOf, number_nowhere
from gatewatch.probe.net import Reach
from gatewatch.probe.scrub import Scrubber, scrubber_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each step may take, seconds; the defaults are OONI's."""

    dns_s: float = 4.0
    connect_s: float = 10.0
    tls_s: float = 10.0
    quic_s: float = 10.0
    http_s: float = 10.0
    control_s: float = 30.0
    late_s: float = 0.5
    "How long to listen for more answers after the first."
    experiment_s: float = 900.0
    "All experiments on one input together; the deep ones wait for residual blocking to end."


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A control vantage: a server that measures the same URL from where nobody filters."""

    name: str
    "Its server name."
    address: str | None = None
    "None: the name is looked up."
    port: int = 443
    scheme: Literal["https", "http"] = "https"
    front: str | None = None
    "Domain fronting: the server name to show in its place, and the host to connect to."
    path: str = "/"

    @property
    def url(self) -> str:
        default = {"https": 443, "http": 80}[self.scheme]
        port = "" if self.port == default else f":{self.port}"
        return f"{self.scheme}://{self.name}{port}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """An address of ours that answers to any server name, Host and path, and runs no resolver.

    Experiments send it names that may be filtered: what happens to them here, where no site of
    that name is, happens because of the name. `/bytes?n=N` answers with N bytes of noise.
    """

    name: str
    "Its own name, with which nobody has a quarrel."
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A vantage point: its network, its resolvers, its control, and how it gets its sockets."""

    asn: int
    country: str
    network: str
    addresses: tuple[str, ...]
    "Its own, at most one of each IP version; empty leaves the choice to the system."
    resolver: str | None
    "Address of the system's resolver."
    system: System | None = None
    """How names are looked up as ordinary programs do, where the machine is a real one; None asks
    `resolver` for both address types."""
    udp_resolvers: tuple[str, ...] = ()
    "Public resolvers asked in clear; the first is."
    doh_resolvers: tuple[tuple[str, str], ...] = ()
    "Server name and address; the first is asked."
    controls: tuple[Control, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    ca: Path
    "PEM file of the authorities it trusts."
    reach: Reach
    clock_skew_days: float = 0.0
    "How far its clock is ahead."
    software: str = "gatewatch"
    version: str = ""
    annotations: dict[str, str] = field(default_factory=dict)
    patience: Patience = Patience()
    quic: bool = False
    "QUIC is tried also where no page and no control says that it is offered."
    secrets: tuple[str, ...] = ()
    "What must never be recorded: every address under which the user could be found."
    asn_of: AsnOf = number_nowhere
    "Network of an address, where the vantage point knows; the reader looks up the rest."

    @property
    def scrubber(self) -> Scrubber:
        """Takes the user's addresses out of whatever is to be recorded."""
        return scrubber_of((*self.secrets, *self.addresses))
