"""All sockets of the probe: every connect, read and write with its time, size and errno.

Failures are named in OONI's vocabulary the moment they happen, from the errno or the end of
the stream. What they mean is for others.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal, NamedTuple, Protocol, Self

from gatewatch.wire.address import endpoint

Transport = Literal["tcp", "udp"]
Local = tuple[str, int]
"An address to bind to and a port, 0 for any."

TCP_S = 10.0
"As long as OONI waits for a connection."
TIMEOUT = "generic_timeout_error"
EOF = "eof_error"
MOST_EVENTS = 64
"Per flow, as OONI's trace buffers hold."
CHUNK = 1 << 16

_ERRNO = {
    errno.ECONNREFUSED: "connection_refused",
    errno.ECONNRESET: "connection_reset",
    errno.ECONNABORTED: "connection_aborted",
    errno.EPIPE: EOF,  # only ever after the peer has closed
    errno.EHOSTUNREACH: "host_unreachable",
    errno.ENETUNREACH: "network_unreachable",
    errno.ENETDOWN: "network_down",
    errno.ENETRESET: "network_reset",
    errno.ETIMEDOUT: "timed_out",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EADDRNOTAVAIL: "address_not_available",
    errno.EADDRINUSE: "address_in_use",
    errno.EAFNOSUPPORT: "address_family_not_supported",
    errno.EINVAL: "invalid_argument",
    errno.EMSGSIZE: "message_size",
    errno.ENOBUFS: "no_buffer_space",
}


class Failed(Exception):
    """A network operation that failed, which is what we came to see."""

    def __init__(self, failure: str) -> None:
        super().__init__(failure)
        self.failure = failure


def failure_of(error: OSError) -> str:
    """The failure code of a system error.

    >>> failure_of(ConnectionResetError(errno.ECONNRESET, "reset"))
    'connection_reset'
    """
    if isinstance(error, TimeoutError) and error.errno is None:
        return TIMEOUT
    name = errno.errorcode.get(error.errno or 0, "no errno")
    return _ERRNO.get(error.errno or 0, f"unknown_failure: {name}")


class Event(NamedTuple):
    """One operation on a socket; times in seconds since the measurement began."""

    operation: str
    address: str
    failure: str | None
    num_bytes: int
    t0: float
    t: float
    proto: str


class Reach(Protocol):
    """How addresses become sockets: as they are, or, in a test bench, mapped elsewhere."""

    def reach(
        self, source: str | None, address: str, port: int, transport: Transport
    ) -> tuple[str, int, Local | None]:
        """Where to connect to, and what to bind to before so as to come from `source`."""
        ...


class Plain:
    """Every address is what it says; the source is bound to where one is given."""

    def reach(
        self, source: str | None, address: str, port: int, transport: Transport
    ) -> tuple[str, int, Local | None]:
        return address, port, None if source is None else (source, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """Where sockets are opened from, and the zero of all times."""

    reach: Reach
    addresses: tuple[str, ...]
    """Its own, at most one of each IP version; what has none of a version cannot use it. Empty
    leaves the choice to the system."""
    zero: float
    "Of the event loop's clock, seconds."

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.zero

    def opened(
        self, address: str, port: int, transport: Transport, *, source_port: int = 0
    ) -> tuple[socket.socket, tuple[str, int]]:
        """A socket bound to our address, and where it is to connect to.

        Args:
            source_port: 0 for any; one that was in use a moment ago can be had again.

        Raises:
            Failed: the vantage has no address of that version, or the system refuses.
        """
        version = ip_address(address).version
        source = next((a for a in self.addresses if ip_address(a).version == version), None)
        if source is None and self.addresses:
            raise Failed("network_unreachable")
        ip, to_port, local = self.reach.reach(source, address, port, transport)
        family = socket.AF_INET6 if ip_address(ip).version == 6 else socket.AF_INET
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        try:
            made = socket.socket(family, kind)
        except OSError as error:
            raise Failed(failure_of(error)) from None
        made.setblocking(False)
        try:
            if source_port:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                local = (local[0] if local else "", source_port)
            if local is not None:
                made.bind(local)
        except OSError as error:
            made.close()
            raise Failed(failure_of(error)) from None
        return made, (ip, to_port)


class Channel(Protocol):
    """What TCP and TLS streams have in common."""

    async def read(self, deadline: float) -> bytes: ...

    async def write(self, data: bytes, deadline: float) -> None: ...

    def close(self) -> None: ...


class Stream:
    """A TCP connection. Deadlines are in seconds since the measurement began."""

    def __init__(
        self, vantage: Vantage, socket: socket.socket, endpoint: str, events: list[Event]
    ) -> None:
        self.vantage, self.endpoint, self.events = vantage, endpoint, events
        self._socket = socket

    async def read(self, deadline: float) -> bytes:
        """What comes next; nothing at the end of the stream.

        Raises:
            Failed: by name, at the deadline too.
        """
        t0 = self.vantage.now()
        try:
            async with self._until(deadline):
                data = await asyncio.get_running_loop().sock_recv(self._socket, CHUNK)
        except OSError as error:
            self._note("read", t0, failure_of(error), 0)
            raise Failed(failure_of(error)) from None
        self._note("read", t0, None if data else EOF, len(data))
        return data

    async def write(self, data: bytes, deadline: float) -> None:
        """Everything, or:

        Raises:
            Failed: by name, at the deadline too.
        """
        t0 = self.vantage.now()
        try:
            async with self._until(deadline):
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except OSError as error:
            self._note("write", t0, failure_of(error), 0)
            raise Failed(failure_of(error)) from None
        self._note("write", t0, None, len(data))

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Close with a RST, so that the system forgets the connection and its port at once."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def set_ttl(self, ttl: int) -> None:
        """How many hops what is sent from now on may go; the system's retransmissions as well."""
        set_ttl(self._socket, ttl)

    @property
    def source_port(self) -> int:
        return self._socket.getsockname()[1]

    def mark(self, operation: str, failure: str | None = None) -> None:
        """A point in time that is worth an event."""
        self._note(operation, self.vantage.now(), failure, 0)

    def _until(self, deadline: float) -> asyncio.Timeout:
        return asyncio.timeout_at(self.vantage.zero + deadline)

    def _note(self, operation: str, t0: float, failure: str | None, size: int) -> None:
        if len(self.events) < MOST_EVENTS:
            event = Event(operation, self.endpoint, failure, size, t0, self.vantage.now(), "tcp")
            self.events.append(event)


