"""All sockets of the probe: every connect, read and write with its time, size and errno.

Failures are named in OONI's vocabulary the moment they happen, from the errno or the end of
the stream. What they mean is for others.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal, NamedTuple, Protocol, Self

from gatewatch.probe.errnos import EOF, TIMEOUT, Failed, failure_of
from gatewatch.wire.address import endpoint
from gatewatch.wire.packet import ACK, PSH, SYN, TCP, MalformedPacket, Packet, parse, tcp
from gatewatch.wire.pcap import Frame

__all__ = [
    "CHUNK",
    "EOF",
    "TCP_S",
    "TIMEOUT",
    "Channel",
    "Connect",
    "Datagrams",
    "Event",
    "Failed",
    "Local",
    "Names",
    "Plain",
    "Reach",
    "Stream",
    "Transport",
    "Vantage",
    "Via",
    "connect",
    "failure_of",
    "getaddrinfo",
    "set_ttl",
    "source_towards",
]

Transport = Literal["tcp", "udp"]
Local = tuple[str, int]
"An address to bind to and a port, 0 for any."

TCP_S = 10.0
"As long as OONI waits for a connection."
MOST_EVENTS = 64
"Per flow, as OONI's trace buffers hold."
CHUNK = 1 << 16


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


class Via(Protocol):
    """Somebody who opens TCP connections for us."""

    async def connect(
        self, vantage: Vantage, host: str, port: int, *, timeout_s: float
    ) -> Connect: ...


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
    via: Via | None = None
    "Who connects in our place: a proxy, which also looks up names. It has no datagrams."

    @classmethod
    def of(cls, reach: Reach, addresses: tuple[str, ...]) -> Self:
        """A vantage whose time begins now."""
        return cls(reach=reach, addresses=addresses, zero=asyncio.get_running_loop().time())

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
        if self.via is not None and transport == "udp":
            raise Failed("protocol_not_supported")
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
            if transport == "tcp":  # what is written in parts is to be sent in parts
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
        self.arrivals: list[tuple[float, int]] = []
        "After each read: the time, and the bytes received so far. Not bounded as events are."
        self._socket = socket
        self._ahead = b""

    async def read(self, deadline: float) -> bytes:
        """What comes next; nothing at the end of the stream.

        Raises:
            Failed: by name, at the deadline too.
        """
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        t0 = self.vantage.now()
        try:
            async with self._until(deadline):
                data = await asyncio.get_running_loop().sock_recv(self._socket, CHUNK)
        except OSError as error:
            self._note("read", t0, failure_of(error), 0)
            raise Failed(failure_of(error)) from None
        self._note("read", t0, None if data else EOF, len(data))
        if data:
            self.arrivals.append((self.vantage.now(), self.received + len(data)))
        return data

    @property
    def received(self) -> int:
        """Bytes, so far."""
        return self.arrivals[-1][1] if self.arrivals else 0

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

    def unread(self, data: bytes) -> None:
        """Put back what was read too far; the next read gives it again."""
        self._ahead = data + self._ahead

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
    """Open a TCP connection from the vantage's own address, or through its proxy.

    Args:
        address: through a proxy also a name.
    """
    if vantage.via is not None:
        return await vantage.via.connect(vantage, address, port, timeout_s=timeout_s)
    t0, failure, stream = vantage.now(), None, None
    events: list[Event] = []
    where = endpoint(address, port)
    try:
        opened, target = vantage.opened(address, port, "tcp", source_port=source_port)
        under_way = False
        try:
            begun = opened.connect_ex(target)
            under_way = begun in (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
            if not under_way:
                raise OSError(begun, errno.errorcode.get(begun, ""))
            async with asyncio.timeout(max(timeout_s, 0.0)):
                await _connected(opened)
            stream = Stream(vantage, opened, where, events)
        except OSError as error:
            raise Failed(failure_of(error, from_path=under_way)) from None
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


async def _connected(opened: socket.socket) -> None:
    """Wait for the end of a connect that is under way.

    Raises:
        OSError: it failed.
    """
    loop = asyncio.get_running_loop()
    writable = loop.create_future()

    def ready() -> None:
        if not writable.done():
            writable.set_result(None)

    loop.add_writer(opened, ready)
    try:
        await writable
    finally:
        loop.remove_writer(opened)
    number = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, errno.errorcode.get(number, ""))


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
            failure = failure_of(error, from_path=True)
            self._note("read_from", t0, failure, 0)
            raise Failed(failure) from None
        self._note("read_from", t0, None, len(data))
        return data

    def set_ttl(self, ttl: int) -> None:
        set_ttl(self._socket, ttl)

    def mark(self, operation: str, failure: str | None = None) -> None:
        """A point in time that is worth an event."""
        self._note(operation, self.vantage.now(), failure, 0)

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


class Names(NamedTuple):
    """What the system knows of a name."""

    failure: str | None
    addresses: tuple[str, ...] = ()
    canonical: str | None = None
    "The name at the end of its aliases, where it is another one."
    error: int | None = None
    "What `getaddrinfo` returned."


_EAI = {
    "EAI_NONAME": "dns_nxdomain_error",
    "EAI_NODATA": "dns_no_answer",
    "EAI_ADDRFAMILY": "dns_no_answer",
    "EAI_AGAIN": "dns_temporary_failure",
    "EAI_FAIL": "dns_non_recoverable_failure",
    "EAI_FAMILY": "address_family_not_supported",
    "EAI_MEMORY": "no_buffer_space",
    "EAI_BADFLAGS": "invalid_argument",
    "EAI_SERVICE": "invalid_argument",
    "EAI_SOCKTYPE": "wrong_protocol_type",
    "EAI_OVERFLOW": "invalid_argument",
}
"RFC 3493, section 6.1, and the older names of it that systems still use."
EAI_FAILURES = {getattr(socket, name): code for name, code in _EAI.items() if hasattr(socket, name)}


def names_failure(error: OSError) -> str:
    """The failure code of `getaddrinfo`.

    >>> names_failure(socket.gaierror(socket.EAI_AGAIN, "try again"))
    'dns_temporary_failure'
    """
    if not isinstance(error, socket.gaierror):
        return failure_of(error)
    return EAI_FAILURES.get(error.errno or 0, f"unknown_failure: getaddrinfo {error.errno}")


async def getaddrinfo(hostname: str, *, timeout_s: float) -> Names:
    """Look a name up as every program of the machine does.

    The system's function can be neither hurried nor called off: at the timeout it is left behind
    in its thread, which does not keep the program from ending.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Names] = loop.create_future()

    def deliver(names: Names) -> None:
        if not answer.done():
            answer.set_result(names)

    def ask() -> None:
        names = _names(hostname)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, names)

    try:
        threading.Thread(target=ask, name="getaddrinfo", daemon=True).start()
    except RuntimeError:  # no more threads
        return Names("no_buffer_space")
    try:
        async with asyncio.timeout(max(timeout_s, 0.0)):
            return await answer
    except TimeoutError:
        return Names(TIMEOUT)


