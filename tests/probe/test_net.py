"""Sockets: what goes wrong before a packet is sent, what comes back, and who connects."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket

import pytest

from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.net import (
    Datagrams,
    Failed,
    Plain,
    Vantage,
    connect,
    getaddrinfo,
    names_failure,
    source_towards,
)
from tests.probe.town import HERE, PROBE, Town, sends, silence, stays_silent

SITE = "192.0.2.80"


def test_a_machine_without_file_descriptors_blames_itself():
    async def dial() -> tuple[str | None, str]:
        async with Town() as town:
            await town.tcp(SITE, 80, stays_silent)
            vantage = town.vantage()
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            with socket.socket() as last:
                resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno(), hard))
                try:
                    reached = await connect(vantage, SITE, 80)
                    with pytest.raises(Failed) as failed:
                        await Datagrams.open(vantage, SITE, 80)
                finally:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            return reached.failure, failed.value.failure

    for failure in asyncio.run(dial()):
        assert kind_of(failure) is FailureKind.LOCAL


def test_an_address_that_is_not_ours_cannot_be_the_source():
    async def dial() -> str | None:
        zero = asyncio.get_running_loop().time()
        vantage = Vantage(reach=Plain(), addresses=("192.0.2.77",), zero=zero)
        return (await connect(vantage, HERE, 9)).failure

    assert asyncio.run(dial()) == "address_not_available"


def test_a_connect_called_off_leaves_no_socket_behind():
    async def dial() -> int:
        async with Town() as town:
            await town.unanswered(SITE, 80)
            vantage = town.vantage()
            before = len(open_sockets())
            task = asyncio.create_task(connect(vantage, SITE, 80))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return len(open_sockets()) - before

    assert asyncio.run(dial()) == 0


def open_sockets() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.append(target)
    return found


def test_what_is_written_in_parts_is_not_held_back():
    async def dial() -> int:
        async with Town() as town:
            await town.tcp(SITE, 80, stays_silent)
            reached = await connect(town.vantage(), SITE, 80)
            assert reached.stream is not None
            value = reached.stream._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            reached.stream.close()
            return value

    assert asyncio.run(dial())


def test_what_is_put_back_is_read_again_and_before_the_rest():
    async def talk() -> list[bytes]:
        async with Town() as town:
            await town.tcp(SITE, 80, sends(b"cd"))
            reached = await connect(town.vantage(), SITE, 80)
            assert reached.stream is not None
            reached.stream.unread(b"b")
            reached.stream.unread(b"a")
            await reached.stream.write(b"?", 1.0)
            found = [await reached.stream.read(1.0) for _ in range(3)]
            reached.stream.close()
            return found

    assert asyncio.run(talk()) == [b"ab", b"cd", b""]


def test_a_closed_udp_port_is_refused_by_icmp():
    async def ask() -> tuple[str, list[str | None]]:
        async with Town() as town:
            with await Datagrams.open(town.vantage(), SITE, 53) as datagrams:
                await datagrams.send(b"?")
                with pytest.raises(Failed) as failed:
                    await datagrams.receive(1.0)
                return failed.value.failure, [e.failure for e in datagrams.events]

    assert asyncio.run(ask()) == ("connection_refused", [None, "connection_refused"])


class Elsewhere:
    """Somebody who connects for us, and to one place only."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self.asked: list[tuple[str, int]] = []

    async def connect(self, vantage: Vantage, host: str, port: int, *, timeout_s: float):
        self.asked.append((host, port))
        return await connect(self._town.vantage(PROBE), SITE, 80, timeout_s=timeout_s)


def test_a_vantage_with_a_proxy_leaves_connecting_to_it_and_has_no_datagrams():
    async def dial():
        async with Town() as town:
            await town.tcp(SITE, 80, stays_silent)
            await town.udp(SITE, 53, silence)
            plain = town.vantage()
            via = Elsewhere(town)
            vantage = Vantage(reach=town, addresses=(), zero=plain.zero, via=via)
            reached = await connect(vantage, "a.example", 443)
            assert reached.stream is not None
            reached.stream.close()
            with pytest.raises(Failed) as failed:
                await Datagrams.open(vantage, SITE, 53)
            return via.asked, failed.value.failure

    asked, failure = asyncio.run(dial())
    assert asked == [("a.example", 443)]
    assert kind_of(failure) is FailureKind.LOCAL


# -- names as the system knows them -----------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("EAI_NONAME", "dns_nxdomain_error"),
        ("EAI_AGAIN", "dns_temporary_failure"),
        ("EAI_FAIL", "dns_non_recoverable_failure"),
        ("EAI_NODATA", "dns_no_answer"),
        ("EAI_FAMILY", "address_family_not_supported"),
        ("EAI_MEMORY", "no_buffer_space"),
    ],
)
def test_what_the_system_says_of_a_name_has_a_name(code, failure):
    assert names_failure(socket.gaierror(getattr(socket, code), "words")) == failure


def test_a_system_error_of_a_lookup_is_named_as_such():
    assert names_failure(OSError(errno.EMFILE, "words")) == "no_buffer_space"


@pytest.mark.parametrize(
    ("name", "failure", "addresses"),
    [
        pytest.param("127.0.0.9", None, ("127.0.0.9",), id="an address"),
        pytest.param("::1", None, ("::1",), id="an IPv6 address"),
        pytest.param("a" * 70 + ".example", "dns_non_recoverable_failure", (), id="a long label"),
    ],
)
def test_what_needs_no_asking_is_answered_by_the_system_itself(name, failure, addresses):
    names = asyncio.run(getaddrinfo(name, timeout_s=5.0))
    assert (names.failure, names.addresses) == (failure, addresses)


def test_a_lookup_out_of_patience_is_a_timeout():
    names = asyncio.run(getaddrinfo("127.0.0.9", timeout_s=0.0))
    assert names.failure == "generic_timeout_error"


@pytest.mark.parametrize("address", [HERE, "127.9.9.9"])
def test_the_source_towards_oneself_is_oneself(address):
    found = source_towards(address)
    assert found is not None
    assert found.startswith("127.")
