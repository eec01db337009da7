"""QUIC handshakes with servers that answer, close, refuse, or say nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aioquic.asyncio.server import QuicServer
from aioquic.quic.configuration import QuicConfiguration

from gatewatch.lab.certificates import Kind, Office
from gatewatch.probe.steps import QuicHandshake, quic_handshake
from gatewatch.wire.quic import initial_close
from tests.probe.town import HERE, Town, silence

SITE, NAME = "192.0.2.80", "www.example.org"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))


def shaken(office: Office, furnish: Callable, **options) -> QuicHandshake:
    async def shake() -> QuicHandshake:
        async with Town() as town:
            await furnish(town)
            return await quic_handshake(
                town.vantage(), SITE, 443, NAME, ca=office.ca_file, **options
            )

    return asyncio.run(shake())


def serving(office: Office, kind: Kind):
    """A QUIC server with a certificate of that kind."""

    async def furnish(town: Town) -> None:
        configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
        configuration.load_cert_chain(office.file(kind, [NAME]))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: QuicServer(configuration=configuration), local_addr=(HERE, 0)
        )
        town.keep(SITE, 443, "udp", transport)

    return furnish


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("valid", None),
        ("wrong_name", "ssl_invalid_certificate"),
        ("unknown_issuer", "ssl_invalid_certificate"),
    ],
)
def test_a_handshake_succeeds_where_the_certificate_is_good(kind, failure, office):
    found = shaken(office, serving(office, kind))
    assert found.failure == failure
    assert found.alpn == ("h3" if failure is None else "")
    assert {event.operation for event in found.events} == {"write_to", "read_from"}


def closing(error: int):
    """Somebody on the path who closes every connection in answer to its first packet."""

    async def furnish(town: Town) -> None:
        await town.udp(SITE, 443, lambda initial: [(0.0, initial_close(initial, error))])

    return furnish


async def mute(town: Town) -> None:
    await town.udp(SITE, 443, silence)


async def closed(town: Town) -> None:
    return None


@pytest.mark.parametrize(
    ("furnish", "within_s", "failure"),
    [
        pytest.param(mute, 0.3, "generic_timeout_error", id="silence"),
        pytest.param(closed, 1.0, "connection_refused", id="a closed port"),
        pytest.param(closing(0x2), 2.0, "connection_refused", id="CONNECTION_REFUSED"),
        pytest.param(closing(0xA), 2.0, "connection_reset", id="PROTOCOL_VIOLATION"),
    ],
)
def test_a_handshake_ends_as_the_path_ends_it(furnish, within_s, failure, office):
    found = shaken(office, furnish, timeout_s=within_s)
    assert found.failure == failure
