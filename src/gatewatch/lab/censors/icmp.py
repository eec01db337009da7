"""An ICMP error to the sender in place of the packet."""

from __future__ import annotations

from gatewatch.lab.censors.sight import DROP, Effect, Sight
from gatewatch.lab.rules import Icmp
from gatewatch.wire.packet import icmp_unreachable, may_be_told


def act(rule: Icmp, sight: Sight) -> Effect:
    """It comes from the hop or, for "port", from the machine itself, as only machines say that."""
    packet = sight.packet
    if not may_be_told(packet):
        return DROP
    here = [own for own in sight.post.addresses if len(own) == len(packet.dst)]
    teller = here[0] if here and rule.code != "port" else packet.dst
    error = icmp_unreachable(teller, packet.data, rule.code)
    return Effect(drop=True, inject=((error, sight.post.react_ms),))