@dataclass(slots=True, kw_only=True)
class Connect:
    """One attempt to open a TCP connection; times in seconds since the measurement began."""

    address: str
    port: int
    t0: float
    t: float
    failure: str | None
    stream: Stream | None
    "None when it failed."
    events: list[Event] = field(default_factory=list)


async def connect(
    vantage: Vantage, address: str, port: int, *, timeout_s: float = TCP_S, source_port: int = 0
) -> Connect:
    """Open a TCP connection from the vantage's own address."""
    t0, failure, stream = vantage.now(), None, None
    events: list[Event] = []
    where = endpoint(address, port)
    try:
        opened, target = vantage.opened(address, port, "tcp", source_port=source_port)
        try:
            async with asyncio.timeout(max(timeout_s, 0.0)):
                await asyncio.get_running_loop().sock_connect(opened, target)
            stream = Stream(vantage, opened, where, events)
        except OSError as error:
            raise Failed(failure_of(error)) from None
        finally:
            if stream is None:
                opened.close()
    except Failed as failed:
        failure = failed.failure
    t = vantage.now()
    events.append(Event("connect", where, failure, 0, t0, t, "tcp"))
    return Connect(
        address=address, port=port, t0=t0, t=t, failure=failure, stream=stream, events=events
    )


class Datagrams:
    """A connected UDP socket, so that ICMP errors show; deadlines as in `Stream`.

    Use as a context manager, which closes it.
    """

    def __init__(self, vantage: Vantage, opened: socket.socket, where: str) -> None:
        self.vantage, self.endpoint = vantage, where
        self.events: list[Event] = []
        self._socket = opened

    @classmethod
    async def open(cls, vantage: Vantage, address: str, port: int, *, source_port: int = 0) -> Self:
        """
        Raises:
            Failed: by name.
        """
        opened, where = vantage.opened(address, port, "udp", source_port=source_port)
        try:
            await asyncio.get_running_loop().sock_connect(opened, where)
        except OSError as error:
            opened.close()
            raise Failed(failure_of(error)) from None
        return cls(vantage, opened, endpoint(address, port))

    async def send(self, data: bytes) -> None:
        """
        Raises:
            Failed: by name; an ICMP error to an earlier datagram too.
        """
        t0 = self.vantage.now()
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except OSError as error:
            self._note("write_to", t0, failure_of(error), 0)
            raise Failed(failure_of(error)) from None
        self._note("write_to", t0, None, len(data))

    async def receive(self, deadline: float) -> bytes:
        """The next datagram.

        Raises:
            Failed: by name, at the deadline too.
        """
        t0 = self.vantage.now()
        try:
            async with asyncio.timeout_at(self.vantage.zero + deadline):
                data = await asyncio.get_running_loop().sock_recv(self._socket, CHUNK)
        except OSError as error:
            self._note("read_from", t0, failure_of(error), 0)
            raise Failed(failure_of(error)) from None
        self._note("read_from", t0, None, len(data))
        return data

    def set_ttl(self, ttl: int) -> None:
        set_ttl(self._socket, ttl)

    @property
    def peer(self) -> tuple[str, int]:
        """Where the socket is connected to, as the system says."""
        return self._socket.getpeername()[:2]

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _note(self, operation: str, t0: float, failure: str | None, size: int) -> None:
        if len(self.events) < MOST_EVENTS:
            now = self.vantage.now()
            self.events.append(Event(operation, self.endpoint, failure, size, t0, now, "udp"))


def set_ttl(opened: socket.socket, ttl: int) -> None:
    """TTL, or hop limit, of all that a socket sends from now on."""
    if opened.family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    else:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
