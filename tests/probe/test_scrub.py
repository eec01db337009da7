"""An address of the user is found however it is spelt, and nothing else is touched."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.lab.certificates import Office
from gatewatch.probe.scrub import SCRUBBED, Scrubber
from gatewatch.probe.scrub_certificate import unsigned

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
    pytest.param("addr:2001:67c:2e8:1::99", id="IPv6 behind a word"),
    pytest.param("2001:67C:2e8:1:0:0:c100:14e6%eth0", id="IPv6 with a zone"),
    pytest.param("2001%3A67c%3A2e8%3A1%3A%3Ac100", id="IPv6, percent"),
    pytest.param("2001_67c_2e8_1__c100.example", id="IPv6, underlined"),
    pytest.param("64:ff9b::82c0:5bd3", id="translated, NAT64"),
    pytest.param("2001:0:4136:e378:8000:63bf:7d3f:a42c", id="Teredo"),
    pytest.param("0202.0300.0133.0323", id="octal"),
    pytest.param("[130, 192, 91, 211]", id="as a list"),
    pytest.param("82:c0:5b:d3", id="bytes in hexadecimal"),
    pytest.param("%82%C0%5B%D3", id="bytes, percent"),
    pytest.param("d35bc082", id="little endian"),
    pytest.param("ffff82c05bd3ffff", id="within hexadecimal"),
    pytest.param(V4.encode().hex(), id="text in hexadecimal"),
    pytest.param("\\130\\192[\\211", id="in a zone file"),
    pytest.param("130[.]192[.]91[.]211", id="defanged"),
    pytest.param("130 dot 192 dot 91 dot 211", id="in words"),
    pytest.param(
        base64.b64encode(base64.b64encode(f"you are {V4}".encode())).decode(), id="base64, twice"
    ),
    pytest.param(
        base64.b64encode(b"\x03211\x0291\x03192\x03130\x07in-addr\x04arpa").decode(),
        id="labels of a DNS message",
    ),
    pytest.param(
        "data:text/plain;base64," + base64.b64encode(f"<{V6}>".encode()).decode() + ")",
        id="a data URL",
    ),
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


def test_link_local_addresses_are_known_by_the_machines_part():
    scrubber = Scrubber(["fe80::a00:27ff:fe4e:66a1%eth0"])
    assert scrubber.clean("fe80::a00:27ff:fe4e:66a1, fe80::1") == f"fe80::{SCRUBBED}, fe80::1"


def test_zeros_in_a_prefix_may_be_left_out():
    scrubber = Scrubber(["2001:db8:0:0:1::7"])
    assert scrubber.clean("from 2001:db8::9: no") == f"from {SCRUBBED}: no"
    assert scrubber.clean("2001:db8:0:1::9") == "2001:db8:0:1::9"


def test_keys_stay_apart_and_numbers_and_octets_go():
    found = SCRUBBER.clean({V4: 1, V6: 2, "n": [int(IPv4Address(V4)), 7], "o": list(PACKED)})
    assert sorted(found.values(), key=str)[:2] == [1, 2]
    assert len(found) == 4
    assert found["n"] == [None, 7]
    assert found["o"] == [None] * 4


def test_what_is_clean_comes_back_itself():
    value = {"a": ["93.184.216.34", {"b": base64.b64encode(bytes(99)).decode()}, 1 << 30]}
    assert SCRUBBER.clean(value) is value


@pytest.mark.parametrize("names", [[V4], ["example.org", V4], ["example.org", V6]])
def test_a_certificate_keeps_nothing_that_would_tell_for_whom_it_was_made(names, tmp_path):
    office = Office(tmp_path)
    pem = office.file("valid", names).read_bytes()
    made = x509.load_pem_x509_certificate(pem)
    der = made.public_bytes(Encoding.DER)
    clean = SCRUBBER.bytes(der)
    assert len(clean) == len(der)
    assert made.signature not in clean
    key = made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key[-64:] not in clean
    assert made.serial_number.to_bytes(20, "big")[1:-1] not in clean
    read = x509.load_der_x509_certificate(clean)
    assert read.issuer == made.issuer
    assert read.not_valid_after_utc == made.not_valid_after_utc
    assert read.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_certificate_for_others_is_left_alone(tmp_path):
    pem = Office(tmp_path).file("valid", ["example.org"]).read_bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    assert SCRUBBER.bytes(der) == der


@given(st.binary(max_size=300))
def test_no_bytes_are_too_odd_for_the_reader_of_certificates(data):
    for der in (data, b"\x30" + bytes([min(len(data), 127)]) + data):
        assert len(unsigned(der)) == len(der)


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
