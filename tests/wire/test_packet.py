"""IP packets, in bytes: what is built is sound, what is read is what was built, and what hostile
bytes say about lengths never leads outside."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack, unpack_from

import pytest
from hypothesis import example, given
from hypothesis.strategies import binary, booleans, data, integers, just, sampled_from, tuples

from gatewatch.wire.packet import (
    ACK,
    ICMP,
    ICMPV6,
    SYN,
    TCP,
    UDP,
    MalformedPacket,
    Packet,
    checksum,
    icmp_time_exceeded,
    icmp_unreachable,
    may_be_told,
    parse,
    readdressed,
    tcp,
    udp,
    with_ttl,
)

V4 = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 7])
V6 = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8" + "ff" * 12)
ROUTER = {4: bytes([203, 0, 113, 1]), 6: bytes.fromhex("20010db8" + "00" * 11 + "fe")}

PORTS = integers(0, 65535)
ENDS = sampled_from([V4, V6]) | tuples(binary(min_size=4, max_size=4), just(V4[1]))
PAYLOAD = binary(max_size=200)


def folded(data: bytes) -> int:
    """RFC 1071 as it is written: words added one by one, each carry brought round."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total


def assert_sound(data: bytes) -> None:
    """Both checksums add up to all ones."""
    packet = parse(data)
    if packet.version == 4:
        assert folded(data[: (data[0] & 15) * 4]) == 0xFFFF
    body = data[packet.header_end : packet.end]
    pseudo = b""
    if packet.protocol != ICMP:
        pseudo = packet.src + packet.dst + pack(">II", len(body), packet.protocol)
    assert folded(pseudo + body) == 0xFFFF


@given(data=binary(max_size=99), start=integers(0, 2**40))
@example(data=b"\xff\xff", start=0)
@example(data=b"\0\0", start=0)
def test_the_fast_checksum_is_the_one_of_rfc_1071(data, start):
    summed = folded(start.to_bytes(6, "big") + data)
    assert checksum(data, start) == 0xFFFF - summed


def test_a_known_header_has_its_known_checksum():
    header = bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")
    assert checksum(header[:10] + b"\0\0" + header[12:]) == 0xB861


@given(
    ends=ENDS,
    sport=PORTS,
    dport=PORTS,
    seq=integers(0, 2**32 - 1),
    ack=integers(0, 2**32 - 1),
    flags=integers(0, 255),
    window=PORTS,
    ttl=integers(0, 255),
    ip_id=PORTS,
    payload=PAYLOAD,
    options=binary(max_size=40),
)
def test_a_segment_is_read_as_it_was_built(ends, payload, options, ip_id, **said):
    data = tcp(*ends, **said, payload=payload, options=options, ip_id=ip_id)
    packet = parse(data)
    assert_sound(data)
    assert (packet.src, packet.dst, packet.payload, packet.protocol) == (*ends, payload, TCP)
    assert {name: getattr(packet, name) for name in said} == said
    assert data[packet.header_end + 20 : packet.payload_at].rstrip(b"\0") == options.rstrip(b"\0")


@given(ends=ENDS, sport=PORTS, dport=PORTS, ttl=integers(0, 255), payload=PAYLOAD)
def test_a_datagram_is_read_as_it_was_built(ends, payload, **said):
    data = udp(*ends, **said, payload=payload)
    packet = parse(data)
    assert_sound(data)
    assert (packet.src, packet.dst, packet.payload, packet.protocol) == (*ends, payload, UDP)
    assert {name: getattr(packet, name) for name in said} == said


def test_sequence_numbers_wrap_round():
    packet = parse(tcp(*V4, 1, 2, seq=2**32 + 5, ack=-1, flags=ACK))
    assert (packet.seq, packet.ack) == (5, 2**32 - 1)


def test_more_tcp_options_than_a_header_can_hold_are_refused():
    with pytest.raises(ValueError, match="44 bytes"):
        tcp(*V4, 1, 2, seq=0, flags=SYN, options=bytes(41))


