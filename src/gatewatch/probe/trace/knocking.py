"""SYNs with limited TTLs: at which hop an address stops being reached.

There is no innocent name to compare with, as nothing is said; what is known is whether others get
a connection to that address. The last hop that still tells of expired SYNs is the last that they
came past.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gatewatch.probe.trace import words
from gatewatch.probe.trace.case import Reading
from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.path import Path, path_of
from gatewatch.probe.trace.probes import Probe
from gatewatch.probe.trace.reading import Examined
from gatewatch.probe.trace.replies import replies
from gatewatch.wire.packet import ACK, RST, SYN
from gatewatch.wire.pcap import Frame

SILENT_LEAST = 4
"Distances without a sign behind the last one that spoke. Our choice: silent routers are few."
BEYOND_LEAST = 2
"Machines that SYNs get to and the other protocol does not. Our choice: one may just be silent."
PARTED_LEAST = 2
"Hops that must differ where the ends are equally far. Our choice: one may be a balanced pair."


def read_knocks(frames: Iterable[Frame], *, reached: bool) -> Examined:
    """Read a volley of SYNs to one address.

    Args:
        reached: others get a connection there, so that silence and refusal are not the server's.
    """
    probes = [p for p in collect(frames, knocks=True).probes if p.protocol == "syn"]
    path = path_of(probes)
    hops = {ttl: address for ttl in path.hops if (address := path.address(ttl))}
    server = probes[0].server if probes else None
    reading = (
        _reset(server, probes)
        or _unreachable(server, probes)
        or _open(server, probes)
        or (_silent(server, probes, path.furthest) if reached else None)
    )
    if reading is None:
        why = "no SYN was answered, and whether others are answered there is not known"
        if not probes:
            why = "no SYN in the capture"
        reading = Reading(server=server, name=None, verdict="unusable", evidence=(why,))
    return Examined(reading, hops, path.distance)


def _reset(server: str | None, probes: list[Probe]) -> Reading | None:
    """Somebody on the way answers with RST: the SYN expires further out all the same, or the
    server's SYN/ACK comes as well, or, where it is taken off the way, neither."""
    ended = [(p, f) for p in probes for f in p.heard if f.packet.flags & RST]
    if not ended:
        return None
    first = min(p.ttl for p, _ in ended)
    both = [(p, t) for p, _ in ended for t in p.expired]
    accepted = [
        (p, f) for p, _ in ended for f in p.heard if f.packet.flags & (SYN | ACK) == SYN | ACK
    ]
    beside = bool(both or accepted)
    told = words.frames(f for _, f in ended)
    evidence = [
        f"SYNs with TTL {words.runs(p.ttl for p, _ in ended)} are answered with RST ({told})"
    ]
    if both:
        evidence.append(words.expired_too(both))
    if accepted:
        evidence.append(words.server_too(accepted))
    return Reading(
        server=server,
        name=None,
        verdict="blocked",
        # alone, what keeps the server's word away may call itself a refusal as well
        mechanism="tcp.reset" if beside else "tcp",
        placement="on_path" if beside else "in_path",
        hop=next((t.address for p, t in both if p.ttl == first), None),
        hop_ttl=first,
        evidence=tuple(evidence),
    )


def _unreachable(server: str | None, probes: list[Probe]) -> Reading | None:
    told = [(p, t) for p in probes for t in p.unreachable]
    if not told:
        return None
    probe, first = min(told, key=lambda pair: pair[0].ttl)
    return Reading(
        server=server,
        name=None,
        verdict="blocked",
        mechanism="ip.unreachable",
        placement="endpoint" if first.address == server else "in_path",
        hop=first.address,
        hop_ttl=probe.ttl,
        evidence=(words.told_unreachable(told),),
    )


