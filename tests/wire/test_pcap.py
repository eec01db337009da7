"""Captures as others write them, read back; and what is no capture, or only half of one."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable
from struct import pack

import pytest
from hypothesis import given
from hypothesis.strategies import binary, data, integers, lists, sampled_from

from gatewatch.wire import pcapng
from gatewatch.wire.packet import ACK, tcp, udp
from gatewatch.wire.pcap import Frame, NotACapture, Reader

HERE, THERE = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
HERE6, THERE6 = bytes(15) + b"\1", bytes(15) + b"\2"
PACKET = udp(HERE, THERE, 4000, 53, b"question")
PACKET6 = udp(HERE6, THERE6, 4000, 53, b"question")
NS = 1_500_000_000_123_456_000

ORDERS = [pytest.param("<", id="little"), pytest.param(">", id="big")]
LINKS = [
    pytest.param(1, bytes(12) + b"\x08\0", PACKET, id="Ethernet"),
    pytest.param(1, bytes(12) + b"\x86\xdd", PACKET6, id="Ethernet, IPv6"),
    pytest.param(1, bytes(12) + b"\x81\0\0\7\x08\0", PACKET, id="VLAN"),
    pytest.param(1, bytes(12) + b"\x88\xa8\0\1\x81\0\0\7\x86\xdd", PACKET6, id="VLAN in VLAN"),
    pytest.param(101, b"", PACKET, id="raw"),
    pytest.param(101, b"", PACKET6, id="raw, IPv6"),
    pytest.param(228, b"", PACKET, id="IPv4"),
    pytest.param(229, b"", PACKET6, id="IPv6"),
    pytest.param(113, bytes(14) + b"\x08\0", PACKET, id="Linux cooked"),
    pytest.param(276, b"\x86\xdd" + bytes(18), PACKET6, id="Linux cooked, version 2"),
    pytest.param(0, b"\2\0\0\0", PACKET, id="loopback"),
    pytest.param(108, b"\0\0\0\x1e", PACKET6, id="loopback of OpenBSD"),
]


def pcap(
    packets: Iterable[tuple[int, bytes]],
    *,
    order: str = "<",
    link: int = 101,
    nanoseconds: bool = False,
    snap: int = 262_144,
) -> bytes:
    """A file, with the whole of each packet up to a length."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    found = pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)
    for time_ns, packet in packets:
        seconds, rest = divmod(time_ns, 10**9)
        kept = packet[:snap]
        found += pack(order + "IIII", seconds, rest // unit, len(kept), len(packet)) + kept
    return found


def frames(file: bytes) -> list[Frame]:
    return list(Reader(io.BytesIO(file)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("nanoseconds", [False, True], ids=["us", "ns"])
@pytest.mark.parametrize(("link", "head", "packet"), LINKS)
def test_a_packet_is_found_behind_every_kind_of_link(order, nanoseconds, link, head, packet):
    file = pcap([(NS, head + packet)], order=order, link=link, nanoseconds=nanoseconds)
    (frame,) = frames(file)
    assert (frame.number, frame.time_ns, frame.packet.data, frame.cut) == (1, NS, packet, False)


def test_what_is_no_ip_packet_is_left_out_and_keeps_its_number():
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    short = bytes(12) + b"\x08\0" + PACKET[:10]
    whole = bytes(12) + b"\x08\0" + PACKET
    reader = Reader(io.BytesIO(pcap([(NS, arp), (NS, short), (NS, whole)], link=1)))
    assert [frame.number for frame in reader] == [3]
    assert reader.set_aside == {"no IP packet": 1, "malformed IP packet": 1}


def test_a_packet_of_which_only_the_beginning_was_kept_is_filled_up():
    sent = tcp(HERE, THERE, 4000, 443, seq=1, flags=ACK, payload=bytes(range(200)))
    (frame,) = frames(pcap([(NS, sent)], snap=68))
    assert frame.cut
    assert frame.packet.payload == bytes(range(28)) + bytes(172)


@given(packets=lists(integers(0, 40), max_size=5), at=data())
def test_a_file_that_ends_anywhere_is_read_up_to_there(packets, at):
    sent = [udp(HERE, THERE, 4000, 53, bytes(size)) for size in packets]
    file = pcap([(NS, one) for one in sent])
    cut = at.draw(integers(24, len(file)))
    reader = Reader(io.BytesIO(file[:cut]))
    found = [frame.packet.data for frame in reader]
    assert found == sent[: len(found)]
    ends = [24 + sum(16 + len(one) for one in sent[:n]) for n in range(len(sent) + 1)]
    assert reader.set_aside == ({} if cut in ends else {"file cut off": 1})


def test_a_length_beyond_all_measure_ends_the_reading():
    file = pcap([(NS, PACKET)]) + pack("<IIII", 0, 0, 0xFFFFFFFF, 0xFFFFFFFF)
    reader = Reader(io.BytesIO(file))
    assert [frame.packet.data for frame in reader] == [PACKET]
    assert reader.set_aside == {"file corrupt from here on": 1}


@given(times=lists(integers(0, 2**63), max_size=5))
def test_what_is_written_as_pcapng_is_read_back(times):
    file = pcapng.section() + pcapng.interface("one")
    file += b"".join(pcapng.packet(0, at, PACKET, "words") for at in times)
    assert [(f.number, f.time_ns, f.packet.data) for f in frames(file)] == [
        (number, at, PACKET) for number, at in enumerate(times, 1)
    ]


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = pack(order + "I", 12 + len(body))
    return pack(order + "I", kind) + length + body + length


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("options", "ticks", "time_ns"),
    [
        pytest.param(b"", 1_000_001, 1_000_001_000, id="microseconds, if nothing is said"),
        pytest.param(b"\x03", 2_500, 2_500_000_000, id="milliseconds"),
        pytest.param(b"\x81", 3, 1_500_000_000, id="halves of a second"),
    ],
)
def test_times_count_what_the_interface_says(order, options, ticks, time_ns):
    said = pack(order + "HH", 9, 1) + options + bytes(3) if options else b""
    file = block(order, 0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    file += block(order, 1, pack(order + "HHI", 101, 0, 0) + said)
    file += block(order, 5, b"statistics, which are no packet")
    size = len(PACKET)
    file += block(order, 6, pack(order + "IIIII", 0, ticks >> 32, ticks, size, size) + PACKET)
    file += block(order, 2, pack(order + "HHIIII", 0, 0, 0, ticks, size, size) + PACKET)
    file += block(order, 3, pack(order + "I", size) + PACKET)
    assert [(f.number, f.time_ns) for f in frames(file)] == [(n, time_ns) for n in (1, 2, 3)]


def test_a_packet_of_an_interface_that_was_never_named_is_none():
    file = pcapng.section() + pcapng.packet(0, 1, PACKET) + pcapng.interface("late")
    reader = Reader(io.BytesIO(file + pcapng.packet(0, 2, PACKET)))
    assert [frame.number for frame in reader] == [2]


def test_a_compressed_capture_is_read_as_it_is_and_as_far_as_it_goes():
    file = pcap([(NS, PACKET)] * 50)
    packed = gzip.compress(file)
    assert len(frames(packed)) == 50
    reader = Reader(io.BytesIO(packed[:-20]))
    assert len(list(reader)) <= 50
    assert reader.set_aside


@given(start=sampled_from([pcap([]), pcapng.section(), gzip.compress(b"")[:6]]), rest=binary())
def test_nothing_that_follows_a_good_beginning_breaks_the_reader(start, rest):
    try:
        found = frames(start + rest)
    except NotACapture:
        return
    assert all(frame.packet.src for frame in found)


@pytest.mark.parametrize("file", [b"", b"\xd4\xc3", b"GET / HTTP/1.1", b"\x1f\x8b"])
def test_what_is_no_capture_is_refused(file):
    with pytest.raises(NotACapture):
        Reader(io.BytesIO(file))
