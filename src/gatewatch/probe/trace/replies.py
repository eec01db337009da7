"""What came back to a probe, in kinds: by its first bytes and flags, whoever sent it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

from gatewatch.probe.trace.probes import Probe, length
from gatewatch.wire.packet import FIN, RST, TCP
from gatewatch.wire.pcap import Frame

Kind = Literal[
    "reset", "closed", "page", "hello", "alert", "garbage", "dns", "datagram", "unread", "accepted"
]  # fmt: skip
"""RST; FIN without a word; HTTP, with or without a status line; ServerHello; TLS alert; bytes that
are none of what was asked for; a DNS message; another datagram; data in a protocol that we do not
read; a SYN/ACK, where a SYN was all that was sent."""

WORDS: dict[Kind, str] = {
    "reset": "a RST",
    "closed": "a FIN without a word of answer",
    "page": "an HTTP answer",
    "hello": "a TLS handshake",
    "alert": "a TLS alert",
    "garbage": "bytes in no protocol that was asked for",
    "dns": "a DNS answer",
    "datagram": "a datagram",
    "unread": "data",
    "accepted": "a SYN/ACK",
}

_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})")
_LOCATION = re.compile(rb"\r?\n[Ll]ocation:[ \t]*([^\r\n]+)", re.ASCII)
_PAGE_MOST = 1 << 16
_HANDSHAKE, _ALERT = 0x16, 0x15


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer to a probe."""

    kind: Kind
    frames: tuple[Frame, ...]
    "The packets that make it: RSTs, or segments with data, or FINs, or datagrams."
    data: bytes = b""
    status: int | None = None
    "Of an HTTP answer that has one."
    location: str | None = None
    rcode: str | None = None
    addresses: tuple[str, ...] = ()
    "Of a DNS answer."


def replies(probe: Probe) -> list[Reply]:
    """All that answered a probe, in the order of arrival: a RST and a page may both have come."""
    if probe.protocol == "syn":
        return [_knocked(frame) for frame in probe.heard]
    if probe.key.protocol != TCP:
        return [_datagram(probe, frame) for frame in probe.heard]
    resets = [frame for frame in probe.heard if frame.packet.flags & RST]
    rest = [frame for frame in probe.heard if not frame.packet.flags & RST]
    spoken = [frame for frame in rest if length(frame.packet)]
    found = [_stream(probe, frames) for frames in _by_hand(spoken)]
    if resets:
        found.append(Reply(kind="reset", frames=tuple(resets)))
    if not spoken:
        ends = [frame for frame in rest if frame.packet.flags & FIN]
        if ends:
            found.append(Reply(kind="closed", frames=tuple(ends)))
    return sorted(found, key=lambda reply: reply.frames[0].number)


def _knocked(frame: Frame) -> Reply:
    return Reply(kind="reset" if frame.packet.flags & RST else "accepted", frames=(frame,))


def _by_hand(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Segments by the TTL that they came with: what one machine sent in another's name is another
    answer."""
    found: dict[int, list[Frame]] = {}
    for frame in frames:
        found.setdefault(frame.packet.ttl, []).append(frame)
    return list(found.values())


def _stream(probe: Probe, frames: list[Frame]) -> Reply:
    """What segments say, put together as far as they follow one another."""
    first = min(frames, key=lambda frame: (frame.packet.seq - probe_answer_at(probe)) % (1 << 32))
    at, data = first.packet.seq, b""
    by_seq = {}
    for frame in frames:
        known = by_seq.get(frame.packet.seq)
        if known is None or length(frame.packet) > length(known.packet):
            by_seq[frame.packet.seq] = frame
    while at in by_seq and len(data) < _PAGE_MOST:
        payload = by_seq.pop(at).packet.payload
        data += payload
        at = (at + len(payload)) % (1 << 32)
    return _read(probe, tuple(frames), data)


def probe_answer_at(probe: Probe) -> int:
    """The sequence number with which the server's answer begins."""
    return probe.request[0].packet.ack


def _read(probe: Probe, frames: tuple[Frame, ...], data: bytes) -> Reply:
    status = _STATUS.match(data)
    looks_like_html = data.lstrip()[:1] == b"<"
    kind: Kind
    if status or (looks_like_html and probe.protocol == "http"):
        kind = "page" if probe.protocol == "http" else "garbage"
    elif probe.protocol == "tls":
        kind = {_HANDSHAKE: "hello", _ALERT: "alert"}.get(data[0], "garbage")  # pyright: ignore[reportAssignmentType]
    elif probe.protocol == "dns":
        return _dns(frames, data[2:])
    elif probe.protocol == "http":
        kind = "garbage"
    else:
        kind = "unread"
    place = _LOCATION.search(data) if status else None
    return Reply(
        kind=kind,
        frames=frames,
        data=data,
        status=int(status[1]) if status else None,
        location=place[1].decode("latin-1").strip() if place else None,
    )


def _datagram(probe: Probe, frame: Frame) -> Reply:
    data = frame.packet.payload
    if probe.protocol == "dns":
        return _dns((frame,), data)
    return Reply(kind="datagram", frames=(frame,), data=data)


def _dns(frames: tuple[Frame, ...], data: bytes) -> Reply:
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return Reply(kind="garbage", frames=frames, data=data)
    found = [
        str(ip_address(item.address))
        for answer in message.answer
        if answer.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
        for item in answer
    ]
    rcode = dns.rcode.to_text(message.rcode())
    return Reply(kind="dns", frames=frames, data=data, rcode=rcode, addresses=tuple(found))
