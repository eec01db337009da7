"""Captures lose the addresses of who captured them, and stay captures."""

from __future__ import annotations

import gzip
from ipaddress import ip_address

import pytest

from gatewatch.probe.trace.hiding import STAND_INS, own_of, without
from gatewatch.wire.packet import (
    ACK,
    ICMP,
    RST,
    SYN,
    checksum,
    icmp_time_exceeded,
    parse,
    tcp,
    udp,
)
from gatewatch.wire.pcap import Frame
from gatewatch.wire.quote import quoted

V4, V6 = "130.192.91.211", "2001:67c:2e8:1::c100:14e6"
OWN = (V4, V6)
HERE, THERE = ip_address(V4).packed, ip_address("93.184.216.34").packed
HERE6, THERE6 = ip_address(V6).packed, ip_address("2606:2800:21f::1").packed
ROUTER, ROUTER6 = ip_address("10.9.8.7").packed, ip_address("2a00:1450::7").packed
STAND_IN = {4: ip_address(STAND_INS[4]).packed, 16: ip_address(STAND_INS[6]).packed}
PAGE = f"HTTP/1.1 200 OK\r\nX-You: {V4}\r\n\r\nyou are {V4}, or [{V6}]".encode()
BOTH = pytest.mark.parametrize(
    ("here", "there", "router"),
    [(HERE, THERE, ROUTER), (HERE6, THERE6, ROUTER6)],
    ids=["IPv4", "IPv6"],
)


def hidden(*packets: bytes, own: tuple[str, ...] = OWN) -> list[bytes]:
    frames = [Frame(number=n, time_ns=n, packet=parse(p)) for n, p in enumerate(packets, 1)]
    found = list(without(frames, own))
    assert [frame.number for frame in found] == [frame.number for frame in frames]
    return [frame.packet.data for frame in found]


def is_clean(data: bytes) -> bool:
    forms = (HERE, HERE6, HERE6[:8], V4.encode(), V6.encode(), b"130-192-91-211")
    return not any(form in data for form in forms)


def is_sound(data: bytes) -> bool:
    """Are the checksums right, of IP and of what is in it?"""
    packet = parse(data)
    body = data[packet.header_end : packet.end]
    pseudo = 0
    if packet.protocol != ICMP:
        pseudo = int.from_bytes(packet.src + packet.dst, "big") + packet.protocol + len(body)
    header = packet.version == 6 or checksum(data[:20]) in (0, 0xFFFF)
    return header and checksum(body, pseudo) in (0, 0xFFFF)


@BOTH
def test_packets_either_way_are_between_others_and_sound(here, there, router):
    sent = tcp(here, there, 4000, 80, seq=1, flags=SYN)
    came = tcp(there, here, 80, 4000, seq=1, flags=ACK, payload=PAGE)
    asked = udp(here, there, 4001, 53, b"question " + here)
    clean = hidden(sent, came, asked)
    assert all(map(is_clean, clean))
    assert all(map(is_sound, clean))
    assert [parse(data).src for data in clean] == [STAND_IN[len(here)], there, STAND_IN[len(here)]]
    assert [len(data) for data in clean] == [len(sent), len(came), len(asked)]
    assert parse(clean[1]).payload.startswith(b"HTTP/1.1 200 OK\r\nX-You: xxx")


@BOTH
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "eight bytes"])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_what_routers_quote_is_between_others_and_sound(protocol, whole, here, there, router):
    if protocol == "tcp":
        sent = tcp(here, there, 4000, 80, seq=1, flags=ACK, payload=b"GET / HTTP/1.1\r\n\r\n")
    else:
        sent = udp(here, there, 4000, 443, bytes(range(99)))
    quote = sent if whole else sent[: (20 if len(here) == 4 else 40) + 8]
    told = icmp_time_exceeded(router, quote)
    (clean,) = hidden(told)
    assert is_clean(clean)
    assert is_sound(clean)
    if whole:
        inner = quoted(parse(clean))
        assert inner is not None
        assert (inner.src, inner.dst) == (STAND_IN[len(here)], there)
        assert is_sound(inner.data)
    elif protocol == "udp":
        # As if it had been sent from the stand-in: nothing of the address is in the checksum.
        same = udp(STAND_IN[len(here)], there, 4000, 443, bytes(range(99)))
        assert clean[-8:] == same[: len(quote)][-8:]


def test_an_address_across_two_segments_is_found():
    at = PAGE.index(V4.encode()) + 6
    one = tcp(THERE, HERE, 80, 4000, seq=7, flags=ACK, payload=PAGE[:at])
    two = tcp(THERE, HERE, 80, 4000, seq=7 + at, flags=ACK, payload=PAGE[at:])
    for packets in ((one, two), (two, one)):
        clean = {parse(data).seq: parse(data).payload for data in hidden(*packets)}
        assert is_clean(clean[7] + clean[7 + at])
        assert not clean[7].endswith(V4.encode()[:6])


def test_a_checksum_that_the_network_card_was_to_fill_in_tells_nothing():
    sent = bytearray(tcp(HERE, THERE, 4000, 80, seq=1, flags=SYN))
    sent[36:38] = (0xFFFF - checksum(HERE + THERE)).to_bytes(2, "big")
    (clean,) = hidden(bytes(sent))
    assert is_sound(clean)


def test_a_packet_that_came_with_a_wrong_checksum_keeps_one():
    came = bytearray(tcp(THERE, HERE, 80, 4000, seq=1, flags=RST))
    came[36] ^= 0x55
    (clean,) = hidden(bytes(came))
    assert is_clean(clean)
    assert not is_sound(clean)


def test_compressed_pages_that_hold_it_are_blotted_out():
    payload = gzip.compress(PAGE)
    (clean,) = hidden(udp(THERE, HERE, 80, 4000, payload))
    assert parse(clean).payload == bytes(len(payload))
    assert is_sound(clean)


def test_without_addresses_nothing_changes():
    sent = tcp(HERE, THERE, 4000, 80, seq=1, flags=SYN)
    assert hidden(sent, own=()) == [sent]
    assert hidden(sent, own=("8.8.8.8",)) == [sent]


def test_an_address_that_is_translated_on_the_way_is_told_by_routers_behind():
    inside = ip_address("192.168.1.17").packed
    sent = tcp(inside, THERE, 4000, 80, seq=1, flags=SYN)
    outside = tcp(HERE, THERE, 4000, 80, seq=1, flags=SYN)
    told = icmp_time_exceeded(ROUTER, outside)
    frames = [Frame(number=n, time_ns=n, packet=parse(p)) for n, p in enumerate((sent, told), 1)]
    assert own_of(frames, "93.184.216.34") == {"192.168.1.17", V4}
