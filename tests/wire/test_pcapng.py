"""Captures, read back block by block as the format's draft lays them out."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from

from hypothesis import given
from hypothesis.strategies import binary, integers, none, text

from gatewatch.wire.pcapng import interface, packet, section


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each block."""
    at = 0
    while at < len(data):
        kind, length = unpack_from("<II", data, at)
        assert length % 4 == 0
        assert unpack_from("<I", data, at + length - 4) == (length,)
        yield kind, data[at + 8 : at + length - 4]
        at += length


def options(data: bytes) -> dict[int, bytes]:
    found = {}
    at = 0
    while at < len(data):
        code, length = unpack_from("<HH", data, at)
        if code == 0:
            assert (length, at + 4) == (0, len(data))
            break
        found[code] = data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
    return found


def test_a_section_begins_the_file_and_says_who_wrote_it():
    ((kind, body),) = blocks(section("a lab"))
    assert kind == 0x0A0D0D0A
    assert unpack_from("<IHHq", body) == (0x1A2B3C4D, 1, 0, -1)
    assert options(body[16:]) == {4: b"a lab"}


@given(name=text(max_size=40))
def test_an_interface_has_its_name_and_counts_nanoseconds_of_bare_ip(name):
    ((kind, body),) = blocks(interface(name))
    assert (kind, unpack_from("<HHI", body)) == (1, (101, 0, 0))
    assert options(body[8:]) == {2: name.encode(), 9: b"\x09"}


@given(
    number=integers(0, 99),
    time_ns=integers(0, 2**64 - 1),
    data=binary(max_size=60),
    comment=none() | text(max_size=40),
)
def test_a_packet_is_kept_whole_with_its_time_and_comment(number, time_ns, data, comment):
    ((kind, body),) = blocks(packet(number, time_ns, data, comment))
    interface, high, low, captured, original = unpack_from("<IIIII", body)
    assert (kind, interface, high << 32 | low) == (6, number, time_ns)
    assert (captured, original) == (len(data), len(data))
    assert body[20 : 20 + captured] == data
    said = options(body[20 + captured + -captured % 4 :])
    assert said == ({} if comment is None else {1: comment.encode()})


def test_a_capture_is_its_blocks_one_after_another():
    file = section() + interface("isp/1") + interface("isp/2") + packet(1, 5, b"abc")
    assert [kind for kind, _ in blocks(file)] == [0x0A0D0D0A, 1, 1, 6]
