"""Forged RSTs: one, or a burst that differs as its injectors do."""

from __future__ import annotations

from gatewatch.lab.censors.forging import ends, may_end, segment
from gatewatch.lab.censors.sight import PASS, Effect, Sight
from gatewatch.lab.rules import Reset
from gatewatch.wire.packet import ACK, RST


def act(rule: Reset, sight: Sight) -> Effect:
    if not may_end(sight):
        return PASS
    flags = RST | ACK if rule.ack else RST
    payload = bytes.fromhex(rule.payload)
    forged = [
        segment(
            sight,
            end,
            flags,
            offset=offset,
            payload=payload,
            ttl=rule.ttls[turn % len(rule.ttls)],
            window=rule.windows[turn % len(rule.windows)],
        )
        for end in ends(rule.to)
        for turn, offset in enumerate(rule.offsets)
    ]
    delay_ms = sight.post.react_ms
    return Effect(take=rule.swallow, inject=tuple((data, delay_ms) for data in forged))
