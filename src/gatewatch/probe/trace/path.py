"""What probes show of the way to a server: the hops that spoke, how far the server is, and the
marks that its own packets bear."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from gatewatch.probe.trace.probes import Probe
from gatewatch.probe.trace.replies import Kind, Reply, replies
from gatewatch.wire.packet import TCP
from gatewatch.wire.pcap import Frame

WORDS_OF_A_SERVER: frozenset[Kind] = frozenset(
    {"page", "hello", "alert", "dns", "datagram", "unread", "accepted"}
)
"What servers say to a request; what ends a connection without a word is not among it."

INITIAL = (32, 64, 128, 255)
"TTLs with which systems send: 64 Linux and BSD, 128 Windows, 255 routers, 32 some old stacks."


@dataclass(slots=True)
class Path:
    """The way to a server, as probes with one name saw it."""

    hops: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    "TTL of the request → addresses that said it expired there, and how often."
    distance: int | None = None
    "The smallest TTL to which the server itself answered."
    furthest: int = 0
    "The largest TTL at which a request expired."
    short: int = 0
    """The largest TTL below the distance that is seen not to do: a request expired, or two, with
    this one or a larger one, never came to the server, that was there to answer the closing."""
    spoke: set[int] = field(default_factory=set)
    "TTLs to whose probes anything came back: ICMP, an answer, or an answer to the closing."
    ttls: Counter[int] = field(default_factory=Counter)
    "TTLs of the packets that are the server's own: SYN/ACKs, and all that came with one of those."
    answers: list[tuple[Probe, Reply]] = field(default_factory=list)
    "The server's own answers."
    ended: int = 0
    "Probes that were reset or closed upon, and got no other answer."
    probes: list[Probe] = field(default_factory=list)

    def address(self, ttl: int) -> str | None:
        """Who is at a distance; the one seen most often, where ways differ."""
        found = self.hops.get(ttl)
        return found.most_common(1)[0][0] if found else None


def path_of(probes: Iterable[Probe], *, trusted: bool = False) -> Path:
    """The way that probes show on their own.

    Args:
        trusted: nobody interferes with this name, as far as is known: whatever speaks in the
            server's name is the server, whichever of its machines sent it. A probe whose request
            expired on the way was answered by somebody else even so.
    """
    path = Path()
    path.probes = list(probes)
    for probe in path.probes:
        for told in probe.expired:
            path.hops[probe.ttl][told.address] += 1
            path.furthest = max(path.furthest, probe.ttl)
        if probe.synack is not None:
            path.ttls[probe.synack.packet.ttl] += 1
        if probe.told or probe.heard or probe.late:
            path.spoke.add(probe.ttl)
    for probe in path.probes:
        given = replies(probe)
        path.ended += bool(given) and all(r.kind in ("reset", "closed") for r in given)
        for reply in given:
            if reply.kind not in WORDS_OF_A_SERVER or probe.expired:
                continue
            if not trusted and not is_own(path.ttls, probe, reply.frames):
                continue
            path.answers.append((probe, reply))
            if path.distance is None or probe.ttl < path.distance:
                path.distance = probe.ttl
    path.short = _short(path)
    if trusted:
        for probe in path.probes:
            own = probe.late if probe.expired else (*probe.heard, *probe.late)
            path.ttls.update(frame.packet.ttl for frame in own)
    return path


def _short(path: Path) -> int:
    within = [p for p in path.probes if path.distance is None or p.ttl < path.distance]
    expired = [p.ttl for p in within if p.expired]
    missed = sorted(p.ttl for p in within if p.late and not p.heard and not p.taken)
    return max([0, *expired, *missed[-2:-1]])


def is_own(ttls: Iterable[int], probe: Probe, frames: Iterable[Frame]) -> bool:
    """Whether packets came the way that the server's SYN/ACKs come.

    A server's packets take as many hops as its SYN/ACK took, give or take the one or two by which
    balanced ways differ; a SYN/ACK of any flow to it is a measure for all. Where none was seen,
    as over UDP, nothing tells them apart.
    """
    known = set(ttls)
    if probe.key.protocol != TCP or not known:
        return True
    return all(min(abs(frame.packet.ttl - ttl) for ttl in known) <= TTL_SLACK for frame in frames)


def hops_back(ttl: int) -> int:
    """How far a packet has come, by the initial TTL that its system most likely uses.

    >>> hops_back(45), hops_back(112), hops_back(240)
    (19, 16, 15)
    """
    return next(initial for initial in INITIAL if initial >= ttl) - ttl


TTL_SLACK = 1
"""By how many hops a packet's way may differ from every SYN/ACK's of the same server, and still be
the server's. Our choice: balanced ways of equal cost mostly differ by none, and what differs by
more shows in the SYN/ACKs of a few connections, too."""
