"""A forged FIN: the connection ends as if the other side had no more to say."""

from __future__ import annotations

from gatewatch.lab.censors.forging import ends, may_end, segment
from gatewatch.lab.censors.sight import PASS, Effect, Sight
from gatewatch.lab.rules import Fin
from gatewatch.wire.packet import ACK, FIN


def act(rule: Fin, sight: Sight) -> Effect:
    if not may_end(sight):
        return PASS
    delay_ms = sight.post.react_ms
    forged = tuple((segment(sight, end, FIN | ACK), delay_ms) for end in ends(rule.to))
    return Effect(take=rule.swallow, inject=forged)
