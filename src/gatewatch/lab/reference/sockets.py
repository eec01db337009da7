"""Raw sockets of a vantage: every connect, read and write with its time, size and errno.

Failures are named in OONI's vocabulary the moment they happen, from the errno or the end of
the stream. What they mean is for others.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple, Protocol

from gatewatch.lab.attach import Attach, Transport

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """Where sockets are opened from, and the zero of all times."""

    attach: Attach
    addresses: tuple[str, ...]
    "Its own, at most one of each IP version; what has none of a version cannot use it."
    zero: float
    "Of the event loop's clock, seconds."

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.zero

    def opened(
        self, address: str, port: int, transport: Transport
    ) -> tuple[socket.socket, tuple[str, int]]:
        """A socket bound to our address, and where it is to connect to.

        Raises:
            Failed: the vantage has no address of that version, or the system refuses.
        """
        version = ip_address(address).version
        source = next((a for a in self.addresses if ip_address(a).version == version), None)
        if source is None:
            raise Failed("network_unreachable")
        ip, to_port, local = self.attach.reach(source, address, port, transport)
        family = socket.AF_INET6 if ip_address(ip).version == 6 else socket.AF_INET
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        made = socket.socket(family, kind)
        made.setblocking(False)
        try:
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

    def mark(self, operation: str, failure: str | None = None) -> None:
        """A point in time that is worth an event."""
        self._note(operation, self.vantage.now(), failure, 0)

    def _until(self, deadline: float) -> asyncio.Timeout:
        return asyncio.timeout_at(self.vantage.zero + deadline)

    def _note(self, operation: str, t0: float, failure: str | None, size: int) -> None:
        if len(self.events) < MOST_EVENTS:
            event = Event(operation, self.endpoint, failure, size, t0, self.vantage.now(), "tcp")
            self.events.append(event)
