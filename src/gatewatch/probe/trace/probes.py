"""What a probe is: a connection, or UDP exchange, with its first request, and what came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal, NamedTuple

from gatewatch.wire.packet import ACK, RST, TCP, Packet
from gatewatch.wire.pcap import Frame

Protocol = Literal["tls", "http", "dns", "quic", "syn", "other"]
"`syn`: a SYN was all that was sent."

SEQUENCE = 1 << 32
"As many sequence numbers as TCP has."


class Told(NamedTuple):
    """An ICMP error about a probe's request."""

    frame: Frame
    address: str
    "Of the machine that tells."
    expired: bool
    "Its TTL ran out; otherwise the machine says that it cannot or may not be delivered."


class Key(NamedTuple):
    """The ends of a flow, as its client sees them."""

    client: bytes
    server: bytes
    protocol: int
    client_port: int
    server_port: int


@dataclass(slots=True)
class Probe:
    """One connection, or one UDP exchange, and its first request."""

    key: Key
    syns: list[Frame] = field(default_factory=list)
    synack: Frame | None = None
    request: list[Frame] = field(default_factory=list)
    "Segments and copies, all of the TTL of the first."
    protocol: Protocol = "other"
    name: str | None = None
    "Server name, Host or question; None when the request names nothing."
    begins: int = 0
    ends: int = 0
    "Sequence numbers of the request, the first and the one after the last."
    told: list[Told] = field(default_factory=list)
    heard: list[Frame] = field(default_factory=list)
    "From the server's address, in answer to the request."
    closed: Frame | None = None
    "What the client sent to end it, or the first thing it sent with another TTL."
    late: list[Frame] = field(default_factory=list)
    "From the server's address after that."
    refused: Frame | None = None
    "A RST in answer to the SYN."

    @property
    def syn(self) -> Frame | None:
        return self.syns[0] if self.syns else None

    @property
    def ttl(self) -> int:
        return self.request[0].packet.ttl

    @property
    def server(self) -> str:
        return str(ip_address(self.key.server))

    @property
    def copies(self) -> int:
        """How often the request's first byte was sent."""
        if self.key.protocol != TCP:
            return len(self.request)
        return sum(frame.packet.seq == self.begins for frame in self.request)

    @property
    def expired(self) -> list[Told]:
        return [told for told in self.told if told.expired]

    @property
    def unreachable(self) -> list[Told]:
        return [told for told in self.told if not told.expired]

    @property
    def taken(self) -> bool:
        """The server says that it has the request."""
        if self.key.protocol != TCP:
            return bool(self.heard)
        return any(self.acknowledged_by(frame) for frame in (*self.heard, *self.late))

    def acknowledged_by(self, frame: Frame) -> bool:
        """A TCP segment that says that the whole request has come."""
        packet = frame.packet
        acknowledges = packet.flags & ACK and not packet.flags & RST
        return bool(acknowledges) and not before(packet.ack, self.ends)


class Collected(NamedTuple):
    """What a capture holds for us."""

    probes: list[Probe]
    "With a request; in the order in which they began."
    failed: list[Probe]
    "Connections that were begun and got no request."
    frames: int
    whole: bool
    "False: there were more frames than are read."


def before(one: int, other: int) -> bool:
    """Whether a sequence number comes before another one (RFC 9293, section 3.4).

    >>> before(4_294_967_295, 3), before(3, 3)
    (True, False)
    """
    return (one - other) % SEQUENCE > SEQUENCE // 2


def length(packet: Packet) -> int:
    return packet.end - packet.payload_at
