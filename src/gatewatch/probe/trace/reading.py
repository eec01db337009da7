"""The reading of a trace: whether somebody interfered, how, from where, and by which packets.

Every rule is a function that looks at the case and either decides or passes on; they are asked in
the order of `RULES`, which is the order of their strength. What they decide on:

- A request whose TTL ran out cannot have reached the server. Who answers it is on the way.
- A server answers names alike in manner. Where the name alone makes it silent, reset or closed,
  the name is the reason; what it says to a name (a redirect, an error page, another certificate)
  is its own business as long as it is the server who says it.
- Silence proves something only where another name is answered, or where a connection that was
  alive is dead once its request has passed a certain hop.
- Where connections do not even come up, nothing proves anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gatewatch.probe.trace.answered import by_name, injected, stranger, unreachable
from gatewatch.probe.trace.case import Case, Reading
from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.path import path_of
from gatewatch.probe.trace.probes import Collected, Probe
from gatewatch.probe.trace.replies import Reply, replies
from gatewatch.probe.trace.silent import genuine, known_page, silence, undecided, unsteady
from gatewatch.wire.pcap import Frame

RULES: tuple[Callable[[Case], Reading | None], ...] = (
    injected,
    stranger,
    by_name,
    unreachable,
    unsteady,
    known_page,
    genuine,
    silence,
    undecided,
)
"In the order in which they are asked; the first that decides has decided."


class Examined(NamedTuple):
    """A reading, and what it rests on."""

    reading: Reading
    hops: dict[int, str]
    "TTL → who is there, by either capture."
    distance: int | None
    "Of the server, in hops."


def read(
    test: Iterable[Frame],
    control: Iterable[Frame] | None = None,
    *,
    name: str | None = None,
    block_page: Callable[[Reply], str | None] = lambda reply: None,
) -> Reading:
    """Read a capture, and one of another name at the same server to compare it with.

    Args:
        control: without it, requests in `test` to the same server with other names serve.
        name: the one tested; without it the one that was asked most often and is not the
            control's, or, where one capture holds several, the first that somebody interferes
            with.
        block_page: says whose block page an HTTP answer is; None for any other page.
    """
    return examine(test, control, name=name, block_page=block_page).reading


def examine(
    test: Iterable[Frame],
    control: Iterable[Frame] | None = None,
    *,
    name: str | None = None,
    block_page: Callable[[Reply], str | None] = lambda reply: None,
) -> Examined:
    """As `read`, with the hops."""
    first = collect(test)
    other = collect(control) if control is not None else None
    if not first.probes:
        return Examined(_nothing(first), {}, None)
    server = _server_of(first.probes)
    mine = [p for p in first.probes if p.key.server == server]
    names = [name] if name is not None else _names(mine, other, server)
    found: list[Examined] = []
    for tested in names:
        case = _case(server, tested, first, other, block_page)
        if case is None:
            continue
        found.append(_examined(case))
        if found[-1].reading.verdict == "blocked":
            return found[-1]
    if found:
        return found[0]
    why = f"no request names {name}"
    nothing = Reading(server=mine[0].server, name=name, verdict="unusable", evidence=(why,))
    return Examined(nothing, {}, None)


def _names(mine: Sequence[Probe], other: Collected | None, server: bytes) -> list[str | None]:
    """The names to look at, the likeliest first; with a control only that one."""
    names = [name for name, _ in Counter(p.name for p in mine).most_common()]
    if other is None:
        return names
    controls = Counter(p.name for p in other.probes if p.key.server == server)
    if controls:
        usual = controls.most_common(1)[0][0]
        names = [name for name in names if name != usual] or names
    return names[:1]


def _examined(case: Case) -> Examined:
    paths = [path for path in (case.test, case.control) if path is not None]
    hops: dict[int, str] = {}
    for path in paths:
        for ttl in path.hops:
            address = path.address(ttl)
            if address is not None:
                hops[ttl] = address
    return Examined(_decide(case), hops, case.distance or case.test.distance)


def _nothing(collected: Collected) -> Reading:
    server = collected.failed[0].server if collected.failed else None
    tried = len(collected.failed)
    why = f"{tried} connections were begun and none got as far as a request" if tried else (
        f"no request to a server in {collected.frames} packets"
    )  # fmt: skip
    return Reading(server=server, name=None, verdict="unusable", evidence=(why,))


def _server_of(probes: Sequence[Probe]) -> bytes:
    """The server with the most requests that we can read."""
    counted = Counter(p.key.server for p in probes if p.protocol != "other")
    counted = counted or Counter(p.key.server for p in probes)
    return counted.most_common(1)[0][0]


def _case(
    server: bytes,
    name: str | None,
    first: Collected,
    other: Collected | None,
    block_page: Callable[[Reply], str | None],
) -> Case | None:
    mine = [p for p in first.probes if p.key.server == server]
    tested = [p for p in mine if p.name == name]
    if not tested:
        return None
    protocol = Counter(p.protocol for p in tested).most_common(1)[0][0]
    port = Counter(p.key.server_port for p in tested).most_common(1)[0][0]
    tested = [p for p in tested if p.protocol == protocol and p.key.server_port == port]
    place = (server, port)
    compared = [
        p
        for p in (mine if other is None else other.probes)
        if (p.key.server, p.key.server_port) == place and p.protocol == protocol and p.name != name
    ]
    test = path_of(tested)
    control = path_of(compared, trusted=True) if compared else None
    failed = [p for p in first.failed if (p.key.server, p.key.server_port) == place]
    control_failed = [] if other is None else [
        p for p in other.failed if (p.key.server, p.key.server_port) == place
    ]  # fmt: skip
    case = Case(
        server=tested[0].server, name=name, test=test, control=control,
        failed=failed, control_failed=control_failed, block_page=block_page,
    )  # fmt: skip
    case.ttls = {*test.ttls, *(control.ttls if control else ())}
    case.pairs = [(probe, reply) for probe in tested for reply in replies(probe)]
    syn_ttls = {p.syn.packet.ttl for p in tested if p.syn is not None}
    sent = {p.ttl for p in tested}
    case.limited = len(sent) > 2 or bool(sent - syn_ttls and syn_ttls)
    return case


def _decide(case: Case) -> Reading:
    for rule in RULES:
        found = rule(case)
        if found is not None:
            return found
    raise AssertionError("the last rule decides always")
