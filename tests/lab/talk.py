"""What clients do in the worlds of tests, with plain sockets, and what their kernel tells them."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from ipaddress import ip_address
from typing import NamedTuple

import dns.message
import dns.rcode

from tests.lab.dialogue import query

PATIENCE_S = 10.0
"For what must come. Noise on a shared machine takes from it, so it is more than anything takes."
SILENCE_S = 1.0
"For what must not come."

IP_RECVERR, IPV6_RECVERR = 11, 25
_ERROR = struct.Struct("IBBBBII")
"`sock_extended_err` of linux/errqueue.h; the offender's address follows it."


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6


def stream(
    server: str, port: int, *, source: tuple[str, int] | None = None, patience_s: float = PATIENCE_S
) -> socket.socket:
    """A TCP connection.

    Raises:
        OSError: the kernel's word on why there is none.
    """
    sock = socket.socket(family(server), socket.SOCK_STREAM)
    sock.settimeout(patience_s)
    try:
        if source is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(source)
        sock.connect((server, port))
    except OSError:
        sock.close()
        raise
    return sock


def said(sock: socket.socket, words: bytes) -> bytes | str:
    """What comes back to these words; the errno's name, or `silence`, if nothing does."""
    try:
        sock.sendall(words)
        return sock.recv(65_536)
    except OSError as error:
        return name_of(error)


def rest(sock: socket.socket) -> bytes:
    """All that is still to come, until the other side or its absence ends it."""
    heard = b""
    try:
        while data := sock.recv(65_536):
            heard += data
    except OSError:
        return heard
    return heard


def name_of(error: OSError) -> str:
    """
    >>> name_of(ConnectionResetError(errno.ECONNRESET, "")), name_of(TimeoutError())
    ('ECONNRESET', 'silence')
    """
    return "silence" if error.errno is None else errno.errorcode[error.errno]


def tell(server: str, port: int, words: bytes, **more) -> bytes | str:
    """`said` on a connection of its own; what the kernel says if there is none."""
    try:
        with stream(server, port, **more) as sock:
            return said(sock, words)
    except OSError as error:
        return name_of(error)


def asker(
    server: str, port: int = 53, *, ttl: int | None = None, source: str | None = None
) -> socket.socket:
    """A UDP socket for one server, whose error queue keeps what ICMP says."""
    sock = socket.socket(family(server), socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE_S)
    hear_icmp(sock)
    if ttl is not None:
        set_ttl(sock, ttl)
    if source is not None:
        sock.bind((source, 0))
    sock.connect((server, port))
    return sock


def answers(name: str, server: str, *, expected: int, kind: str = "A", **more) -> list[list[str]]:
    """The addresses in each of the first answers to a question, in the order of their coming."""
    with asker(server, **more) as sock:
        sock.send(query(name, kind))
        return [addresses(sock.recv(4096)) for _ in range(expected)]


def addresses(answer: bytes) -> list[str]:
    """What an answer answers, or that it is an error."""
    message = dns.message.from_wire(answer)
    if message.rcode() != dns.rcode.NOERROR:
        return [dns.rcode.to_text(message.rcode())]
    return [record.to_text() for rrset in message.answer for record in rrset]


# -- TTL and ICMP ----------------------------------------------------------------------------


class Told(NamedTuple):
    """An ICMP error, as the kernel hands it to the socket that it is about."""

    by: str
    type: int
    code: int


def hear_icmp(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)


def set_ttl(sock: socket.socket, ttl: int) -> None:
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)


def probe(transport: str, server: str, port: int, ttl: int) -> socket.socket:
    """A SYN or a datagram with this TTL, on its way; its errors are in the socket's queue."""
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(family(server), kind)
    sock.setblocking(False)
    hear_icmp(sock)
    set_ttl(sock, ttl)
    try:
        sock.connect((server, port))
    except BlockingIOError:
        return sock
    sock.send(b"probe")
    return sock


def told(sock: socket.socket, within_s: float) -> Told | None:
    """The ICMP error that a socket met; None: none came in time."""
    poll = select.poll()
    poll.register(sock, 0)  # errors are always polled for
    until = time.monotonic() + within_s
    while poll.poll(max(0, until - time.monotonic()) * 1000):
        try:
            _, ancillary, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
        except BlockingIOError:
            return None  # an error, but not by ICMP
        for _, _, value in ancillary:
            _, _, type_, code, _, _, _ = _ERROR.unpack_from(value)
            offender = value[_ERROR.size :]
            here = slice(4, 8) if sock.family == socket.AF_INET else slice(8, 24)
            return Told(str(ip_address(offender[here])), type_, code)
    return None
