"""A capture without the addresses of who captured it: documentation addresses in their place.

Addresses stand in IP headers, in what ICMP errors quote, and now and then in what servers send: as
text, packed, or in a certificate, and across the bounds of segments. Checksums are right
afterwards, so that none can be turned back into an address; those of packets that came wrong stay
wrong. What is encrypted under keys of its own is left as it is: it shows nothing to anybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address

import msgspec

from gatewatch.probe.scrub import Scrubber
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
from gatewatch.wire.pcap import Frame
from gatewatch.wire.quote import ERRORS, quoted_ends

STAND_INS = {4: "192.0.2.1", 6: "2001:db8::1"}
"RFC 5737 and RFC 3849: addresses for documents, that no host has."
_CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}
_ROUND = 1 << 32


def without(frames: Iterable[Frame], own: Iterable[str]) -> Iterator[Frame]:
    """The frames, in their order, with stand-ins for these addresses; of IPv6, for the /64."""
    told = [address for address in own if address]
    kept = list(frames)
    if not told:
        yield from kept
        return
    hiding = _Hiding(told)
    clean = hiding.payloads([frame.packet for frame in kept])
    for frame, payload in zip(kept, clean, strict=True):
        yield msgspec.structs.replace(frame, packet=hiding.hidden(frame.packet, payload))


def own_of(frames: Iterable[Frame], server: str) -> set[str]:
    """Under which addresses requests to a server were sent: as captured, and, where an address is
    translated on the way, as routers behind that quote them."""
    there = ip_address(server).packed
    found: set[bytes] = set()
    for frame in frames:
        packet = frame.packet
        if packet.dst == there:
            found.add(packet.src)
        ends = quoted_ends(packet)
        if ends is not None and ends.dst == there:
            found.add(ends.src)
    return {str(ip_address(one)) for one in found}


class _Hiding:
    def __init__(self, own: Sequence[str]) -> None:
        self._scrubber = Scrubber(own)
        known = [ip_address(address) for address in own]
        self._own = {one.packed if one.version == 4 else one.packed[:8] for one in known}

    def stand_in(self, address: bytes) -> bytes:
        version = 4 if len(address) == 4 else 6
        mine = (address if version == 4 else address[:8]) in self._own
        return ip_address(STAND_INS[version]).packed if mine else address

    def payloads(self, packets: Sequence[Packet]) -> list[bytes]:
        """What each carries, cleaned: segments that follow on each other as one."""
        found = [packet.payload for packet in packets]
        for chain in _chains(packets):
            whole = b"".join(found[number] for number in chain)
            clean, at = self._clean(whole), 0
            for number in chain:
                end = at + len(found[number])
                found[number], at = clean[at:end], end
        for number, packet in enumerate(packets):
            if packet.protocol != TCP:
                found[number] = self._of_datagram(packet)
        return found

    def _clean(self, data: bytes) -> bytes:
        clean = self._scrubber.bytes(data)
        return clean if len(clean) == len(data) else bytes(len(data))

    def _of_datagram(self, packet: Packet) -> bytes:
        payload = packet.payload
        whole = packet.payload_at > packet.header_end
        if whole and packet.data[packet.header_end] in ERRORS.get(packet.protocol, ()):
            return self._quote(payload)
        return self._clean(payload)

    def _quote(self, quote: bytes) -> bytes:
        """A packet, or the beginning of one, between other ends, its checksums updated."""
        four = quote[:1] and quote[0] >> 4 == 4
        first, last, at = (12, 20, (quote[0] & 15) * 4) if four else (8, 40, 40)
        if len(quote) < last:
            return self._clean(quote)
        size = (last - first) // 2
        ends = quote[first : first + size], quote[first + size : last]
        new = b"".join(map(self.stand_in, ends))
        moved = int.from_bytes(new, "big") - int.from_bytes(quote[first:last], "big")
        changed = bytearray(quote[:first] + new + quote[last:])
        if four:
            _move(changed, 10, moved)
        protocol = quote[9 if four else 6]
        where = at + _CHECKSUM_AT.get(protocol, 0)
        data_at = at + {TCP: 20, UDP: 8}.get(protocol, 8)
        if where > at and protocol != ICMP and len(changed) >= where + 2:
            _move(changed, where, moved)
        data = bytes(changed[data_at:])
        clean = self._clean(data)
        if clean != data:  # the checksum was that of the data
            changed[data_at:] = clean
            if where > at and len(changed) >= where + 2:
                changed[where : where + 2] = bytes(2)
        return bytes(changed)

    def hidden(self, packet: Packet, payload: bytes) -> Packet:
        src, dst = self.stand_in(packet.src), self.stand_in(packet.dst)
        data = readdressed(packet.data, src=src, dst=dst)
        at, end = packet.payload_at, packet.end
        changed = payload != packet.payload
        if changed:
            data = data[:at] + payload + data[end:]
        # What we sent ourselves may have been captured before the checksum was in it: what stood
        # there instead is the sum of the addresses.
        if changed or src != packet.src:
            data = _summed(packet, data)
        try:
            return parse(data)
        except MalformedPacket:  # pragma: no cover - lengths have not changed
            return packet


def _chains(packets: Sequence[Packet]) -> list[list[int]]:
    """Segments of TCP whose data follow on each other, each way by itself."""
    flows: dict[tuple[bytes, bytes, int, int], list[int]] = {}
    for number, packet in enumerate(packets):
        if packet.protocol == TCP and packet.end > packet.payload_at:
            key = packet.src, packet.dst, packet.sport, packet.dport
            flows.setdefault(key, []).append(number)
    chains: list[list[int]] = []
    for numbers in flows.values():
        zero = packets[numbers[0]].seq
        open_at: dict[int, list[int]] = {}
        for number in sorted(
            numbers, key=lambda n: ((packets[n].seq - zero + (1 << 31)) % _ROUND, n)
        ):
            packet = packets[number]
            chain = open_at.pop(packet.seq, None)
            if chain is None:
                chain = []
                chains.append(chain)
            chain.append(number)
            open_at[(packet.seq + packet.end - packet.payload_at) % _ROUND] = chain
    return chains


def _move(data: bytearray, at: int, moved: int) -> None:
    """A checksum after what it covers has grown: RFC 1624, equation 3."""
    value = int.from_bytes(data[at : at + 2], "big")
    value = 0xFFFF - ((0xFFFF - value + moved) % 0xFFFF or 0xFFFF)
    data[at : at + 2] = value.to_bytes(2, "big")


def _summed(packet: Packet, data: bytes) -> bytes:
    """With the transport's checksum made anew; a later fragment, or a UDP datagram without one, has
    none."""
    at, end = packet.header_end, packet.end
    offset = _CHECKSUM_AT.get(packet.protocol)
    if offset is None or packet.payload_at == at:
        return data
    where = at + offset
    if packet.protocol == UDP and data[where : where + 2] == b"\0\0":
        return data
    blank = data[:where] + b"\0\0" + data[where + 2 :]
    pseudo = 0
    if packet.protocol != ICMP:
        ends = data[12:20] if packet.version == 4 else data[8:40]
        pseudo = int.from_bytes(ends, "big") + packet.protocol + end - at
    value = checksum(blank[at:end], pseudo) or (0xFFFF if packet.protocol == UDP else 0)
    return blank[:where] + value.to_bytes(2, "big") + blank[where + 2 :]
