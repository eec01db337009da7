"""Where to repeat a suspected attempt so that packets can be watched, and what to send there.

The best spot is an address of ours: nothing but the name can be the reason for what happens there,
and no server takes offence. Where there is none, or the name is nothing there, it is the address
itself. Where the name, or a word, is known to be the reason, a server of ours will do that was
told it before: whoever remembers that shows it with the innocent name already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from gatewatch.probe.experiments.mechanism import Bench, Suspicion
from gatewatch.probe.experiments.questions import innocent_name
from gatewatch.probe.finding import Finding
from gatewatch.probe.trace.limited import Protocol, Target

ANCHORS = 2
"Spots of ours to try. Our choice: a second one where chance, or a loss, spared the first."
DNS_PORT = 53


class Spot(NamedTuple):
    """A server to send a name to, and an innocent one before it."""

    target: Target
    name: str | None
    control_name: str | None
    ours: bool
    "An anchor, and not what is suspected itself."
    tainted: bool = False
    "What was sent there before may still be remembered: it is for what was said there, perhaps."


@contextmanager
def spots(bench: Bench, suspicion: Suspicion) -> Iterator[list[Spot]]:
    """The places to look at, the best first."""
    protocol = protocol_of(suspicion)
    if protocol == "dns":
        yield list(_resolvers(bench, suspicion))
        return
    if protocol == "syn":
        yield list(_knocks(suspicion))
        return
    innocent = innocent_name(bench)
    path = urlsplit(suspicion.url)
    wanted = (path.path or "/") + (f"?{path.query}" if path.query else "")
    port = {"http": 80}.get(protocol, 443)
    by_address = any(finding.trigger == "address" for finding in bench.findings)
    by_words = any(
        _is_of(finding, suspicion) and finding.trigger in ("name", "keyword")
        for finding in bench.findings
    )
    wished = 0 if by_address else ANCHORS
    with bench.lend(wished, suspicion.address, tainted=by_words) as anchors:
        found = [
            Spot(
                Target(a.address, port, protocol, wanted),
                suspicion.host,
                a.name,
                ours=True,
                tainted=bench.is_tainted(a.address),
            )
            for a in anchors
        ]
        if suspicion.address is not None:
            here = Target(suspicion.address, suspicion.port, protocol, wanted)
            found.append(Spot(here, suspicion.host, innocent, False))
        yield found


def _is_of(finding: Finding, suspicion: Suspicion) -> bool:
    return (finding.host, finding.layer) == (suspicion.host, suspicion.layer)


def protocol_of(suspicion: Suspicion) -> Protocol:
    """What a request about this suspicion is made in."""
    match suspicion.layer:
        case "tcp":
            return "syn"
        case "http":
            return "http" if suspicion.url.startswith("http:") else "tls"
        case layer:
            return layer


def _resolvers(bench: Bench, suspicion: Suspicion) -> Iterator[Spot]:
    """Resolvers in clear, a public one first: the way to them leads past whoever forges answers,
    and the network's own resolver may be the one who does."""
    innocent = innocent_name(bench)
    known = [*bench.seat.udp_resolvers[:1], bench.seat.resolver]
    for address in dict.fromkeys(one for one in known if one and bench.can_reach(one)):
        target = Target(address, DNS_PORT, "dns")
        yield Spot(target, suspicion.host, innocent, address != bench.seat.resolver)


def _knocks(suspicion: Suspicion) -> Iterator[Spot]:
    if suspicion.address is not None:
        target = Target(suspicion.address, suspicion.port, "syn")
        yield Spot(target, None, None, False)
