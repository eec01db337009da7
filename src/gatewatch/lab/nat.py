"""A NAT in front of a vantage point that forgets: long-lived flows come back from another port."""

from __future__ import annotations

from gatewatch.wire.packet import Packet, readdressed
from gatewatch.wire.quote import quoted, requoted

FIRST_PORT = 50_000
TRANSLATED = (6, 17)


class Nat:
    """Source ports of TCP and UDP flows, each kept for a while and then replaced.

    Args:
        rebind_every_s: age at which a flow gets another port, seconds.
    """

    def __init__(self, rebind_every_s: float) -> None:
        self._rebind_every_s = rebind_every_s
        self._outside: dict[tuple[int, int, bytes, int], tuple[int, float]] = {}
        "Protocol, inner port, server and its port → outer port and when it was given."
        self._inside: dict[tuple[int, int], int] = {}
        "Protocol and outer port → inner port."
        self._next = FIRST_PORT

    def outward(self, packet: Packet, now: float) -> bytes:
        """The packet as the world sees it."""
        if packet.protocol not in TRANSLATED:
            return self._error_outward(packet)
        key = (packet.protocol, packet.sport, packet.dst, packet.dport)
        port, given = self._outside.get(key, (0, 0.0))
        if not port or now - given > self._rebind_every_s:
            port, self._next = self._next, self._next + 1 if self._next < 65_535 else FIRST_PORT
            self._outside[key] = (port, now)
            self._inside[packet.protocol, port] = packet.sport
        return readdressed(packet.data, sport=port)

    def inward(self, packet: Packet) -> bytes | None:
        """The packet as the machine sees it; None: the NAT knows of no such flow."""
        if packet.protocol not in TRANSLATED:
            return self._error_inward(packet)
        port = self._inside.get((packet.protocol, packet.dport))
        return None if port is None else readdressed(packet.data, dport=port)

    def _error_outward(self, packet: Packet) -> bytes:
        """An ICMP error of the machine, about what came to its outer port."""
        about = quoted(packet)
        if about is None:
            return packet.data
        key = (about.protocol, about.dport, about.src, about.sport)
        port, _ = self._outside.get(key, (0, 0.0))
        return requoted(packet, dport=port) if port else packet.data

    def _error_inward(self, packet: Packet) -> bytes | None:
        """An ICMP error about what the machine sent, as from its inner port."""
        about = quoted(packet)
        if about is None or about.protocol not in TRANSLATED:
            return packet.data
        port = self._inside.get((about.protocol, about.sport))
        return None if port is None else requoted(packet, sport=port)
