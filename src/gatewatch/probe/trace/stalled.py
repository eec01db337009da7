"""Connections that have stalled: how far do their packets still come?

What was said on them is said again with limited TTLs, and where routers still tell of it they are
let through. The measure are the same packets on connections to the same port that have not
stalled, at the same moment; SYNs before them tell how far the server is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gatewatch.probe.trace import words
from gatewatch.probe.trace.flows import tell
from gatewatch.probe.trace.knocking import BEYOND_LEAST, read_stopped
from gatewatch.probe.trace.probes import SEQUENCE, Key, Probe, length
from gatewatch.wire.packet import ACK, FIN, RST, SYN, TCP, Packet
from gatewatch.wire.pcap import Frame

AGREE_LEAST = 2
"Connections that must come equally far. Our choice: a stall of one is an accident."
GAP_MOST = 2
"""Hops from the last that still tells to the first that tells of others alone: with more than one
silent between them, which of those it is cannot be said. Our choice."""
WHAT = "What stalled connections say again"


def repeated(frames: Sequence[Frame], ports: Iterable[int]) -> list[list[Probe]]:
    """What `net.say_again` sent on each of some connections, every copy a probe.

    What comes on a connection after that is heard by the probe that goes the farthest: nothing
    tells which one it answers. Nor do errors tell copies apart; the first is told of all.
    """
    found: list[list[Probe]] = []
    for port in dict.fromkeys(ports):
        mine = [f for f in frames if f.packet.protocol == TCP and _is_of(f.packet, port)]
        syns = [f.packet for f in mine if f.packet.flags & (SYN | ACK) == SYN]
        probes = [_probe(f) for f in mine if syns and _is_again(f.packet, syns[-1], port)]
        if probes:
            first = probes[0].request[0].number
            farthest = max(probes, key=lambda one: one.ttl)
            farthest.heard = [f for f in mine if f.number > first and f.packet.sport != port]
        found.append(probes)
    tell([probe for probes in found for probe in probes], frames)
    return found


def _is_of(packet: Packet, port: int) -> bool:
    return port in (packet.sport, packet.dport)


def _is_again(packet: Packet, syn: Packet, port: int) -> bool:
    """Is it a byte sent again: the one whose place is its TTL?"""
    if packet.sport != port or length(packet) != 1 or packet.flags & (SYN | FIN | RST):
        return False
    return (packet.seq - syn.seq - 1) % SEQUENCE == packet.ttl


def _probe(frame: Frame) -> Probe:
    packet = frame.packet
    key = Key(packet.src, packet.dst, packet.protocol, packet.sport, packet.dport)
    return Probe(
        key, request=[frame], begins=packet.seq, ends=(packet.seq + 1) % SEQUENCE, protocol="other"
    )


class Cut(NamedTuple):
    """Where stalled connections are cut off."""

    last: int
    "TTL of the last hop that still tells of them."
    first: int
    "Of the first that tells of others alone; any between these two are silent."
    hops: dict[int, str]
    "TTL → who is there."
    evidence: tuple[str, ...]


def read_stalled(
    stalled: Sequence[Sequence[Probe]], going: Sequence[Sequence[Probe]], knocks: Sequence[Probe]
) -> Cut | None:
    """Where the packets of stalled connections end, and those of others go on.

    Args:
        stalled, going: what was said again, by connection.
        knocks: SYNs to the same port, of every distance to beyond the server.

    Returns:
        None where anything came on a stalled connection: it goes on, or the server alone has
        stopped; and where no two machines beyond tell of others alone.
    """
    every = [probe for probes in stalled for probe in probes]
    found = read_stopped(every, knocks, WHAT)
    if found is None or found.reading.hop_ttl is None:
        return None
    last = found.reading.hop_ttl - 1
    reach = Counter(max((p.ttl for p in one if p.expired), default=0) for one in stalled if one)
    # before the very first hop, our own machine may be what keeps them
    if not last or reach[last] < AGREE_LEAST:
        return None
    others = [probe for probes in going for probe in probes if probe.expired or probe.heard]
    beyond = {probe.ttl for probe in others if probe.ttl > last}
    if len(beyond) < BEYOND_LEAST or min(beyond) > last + GAP_MOST:
        return None
    first = min(beyond)
    why = (
        f"what is said again on connections to it that only began is told of with TTL "
        f"{words.runs(beyond)}, or answered"
    )
    hops = found.hops | {p.ttl: p.expired[0].address for p in others if p.expired}
    return Cut(last, first, hops, (*found.reading.evidence, why))