def _names(hostname: str) -> Names:
    try:
        found = socket.getaddrinfo(
            hostname, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
        )
    except socket.gaierror as error:
        return Names(names_failure(error), error=error.errno)
    except OSError as error:
        return Names(failure_of(error))
    except UnicodeError:  # a label that IDNA does not have
        return Names("dns_non_recoverable_failure")
    addresses = tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    canonical = next((entry[3] for entry in found if entry[3]), "").rstrip(".").lower()
    alias = canonical if canonical and canonical != hostname.rstrip(".").lower() else None
    return Names(None if addresses else "dns_no_answer", addresses, alias)


def source_towards(address: str) -> str | None:
    """The own address that the system would use towards another; nothing is sent.

    None where there is no way there.
    """
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((address, 9))  # the port does not matter
            return str(asking.getsockname()[0])
    except OSError:
        return None


# -- the tap: packets as they come and go ------------------------------------------------------

_ETH_P_ALL = 3
_SO_TIMESTAMPNS, _SO_ATTACH_FILTER = 35, 26
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_LOOPBACK = 772
"ARPHRD_LOOPBACK: there each packet is seen twice, going and coming."
_TAP_BYTES = 8 << 20
"Our choice: what the kernel keeps for us between two readings; a volley is a hundredth of it."
_TAP_KEEPS = 64 << 20
"Our choice: what a tap keeps at most; then it says what it lost."
_ANCILLARY = 128
NO_RIGHT = "capturing packets needs the right to (CAP_NET_RAW, or root)"

