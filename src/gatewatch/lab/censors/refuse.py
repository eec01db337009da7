"""A SYN is answered as a closed port would, and does not go on."""

from __future__ import annotations

from gatewatch.lab.censors.forging import segment
from gatewatch.lab.censors.sight import PASS, Effect, Sight
from gatewatch.lab.rules import Refuse
from gatewatch.wire.packet import ACK, RST, SYN


def act(rule: Refuse, sight: Sight) -> Effect:
    if sight.packet.flags & (SYN | ACK) != SYN:
        return PASS
    answer = segment(sight, "client", RST | ACK, window=0)
    return Effect(drop=True, inject=((answer, sight.post.react_ms),))
