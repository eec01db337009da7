"""Connects and handshakes with servers that are sound, silent, rude, or somebody else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatewatch.lab.certificates import Kind, Office
from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.net import Failed
from gatewatch.probe.steps import Connect, Handshake, connect, handshake
from gatewatch.probe.tls import ALERTS
from tests.probe.town import (
    CERTIFICATES,
    PROBE,
    Stream,
    Town,
    closes,
    resets,
    sends,
    stays_silent,
)

SITE, SITE6, NAME = "192.0.2.80", "2001:db8::80", "www.example.org"


async def nobody(town: Town) -> None:
    return None


async def welcome(town: Town) -> None:
    await town.tcp(SITE, 443, stays_silent)
    await town.tcp(SITE6, 443, stays_silent)


async def full(town: Town) -> None:
    await town.unanswered(SITE, 443)


@pytest.mark.parametrize(
    ("furnish", "address", "failure"),
    [
        pytest.param(welcome, SITE, None, id="a server"),
        pytest.param(nobody, SITE, "connection_refused", id="a closed port"),
        pytest.param(full, SITE, "generic_timeout_error", id="no answer"),
        pytest.param(welcome, SITE6, "network_unreachable", id="a vantage without IPv6"),
    ],
)
def test_a_connect_ends_as_the_kernel_says(furnish, address, failure):
    async def dial() -> Connect:
        async with Town() as town:
            await furnish(town)
            found = await connect(town.vantage(PROBE), address, 443, timeout_s=0.2)
            if found.stream is not None:
                found.stream.close()
            return found

    found = asyncio.run(dial())
    assert (found.failure, found.stream is None) == (failure, failure is not None)
    assert [(e.operation, e.failure) for e in found.events] == [("connect", failure)]


ALERT = b"\x15\x03\x01\x00\x02\x02"
"A fatal alert record but for its description: RFC 8446, section 6."


def shaken(
    serve: Stream,
    office: Office,
    kind: Kind | None = None,
    *,
    heard: list[str | None] | None = None,
    name: str = NAME,
    **options,
) -> Handshake:
    """A handshake with a server that shows such a certificate, or, without, does as it likes.

    Args:
        heard: gets the server names that arrive.
    """

    async def shake() -> Handshake:
        async with Town() as town:
            context = office.context(kind, [NAME], alpn=["h2", "http/1.1"]) if kind else None
            if context is not None:
                arrived = [] if heard is None else heard
                context.sni_callback = lambda _, sni, __: arrived.append(sni)
            await town.tcp(SITE, 443, serve, context)
            reached = await connect(town.vantage(), SITE, 443)
            assert reached.stream is not None
            found = await handshake(
                reached.stream, name, ca=office.ca_file, **{"timeout_s": 0.5, **options}
            )
            reached.stream.close()
            return found

    return asyncio.run(shake())


def test_a_sound_handshake_says_what_was_agreed_on(office):
    found = shaken(stays_silent, office, "valid")
    assert found.failure is None
    assert (found.tls_version, found.alpn) == ("TLSv1.3", "http/1.1")
    assert found.cipher_suite.startswith("TLS_")


@pytest.mark.parametrize(("kind", "failure"), CERTIFICATES[1:])
def test_a_refused_certificate_is_kept_as_evidence(kind, failure, office):
    found = shaken(stays_silent, office, kind)
    assert found.failure == failure
    shown = x509.load_pem_x509_certificate(Path(office.file(kind, [NAME])).read_bytes())
    assert found.chain[0] == shown.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("serve", "failure"),
    [
        pytest.param(resets, "connection_reset", id="a reset"),
        pytest.param(closes, "eof_error", id="an end"),
        pytest.param(stays_silent, "generic_timeout_error", id="silence"),
        pytest.param(sends(b"HTTP/1.1 400\r\n\r\n"), "ssl_failed_handshake", id="no TLS at all"),
        pytest.param(sends(ALERT + b"\x28"), "ssl_failed_handshake", id="an alert"),
        pytest.param(sends(ALERT + b"\x70"), "ssl_invalid_hostname", id="alert 112"),
    ],
)
def test_a_handshake_ends_as_the_other_side_ends_it(serve, failure, office):
    found = shaken(serve, office)
    assert (found.failure, found.chain) == (failure, ())


@pytest.mark.parametrize("number", sorted({*ALERTS.values(), 73, 200} - {0}))
def test_an_alert_in_place_of_a_handshake_is_kept_with_its_number(number, office):
    found = shaken(sends(ALERT + bytes((number,))), office)
    named = number == 112
    assert found.failure == ("ssl_invalid_hostname" if named else "ssl_failed_handshake")
    assert (found.alert, found.verify_failure) == (number, None)


def test_an_alert_one_byte_at_a_time_is_the_same_alert(office):
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        for byte in ALERT + b"\x46":
            writer.write(bytes((byte,)))
            await writer.drain()

    found = shaken(drip, office)
    assert (found.failure, found.alert) == ("ssl_failed_handshake", 70)


OTHER = "innocent.example"


@pytest.mark.parametrize(
    ("name", "sni", "heard"),
    [
        pytest.param(NAME, None, NAME, id="the server's own"),
        pytest.param(NAME, OTHER, OTHER, id="another"),
        pytest.param(NAME, "", None, id="none"),
        pytest.param(SITE, None, None, id="an address is never sent"),
        pytest.param(SITE, OTHER, OTHER, id="a name to an address"),
    ],
)
def test_the_name_that_is_sent_is_the_one_that_was_chosen(name, sni, heard, office):
    arrived: list[str | None] = []
    found = shaken(stays_silent, office, "valid", heard=arrived, name=name, sni=sni, verify=False)
    assert arrived == [heard]
    assert (found.failure, found.sni) == (None, heard or "")


@pytest.mark.parametrize("sni", [None, OTHER, ""])
@pytest.mark.parametrize(("kind", "failure"), CERTIFICATES)
def test_whatever_name_is_sent_the_certificate_is_held_against_the_servers(
    sni, kind, failure, office
):
    strict = shaken(stays_silent, office, kind, sni=sni)
    lax = shaken(stays_silent, office, kind, sni=sni, verify=False)
    assert (strict.failure, strict.verify_failure) == (failure, failure)
    assert (lax.failure, lax.verify_failure) == (None, failure)
    assert (lax.channel is not None, strict.channel is not None) == (True, failure is None)
    assert lax.chain == strict.chain != ()


def test_a_handshake_that_does_not_verify_carries_data(office):
    async def talk() -> bytes:
        async with Town() as town:
            await town.tcp(SITE, 443, sends(b"pong"), office.context("self_signed", [NAME]))
            reached = await connect(town.vantage(), SITE, 443)
            assert reached.stream is not None
            found = await handshake(reached.stream, NAME, ca=office.ca_file, verify=False)
            assert found.channel is not None
            await found.channel.write(b"ping", 1.0)
            data = await found.channel.read(1.0)
            found.channel.close()
            return data

    assert asyncio.run(talk()) == b"pong"


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [((), ""), (("http/1.1",), "http/1.1"), (("h2", "http/1.1"), "h2"), (("spdy",), "")],
)
def test_the_protocol_is_one_that_both_know(offered, agreed, office):
    assert shaken(stays_silent, office, "valid", alpn=offered).alpn == agreed


@pytest.mark.parametrize("name", ["a" * 70 + ".example", ".example", "a..example"])
def test_a_name_that_cannot_be_sent_is_our_own_fault(name, office):
    found = shaken(stays_silent, office, "valid", name=name)
    assert kind_of(found.failure) is FailureKind.LOCAL


def test_a_clock_that_is_years_off_finds_fault_with_a_sound_certificate(office):
    found = shaken(stays_silent, office, "valid", clock=datetime(2019, 1, 1, tzinfo=UTC))
    assert found.failure == "ssl_invalid_certificate"
    assert found.chain


def test_every_read_and_write_is_on_record_with_its_size():
    async def talk():
        async with Town() as town:
            await town.tcp(SITE, 80, sends(b"pong"))
            reached = await connect(town.vantage(), SITE, 80)
            assert reached.stream is not None
            await reached.stream.write(b"ping!", 1.0)
            assert await reached.stream.read(1.0) == b"pong"
            assert await reached.stream.read(1.0) == b""
            reached.stream.close()
            return reached.stream.events

    events = asyncio.run(talk())
    assert [(e.operation, e.num_bytes, e.failure) for e in events] == [
        ("connect", 0, None),
        ("write", 5, None),
        ("read", 4, None),
        ("read", 0, "eof_error"),
    ]
    assert all(e.t0 <= e.t and e.address == f"{SITE}:80" for e in events)


def test_a_deadline_that_has_passed_is_a_timeout():
    async def talk() -> str:
        async with Town() as town:
            await town.tcp(SITE, 80, stays_silent)
            reached = await connect(town.vantage(), SITE, 80)
            assert reached.stream is not None
            with pytest.raises(Failed) as failed:
                await reached.stream.read(0.0)
            reached.stream.close()
            return failed.value.failure

    assert asyncio.run(talk()) == "generic_timeout_error"
