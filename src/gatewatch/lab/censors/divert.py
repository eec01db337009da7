"""Flows are handed to a middlebox, which answers in the server's name.

The box rewrites the addresses of every packet, there and back; this only decides that it does.
"""

from __future__ import annotations

from ipaddress import ip_address

from gatewatch.lab.censors.sight import PASS, Effect, Sight
from gatewatch.lab.diversion import services
from gatewatch.lab.rules import Divert
from gatewatch.wire.packet import SYN, TCP


def act(rule: Divert, sight: Sight) -> Effect:
    """From the first packet on, or not at all: no other machine can go on with a connection."""
    flow, hosts = sight.flow, sight.post.hosts
    box = hosts[rule.to].middlebox
    assert box is not None, "flows are diverted to middleboxes alone"
    if flow.diverted_to or (flow.protocol == TCP and not sight.packet.flags & SYN):
        return PASS
    if (flow.protocol, flow.server_port) not in services(box):
        return PASS
    own = {
        ip_address(address).packed
        for host in hosts.values()
        if host.middlebox
        for address in host.addresses
    }
    if flow.client in own or flow.server in own:
        return PASS  # what a middlebox fetches for itself would come back to it for ever
    for address in hosts[rule.to].addresses:
        packed = ip_address(address).packed
        if len(packed) == len(flow.server):
            return Effect(hand_to=packed)
    return PASS
