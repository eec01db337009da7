"""IPv4 and IPv6 packets: read, built, sent on with another TTL or other addresses.

Addresses are packed (4 or 16 bytes) throughout: nothing here needs their text, and making it
would cost more than all the rest. Reading is strict on lengths, since a length is what an
attacker writes, and lenient on everything else. What the payload means is for the modules next
door; reassembly of fragments and of streams is for whoever keeps state.
"""

from __future__ import annotations

from struct import Struct
from typing import Literal

import msgspec

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58

_IPV4 = Struct(">BBHHHBBH4s4s")
_IPV6 = Struct(">IHBB16s16s")
_TCP = Struct(">HHIIBBHHH")
_UDP = Struct(">HHHH")
_ICMP = Struct(">BBHI")
_WORD = Struct(">H")
_TWO_WORDS = Struct(">HH")

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
_EXTENSIONS = frozenset({_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION})
_MAX_EXTENSIONS = 16
"Our choice: twice what RFC 8200 foresees; more only costs time on what no host would send."

_DONT_FRAGMENT = 0x4000
_FRAGMENT_OFFSET = 0x1FFF
_ANY_FRAGMENT = 0x3FFF
"More Fragments, and the offset."

_CHECKSUM_AT = {TCP: 16, UDP: 6, ICMPV6: 2}
"Where the checksums that cover the addresses stand in their headers."

_ERRORS_V4 = frozenset({3, 4, 5, 11, 12})
"ICMP types that are errors: RFC 1122, section 3.2.2."
_UNREACHABLE_V4 = {"net": 0, "host": 1, "port": 3, "admin": 13}
"Codes of ICMP type 3: RFC 792, and RFC 1812, section 5.2.7.1."
_UNREACHABLE_V6 = {"net": 0, "host": 3, "port": 4, "admin": 1}
"Codes of ICMPv6 type 1: RFC 4443, section 3.1."
_QUOTE_V4 = 576 - 20 - 8
"RFC 1812, section 4.3.2.3: as much of the original as a datagram of 576 bytes can hold."
_QUOTE_V6 = 1280 - 40 - 8
"RFC 4443, section 3.1: as much as the minimum IPv6 MTU can hold."