_LOAD_WORD, _LOAD_BYTE, _SHIFT, _JUMP, _IF_EQUAL, _RETURN = 0x20, 0x30, 0x74, 0x05, 0x15, 0x06
"Classic BPF: Documentation/networking/filter.rst of the kernel."
_WHOLE = 0x40000


def _filter(peers: Iterable[str]) -> bytes:
    """Instructions that let pass packets from and to these addresses, and ICMP from anyone."""
    keep = (_RETURN, 0, 0, _WHOLE)
    drop = (_RETURN, 0, 0, 0)
    packed = [ip_address(peer).packed for peer in peers]
    v4 = [(_LOAD_BYTE, 0, 0, 9), (_IF_EQUAL, 0, 1, 1), keep]
    v6 = [(_LOAD_BYTE, 0, 0, 6), (_IF_EQUAL, 0, 1, 58), keep]
    for peer in packed:
        words = struct.unpack(f">{len(peer) // 4}I", peer)
        for at in (12, 16) if len(words) == 1 else (8, 24):
            test = []
            for index, word in enumerate(words):
                rest = 2 * (len(words) - index) - 1
                test += [(_LOAD_WORD, 0, 0, at + 4 * index), (_IF_EQUAL, 0, rest, word)]
            (v4 if len(words) == 1 else v6).extend([*test, keep])
    v4.append(drop)
    v6.append(drop)
    head = [(_LOAD_BYTE, 0, 0, 0), (_SHIFT, 0, 0, 4), (_IF_EQUAL, 1, 0, 4), (_JUMP, 0, 0, len(v4))]
    return b"".join(struct.pack("HBBI", *one) for one in (*head, *v4, *v6))


