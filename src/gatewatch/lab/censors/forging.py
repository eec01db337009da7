"""Segments and datagrams in the name of one end of a flow, such that the other believes them."""

from __future__ import annotations

from typing import Literal

from gatewatch.lab.censors.sight import Effect, Sight
from gatewatch.lab.flows import length
from gatewatch.lab.rules import Side
from gatewatch.wire.packet import ACK, FIN, PSH, RST, TCP, tcp, udp

SEGMENT_MAX = 1_400
"Payload bytes of an injected segment. Our choice: fits every path that a server's segments fit."

End = Literal["client", "server"]


def numbers(sight: Sight, to: End) -> tuple[int, int]:
    """Sequence and acknowledgement number that an end expects next from the other one.

    To the end that the packet is on its way to, the sequence goes on behind what the box has let
    through; to the end that sent it, where that end said it was waiting.
    """
    packet, flow = sight.packet, sight.flow
    if (to == "server") != sight.to_server:
        return packet.ack, packet.seq + length(packet)
    if sight.swallowed:
        return packet.seq, packet.ack
    passed = flow.client_next if sight.to_server else flow.server_next
    return (packet.seq + length(packet) if passed is None else passed), packet.ack


def segment(
    sight: Sight,
    to: End,
    flags: int,
    *,
    offset: int = 0,
    payload: bytes = b"",
    ttl: int = 64,
    window: int = 65_535,
) -> bytes:
    """A TCP segment to one end in the other's name, `offset` ahead of what it expects."""
    flow = sight.flow
    here, there = (flow.client, flow.client_port), (flow.server, flow.server_port)
    source, target = (there, here) if to == "client" else (here, there)
    seq, ack = numbers(sight, to)
    return tcp(
        source[0],
        target[0],
        source[1],
        target[1],
        seq=seq + offset & 0xFFFFFFFF,
        ack=ack & 0xFFFFFFFF if flags & ACK else 0,
        flags=flags,
        payload=payload,
        ttl=ttl,
        window=window,
    )


def datagram(sight: Sight, payload: bytes) -> bytes:
    """A UDP datagram to the client in the server's name."""
    flow = sight.flow
    return udp(flow.server, flow.client, flow.server_port, flow.client_port, payload)


def ends(to: Side) -> tuple[End, ...]:
    return ("client", "server") if to == "both" else (to,)


def may_end(sight: Sight) -> bool:
    """Never in answer to a RST: the connection has ended, and two boxes would go on for ever."""
    packet = sight.packet
    return sight.fresh and packet.protocol == TCP and not packet.flags & RST


def may_answer(sight: Sight) -> bool:
    """Whether a packet is one that stream answers are put behind: it says something, over TCP."""
    packet = sight.packet
    return sight.fresh and packet.protocol == TCP and packet.end > packet.payload_at


def stream_answer(
    sight: Sight,
    payload: bytes,
    *,
    close: Literal["fin", "reset", "none"],
    swallow: bool,
) -> Effect:
    """Bytes to the client as if from the server, then the end of the connection.

    A server that does not get to see what was answered is reset, so that it does not wait.
    """
    sent = [
        segment(sight, "client", PSH | ACK, offset=at, payload=payload[at : at + SEGMENT_MAX])
        for at in range(0, len(payload), SEGMENT_MAX)
    ]
    if close != "none":
        last = FIN if close == "fin" else RST
        sent.append(segment(sight, "client", last | ACK, offset=len(payload)))
    if swallow:
        sent.append(segment(sight, "server", RST | ACK))
    delay_ms = sight.post.react_ms
    return Effect(take=swallow, inject=tuple((data, delay_ms) for data in sent))
