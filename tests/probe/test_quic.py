"""QUIC handshakes with servers that answer, close, refuse, or say nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aioquic.asyncio.server import QuicServer
from aioquic.quic.configuration import QuicConfiguration
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatewatch.lab.certificates import Kind, Office
from gatewatch.probe.net import Datagrams, Failed
from gatewatch.probe.quic import quic_connect
from gatewatch.probe.steps import QuicHandshake, quic_handshake
from gatewatch.wire.quic import client_hello_of, initial_close
from tests.probe.town import CERTIFICATES, HERE, Town, silence

SITE, NAME = "192.0.2.80", "www.example.org"


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


@pytest.mark.parametrize(("kind", "failure"), CERTIFICATES)
def test_a_handshake_succeeds_where_the_certificate_is_good(kind, failure, office):
    found = shaken(office, serving(office, kind))
    assert (found.failure, found.verify_failure) == (failure, failure)
    lax = shaken(office, serving(office, kind), verify=False)
    assert (lax.failure, lax.verify_failure) == (None, failure)
    for one in (found, lax):
        leaf = x509.load_pem_x509_certificate(office.file(kind, [NAME]).read_bytes())
        assert one.chain[0] == leaf.public_bytes(Encoding.DER)
        assert one.alpn == "h3"
        assert one.cipher_suite.startswith("TLS_")
    assert [e.operation for e in found.events if "quic" in e.operation] == [
        "quic_handshake_start",
        "quic_handshake_done",
    ]


@pytest.mark.parametrize(
    ("sni", "sent"),
    [
        pytest.param(None, NAME, id="the server's own"),
        pytest.param("innocent.example", "innocent.example", id="another"),
        pytest.param("", "", id="none"),
    ],
)
def test_the_name_that_is_sent_is_the_one_that_was_chosen(sni, sent, office):
    heard: list[str | None] = []

    async def furnish(town: Town) -> None:
        def listen(initial: bytes):
            heard.append(first_hello(initial))
            return ()

        await town.udp(SITE, 443, listen)

    found = shaken(office, furnish, sni=sni, timeout_s=0.2)
    assert (heard[0], found.sni) == (sent or None, sent)


def first_hello(initial: bytes) -> str | None:
    hello = client_hello_of([initial])
    assert hello is not None
    return hello.sni


def offering(*versions: int):
    """A server that has other versions: RFC 9000, section 17.2.1."""

    def replies(initial: bytes):
        destination = initial[6 : 6 + initial[5]]
        at = 6 + initial[5]
        source = initial[at + 1 : at + 1 + initial[at]]
        cids = b"".join(bytes((len(c),)) + c for c in (source, destination))
        yield 0.0, b"\x80" + bytes(4) + cids + b"".join(v.to_bytes(4, "big") for v in versions)

    async def furnish(town: Town) -> None:
        await town.udp(SITE, 443, replies)

    return furnish


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
        pytest.param(closing(0x11), 2.0, "quic_incompatible_version", id="VERSION_NEGOTIATION"),
        pytest.param(closing(0x128), 2.0, "ssl_failed_handshake", id="alert 40"),
        pytest.param(closing(0x12A), 2.0, "ssl_invalid_certificate", id="alert 42"),
        pytest.param(closing(0x12E), 2.0, "ssl_invalid_certificate", id="alert 46"),
        pytest.param(closing(0x130), 2.0, "ssl_unknown_authority", id="alert 48"),
        pytest.param(closing(0x133), 2.0, "ssl_failed_handshake", id="alert 51"),
        pytest.param(closing(0x170), 2.0, "ssl_invalid_hostname", id="alert 112"),
        pytest.param(closing(0x178), 2.0, "ssl_failed_handshake", id="alert 120"),
        pytest.param(offering(0x51303433), 2.0, "quic_incompatible_version", id="no version"),
        pytest.param(offering(1), 0.3, "generic_timeout_error", id="the very version"),
    ],
)
def test_a_handshake_ends_as_the_path_ends_it(furnish, within_s, failure, office):
    found = shaken(office, furnish, timeout_s=within_s)
    assert found.failure == failure


@pytest.mark.parametrize(("error", "alert"), [(0x128, 40), (0x170, 112), (0x2, None)])
def test_an_alert_is_kept_with_its_number(error, alert, office):
    assert shaken(office, closing(error), timeout_s=2.0).alert == alert


def test_a_stateless_reset_is_a_reset(office):
    """With the token that the server gave in its handshake, in a datagram of noise."""

    async def talk() -> str:
        async with Town() as town:
            await serving(office, "valid")(town)
            vantage = town.vantage()
            found, session = await quic_connect(vantage, SITE, 443, NAME, ca=office.ca_file)
            assert session is not None, found.failure
            inner: Any = session.quic
            token = inner._peer_cid.stateless_reset_token
            assert len(token) == 16
            session.datagrams = Replayed(session.datagrams, [b"\x40" + bytes(30) + token])
            with pytest.raises(Failed) as failed:
                await session.step(vantage.now() + 1.0)
            await session.close()
            return failed.value.failure

    assert asyncio.run(talk()) == "connection_reset"


class Replayed(Datagrams):
    """Datagrams, of which the next to come are these."""

    def __init__(self, inner: Datagrams, coming: list[bytes]) -> None:
        super().__init__(inner.vantage, inner._socket, inner.endpoint)
        self._coming = coming

    async def receive(self, deadline: float) -> bytes:
        return self._coming.pop(0)
