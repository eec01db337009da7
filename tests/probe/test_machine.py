"""The real machine as a vantage point, as far as it can be seen without sending anything."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import Path

import pytest

from gatewatch.probe.machine import (
    PUBLIC_RESOLVERS,
    ask_system,
    nameservers,
    own_addresses,
    seat_of_machine,
    system_resolver,
)
from gatewatch.probe.net import Plain, Vantage, source_towards
from gatewatch.probe.seat import Control
from gatewatch.wire.address import is_bogon


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("nameserver 192.0.2.53\n", ["192.0.2.53"], id="one"),
        pytest.param(
            "# nameserver 192.0.2.1\nsearch lan\nnameserver\t192.0.2.53\nnameserver ::1 ; home\n",
            ["192.0.2.53", "::1"],
            id="among other things",
        ),
        pytest.param("nameserver fe80::1%eth0", ["fe80::1"], id="with a zone"),
        pytest.param("nameserver resolver.example\nnameserver", [], id="no addresses"),
    ],
)
def test_the_systems_resolver_is_the_first_that_its_file_names(text, found, tmp_path):
    assert nameservers(text) == found
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    assert system_resolver(file) == (found[0] if found else None)


def test_a_machine_without_the_file_has_no_resolver_that_we_know_of(tmp_path):
    assert system_resolver(tmp_path / "none") is None


def test_the_machine_knows_its_own_addresses_inside_an_event_loop_too():
    async def look() -> tuple[str, ...]:
        return own_addresses()

    outside, inside = own_addresses(), asyncio.run(look())
    assert set(outside) == set(inside)
    assert not any(ip_address(address).is_loopback for address in outside)
    for far in ("192.0.2.1", "2001:db8::1"):
        source = source_towards(far)
        assert source is None or ip_address(source).is_loopback or source in outside


def test_a_seat_on_the_machine_is_what_it_was_told_and_what_it_found(tmp_path):
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 192.0.2.53")
    control = Control(name="control.example")
    seat = seat_of_machine(
        asn=64500, country="ZZ", network="lab", controls=(control,), resolv_conf=file
    )
    assert (seat.asn, seat.country, seat.network) == (64500, "ZZ", "lab")
    assert (seat.resolver, seat.system, seat.controls) == ("192.0.2.53", ask_system, (control,))
    assert seat.ca.read_text(errors="replace").count("BEGIN CERTIFICATE") > 50
    assert seat.secrets == own_addresses()
    assert isinstance(seat.reach, Plain)


def test_a_seat_that_was_told_nothing_knows_no_network_and_no_country():
    seat = seat_of_machine(ca=Path("other.pem"))
    assert (seat.asn, seat.country, seat.ca) == (0, "ZZ", Path("other.pem"))
    assert seat.annotations["network_type"] == "unknown"


def test_public_resolvers_are_public_and_say_who_says_so():
    addresses = [resolver.address for resolver in PUBLIC_RESOLVERS]
    assert len({*addresses}) == len(addresses) >= 3
    assert not any(is_bogon(address) for address in addresses)
    assert all(resolver.source.startswith("https://") for resolver in PUBLIC_RESOLVERS)


def test_the_system_is_asked_as_every_program_asks_it():
    async def ask():
        zero = asyncio.get_running_loop().time()
        return await ask_system(Vantage(reach=Plain(), addresses=(), zero=zero), "127.0.0.9")

    found = asyncio.run(ask())
    assert (found.engine, found.resolver, found.query_type) == ("getaddrinfo", "", "ANY")
    assert (found.failure, found.addresses) == (None, ("127.0.0.9",))
    assert 0 <= found.t0 <= found.reply.t
