"""Every boundary of every network no public host can be in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_network

import pytest

from gatewatch.refdata.bogons import Bogons, is_loopback, read_bogons
from gatewatch.refdata.snapshot import load
from gatewatch.refdata.store import EMBEDDED

ROWS = read_bogons((EMBEDDED / "bogons.tsv").read_bytes(), "bogons.tsv")[0].rows
NETWORKS = [ip_network(row["network"]) for row in ROWS]

WANTED = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
192.0.2.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
255.255.255.255/32 ::/128 ::1/128 ::ffff:0:0/96 ::/96 100::/64 2001:10::/28 2001:db8::/32 fc00::/7
fe80::/10 fec0::/10 ff00::/8
""".split()


@pytest.fixture(scope="module")
def refdata():
    return load()


def test_the_table_names_the_special_networks_and_no_other():
    assert sorted(row["network"] for row in ROWS) == sorted(WANTED)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_a_network_is_bogon_from_its_first_address_to_its_last(refdata, network):
    assert refdata.is_bogon(str(network.network_address))
    assert refdata.is_bogon(str(network.broadcast_address))


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_the_addresses_beside_a_network_are_bogon_only_if_in_another(refdata, network):
    kind = type(network.network_address)
    for beside in (int(network.network_address) - 1, int(network.broadcast_address) + 1):
        if 0 <= beside < 2**network.max_prefixlen:
            address = kind(beside)
            elsewhere = any(address in other for other in NETWORKS)
            assert refdata.is_bogon(str(address)) is elsewhere


@pytest.mark.parametrize(
    "network", [one for one in NETWORKS if isinstance(one, IPv4Network)], ids=str
)
def test_ipv6_forms_that_carry_a_bogon_are_bogons(refdata, network):
    for address in (network.network_address, network.broadcast_address):
        high, low = int(address) >> 16, int(address) & 0xFFFF
        assert refdata.is_bogon(f"2002:{high:x}:{low:x}::1"), "6to4"
        assert refdata.is_bogon(f"2001:0:{high:x}:{low:x}::1"), "Teredo"


def test_ipv6_forms_that_carry_a_public_address_are_not(refdata):
    high, low = divmod(int(IPv4Address("8.8.8.8")), 1 << 16)
    assert not refdata.is_bogon(f"2002:{high:x}:{low:x}::1")
    assert not refdata.is_bogon(f"2001:0:{high:x}:{low:x}::1")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::8a"])
def test_public_addresses_are_not_bogons(refdata, address):
    assert not refdata.is_bogon(address)


@pytest.mark.parametrize(
    "given", ["", "example.org", "1.2.3", "1.2.3.4.5", "::g", "010.1.1.1", "\0"]
)
def test_what_is_no_address_is_a_bogon(refdata, given):
    assert refdata.is_bogon(given)


@pytest.mark.parametrize(
    ("address", "loops"),
    [
        ("127.0.0.1", True),
        ("127.255.255.255", True),
        ("128.0.0.1", False),
        ("126.255.255.255", False),
        ("::1", True),
        ("::2", False),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("nonsense", False),
    ],
)
def test_loopback_leads_back_to_the_machine(address, loops):
    assert is_loopback(address) is loops


def test_a_table_with_a_row_that_is_no_network_is_refused():
    with pytest.raises(Exception, match=r"10\.0\.0\.1/8.*prefix"):
        Bogons(["10.0.0.1/8"])