def test_a_datagram_whose_checksum_comes_out_as_zero_is_sent_with_all_ones():
    plain = udp(*V4, 1, 2, b"\0\0")
    (value,) = unpack_from(">H", plain, 26)
    assert udp(*V4, 1, 2, value.to_bytes(2, "big"))[26:28] == b"\xff\xff"


def ends_of(version: int) -> tuple[bytes, bytes]:
    return V4 if version == 4 else V6


def v4(body: bytes, *, protocol: int, fragment: int = 0, options: bytes = b"") -> bytes:
    size = 20 + len(options)
    head = pack(">BBHHHBBH", 0x40 | size // 4, 0, size + len(body), 1, fragment, 64, protocol, 0)
    return head + V4[0] + V4[1] + options + body


def v6(body: bytes, *, protocol: int) -> bytes:
    return pack(">IHBB", 0x60000000, len(body), protocol, 64) + V6[0] + V6[1] + body


UDP_HEADER = pack(">HHHH", 4000, 53, 12, 0) + b"body"
TCP_HEADER = tcp(*V4, 5000, 443, seq=9, flags=ACK, payload=b"body")[20:]


@pytest.mark.parametrize(
    ("data", "protocol", "ports", "payload"),
    [
        pytest.param(v4(UDP_HEADER, protocol=UDP, options=b"\1" * 8), UDP, (4000, 53), b"body"),
        pytest.param(v4(UDP_HEADER, protocol=UDP) + b"padding", UDP, (4000, 53), b"body"),
        pytest.param(
            v4(UDP_HEADER + b"rest", protocol=UDP), UDP, (4000, 53), b"body", id="UDP's length"
        ),
        pytest.param(v4(UDP_HEADER[:10], protocol=UDP, fragment=0x2000), UDP, (4000, 53), b"bo"),
        pytest.param(v4(b"later part", protocol=UDP, fragment=0x2004), UDP, (0, 0), b"later part"),
        pytest.param(v4(TCP_HEADER, protocol=TCP, fragment=0x0001), TCP, (0, 0), TCP_HEADER),
        pytest.param(v4(TCP_HEADER, protocol=TCP, fragment=0x4000), TCP, (5000, 443), b"body"),
        pytest.param(v4(b"gre", protocol=47), 47, (0, 0), b"gre"),
        pytest.param(v4(b"\x08\0\0\0\0\1\0\1ping", protocol=ICMP), ICMP, (0, 0), b"ping"),
        pytest.param(v6(UDP_HEADER, protocol=UDP), UDP, (4000, 53), b"body"),
        pytest.param(
            v6(
                b"\x2b\0" + bytes(6) + b"\x3c\1" + bytes(14) + b"\x11\0" + bytes(6) + UDP_HEADER,
                protocol=0,
            ),
            UDP,
            (4000, 53),
            b"body",
            id="hop-by-hop, routing, destination options",
        ),
        pytest.param(
            v6(b"\x06\4" + bytes(22) + TCP_HEADER, protocol=51),
            TCP,
            (5000, 443),
            b"body",
            id="authentication counts in words",
        ),
        pytest.param(
            v6(b"\x11\0\0\1" + bytes(4) + UDP_HEADER[:10], protocol=44),
            UDP,
            (4000, 53),
            b"bo",
            id="first fragment",
        ),
        pytest.param(
            v6(b"\x11\0\0\x10" + bytes(4) + b"later", protocol=44),
            UDP,
            (0, 0),
            b"later",
            id="later fragment",
        ),
        pytest.param(
            v6(b"\x3c\0\0\x10" + bytes(4) + b"\xff" * 9, protocol=44),
            60,
            (0, 0),
            b"\xff" * 9,
            id="no header is read in a later fragment",
        ),
        pytest.param(v6(b"", protocol=59), 59, (0, 0), b"", id="nothing follows"),
        pytest.param(v6(b"\x80\0\0\0\0\1\0\1ping", protocol=ICMPV6), ICMPV6, (0, 0), b"ping"),
    ],
)
def test_the_transport_header_is_found_behind_whatever_stands_before_it(
    data, protocol, ports, payload
):
    packet = parse(data)
    assert (packet.protocol, packet.sport, packet.dport) == (protocol, *ports)
    assert packet.payload == payload


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(v4(UDP_HEADER, protocol=UDP)[:19], id="half an IPv4 header"),
        pytest.param(v6(UDP_HEADER, protocol=UDP)[:39], id="half an IPv6 header"),
        pytest.param(b"\x54" + bytes(60), id="IP version 5"),
        pytest.param(b"\x44" + v4(UDP_HEADER, protocol=UDP)[1:], id="header length below 20"),
        pytest.param(
            b"\x4f" + v4(UDP_HEADER, protocol=UDP)[1:], id="header longer than the packet"
        ),
        pytest.param(v4(UDP_HEADER, protocol=UDP)[:-1], id="total length beyond the packet"),
        pytest.param(v6(UDP_HEADER, protocol=UDP)[:-1], id="payload length beyond the packet"),
        pytest.param(v4(UDP_HEADER[:7], protocol=UDP), id="half a UDP header"),
        pytest.param(v4(UDP_HEADER[:11], protocol=UDP), id="UDP length beyond the packet"),
        pytest.param(v4(pack(">HHHH", 1, 2, 7, 0), protocol=UDP), id="UDP length below 8"),
        pytest.param(v4(TCP_HEADER[:19], protocol=TCP), id="half a TCP header"),
        pytest.param(
            v4(TCP_HEADER[:12] + b"\x40" + TCP_HEADER[13:], protocol=TCP), id="TCP offset 4"
        ),
        pytest.param(
            v4(TCP_HEADER[:12] + b"\xf0" + TCP_HEADER[13:], protocol=TCP), id="TCP offset 15"
        ),
        pytest.param(v4(bytes(7), protocol=ICMP), id="half an ICMP header"),
        pytest.param(v6(bytes(7), protocol=0), id="half an extension header"),
        pytest.param(
            v6(b"\x11\xff" + bytes(6) + UDP_HEADER, protocol=0), id="extension out of bounds"
        ),
        pytest.param(v6(bytes(8 * 40), protocol=0), id="extensions without end"),
    ],
)
def test_a_length_that_leads_outside_is_malformed(data):
    with pytest.raises(MalformedPacket):
        parse(data)