class MalformedPacket(ValueError):
    """Bytes that are no IP packet, or whose lengths contradict each other."""


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One IPv4 or IPv6 packet, as parsed; `data` is as it was received."""

    data: bytes
    version: int
    src: bytes
    dst: bytes
    ttl: int
    "Hop limit, in IPv6."
    protocol: int
    "Of the transport header, behind all extension headers."
    header_end: int
    "Where the transport header begins."
    payload_at: int
    "Where the transport payload begins; equals `header_end` where no header was read."
    end: int
    "Where the payload ends; what follows is padding."
    sport: int = 0
    dport: int = 0
    "Ports are 0 in other protocols, and in fragments other than the first."
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 0

    @property
    def payload(self) -> bytes:
        """The transport payload: in an ICMP error, what it quotes."""
        return self.data[self.payload_at : self.end]


def parse(data: bytes) -> Packet:
    """Read one packet.

    Raises:
        MalformedPacket: a header is cut short, or a length leads outside the packet.

    >>> packet = parse(udp(bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), 4000, 53, b"hello"))
    >>> packet.sport, packet.dport, packet.payload
    (4000, 53, b'hello')
    """
    size = len(data)
    if size < 20:
        raise MalformedPacket(f"{size} bytes are no IP packet")
    version = data[0] >> 4
    if version == 4:
        first, _, end, _, fragment, ttl, protocol, _, src, dst = _IPV4.unpack_from(data)
        at = (first & 15) * 4
        if not 20 <= at <= end <= size:
            raise MalformedPacket(f"IPv4 header of {at} in {end} of {size} bytes")
        offset = fragment & _FRAGMENT_OFFSET
        whole = not fragment & _ANY_FRAGMENT
    elif version == 6 and size >= 40:
        _, length, protocol, ttl, src, dst = _IPV6.unpack_from(data)
        at, end, offset, whole = 40, 40 + length, 0, True
        if end > size:
            raise MalformedPacket(f"IPv6 payload of {length} bytes in {size - 40}")
        if protocol in _EXTENSIONS:
            protocol, at, offset, whole = _after_extensions(data, protocol, end)
    else:
        raise MalformedPacket(f"{size} bytes of IP version {version}")
    if offset:
        return Packet(data, version, src, dst, ttl, protocol, at, at, end)

    if protocol == TCP:
        if at + 20 > end:
            raise MalformedPacket(f"TCP header of {end - at} bytes")
        sport, dport, seq, ack, words, flags, window, _, _ = _TCP.unpack_from(data, at)
        payload_at = at + (words >> 4) * 4
        if not at + 20 <= payload_at <= end:
            raise MalformedPacket(f"TCP header of {payload_at - at} in {end - at} bytes")
        return Packet(
            data, version, src, dst, ttl, TCP, at, payload_at, end,
            sport, dport, seq, ack, flags, window,
        )  # fmt: skip
    if protocol == UDP:
        if at + 8 > end:
            raise MalformedPacket(f"UDP header of {end - at} bytes")
        sport, dport, length, _ = _UDP.unpack_from(data, at)
        if whole:
            if not 8 <= length <= end - at:
                raise MalformedPacket(f"UDP length {length} in {end - at} bytes")
            end = at + length
        return Packet(data, version, src, dst, ttl, UDP, at, at + 8, end, sport, dport)
    if protocol == (ICMP if version == 4 else ICMPV6):
        if at + 8 > end:
            raise MalformedPacket(f"ICMP header of {end - at} bytes")
        return Packet(data, version, src, dst, ttl, protocol, at, at + 8, end)
    return Packet(data, version, src, dst, ttl, protocol, at, at, end)


def _after_extensions(data: bytes, protocol: int, end: int) -> tuple[int, int, int, bool]:
    """Walk IPv6 extension headers (RFC 8200, section 4; RFC 4302 for authentication).

    Returns:
        Protocol and place of the first header that is none, the fragment's offset in units of
        8 bytes, and whether the packet is a whole datagram.
    """
    at, offset, whole = 40, 0, True
    for _ in range(_MAX_EXTENSIONS):
        if protocol not in _EXTENSIONS or offset:
            return protocol, at, offset, whole
        if at + 8 > end:
            raise MalformedPacket(f"extension header {protocol} of {end - at} bytes")
        size = 8 + data[at + 1] * 8
        if protocol == _FRAGMENT:
            (word,) = _WORD.unpack_from(data, at + 2)
            size, offset, whole = 8, word >> 3, whole and not word & 0xFFF9
        elif protocol == _AUTHENTICATION:
            size = 8 + data[at + 1] * 4
        protocol, at = data[at], at + size
        if at > end:
            raise MalformedPacket(f"extension header of {size} bytes ends outside the packet")
    raise MalformedPacket(f"over {_MAX_EXTENSIONS} extension headers")


def checksum(data: bytes, start: int = 0) -> int:
    """The Internet checksum (RFC 1071) of data, 16 bits.

    One's complement addition of 16-bit words is arithmetic modulo 0xFFFF, so the whole of the
    data is one big number and its remainder the sum.

    Args:
        start: what else is summed, such as the pseudo-header; any number ≥ 0.

    >>> hex(checksum(bytes.fromhex("0001f203f4f5f6f7")))  # the example of RFC 1071
    '0x220d'
    """
    total = int.from_bytes(data, "big")
    return _complement((total << 8 if len(data) & 1 else total) + start)


def _complement(total: int) -> int:
    """A checksum from the plain sum; a sum that is not zero folds to 0xFFFF, never to 0."""
    return 0xFFFF - (total % 0xFFFF or (0xFFFF if total else 0))


def tcp(
    src: bytes,
    dst: bytes,
    sport: int,
    dport: int,
    *,
    seq: int,
    ack: int = 0,
    flags: int,
    payload: bytes = b"",
    ttl: int = 64,
    window: int = 65535,
    ip_id: int = 0,
    options: bytes = b"",
) -> bytes:
    """A TCP segment in an IP packet; sequence numbers are taken modulo 2**32.

    Raises:
        ValueError: options of more than 40 bytes.
    """
    options += bytes(-len(options) % 4)
    if len(options) > 40:
        raise ValueError(f"{len(options)} bytes of TCP options; 40 is the most")
    words = (5 + len(options) // 4) << 4
    fields = (sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, words, flags, window)
    tail = options + payload
    pseudo = int.from_bytes(src + dst, "big") + TCP + 20 + len(tail)
    value = checksum(_TCP.pack(*fields, 0, 0) + tail, pseudo)
    return _ip(src, dst, TCP, _TCP.pack(*fields, value, 0) + tail, ttl, ip_id)


def udp(
    src: bytes,
    dst: bytes,
    sport: int,
    dport: int,
    payload: bytes,
    *,
    ttl: int = 64,
    ip_id: int = 0,
) -> bytes:
    """A UDP datagram in an IP packet."""
    length = 8 + len(payload)
    pseudo = int.from_bytes(src + dst, "big") + UDP + length
    # RFC 768: a checksum that comes out as zero is sent as all ones, for zero means none.
    value = checksum(_UDP.pack(sport, dport, length, 0) + payload, pseudo) or 0xFFFF
    return _ip(src, dst, UDP, _UDP.pack(sport, dport, length, value) + payload, ttl, ip_id)


def _ip(src: bytes, dst: bytes, protocol: int, body: bytes, ttl: int, ip_id: int) -> bytes:
    if len(src) == 16:
        return _IPV6.pack(0x60000000, len(body), protocol, ttl, src, dst) + body
    total = 20 + len(body)
    words = 0x4500 + total + ip_id + _DONT_FRAGMENT + (ttl << 8 | protocol)
    value = _complement(words + int.from_bytes(src + dst, "big"))
    header = (0x45, 0, total, ip_id, _DONT_FRAGMENT, ttl, protocol, value, src, dst)
    return _IPV4.pack(*header) + body


def may_be_told(packet: Packet) -> bool:
    """Whether an ICMP error may answer this packet.

    Errors about errors, about fragments other than the first, and to a source or about a
    destination that is no single host are forbidden: RFC 1122, section 3.2.2, and RFC 4443,
    section 2.4 (e).
    """
    first_src, first_dst = packet.src[0], packet.dst[0]
    if packet.version == 4:
        if first_dst >= 224 or first_src >= 224 or not first_src:
            return False
        if packet.protocol == ICMP and packet.payload_at > packet.header_end:
            return packet.data[packet.header_end] not in _ERRORS_V4
        return not int.from_bytes(packet.data[6:8], "big") & _FRAGMENT_OFFSET
    if first_dst == 0xFF or first_src == 0xFF or not any(packet.src):
        return False
    if packet.protocol == ICMPV6 and packet.payload_at > packet.header_end:
        return packet.data[packet.header_end] >= 128
    return packet.protocol not in _CHECKSUM_AT or packet.payload_at > packet.header_end


def icmp_time_exceeded(router: bytes, original: bytes, *, ttl: int = 64) -> bytes:
    """What a router tells the sender of a packet whose TTL ran out in transit.

    Raises:
        MalformedPacket: the original is no IP packet of the router address's version.
    """
    return _icmp_error(router, original, 11 if len(router) == 4 else 3, 0, ttl)


def icmp_unreachable(
    router: bytes,
    original: bytes,
    code: Literal["net", "host", "port", "admin"],
    *,
    ttl: int = 64,
) -> bytes:
    """What a router or host tells the sender of a packet it does not deliver; "admin" is the
    filter that admits to being one.

    Raises:
        MalformedPacket: the original is no IP packet of the router address's version.
    """
    if len(router) == 4:
        return _icmp_error(router, original, 3, _UNREACHABLE_V4[code], ttl)
    return _icmp_error(router, original, 1, _UNREACHABLE_V6[code], ttl)


def _icmp_error(router: bytes, original: bytes, kind: int, code: int, ttl: int) -> bytes:
    version, header = (4, 20) if len(router) == 4 else (6, 40)
    if len(original) < header or original[0] >> 4 != version:
        raise MalformedPacket(f"no IPv{version} packet to quote")
    if version == 4:
        quote, back = original[:_QUOTE_V4], original[12:16]
        value = checksum(_ICMP.pack(kind, code, 0, 0) + quote)
        return _ip(router, back, ICMP, _ICMP.pack(kind, code, value, 0) + quote, ttl, 0)
    quote, back = original[:_QUOTE_V6], original[8:24]
    pseudo = int.from_bytes(router + back, "big") + ICMPV6 + 8 + len(quote)
    value = checksum(_ICMP.pack(kind, code, 0, 0) + quote, pseudo)
    return _ip(router, back, ICMPV6, _ICMP.pack(kind, code, value, 0) + quote, ttl, 0)


def with_ttl(data: bytes, ttl: int) -> bytes:
    """The same packet with another TTL or hop limit.

    The IPv4 checksum is updated incrementally (RFC 1624, equation 3), so that a wrong one stays
    wrong, as it does in routers.

    Raises:
        MalformedPacket: too short to have the field.
    """
    if len(data) < 20:
        raise MalformedPacket(f"{len(data)} bytes are no IP packet")
    if data[0] >> 4 != 4:
        return b"%b%c%b" % (data[:7], ttl, data[8:])
    word, value = _TWO_WORDS.unpack_from(data, 8)
    new_word = ttl << 8 | word & 0xFF
    value = _updated(value, new_word - word)
    return data[:8] + _TWO_WORDS.pack(new_word, value) + data[12:]


def _updated(value: int, change: int) -> int:
    """A checksum after what it covers grew by `change`, which may be negative."""
    return 0xFFFF - ((0xFFFF - value + change) % 0xFFFF or 0xFFFF)


def readdressed(
    data: bytes,
    *,
    src: bytes | None = None,
    dst: bytes | None = None,
    sport: int | None = None,
    dport: int | None = None,
) -> bytes:
    """The same packet between other ends, its checksums updated incrementally.

    A UDP checksum of zero says that there is none, and stays. Ports of packets that have none,
    such as later fragments, are left alone.

    Raises:
        MalformedPacket: see `parse`; ValueError: an address of the other IP version.
    """
    packet = parse(data)
    new_src, new_dst = src or packet.src, dst or packet.dst
    if not len(new_src) == len(new_dst) == len(packet.src):
        raise ValueError(f"IPv{packet.version} packets have addresses of {len(packet.src)} bytes")
    moved = int.from_bytes(new_src + new_dst, "big") - int.from_bytes(
        packet.src + packet.dst, "big"
    )
    changed = bytearray(data)
    if packet.version == 4:
        _WORD.pack_into(changed, 10, _updated(_WORD.unpack_from(data, 10)[0], moved))
        changed[12:20] = new_src + new_dst
    else:
        changed[8:40] = new_src + new_dst
    if packet.payload_at > packet.header_end and packet.protocol in _CHECKSUM_AT:
        _readdress_transport(changed, packet, moved, sport, dport)
    return bytes(changed)


def _readdress_transport(
    changed: bytearray, packet: Packet, moved: int, sport: int | None, dport: int | None
) -> None:
    at, protocol = packet.header_end, packet.protocol
    if protocol != ICMPV6:
        ports = packet.sport if sport is None else sport, packet.dport if dport is None else dport
        _TWO_WORDS.pack_into(changed, at, *ports)
        moved += sum(ports) - packet.sport - packet.dport
    where = at + _CHECKSUM_AT[protocol]
    (value,) = _WORD.unpack_from(changed, where)
    if value or protocol != UDP:
        value = _updated(value, moved)
        _WORD.pack_into(changed, where, value or (0xFFFF if protocol == UDP else 0))
