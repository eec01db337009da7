"""Captures as others write them, pcap and pcapng: the IP packets in them, in order, numbered.

Reading is a stream: a capture of any size needs the memory of its longest packet. What is no IP
packet is counted and left out, and keeps its number, so that a number is the one that Wireshark
shows. A file that ends in the middle is read up to there. Writing is next door, in `pcapng`.

Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng, www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from struct import Struct
from typing import IO, NamedTuple, cast

import msgspec

from gatewatch.model.errors import GatewatchError
from gatewatch.wire.packet import MalformedPacket, Packet, parse

_MAX_PACKET = 1 << 18
"The largest snap length that tcpdump and Wireshark take: longer is a corrupt length."
_MAX_BLOCK = 1 << 24
"As Wireshark: blocks of pcapng beyond 16 MiB are taken for corrupt lengths."

_PCAP_MAGIC = {
    bytes.fromhex("a1b2c3d4"): (">", 1_000),
    bytes.fromhex("d4c3b2a1"): ("<", 1_000),
    bytes.fromhex("a1b23c4d"): (">", 1),
    bytes.fromhex("4d3cb2a1"): ("<", 1),
}
"Of pcap: the byte order, and nanoseconds to a unit of its fractions."
_PCAPNG_MAGIC = bytes.fromhex("0a0d0d0a")
_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER = {bytes.fromhex("1a2b3c4d"): ">", bytes.fromhex("4d3c2b1a"): "<"}
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
_TIME_RESOLUTION, _TIME_OFFSET = 9, 14
_MICROSECONDS = 6
"A power of ten below the second: what an interface counts in where it does not say."
_INTERFACES_MAX = 10_000
"Our choice: a section with more is not a capture, and would only fill memory."

_ETHERTYPES = {0x0800, 0x86DD}
_VLAN = {0x8100, 0x88A8, 0x9100}
_VLANS_MAX = 4
_RAW_LINKS = {12, 14, 101, 228, 229}
"Packets begin with the IP header: the platforms' numbers for it, and the official ones."


class NotACapture(GatewatchError):
    """A file that is no pcap and no pcapng."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One IP packet of a capture."""

    number: int
    "From 1, counting what is no IP packet too."
    time_ns: int
    "Nanoseconds since 1970, UTC, by the clock of whoever captured."
    packet: Packet
    cut: bool = False
    "The capture holds only the packet's beginning; zeros stand for the rest."


class _Record(NamedTuple):
    """A packet as the file has it."""

    link: int
    time_ns: int
    data: bytes
    length: int
    "On the wire."