SAMPLES = [
    tcp(*V4, 1000, 80, seq=1, ack=2, flags=ACK, payload=b"x" * 30, options=b"\2\4\5\xb4"),
    tcp(*V6, 1000, 443, seq=1, flags=SYN),
    udp(*V4, 1000, 53, b"y" * 20),
    v6(b"\x2b\0" + bytes(6) + b"\x11\0" + bytes(6) + UDP_HEADER, protocol=0),
    v6(b"\x11\0\0\1" + bytes(4) + UDP_HEADER, protocol=44),
    icmp_time_exceeded(ROUTER[4], tcp(*V4, 1, 2, seq=0, flags=SYN)),
]


def outcome(read: Callable[[bytes], object], data: bytes) -> object:
    try:
        return read(data)
    except MalformedPacket:
        return None


@given(sample=sampled_from(SAMPLES), changes=data(), cut=booleans())
def test_damaged_packets_are_read_or_malformed_and_nothing_else(sample, changes, cut):
    damaged = bytearray(sample)
    for _ in range(changes.draw(integers(1, 4))):
        damaged[changes.draw(integers(0, min(len(damaged), 64) - 1))] = changes.draw(
            integers(0, 255)
        )
    if cut:
        del damaged[changes.draw(integers(0, len(damaged))) :]
    packet = outcome(parse, bytes(damaged))
    if isinstance(packet, Packet):
        assert 20 <= packet.header_end <= packet.payload_at <= packet.end <= len(damaged)
        assert may_be_told(packet) in (True, False)
    outcome(lambda data: readdressed(data, sport=1), bytes(damaged))
    outcome(lambda data: with_ttl(data, 9), bytes(damaged))
    outcome(lambda data: icmp_time_exceeded(ROUTER[4], data), bytes(damaged))
    outcome(lambda data: icmp_unreachable(ROUTER[6], data, "admin"), bytes(damaged))


