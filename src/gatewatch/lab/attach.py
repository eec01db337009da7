"""How addresses of the lab become sockets: as they are, or mapped onto loopback.

In namespaces every address is local and `Direct` changes nothing. The reduced lab has no
namespaces: `Loopback` gives each address of the world one of 127/8, so that servers still tell
their clients apart by address.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Protocol

from gatewatch.lab.scenario import Scenario
from gatewatch.probe.net import Local, Plain, Reach, Transport

IPV6_FREEBIND = 78
"linux/in6.h; Python has no name for it, nor for its IPv4 sibling before 3.12."
IP_FREEBIND = 15

BACKLOG = 128


class Attach(Reach, Protocol):
    """How the addresses of a world are reached from this process, and how it can be one."""

    def listen_at(self, address: str, port: int, transport: Transport) -> Local:
        """Where to bind in order to be `address`."""
        ...

    def who(self, peer: tuple) -> str:
        """The lab address of a socket's peer."""
        ...


class Direct(Plain):
    """Inside a world's namespaces: every address is what it says."""

    def listen_at(self, address: str, port: int, transport: Transport) -> Local:
        return address, port

    def who(self, peer: tuple) -> str:
        return str(ip_address(peer[0]))


class Loopback:
    """On a machine's own loopback: address n of the world is 127.x.y.n.

    Args:
        addresses: every address of the world at which something listens or from which it asks;
            at most 253. All others are one address at which nobody listens.
        world: keeps worlds that run at the same time apart, 0..65535.

    >>> lab = Loopback(["192.0.2.1", "2001:db8::1"], world=513)
    >>> lab.listen_at("2001:db8::1", 443, "tcp")
    ('127.2.1.2', 20443)
    >>> lab.reach("192.0.2.1", "2001:db8::1", 443, "tcp")
    ('127.2.1.2', 20443, ('127.2.1.1', 0))
    >>> lab.who(("127.2.1.1", 40000))
    '192.0.2.1'
    """

    NOWHERE = 254

    def __init__(self, addresses: Iterable[str], *, world: int) -> None:
        known = list(dict.fromkeys(str(ip_address(address)) for address in addresses))
        if len(known) >= self.NOWHERE:
            raise ValueError(f"{len(known)} addresses; 127.x.y.0/24 holds {self.NOWHERE - 1}")
        self._prefix = f"127.{world >> 8}.{world & 255}"
        self._inner = {address: f"{self._prefix}.{n}" for n, address in enumerate(known, 1)}
        self._lab = {inner: address for address, inner in self._inner.items()}
        self.nowhere = f"{self._prefix}.{self.NOWHERE}"
        "Where all other addresses are."

    @classmethod
    def of(cls, scenario: Scenario, *, world: int) -> Loopback:
        """For the hosts, vantage points and resolvers of a scenario."""
        hosts = [a for host in scenario.hosts.values() for a in host.addresses]
        probes = [a for network in scenario.networks.values() for a in network.probe]
        return cls([*hosts, *probes], world=world)

    def listen_at(self, address: str, port: int, transport: Transport) -> Local:
        return self._inner.get(str(ip_address(address)), self.nowhere), unprivileged(port)

    def reach(
        self, source: str | None, address: str, port: int, transport: Transport
    ) -> tuple[str, int, Local | None]:
        local = None if source is None else (self.listen_at(source, 0, transport)[0], 0)
        return *self.listen_at(address, port, transport), local

    def who(self, peer: tuple) -> str:
        return self._lab.get(str(peer[0]), str(peer[0]))


def unprivileged(port: int) -> int:
    """A port that needs no privilege, the same one for the same port every time.

    >>> unprivileged(53), unprivileged(8443), unprivileged(60000)
    (20053, 28443, 15488)
    """
    return 1024 + (port + 20_000 - 1024) % (65_536 - 1024)


def bound(attach: Attach, address: str, port: int, transport: Transport) -> socket.socket:
    """A non-blocking socket bound to a lab address; a TCP one listens already.

    The address need not be on any interface yet.

    Raises:
        OSError: the address is taken, or not ours.
    """
    ip, port = attach.listen_at(address, port, transport)
    v6 = ip_address(ip).version == 6
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    found = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, kind)
    try:
        found.setblocking(False)
        if transport == "tcp":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if v6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            found.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        else:
            found.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        found.bind((ip, port))
        if transport == "tcp":
            found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    return found
