"""Addresses of the lab as sockets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import integers, sets

from gatewatch.lab.attach import Direct, Loopback, bound, unprivileged

ADDRESSES = ("192.0.2.1", "2001:db8::1", "198.51.100.7")


def test_in_a_namespace_every_address_is_what_it_says():
    lab = Direct()
    assert lab.listen_at("192.0.2.1", 53, "udp") == ("192.0.2.1", 53)
    assert lab.reach("2001:db8::7", "2001:db8::1", 443, "tcp") == (
        "2001:db8::1",
        443,
        ("2001:db8::7", 0),
    )
    assert lab.reach(None, "192.0.2.1", 443, "tcp") == ("192.0.2.1", 443, None)
    assert lab.who(("2001:db8:0::1", 50_000, 0, 0)) == "2001:db8::1"


def test_on_loopback_addresses_stay_apart_and_clients_are_known_by_theirs():
    lab = Loopback(ADDRESSES, world=300)
    here = {lab.listen_at(address, 443, "tcp") for address in ADDRESSES}
    assert len(here) == len(ADDRESSES)
    for address in ADDRESSES:
        *_, local = lab.reach(address, ADDRESSES[0], 443, "tcp")
        assert local is not None
        assert lab.who(local) == address


def test_an_address_that_nobody_has_is_one_where_nobody_listens():
    lab = Loopback(ADDRESSES, world=300)
    nowhere = lab.reach(None, "203.0.113.1", 80, "tcp")[0]
    assert nowhere not in {lab.listen_at(address, 80, "tcp")[0] for address in ADDRESSES}


def test_two_worlds_on_one_machine_do_not_meet():
    one, other = (Loopback(ADDRESSES, world=world) for world in (300, 301))
    assert one.listen_at(ADDRESSES[0], 80, "tcp") != other.listen_at(ADDRESSES[0], 80, "tcp")


def test_a_world_too_large_for_loopback_is_refused():
    with pytest.raises(ValueError, match="253"):
        Loopback([f"10.0.{n >> 8}.{n & 255}" for n in range(300)], world=300)


@given(ports=sets(integers(1, 64_000), min_size=2))
def test_ports_stay_apart_and_need_no_privilege(ports):
    mapped = {unprivileged(port) for port in ports}
    assert len(mapped) == len(ports)
    assert min(mapped) >= 1024
    assert max(mapped) < 65_536


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_socket_is_bound_to_its_lab_address(transport):
    lab = Loopback(ADDRESSES, world=65_001)
    with bound(lab, "2001:db8::1", 8443, transport) as found:
        assert found.getsockname() == lab.listen_at("2001:db8::1", 8443, transport)
        with pytest.raises(OSError, match="in use"):
            bound(lab, "2001:db8::1", 8443, transport)