@given(junk=binary(max_size=120), version=sampled_from([b"", b"\x45", b"\x60"]))
def test_junk_is_read_or_malformed_and_nothing_else(junk, version):
    packet = outcome(parse, version + junk)
    assert packet is None or isinstance(packet, Packet)


@given(ends=ENDS, ttl=integers(0, 255), new=integers(0, 255), payload=PAYLOAD, ip_id=PORTS)
def test_another_ttl_gives_the_packet_as_if_built_with_it(
    ends: tuple[bytes, bytes], ttl, new, payload, ip_id
):
    sent = udp(*ends, 1, 2, payload, ttl=ttl, ip_id=ip_id)
    assert with_ttl(sent, new) == udp(*ends, 1, 2, payload, ttl=new, ip_id=ip_id)


def test_a_header_whose_checksum_becomes_zero_on_its_way_has_it_as_if_built_so():
    (rest,) = unpack_from(">H", udp(*V4, 1, 2, b"", ttl=63), 10)
    arrived = udp(*V4, 1, 2, b"", ttl=63, ip_id=rest)
    assert arrived[10:12] == b"\0\0"
    assert with_ttl(udp(*V4, 1, 2, b"", ttl=64, ip_id=rest), 63) == arrived


def test_a_wrong_header_checksum_stays_wrong_on_its_way():
    sent = bytearray(udp(*V4, 1, 2, b"", ttl=9))
    sent[10] ^= 1
    assert folded(with_ttl(bytes(sent), 8)[:20]) != 0xFFFF


@given(ends=ENDS, ports=tuples(PORTS, PORTS), payload=PAYLOAD, transport=sampled_from([TCP, UDP]))
def test_a_readdressed_packet_is_as_if_built_for_its_new_ends(ends, ports, payload, transport):
    def build(src: bytes, dst: bytes, sport: int, dport: int) -> bytes:
        if transport == UDP:
            return udp(src, dst, sport, dport, payload)
        return tcp(src, dst, sport, dport, seq=7, flags=ACK, payload=payload)

    first, last = ends_of(4 if len(ends[0]) == 4 else 6)
    sent = build(last, first, 1234, 80)
    src, dst = ends
    assert readdressed(sent, src=src) == build(src, first, 1234, 80)
    assert readdressed(sent, dport=ports[1]) == build(last, first, 1234, ports[1])
    moved = readdressed(sent, src=src, dst=dst, sport=ports[0], dport=ports[1])
    assert moved == build(src, dst, *ports)


@pytest.mark.parametrize("ends", [V4, V6])
def test_a_datagram_whose_checksum_becomes_zero_is_readdressed_with_all_ones(
    ends: tuple[bytes, bytes],
):
    rest = int.from_bytes(udp(*ends, 0, 2, b"")[-2:], "big")
    moved = readdressed(udp(*ends, 7, 2, b""), sport=rest)
    assert moved == udp(*ends, rest, 2, b"")
    assert moved[-2:] == b"\xff\xff"


def test_a_readdressed_datagram_without_a_checksum_still_has_none():
    sent = bytearray(udp(*V4, 1, 2, b"x"))
    sent[26:28] = b"\0\0"
    assert readdressed(bytes(sent), src=V4[1], dport=9)[26:28] == b"\0\0"


def test_a_later_fragment_is_readdressed_without_touching_what_it_carries():
    sent = v4(b"\xff" * 12, protocol=UDP, fragment=0x0002)
    moved = readdressed(sent, dst=V4[0], sport=1, dport=2)
    assert (moved[16:20], moved[20:]) == (V4[0], b"\xff" * 12)


@pytest.mark.parametrize("ends", [V4, V6])
def test_an_icmp_error_is_readdressed_with_a_sound_checksum(ends: tuple[bytes, bytes]):
    router = ends[1]
    error = icmp_time_exceeded(router, udp(*ends, 1, 2, b"x"))
    moved = readdressed(error, dst=ends[1], sport=5)
    assert_sound(moved)
    assert parse(moved).payload == parse(error).payload


def test_an_address_of_the_other_version_is_refused():
    with pytest.raises(ValueError, match="IPv4 packets have addresses of 4 bytes"):
        readdressed(udp(*V4, 1, 2, b""), dst=V6[1])