class Tap:
    """Hears what all interfaces send and are sent, from and to a few addresses, and all ICMP.

    Use as a context manager. Frames are numbered from 1 and begin at IP; times are the kernel's.
    """

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._frames: list[Frame] = []
        self._bytes = 0
        self.lost = 0
        "Packets that were not kept: the kernel had no room, or we had none."

    @classmethod
    def open(cls, peers: Iterable[str]) -> Self:
        """
        Raises:
            Failed: `permission_denied` without the right to capture, or by name where the
                system cannot.
        """
        family = getattr(socket, "AF_PACKET", None)
        if family is None:
            raise Failed("address_family_not_supported")
        code = _filter(peers)
        buffer = ctypes.create_string_buffer(code)
        program = struct.pack("HL", len(code) // 8, ctypes.addressof(buffer))
        try:
            opened = socket.socket(family, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        except OSError as error:
            raise Failed(failure_of(error)) from None
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _TAP_BYTES)
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            with suppress(BlockingIOError):
                while True:  # what came before the filter did
                    opened.recv(1)
        except OSError as error:
            opened.close()
            raise Failed(failure_of(error)) from None
        return cls(opened)

    def frames(self) -> list[Frame]:
        """All that was heard so far."""
        self._take()
        return list(self._frames)

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._socket, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _take(self) -> None:
        while True:
            try:
                data, extra, _, address = self._socket.recvmsg(CHUNK, _ANCILLARY)
            except BlockingIOError:
                break
            except OSError:  # an interface went away; the next call says what is left
                continue
            if address[2] == socket.PACKET_OUTGOING and address[3] == _LOOPBACK:
                continue
            self._keep(data, extra)
        _, missed = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.lost += missed

    def _keep(self, data: bytes, extra: list[tuple[int, int, bytes]]) -> None:
        stamps = [value for level, kind, value in extra if kind == _SO_TIMESTAMPNS]
        seconds, nanoseconds = struct.unpack("qq", stamps[0]) if stamps else (0, time.time_ns())
        try:
            packet = parse(data)
        except MalformedPacket:
            return
        if self._bytes + len(data) > _TAP_KEEPS:
            self.lost += 1
            return
        self._bytes += len(data)
        number = len(self._frames) + 1
        self._frames.append(Frame(number, seconds * 1_000_000_000 + nanoseconds, packet))


async def knock(
    vantage: Vantage, address: str, port: int, ttl: int, *, timeout_s: float
) -> str | None:
    """Try to connect with SYNs that go so many hops, and reset what comes of it; the failure."""
    try:
        opened, target = vantage.opened(address, port, "tcp")
        try:
            set_ttl(opened, ttl)
            async with asyncio.timeout(max(timeout_s, 0.0)):
                await asyncio.get_running_loop().sock_connect(opened, target)
            set_ttl(opened, FULL_TTL)
            Stream(vantage, opened, endpoint(address, port), []).reset()
        except OSError as error:
            raise Failed(failure_of(error)) from None
        finally:
            opened.close()
    except Failed as failed:
        return failed.failure
    return None


def say_aside(stream: Stream, heard: Iterable[Frame], data: bytes, ttl: int) -> bool:
    """Send, as the next bytes of a connection of ours, once and only so far; the system knows
    nothing of it, and says later at the same place what it has to say.

    It is only ever what the connection could have said itself: its ends and numbers are those of
    its own handshake, and a TTL that ends before the server keeps the server out of it.

    Args:
        stream: open, with nothing said on it so far.
        heard: what a tap heard of its handshake.
        data: at most one segment.

    Returns:
        Whether it was sent: not if the tap missed the handshake.

    Raises:
        Failed: by name: `permission_denied` without the right to.
    """
    port = stream.source_port
    syn = _newest(heard, SYN, lambda one: one.sport == port)
    if syn is None:
        return False
    begun = (syn.dst, syn.dport, syn.src, syn.sport, syn.seq + 1 & 0xFFFFFFFF)
    accepted = _newest(
        heard, SYN | ACK, lambda one: (one.src, one.sport, one.dst, one.dport, one.ack) == begun
    )
    if accepted is None:
        return False
    made = tcp(
        syn.src, syn.dst, syn.sport, syn.dport, seq=syn.seq + 1, ack=accepted.seq + 1,
        flags=PSH | ACK, payload=data, ttl=ttl, window=syn.window,
    )  # fmt: skip
    _send_made([made], syn)
    return True


def say_again(stream: Stream, heard: Iterable[Frame], ttls: Iterable[int]) -> bool:
    """Send bytes that a connection of ours has said once more, each with a TTL of its own; the
    system knows nothing of it.

    To the server it is a retransmission that was not called for: it acknowledges it and drops it.
    The byte at place n of all that was said goes n hops, so that whoever quotes a sequence number
    tells which it was.

    Args:
        stream: open; it has said more bytes than the largest TTL.
        heard: what a tap heard of it, from its handshake on.

    Returns:
        Whether they were sent: not if the tap missed the handshake, or the bytes.

    Raises:
        Failed: by name: `permission_denied` without the right to.
    """
    heard, port = list(heard), stream.source_port
    syn = _newest(heard, SYN, lambda one: one.sport == port)
    if syn is None:
        return False
    ends = (syn.src, syn.sport, syn.dst, syn.dport)
    mine = [
        p
        for frame in heard
        if (p := frame.packet).protocol == TCP and (p.src, p.sport, p.dst, p.dport) == ends
    ]
    said: dict[int, int] = {}
    for packet in mine:
        begin = packet.seq - syn.seq - 1 & 0xFFFFFFFF
        if begin < FULL_TTL and not packet.flags & SYN:
            said |= dict(enumerate(packet.payload[:FULL_TTL], begin))
    newest = next((p for p in reversed(mine) if p.flags & ACK), None)
    ttls = list(ttls)
    if newest is None or any(ttl not in said for ttl in ttls):
        return False
    made = [
        tcp(
            syn.src, syn.dst, syn.sport, syn.dport, seq=syn.seq + 1 + ttl, ack=newest.ack,
            flags=PSH | ACK, payload=bytes([said[ttl]]), ttl=ttl, window=newest.window,
        )
        for ttl in ttls
    ]  # fmt: skip
    _send_made(made, syn)
    return True


def _send_made(made: Iterable[bytes], like: Packet) -> None:
    """Send packets that we made ourselves to where another one went.

    Raises:
        Failed: by name.
    """
    family = socket.AF_INET6 if like.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as opened:
            opened.setblocking(False)
            for one in made:
                opened.sendto(one, (str(ip_address(like.dst)), 0))
    except OSError as error:
        raise Failed(failure_of(error)) from None


def _newest(heard: Iterable[Frame], flags: int, fits: Callable[[Packet], bool]) -> Packet | None:
    """The newest handshake's: a port may have been used before."""
    packets = [frame.packet for frame in heard if frame.packet.protocol == TCP]
    return next((p for p in reversed(packets) if p.flags & (SYN | ACK) == flags and fits(p)), None)


FULL_TTL = 64
"What Linux and BSD send with, and far enough for any host of the Internet."
