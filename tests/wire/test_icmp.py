"""ICMP errors: what they quote, whom they tell, and what none may be sent about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

from gatewatch.wire.packet import (
    ICMP,
    ICMPV6,
    RST,
    UDP,
    MalformedPacket,
    icmp_time_exceeded,
    icmp_unreachable,
    may_be_told,
    parse,
    tcp,
    udp,
)
from tests.wire.test_packet import ROUTER, V4, V6, assert_sound, ends_of, v4, v6


def unreachable(code: Literal["net", "host", "port", "admin"]) -> Callable[[bytes, bytes], bytes]:
    return lambda router, original: icmp_unreachable(router, original, code)


@pytest.mark.parametrize(
    ("error", "version", "kind", "code"),
    [
        pytest.param(icmp_time_exceeded, 4, 11, 0, id="time exceeded"),
        pytest.param(icmp_time_exceeded, 6, 3, 0, id="time exceeded, IPv6"),
        pytest.param(unreachable("net"), 4, 3, 0, id="net"),
        pytest.param(unreachable("host"), 4, 3, 1, id="host"),
        pytest.param(unreachable("port"), 4, 3, 3, id="port"),
        pytest.param(unreachable("admin"), 4, 3, 13, id="admin"),
        pytest.param(unreachable("net"), 6, 1, 0, id="net, IPv6"),
        pytest.param(unreachable("host"), 6, 1, 3, id="host, IPv6"),
        pytest.param(unreachable("port"), 6, 1, 4, id="port, IPv6"),
        pytest.param(unreachable("admin"), 6, 1, 1, id="admin, IPv6"),
    ],
)
@pytest.mark.parametrize("size", [0, 9, 3000])
def test_an_icmp_error_quotes_what_it_is_about_to_who_sent_it(error, version, kind, code, size):
    src, dst = ends_of(version)
    original = udp(src, dst, 4000, 443, b"q" * size)
    told = error(ROUTER[version], original)
    packet = parse(told)
    assert_sound(told)
    assert (packet.src, packet.dst) == (ROUTER[version], src)
    assert tuple(told[packet.header_end : packet.header_end + 2]) == (kind, code)
    assert packet.payload == original[: len(packet.payload)]
    assert len(told) == min({4: 576, 6: 1280}[version], len(original) + {4: 28, 6: 48}[version])


def test_an_icmp_error_about_a_packet_of_the_other_version_is_refused():
    with pytest.raises(MalformedPacket):
        icmp_time_exceeded(ROUTER[6], udp(*V4, 1, 2, b"x" * 40))


LOCAL_BROADCAST = b"\xff" * 4
MULTICAST = bytes.fromhex("ff02" + "00" * 13 + "01")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(udp(*V4, 1, 2, b""), True, id="a datagram"),
        pytest.param(tcp(*V6, 1, 2, seq=0, flags=RST), True, id="a segment"),
        pytest.param(v4(b"\x08\0\0\0\0\1\0\1", protocol=ICMP), True, id="an echo request"),
        pytest.param(v6(b"\x80\0\0\0\0\1\0\1", protocol=ICMPV6), True, id="an ICMPv6 echo request"),
        pytest.param(v6(b"", protocol=59), True, id="no transport at all"),
        pytest.param(icmp_time_exceeded(ROUTER[4], udp(*V4, 1, 2, b"")), False, id="an error"),
        pytest.param(
            icmp_time_exceeded(ROUTER[6], udp(*V6, 1, 2, b"")), False, id="an ICMPv6 error"
        ),
        pytest.param(v4(b"more", protocol=UDP, fragment=2), False, id="a later fragment"),
        pytest.param(
            v4(b"more", protocol=ICMP, fragment=2), False, id="a later fragment of an echo"
        ),
        pytest.param(
            v6(b"\x11\0\0\x10" + bytes(4), protocol=44), False, id="a later IPv6 fragment"
        ),
        pytest.param(udp(V4[0], LOCAL_BROADCAST, 1, 2, b""), False, id="a broadcast"),
        pytest.param(udp(bytes(4), V4[1], 1, 2, b""), False, id="from nobody"),
        pytest.param(udp(V6[0], MULTICAST, 1, 2, b""), False, id="a multicast"),
        pytest.param(udp(bytes(16), V6[1], 1, 2, b""), False, id="from nobody, IPv6"),
    ],
)
def test_who_may_be_told_of_an_error(data, told):
    assert may_be_told(parse(data)) is told