def _open(server: str | None, probes: list[Probe]) -> Reading | None:
    accepted = [p for p in probes if any(r.kind == "accepted" for r in replies(p))]
    if not accepted:
        return None
    frames = words.frames(f for p in accepted for f in p.heard)
    why = f"SYNs with TTL {words.runs(p.ttl for p in accepted)} are accepted ({frames})"
    return Reading(server=server, name=None, verdict="none", evidence=(why,))


def _silent(server: str | None, probes: list[Probe], last: int) -> Reading | None:
    silent = [p for p in probes if p.ttl > last]
    if len(silent) < SILENT_LEAST:
        return None
    evidence = (
        f"SYNs with TTL {words.runs(p.ttl for p in silent)} draw no sign of life "
        f"({words.frames(p.request[0] for p in silent)}); the last hop that tells of one is at "
        f"TTL {last}",
        "others get a connection there",
    )
    return Reading(
        server=server,
        name=None,
        verdict="blocked",
        mechanism="tcp.timeout",
        placement="in_path",
        hop_ttl=last + 1,
        evidence=evidence,
    )


def read_stopped(
    stopped: Sequence[Probe], knocks: Sequence[Probe], what: str | None = None
) -> Examined | None:
    """Where one protocol ends on a way on which SYNs to the same address go on.

    Args:
        stopped: of the protocol, whatever the name; it is known that it is not let through.
        what: they are, in words.

    Returns:
        None where it is answered, where SYNs go no farther, or where one hop alone tells of SYNs
        only: some routers are slow to tell.
    """
    if not stopped or any(probe.heard or probe.unreachable for probe in stopped):
        return None
    mine, other = path_of(stopped), path_of(knocks, trusted=True)
    last = mine.furthest
    beyond = sorted(
        {p.ttl for p in knocks if p.ttl > last and (p.expired or p.synack)}
        & {p.ttl for p in stopped if p.ttl > last}
    )
    places = {other.address(ttl) or stopped[0].server for ttl in beyond}
    if other.distance is None or len(places) < BEYOND_LEAST:
        return None
    quiet = [p for p in stopped if p.ttl > last]
    hops = {t: a for path in (mine, other) for t in path.hops if (a := path.address(t))}
    what = what or f"{stopped[0].protocol.upper()}, whatever the name,"
    evidence = (
        f"{what} with TTL {words.runs(p.ttl for p in quiet)} draws no sign of life, {len(quiet)} "
        f"times; the last hop that tells of it is at TTL {last}",
        f"SYNs to the same address go on: those with TTL {words.runs(beyond)} are told of, or "
        f"accepted by the server at {other.distance} hops",
    )
    reading = Reading(
        server=stopped[0].server,
        name=None,
        verdict="blocked",
        placement="in_path",
        hop=hops.get(last + 1),
        hop_ttl=last + 1,
        evidence=evidence,
    )
    return Examined(reading, hops, other.distance)


def parted(mine: Path, other: Path) -> tuple[int, str] | None:
    """Where two ways to one address part that should be one, and why we think so.

    What diverts a service to a machine of its own leaves the rest of the address alone. From there
    on the hops are others, and the end is at another distance. Balanced ways part as well, but
    come together again before the end: they are no sign.

    Returns:
        The first TTL at which they differ; None where they do not, or meet again.
    """
    ends = mine.distance, other.distance
    if ends[0] is None or ends[1] is None:
        return None
    near = min(ends[0], ends[1])
    known = {t: (mine.address(t), other.address(t)) for t in range(1, near)}
    told = {t: pair for t, pair in known.items() if all(pair)}
    differing = [t for t, (one, two) in told.items() if one != two]
    if ends[0] == ends[1] and len(differing) < PARTED_LEAST:
        return None
    first = min(differing, default=near)
    if any(one == two for t, (one, two) in told.items() if t > first):
        return None
    same = max((t for t, (one, two) in told.items() if one == two), default=0)
    why = (
        f"the ways part behind hop {same}: the service ends at {ends[0]} hops, another one of the "
        f"same address at {ends[1]}"
    )
    return same + 1, why
