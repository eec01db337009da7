"""Flows on their way to a middlebox: what boxes and middleboxes agree on.

A box rewrites the ends of every packet of a diverted flow, there and back, and of every ICMP error
about one. The client's port is kept if it is free and otherwise replaced, so that the middlebox
can tell two flows apart that only differ in the server; the log says which client it then sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gatewatch.lab.flows import Flow, Flows
from gatewatch.lab.scenario import Middlebox
from gatewatch.wire.address import parted
from gatewatch.wire.packet import TCP, UDP, Packet, parse, readdressed
from gatewatch.wire.quote import quoted, requoted

if TYPE_CHECKING:
    from gatewatch.lab.box import Act

HTTP_PORT, HTTPS_PORT, DNS_PORT = 80, 443, 53


class Diversion(NamedTuple):
    """What a middlebox has to know of a flow that comes to it."""

    client: str
    "Address and port of the client itself."
    server: tuple[str, int]
    "Where the flow was going."


class Diversions:
    """The flows that come to middleboxes, as the boxes' log has them."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Diversion] = {}
        "By transport, and the client as the middlebox sees it."

    def note(self, act: Act) -> None:
        """Take a line of the log; only diversions matter."""
        if act.peer is not None:
            self._known[act.transport, act.peer] = Diversion(act.client, parted(act.server))

    def of(self, transport: str, peer: str) -> Diversion | None:
        """The latest flow of a peer; None if none was diverted."""
        return self._known.get((transport, peer))


def services(box: Middlebox) -> frozenset[tuple[int, int]]:
    """Protocol and port of the flows that a middlebox can take: the web's, and if it has an
    answer, questions. All others are not diverted, for it could only refuse them.

    >>> sorted(services(Middlebox()))
    [(6, 80), (6, 443)]
    """
    web = {(TCP, HTTP_PORT), (TCP, HTTPS_PORT)}
    return frozenset(web if box.resolver is None else web | {(TCP, DNS_PORT), (UDP, DNS_PORT)})


def handed_over(flow: Flow, packet: Packet) -> bytes:
    """A packet of the client's, as the middlebox gets it."""
    return readdressed(packet.data, dst=flow.diverted_to, sport=flow.diverted_port)


def handed_back(flow: Flow, packet: Packet) -> Packet:
    """A packet of the middlebox's, as the client gets it: from its server."""
    return parse(readdressed(packet.data, src=flow.server, dport=flow.client_port))


def error_handed_back(flows: Flows, error: Packet) -> Packet:
    """An ICMP error about a packet that the box rewrote, as if it were about what was sent.

    One from the middlebox comes from the server. All others are as they were.
    """
    about = quoted(error)
    if about is None:
        return error
    src, dst = (about.src, about.sport), (about.dst, about.dport)
    flow = flows.answered((about.protocol, *dst, *src))
    if flow is not None and flow.diverted_to == about.dst:
        data = requoted(error, dst=flow.server, sport=flow.client_port)
        return parse(readdressed(data, src=flow.server if error.src == about.dst else None))
    flow = flows.answered((about.protocol, *src, *dst))
    if flow is not None and flow.diverted_to and about.src == flow.server:
        data = requoted(error, src=flow.diverted_to, dport=flow.diverted_port)
        return parse(readdressed(data, dst=flow.diverted_to))
    return error
