"""How far an attempt to reach an endpoint came, in words that probe and control have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from gatewatch.probe.certificates import CERTIFICATE_FAILURES
from gatewatch.probe.steps import Exchange, Handshake
from gatewatch.refdata.endpoints import Endpoint, Protocol


class Depth(IntEnum):
    """The last thing that went well."""

    NOTHING = 0
    NAME = 1
    "It has an address."
    CONNECTED = 2
    CERTIFICATE = 3
    "A certificate came, and proves nothing."
    SECURE = 4
    ANSWERED = 5


WANTED: dict[Protocol, Depth] = {
    "dns": Depth.NAME,
    "tcp": Depth.CONNECTED,
    "tls": Depth.SECURE,
    "http": Depth.ANSWERED,
    "http_post": Depth.ANSWERED,
    "https": Depth.ANSWERED,
}
"How far an attempt at an endpoint is to come, by its protocol."


@dataclass(slots=True, kw_only=True)
class Reached:
    """One attempt at one endpoint; times in seconds since the measurement began."""

    endpoint: Endpoint
    depth: Depth = Depth.NOTHING
    failure: str | None = None
    operation: str | None = None
    "OONI's `failed_operation`: resolve, connect, tls_handshake or http_round_trip."
    addresses: tuple[str, ...] = ()
    "What the name gave; the address itself where that is the endpoint."
    tried: dict[str, str | None] = field(default_factory=dict)
    "Endpoint, as `192.0.2.1:443` → failure of the connection."
    address: str | None = None
    "Over which it came furthest."
    exchange: Exchange | None = None
    "The first answer; None when none began."
    chain: tuple[bytes, ...] = ()

    def fail(self, operation: str, failure: str) -> Reached:
        self.operation, self.failure = operation, failure
        return self

    @property
    def well(self) -> bool:
        return self.failure is None


def handshake_depth(found: Handshake) -> Depth:
    """How far a handshake came."""
    if found.failure is None:
        return Depth.SECURE
    refused = found.chain and found.failure in CERTIFICATE_FAILURES
    return Depth.CERTIFICATE if refused else Depth.CONNECTED
