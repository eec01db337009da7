"""The search finds what going through every range finds."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.refdata.ranges import (
    V4_TOP,
    V6_TOP,
    Range,
    letters_of,
    number_of,
    pack,
    steps_of,
    unpack,
)


def naive(ranges: list[Range], address: int) -> int:
    """Of the ranges that hold the address: the last to start, the first to end, the last given."""
    holding = [
        (one.first, -one.last, place, one.value)
        for place, one in enumerate(ranges)
        if one.first <= address <= one.last
    ]
    return max(holding)[3] if holding else 0


@st.composite
def ranges_within(draw: st.DrawFn, top: int, near: int) -> list[Range]:
    """Ranges crowded round the ends of the address space, so that they nest and overlap."""
    edge = st.one_of(st.integers(0, near), st.integers(top - near, top))
    pairs = draw(st.lists(st.tuples(edge, edge, st.integers(1, 4)), max_size=12))
    return [Range(min(a, b), max(a, b), value) for a, b, value in pairs]


@given(ranges=ranges_within(V4_TOP, 40), data=st.data())
def test_an_ipv4_address_has_the_value_of_its_most_specific_range(ranges, data):
    address = data.draw(st.one_of(st.integers(0, 45), st.integers(V4_TOP - 45, V4_TOP)))
    files = pack(steps_of(ranges, V4_TOP), steps_of([], V6_TOP), column="asn", labels=False)
    found = unpack(files["v4.parquet"], files["v6.parquet"])
    assert found.values_of([str(IPv4Address(address))]) == [naive(ranges, address)]


@given(ranges=ranges_within(V6_TOP, 40), middle=ranges_within(1 << 65, 300), data=st.data())
def test_an_ipv6_address_has_the_value_of_its_most_specific_range(ranges, middle, data):
    ranges = ranges + middle
    places = [st.integers(0, 300), st.integers((1 << 65) - 300, (1 << 65) + 9)]
    address = data.draw(st.one_of(*places, st.integers(V6_TOP - 45, V6_TOP)))
    files = pack(steps_of([], V4_TOP), steps_of(ranges, V6_TOP), column="asn", labels=False)
    found = unpack(files["v4.parquet"], files["v6.parquet"])
    assert found.values_of([str(IPv6Address(address))]) == [naive(ranges, address)]


@given(ranges=ranges_within(999, 400))
def test_steps_ascend_and_neighbours_differ(ranges):
    starts, values = steps_of(ranges, top=999)
    assert starts == sorted(set(starts))
    assert all(before != after for before, after in zip([0, *values], values, strict=False))
    if starts:
        assert starts[-1] <= 999


def test_addresses_keep_their_order_and_what_is_none_is_unknown():
    v4 = steps_of([Range(int(IPv4Address("192.0.2.0")), int(IPv4Address("192.0.2.9")), 7)], V4_TOP)
    first = int(IPv6Address("2001:db8::"))
    v6 = steps_of([Range(first, first + 0xFFFF, 8)], V6_TOP)
    found = unpack(*pack(v4, v6, column="asn", labels=False).values())
    asked = ["2001:db8::1", "192.0.2.9", "nonsense", "", "192.0.2.10", "192.0.2.0", "\ud800", "1\0"]
    assert found.values_of(asked) == [8, 7, 0, 0, 0, 7, 0, 0]


def test_countries_survive_being_written_as_letters():
    v4 = steps_of([Range(1, 2, number_of("IR")), Range(3, 3, number_of("TM"))], V4_TOP)
    found = unpack(*pack(v4, steps_of([], V6_TOP), column="country", labels=True).values())
    codes = found.values_of(["0.0.0.1", "0.0.0.3", "0.0.0.4"])
    assert [code and letters_of(code) for code in codes] == ["IR", "TM", 0]


@pytest.mark.parametrize("top", [V4_TOP, V6_TOP])
def test_a_range_up_to_the_last_address_ends_nowhere(top):
    assert steps_of([Range(top - 1, top, 3)], top).starts == [top - 1]
