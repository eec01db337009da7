"""Which flows a trigger is about, by their ends alone."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network

from gatewatch.lab.flows import Flow
from gatewatch.lab.rules import Trigger
from gatewatch.wire.address import parted

DNS_PORT = 53


class Scope:
    """The part of a trigger that a flow's first packet answers.

    Args:
        inside: the name of the network below the place that an address is in, None for others.
    """

    def __init__(self, trigger: Trigger, inside: Callable[[bytes], str | None]) -> None:
        self._inside = inside
        self._outer_too = trigger.bidirectional
        self._networks = frozenset(trigger.networks)
        self._transport = trigger.transport
        self._ports = frozenset(trigger.port)
        self._prefixes = [_prefix(text) for text in trigger.ip]
        self._endpoints = frozenset(e for text in trigger.endpoint for e in _endpoints(text))
        self._dns_only = bool(trigger.dns or trigger.dns_types)

    def covers(self, flow: Flow) -> bool:
        """Whether the flow is one that the trigger may be about."""
        network = self._inside(flow.client)
        return (
            (network is not None or self._outer_too)
            and (not self._networks or network in self._networks)
            and (not self._transport or flow.transport == self._transport)
            and (not self._ports or flow.server_port in self._ports)
            and (not self._dns_only or flow.server_port == DNS_PORT)
            and (not self._prefixes or self._holds(flow.server))
            and (
                not self._endpoints
                or (flow.transport, flow.server, flow.server_port) in self._endpoints
            )
        )

    def _holds(self, address: bytes) -> bool:
        number, size = int.from_bytes(address, "big"), len(address)
        return any(size == of and number & mask == base for of, base, mask in self._prefixes)


def _prefix(text: str) -> tuple[int, int, int]:
    """Size of the addresses in bytes, base and mask of a prefix, or of a single address."""
    network = ip_network(text)
    return (
        network.max_prefixlen // 8,
        int(network.network_address),
        int(network.netmask),
    )


def _endpoints(text: str) -> list[tuple[str, bytes, int]]:
    """Transport, address and port, of each transport that is meant.

    >>> _endpoints("192.0.2.1:443/tcp")
    [('tcp', b'\\xc0\\x00\\x02\\x01', 443)]
    >>> [transport for transport, _, _ in _endpoints("[2001:db8::1]:443")]
    ['tcp', 'udp']
    """
    where, _, transport = text.partition("/")
    address, port = parted(where)
    packed = ip_address(address).packed
    return [(one, packed, port) for one in ([transport] if transport else ["tcp", "udp"])]
