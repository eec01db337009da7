"""What ICMP errors quote: read as the packet that it was, and rewritten as boxes on the way do.

Who translates the addresses of packets has to translate errors about them, too, or no sender
would know its packet again (RFC 5508, section 4.2).
"""

from __future__ import annotations

import msgspec

from gatewatch.wire.packet import (
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    MalformedPacket,
    Packet,
    checksum,
    parse,
    readdressed,
)

ERRORS = {ICMP: frozenset({3, 4, 5, 11, 12}), ICMPV6: frozenset(range(1, 128))}
"Protocol → its types that are errors: RFC 1122, section 3.2.2, and RFC 4443, section 2.1."


def quoted(error: Packet) -> Packet | None:
    """The packet that an ICMP error is about, zeros in place of what it does not quote.

    None: it is no error, or quotes less than the headers.

    >>> from gatewatch.wire.packet import icmp_time_exceeded, udp
    >>> asked = udp(bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), 4000, 53, bytes(1000))
    >>> found = quoted(parse(icmp_time_exceeded(bytes([192, 0, 2, 9]), asked)))
    >>> found.sport, found.dport, len(found.data) == len(asked)
    (4000, 53, True)
    """
    kinds = ERRORS.get(error.protocol)
    if kinds is None or error.payload_at == error.header_end:
        return None
    if error.data[error.header_end] not in kinds:
        return None
    try:
        found = parse(_whole(error.payload))
    except MalformedPacket:
        return None
    return found if found.version == error.version else None


class Ends(msgspec.Struct, frozen=True):
    """Whose packet an ICMP error is about, as far as the shortest of quotes tells."""

    src: bytes
    dst: bytes
    protocol: int
    sport: int
    dport: int
    seq: int | None
    "Of TCP; None in other protocols."


def quoted_ends(error: Packet) -> Ends | None:
    """What an ICMP error tells of its packet when it quotes only 8 bytes behind the IP header.

    That much is all that RFC 792 asks for and that many routers give; `quoted` wants the whole
    transport header.

    Returns:
        None: it is no error, or quotes less, or neither TCP nor UDP.

    >>> from gatewatch.wire.packet import ACK, icmp_time_exceeded, tcp
    >>> here, there = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
    >>> sent = tcp(here, there, 4000, 443, seq=7, flags=ACK, payload=bytes(99))
    >>> told = icmp_time_exceeded(bytes([192, 0, 2, 9]), sent)[: 20 + 8 + 28]
    >>> ends = quoted_ends(parse(told[:2] + len(told).to_bytes(2, "big") + told[4:]))
    >>> ends.sport, ends.dport, ends.seq
    (4000, 443, 7)
    """
    kinds = ERRORS.get(error.protocol)
    quote = error.payload
    if kinds is None or not quote or error.data[error.header_end] not in kinds:
        return None
    if error.version == 4:
        at, protocol = (quote[0] & 15) * 4, quote[9] if len(quote) > 9 else 0
        src, dst, version = quote[12:16], quote[16:20], 4
    else:  # no extension headers: nothing that we send has any
        at, protocol = 40, quote[6] if len(quote) > 6 else 0
        src, dst, version = quote[8:24], quote[24:40], 6
    transport = quote[at : at + 8]
    if quote[0] >> 4 != version or at < 20 or len(transport) < 8 or protocol not in (TCP, UDP):
        return None
    return Ends(
        src=src,
        dst=dst,
        protocol=protocol,
        sport=int.from_bytes(transport[:2], "big"),
        dport=int.from_bytes(transport[2:4], "big"),
        seq=int.from_bytes(transport[4:8], "big") if protocol == TCP else None,
    )


def requoted(
    error: Packet,
    *,
    src: bytes | None = None,
    dst: bytes | None = None,
    sport: int | None = None,
    dport: int | None = None,
) -> bytes:
    """The same ICMP error about a packet between other ends, all checksums right.

    Raises:
        MalformedPacket: `quoted` finds nothing in it.
    """
    if quoted(error) is None:
        raise MalformedPacket("no ICMP error, or one that quotes too little")
    quote = error.payload
    changed = readdressed(_whole(quote), src=src, dst=dst, sport=sport, dport=dport)
    message = bytearray(error.data[error.header_end : error.payload_at] + changed[: len(quote)])
    message[2:4] = bytes(2)
    pseudo = 0
    if error.protocol == ICMPV6:
        pseudo = int.from_bytes(error.src + error.dst, "big") + ICMPV6 + len(message)
    message[2:4] = checksum(bytes(message), pseudo).to_bytes(2, "big")
    return error.data[: error.header_end] + message + error.data[error.end :]


def _whole(quote: bytes) -> bytes:
    """A quote, as long as its own header says that the packet was."""
    if quote[:1] and quote[0] >> 4 == 6:
        length = 40 + int.from_bytes(quote[4:6], "big")
    else:
        length = int.from_bytes(quote[2:4], "big")
    return quote[:length].ljust(length, b"\0")
