"""Whether the ways to addresses that have nothing to do with each other all end at one hop.

Where they do, it is no quarrel with any of them. What that means is not read here: a cable that is
cut and a country that is switched off end all ways alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from gatewatch.probe.trace.path import path_of
from gatewatch.probe.trace.probes import Probe
from gatewatch.wire.address import is_bogon

WAYS_LEAST = 3
"Ways that must end at the same hop. Our choice: two sites may have failed at the same time."
SILENT_LEAST = 4
"Distances without a sign behind it, on each way. Our choice, as in `knocking`."


class End(NamedTuple):
    """How far SYNs to one address are heard of."""

    ttl: int
    "Of the last hop that tells; 0 where none does."
    address: str | None
    told: bool
    "It says that the address cannot be reached; otherwise only that the SYN expired there."


class Ending(NamedTuple):
    """Where all ways end."""

    ttl: int
    "Of the last hop that tells of any SYN."
    address: str | None
    "None where the ways do not agree on it."
    ways: int
    "How many of them were heard of as far as that; of the others less was heard."
    told: int
    "On how many of them it says that the address cannot be reached."
    ours: bool
    "No hop that told has a public address: they may all be on our side of the line."


def end_of(knocks: Sequence[Probe]) -> End | None:
    """Where SYNs to one address end; None where the address itself had something to say."""
    server = knocks[0].server if knocks else None
    refused = [(p.ttl, told.address) for p in knocks for told in p.unreachable]
    if any(p.heard for p in knocks) or any(address == server for _, address in refused):
        return None
    path = path_of(knocks)
    if refused and min(refused)[0] >= path.furthest:
        ttl, address = min(refused)
        # a router whose own distance is known says it there, and beyond
        known = (t for t in path.hops if path.address(t) == address)
        return End(min(known, default=ttl), address, True)
    return End(path.furthest, path.address(path.furthest), False)


def common_end(ways: Sequence[Sequence[Probe]]) -> Ending | None:
    """Where all of these ways end; None where one goes on, or they end here and there.

    Args:
        ways: SYNs with limited TTLs, those of one address each; the addresses are of networks
            that have nothing to do with each other.
    """
    known = [end for knocks in ways if knocks and (end := end_of(knocks)) is not None]
    if not known or len(known) < len(ways):
        return None
    last = max(end.ttl for end in known)
    there = [end for end in known if end.ttl == last]
    # a router that is asked much at once leaves some SYNs unmentioned: hence "most", not "all"
    if len(there) < WAYS_LEAST or 2 * len(there) <= len(known):
        return None
    told = sum(end.told for end in there)
    silent = min(sum(p.ttl > last for p in knocks) for knocks in ways)
    if silent < SILENT_LEAST and told < len(there):
        return None
    (address, agreed), *_ = Counter(end.address for end in there).most_common(1)
    hops = {one.address for knocks in ways for probe in knocks for one in probe.told}
    return Ending(
        last,
        address if agreed == len(there) else None,
        len(there),
        told,
        all(is_bogon(hop) for hop in hops),
    )
