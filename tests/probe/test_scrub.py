"""An address of the user is found however it is spelt, and nothing else is touched."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.probe.scrub import SCRUBBED, Scrubber

V4, V6 = "130.192.91.211", "2001:67c:2e8:1::c100:14e6"
SCRUBBER = Scrubber([V4, V6])
PACKED = IPv4Address(V4).packed

SPELT = [
    pytest.param(V4, id="as it is"),
    pytest.param(f"http://{V4}:8080/x", id="in a URL"),
    pytest.param(f"ip{V4}.example.com", id="behind a letter"),
    pytest.param("211.91.192.130.in-addr.arpa", id="backwards"),
    pytest.param("host-130-192-91-211.dyn.example.it", id="with dashes"),
    pytest.param("130.192.091.211", id="with zeros"),
    pytest.param("130%2E192%2e91%2E211", id="percent"),
    pytest.param("130&#46;192&#46;91&#46;211", id="entities"),
    pytest.param("2193644499", id="as a number"),
    pytest.param("0x82c05bd3", id="in hexadecimal"),
    pytest.param("82C05BD3", id="in hexadecimal, upper case"),
    pytest.param("::ffff:130.192.91.211", id="mapped into IPv6"),
    pytest.param("::FFFF:82c0:5bd3", id="mapped into IPv6, in hexadecimal"),
    pytest.param("2002:82c0:5bd3::1", id="6to4"),
    pytest.param(V6, id="IPv6"),
    pytest.param("2001:067C:02E8:0001:0000:0000:C100:14E6", id="IPv6 in full"),
    pytest.param("2001:67c:2e8:1::99", id="another machine of the household"),
    pytest.param(f"[{V6}]:443", id="IPv6 with a port"),
    pytest.param("2001-67c-2e8-1--c100.dyn.example.it", id="IPv6 with dashes"),
    pytest.param("2001067c02e800010000000000000001", id="IPv6 without colons"),
    pytest.param("x 1.0.0.0.8.e.2.0.c.7.6.0.1.0.0.2.ip6.arpa", id="IPv6 backwards"),
    pytest.param(base64.b64encode(f"you are {V4}".encode()).decode(), id="in base64"),
    pytest.param(base64.b64encode(b"\x00\x01" + PACKED + b"\xff\xff").decode(), id="raw in base64"),
    pytest.param(base64.b64encode(IPv6Address(V6).packed).decode(), id="raw IPv6 in base64"),
    pytest.param(
        "id=" + base64.b64encode(b"a" + V4.encode() + b"zz").decode(), id="base64 within text"
    ),
    pytest.param(base64.b64encode(gzip.compress(V4.encode())).decode(), id="compressed"),
    pytest.param(base64.b64encode(V4.encode("utf-16-le")).decode(), id="UTF-16"),
]
INNOCENT = [
    pytest.param("130.192.91.2110", id="a longer number"),
    pytest.param("1130.192.91.211", id="a longer number before"),
    pytest.param("130.192.91.212", id="the neighbour"),
    pytest.param("2001:67c:2e8:2::1", id="the neighbour's household"),
    pytest.param("12:30:45", id="a time"),
    pytest.param("62193644499", id="a longer integer"),
    pytest.param("dGhpcyBpcyBub3QgYW4gYWRkcmVzcw==", id="base64 of something else"),
    pytest.param("a1b2-c3d4-e5f6", id="an identifier"),
]


@pytest.mark.parametrize("text", SPELT)
def test_an_address_is_found_in_every_spelling(text):
    clean = SCRUBBER.clean({"there": [text, {text: 1}]})
    assert text not in json.dumps(clean)
    assert not holds(clean["there"][0])


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_address_of_ours_stays_as_it_is(text):
    assert SCRUBBER.clean(text) == text


@given(st.ip_addresses(v=4), st.text(max_size=20), st.text(max_size=20))
def test_any_ipv4_address_is_found_in_any_text(address, before, after):
    scrubber = Scrubber([str(address)])
    if address.is_loopback or address.is_unspecified:
        return
    before = before.rstrip("0123456789")
    after = after.lstrip("0123456789")
    assert str(address) not in scrubber.clean(f"{before}{address}{after}")


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_any_address_of_a_household_is_found(address, other):
    if not int(address) >> 112 or address.is_link_local:
        return  # 0000::/16 has IPv4 addresses in it, and no hosts of its own: RFC 4291, section 2.4
    scrubber = Scrubber([str(address)])
    network = ip_network(f"{address}/64", strict=False)
    neighbour = network[other]
    for spelt in (str(neighbour), neighbour.exploded, str(neighbour).upper()):
        assert scrubber.clean(f"<{spelt}>") == f"<{SCRUBBED}>"


@given(st.binary(max_size=200), st.ip_addresses(v=4))
def test_bytes_keep_their_length_and_lose_the_address(data, address):
    if address.is_loopback or address.is_unspecified:
        return
    scrubber = Scrubber([str(address)])
    planted = data + b" " + str(address).encode() + b" " + data
    clean = scrubber.bytes(planted)
    assert str(address).encode() not in clean
    assert address.packed not in clean
    if planted[:2] != b"\x1f\x8b" and planted[:1] != b"\x78":
        assert len(clean) == len(planted)


def test_without_secrets_nothing_changes():
    value = {"a": ["1.2.3.4", None, 1.5, True], "b": {"c": "2001:db8::1"}}
    assert Scrubber([]).clean(value) == value
    assert Scrubber(["127.0.0.1", "::1", "no address"]).clean(value) == value


def holds(text: str) -> bool:
    """Is the address still in it, for a reader who decodes what can be decoded?"""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    with contextlib.suppress(OSError, EOFError):
        data = gzip.decompress(data)
    forms = (V4.encode(), V4.encode("utf-16-le"), PACKED, IPv6Address(V6).packed)
    return any(form in data or form in text.encode() for form in forms)