class Reader:
    """Iterates over the frames of a capture, once.

    Args:
        file: at its beginning; plain or gzipped.

    Raises:
        NotACapture: it begins as neither format does.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.set_aside: Counter[str] = Counter()
        "Frames left out, and the file's end where it is cut off, by reason."
        self._rest = b""
        self._file = file
        magic = _read(file, 4)
        if magic[:2] == _GZIP_MAGIC:
            again = cast(IO[bytes], _Again(magic, file))
            self._file = cast(IO[bytes], gzip.GzipFile(fileobj=again, mode="rb"))
            magic = self._take(4)
        if magic == _PCAPNG_MAGIC:
            self._records = self._blocks()
        elif magic in _PCAP_MAGIC:
            self._records = self._pcap(*_PCAP_MAGIC[magic])
        else:
            raise NotACapture(f"a capture begins with a number of pcap or pcapng, not {magic!r}")

    def __iter__(self) -> Iterator[Frame]:
        for number, record in enumerate(self._records, 1):
            datagram = _datagram(record.link, record.data)
            if datagram is None:
                self.set_aside["no IP packet"] += 1
                continue
            missing = record.length - len(record.data)
            cut = missing > 0
            if cut and len(datagram) >= 20:
                datagram = _filled(datagram)
            if datagram[2:4] == b"\0\0" and datagram[:1] == b"\x45":
                # the kernel leaves it at 0 in what the card is to cut into segments
                datagram = (
                    datagram[:2] + min(len(datagram), 0xFFFF).to_bytes(2, "big") + datagram[4:]
                )
            try:
                packet = parse(datagram)
            except MalformedPacket:
                self.set_aside["malformed IP packet"] += 1
                continue
            yield Frame(number, record.time_ns, packet, cut)

    # -- pcap --------------------------------------------------------------------------------

    def _pcap(self, order: str, unit_ns: int) -> Iterator[_Record]:
        header = Struct(order + "HHiIII")
        entry = Struct(order + "IIII")
        data = self._take(header.size)
        if len(data) < header.size:
            self.set_aside["file cut off"] += 1
            return
        link = header.unpack(data)[5] & 0xFFFF  # above: the length of the frame check sequence
        while data := self._take(entry.size):
            if len(data) < entry.size:
                self.set_aside["file cut off"] += 1
                return
            seconds, fraction, captured, length = entry.unpack(data)
            if captured > _MAX_PACKET:
                self.set_aside["file corrupt from here on"] += 1
                return
            data = self._take(captured)
            if len(data) < captured:
                self.set_aside["file cut off"] += 1
                return
            time_ns = seconds * 1_000_000_000 + fraction * unit_ns
            yield _Record(link, time_ns, data, max(length, captured))

    # -- pcapng ------------------------------------------------------------------------------

    def _blocks(self) -> Iterator[_Record]:
        """Blocks, the first one's type having been read."""
        kind, order = _PCAPNG_MAGIC, "<"
        interfaces: list[_Interface] = []
        last_ns = 0
        while kind:
            head = self._take(4)
            if len(kind) + len(head) < 8:
                self.set_aside["file cut off"] += 1
                return
            begun = b""
            if kind == _PCAPNG_MAGIC:
                begun = self._take(4)
                interfaces = []
                if begun not in _BYTE_ORDER:
                    self.set_aside["file corrupt from here on"] += 1
                    return
                order = _BYTE_ORDER[begun]
            word = Struct(order + "I")
            (length,) = word.unpack(head)
            if not 12 + len(begun) <= length <= _MAX_BLOCK or length % 4:
                self.set_aside["file corrupt from here on"] += 1
                return
            body = begun + self._take(length - 8 - len(begun))
            if len(body) < length - 8:
                self.set_aside["file cut off"] += 1
                return
            body = body[:-4]
            (number,) = word.unpack(kind)
            if number == _INTERFACE and len(body) >= 8 and len(interfaces) < _INTERFACES_MAX:
                interfaces.append(_interface(body, order))
            elif number in (_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
                record = _PACKETS[number](body, order, interfaces, last_ns)
                last_ns = record.time_ns
                yield record
            kind = self._take(4)

    def _take(self, size: int) -> bytes:
        """So many bytes, or what is left."""
        try:
            return _read(self._file, size)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            self.set_aside["gzip cut off or corrupt"] += 1
            return b""


class _Interface(NamedTuple):
    link: int
    units: int
    "To a second."
    offset_s: int


def _interface(body: bytes, order: str) -> _Interface:
    link, _, _ = Struct(order + "HHI").unpack_from(body)
    units, offset_s, at = 10**_MICROSECONDS, 0, 8
    option = Struct(order + "HH")
    while at + 4 <= len(body):
        code, length = option.unpack_from(body, at)
        value = body[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
        if code == 0:
            break
        if code == _TIME_RESOLUTION and len(value) == 1:
            # a power of ten; of two where the highest bit is set
            base, power = (2, value[0] & 0x7F) if value[0] & 0x80 else (10, value[0])
            units = base**power
        elif code == _TIME_OFFSET and len(value) == 8:
            (offset_s,) = Struct(order + "q").unpack(value)
    return _Interface(link, units, offset_s)


_NOTHING = _Record(-1, 0, b"", 0)
"A block that cannot be read: no IP packet, though it has a number."


def _enhanced(body: bytes, order: str, interfaces: list[_Interface], _: int) -> _Record:
    return _timed(body, Struct(order + "IIIII"), interfaces)


def _old(body: bytes, order: str, interfaces: list[_Interface], _: int) -> _Record:
    return _timed(body, Struct(order + "HxxIIII"), interfaces)


def _timed(body: bytes, head: Struct, interfaces: list[_Interface]) -> _Record:
    if len(body) < head.size:
        return _NOTHING
    index, high, low, captured, length = head.unpack_from(body)
    if index >= len(interfaces) or captured > len(body) - head.size:
        return _NOTHING
    interface = interfaces[index]
    time_ns = (high << 32 | low) * 1_000_000_000 // interface.units
    time_ns += interface.offset_s * 1_000_000_000
    data = body[head.size : head.size + captured]
    return _Record(interface.link, time_ns, data, max(length, captured))


def _simple(body: bytes, order: str, interfaces: list[_Interface], last_ns: int) -> _Record:
    """A packet without a time: taken to be of the same time as the one before."""
    if len(body) < 4 or not interfaces:
        return _NOTHING
    (length,) = Struct(order + "I").unpack_from(body)
    return _Record(interfaces[0].link, last_ns, body[4 : 4 + length], length)


_PACKETS = {_PACKET: _enhanced, _OLD_PACKET: _old, _SIMPLE_PACKET: _simple}


# -- links -----------------------------------------------------------------------------------


def _datagram(link: int, data: bytes) -> bytes | None:
    """The IP packet in a frame; None when it holds none, or the link type is not known."""
    if link in _RAW_LINKS:
        return data if data[:1] and data[0] >> 4 in (4, 6) else None
    if link in (0, 108):  # a word that says IPv4 or IPv6, each system its own number for the latter
        return _datagram(101, data[4:])
    if link == 1:
        return _after_ethertype(data, 12)
    if link == 113:  # Linux cooked
        return _after_ethertype(data, 14)
    if link == 276:  # Linux cooked, version 2: the protocol comes first, in a header of 20
        kind = int.from_bytes(data[:2], "big")
        return data[20:] if kind in _ETHERTYPES else None
    return None


def _after_ethertype(data: bytes, at: int) -> bytes | None:
    for _ in range(_VLANS_MAX + 1):
        kind = int.from_bytes(data[at : at + 2], "big")
        if kind not in _VLAN:
            return data[at + 2 :] if kind in _ETHERTYPES else None
        at += 4
    return None


def _filled(datagram: bytes) -> bytes:
    """A packet of which only the beginning was kept, as long as its header says that it was."""
    if datagram[0] >> 4 == 6:
        length = 40 + int.from_bytes(datagram[4:6], "big")
    else:
        length = int.from_bytes(datagram[2:4], "big")
    return datagram.ljust(length, b"\0")


# -- files -----------------------------------------------------------------------------------


def _read(file: IO[bytes], size: int) -> bytes:
    """So many bytes, from a file that may give fewer at a time."""
    data = file.read(size)
    while data and len(data) < size:
        more = file.read(size - len(data))
        if not more:
            break
        data += more
    return data or b""


class _Again:
    """A file whose first bytes have been read, with them in front again."""

    def __init__(self, begun: bytes, file: IO[bytes]) -> None:
        self._begun, self._file = begun, file

    def read(self, size: int = -1) -> bytes:
        if self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
            return data
        return self._file.read(size)
