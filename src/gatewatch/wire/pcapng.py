"""Captures that Wireshark and tshark read: blocks of pcapng, with packets that begin at IP.

The format is draft-ietf-opsawg-pcapng. A file is `section()`, then an `interface()` for each
place where packets are seen, numbered from 0 in that order, then a `packet()` each. Times are
the caller's.
"""

from __future__ import annotations

from struct import Struct

LINKTYPE_RAW = 101
"Packets begin with the IPv4 or IPv6 header: www.tcpdump.org/linktypes.html."

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_END_OF_OPTIONS, _COMMENT = 0, 1
_SECTION_APPLICATION = 4
_INTERFACE_NAME, _INTERFACE_TIME_RESOLUTION = 2, 9
_NANOSECONDS = b"\x09"
_SNAP_LENGTH = 0
"No limit: packets are kept whole."

_WORD = Struct("<I")
_OPTION = Struct("<HH")
_SECTION_BODY = Struct("<IHHq")
_INTERFACE_BODY = Struct("<HHI")
_PACKET_BODY = Struct("<IIIII")


def section(application: str = "gatewatch") -> bytes:
    """What a file begins with."""
    body = _SECTION_BODY.pack(_BYTE_ORDER, 1, 0, -1)  # version 1.0, length not told
    return _block(_SECTION, body + _options((_SECTION_APPLICATION, application.encode())))


def interface(name: str) -> bytes:
    """A place where packets are seen; its timestamps count nanoseconds."""
    body = _INTERFACE_BODY.pack(LINKTYPE_RAW, 0, _SNAP_LENGTH)
    options = (_INTERFACE_NAME, name.encode()), (_INTERFACE_TIME_RESOLUTION, _NANOSECONDS)
    return _block(_INTERFACE, body + _options(*options))


def packet(interface: int, time_ns: int, data: bytes, comment: str | None = None) -> bytes:
    """One packet.

    Args:
        interface: the number of its interface in the section.
        time_ns: nanoseconds since 1970, UTC.
        comment: shown beside the packet.
    """
    high, low = time_ns >> 32, time_ns & 0xFFFFFFFF
    body = _PACKET_BODY.pack(interface, high, low, len(data), len(data)) + _padded(data)
    if comment is not None:
        body += _options((_COMMENT, comment.encode()))
    return _block(_PACKET, body)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(*options: tuple[int, bytes]) -> bytes:
    written = b"".join(_OPTION.pack(code, len(data)) + _padded(data) for code, data in options)
    return written + _OPTION.pack(_END_OF_OPTIONS, 0)


def _block(kind: int, body: bytes) -> bytes:
    """Type, length, body, and the length again, so that files can be read backwards."""
    length = _WORD.pack(12 + len(body))
    return _WORD.pack(kind) + length + body + length
