"""A forged Initial that closes a QUIC connection before it begins."""

from __future__ import annotations

from gatewatch.lab.censors.forging import datagram
from gatewatch.lab.censors.sight import PASS, Effect, Sight
from gatewatch.lab.rules import CloseQuic
from gatewatch.wire.packet import UDP
from gatewatch.wire.quic import initial_close, is_initial


def act(rule: CloseQuic, sight: Sight) -> Effect:
    packet = sight.packet
    is_greeting = packet.protocol == UDP and sight.to_server and is_initial(packet.payload)
    if not sight.fresh or not is_greeting:
        return PASS
    forged = datagram(sight, initial_close(packet.payload, rule.error))
    return Effect(drop=rule.swallow, inject=((forged, sight.post.react_ms),))
