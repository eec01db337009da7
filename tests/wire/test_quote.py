"""What ICMP errors are about, and errors about packets whose ends were translated."""

from __future__ import annotations

import pytest

from gatewatch.wire.packet import (
    SYN,
    MalformedPacket,
    icmp_time_exceeded,
    icmp_unreachable,
    parse,
    readdressed,
    tcp,
    udp,
)
from gatewatch.wire.quote import quoted, requoted
from tests.lab.dialogue import assert_sound
from tests.lab.worlds import packed

HERE, THERE, ELSEWHERE, HOP = (
    {4: packed(four), 6: packed(six)}
    for four, six in (
        ("10.1.0.7", "fd00::7"),
        ("93.184.216.34", "2606:2800::34"),
        ("10.1.0.99", "fd00::99"),
        ("79.0.0.1", "2001:db8::1"),
    )
)


def segment(version: int) -> bytes:
    return tcp(HERE[version], THERE[version], 50_000, 443, seq=7, flags=SYN, ttl=1)


def datagram(version: int, size: int = 40) -> bytes:
    return udp(HERE[version], THERE[version], 50_000, 53, b"\x5a" * size, ttl=1)


PACKETS = [
    pytest.param(segment, id="a SYN"),
    pytest.param(datagram, id="a datagram"),
    pytest.param(lambda version: datagram(version, 1_401), id="one longer than its quote"),
]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("packet", PACKETS)
def test_an_error_about_a_translated_packet_becomes_one_about_the_packet_that_was_sent(
    packet, version
):
    sent = packet(version)
    ends = {"src": ELSEWHERE[version], "dst": HOP[version], "sport": 1_024, "dport": 8_080}
    was = {"src": HERE[version], "dst": THERE[version], "sport": 50_000, "dport": parse(sent).dport}
    error = parse(icmp_time_exceeded(HOP[version], readdressed(sent, **ends)))
    about = quoted(error)
    assert about
    assert {name: getattr(about, name) for name in ends} == ends
    changed = parse(requoted(error, **was))
    assert_sound(changed)
    assert changed.payload == sent[: len(changed.payload)]
    assert (changed.src, changed.dst) == (HOP[version], ELSEWHERE[version])


@pytest.mark.parametrize("version", [4, 6])
def test_the_kind_of_error_stays(version):
    error = parse(icmp_unreachable(HOP[version], segment(version), "admin"))
    changed = requoted(error, sport=1)
    at = error.header_end
    assert changed[at : at + 2] == error.data[at : at + 2]


PING = bytes.fromhex("0800f7fe00010000")
IPV4 = bytes.fromhex("4500001c00004000400100000a0100075db8d822")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(segment(4), id="no ICMP"),
        pytest.param(IPV4 + PING, id="an echo request"),
        pytest.param(icmp_time_exceeded(HOP[4], segment(4)[:24]), id="too short a quote"),
    ],
)
def test_what_is_no_error_or_quotes_too_little_is_about_nothing(data):
    packet = parse(data)
    assert quoted(packet) is None
    with pytest.raises(MalformedPacket):
        requoted(packet, sport=1)
