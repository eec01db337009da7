"""What a run does and who can see it, said before it begins."""

from __future__ import annotations

from collections.abc import Sequence

from gatewatch.probe.runner import Job
from gatewatch.probe.seat import Seat
from gatewatch.probe.whereabouts import asked

SHOWN = 8
"Names listed before the rest is counted."


def consent_text(
    jobs: Sequence[Job],
    seat: Seat,
    contacts: Sequence[str],
    *,
    deep: bool,
    investigate: bool = True,
) -> str:
    """Whom a run contacts, what each of them and the network can see, and what is kept.

    Args:
        contacts: whom the tests contact besides the inputs.
        investigate: what seems to be blocked is experimented on.
    """
    hosts = list(dict.fromkeys(job.host for job in jobs if job.input))
    others = [name for name in dict.fromkeys(contacts) if name not in hosts]
    many = "1 measurement" if len(jobs) == 1 else f"{len(jobs)} measurements"
    lines = [f"{many} from this machine, over the network it is in now.", ""]
    lines.append("It will contact, from your own address:")
    lines += [f"  {words}" for words in _contacted(hosts, others, seat)]
    lines += ["", "Who can see it:"]
    lines.append(
        "  your network, and whoever watches it: every name asked for and visited, as with"
    )
    lines.append("  a browser; that it is a measurement can be told from the pattern.")
    if hosts or others:
        lines.append("  the sites themselves: a visit from your address.")
    lines.append("  the resolvers: your address, and the names asked for.")
    if seat.controls:
        lines.append("  the control vantages: your address, and what you test.")
    if seat.anchors:
        lines.append("  the anchors: names that may be blocked, from your address.")
    if investigate:
        often = "some hundreds of times" if deep else "some dozens of times"
        lines.append(f"  What seems to be blocked is tried again, in parts, {often}.")
    lines += [
        "",
        "In some places, visiting what is blocked, or measuring it, is dangerous or forbidden.",
        "Results stay on this machine, with your addresses taken out, until you submit them.",
    ]
    return "\n".join(lines)


def _contacted(hosts: Sequence[str], others: Sequence[str], seat: Seat) -> list[str]:
    found = []
    if hosts:
        found.append(f"the sites: {_some(hosts)}")
    if others:
        found.append(f"for the tests: {_some(others)}")
    resolvers = [*([seat.resolver] if seat.resolver else []), *seat.udp_resolvers]
    names = [name for name, _ in seat.doh_resolvers]
    if resolvers or names:
        found.append(f"resolvers: {', '.join([*resolvers, *names])}")
    if asked(seat):
        found.append(f"OpenDNS, for the address you are seen under: {', '.join(asked(seat))}")
    if seat.controls:
        found.append(f"control vantages: {', '.join(control.url for control in seat.controls)}")
    if seat.anchors:
        anchors = list(dict.fromkeys(anchor.address for anchor in seat.anchors))
        found.append(f"anchors: {_some(anchors)}")
    return found


def _some(names: Sequence[str]) -> str:
    """
    >>> _some(["a", "b"]), _some([str(n) for n in range(10)])
    ('a, b', '0, 1, 2, 3, 4, 5, 6, 7 and 2 more')
    """
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
