"""Lookups against resolvers that answer, deny, lie, mumble, or say nothing."""

from __future__ import annotations

import asyncio
import struct

import pytest

from gatewatch.lab.certificates import Office
from gatewatch.probe.steps import Lookup, lookup, lookup_https, lookup_system
from tests.probe.town import Town, answer, doh, says, silence

RESOLVER, NAME = "192.0.2.53", "www.example.org"
SITE, OTHER, SITE6 = "192.0.2.80", "192.0.2.81", "2001:db8::80"


def asked(replies, kind: str = "A", **options) -> Lookup:
    async def ask() -> Lookup:
        async with Town() as town:
            if replies is not None:
                await town.udp(RESOLVER, 53, replies)
            return await lookup(town.vantage(), RESOLVER, NAME, kind, **options)

    return asyncio.run(ask())


def wrong_id(question: bytes) -> bytes:
    reply = bytearray(answer(question, [OTHER]))
    reply[0] ^= 0xFF
    return bytes(reply)


@pytest.mark.parametrize(
    ("replies", "kind", "failure", "addresses"),
    [
        pytest.param(says(SITE), "A", None, (SITE,), id="an address"),
        pytest.param(says(SITE, OTHER), "A", None, (SITE, OTHER), id="two addresses"),
        pytest.param(says(SITE6), "AAAA", None, (SITE6,), id="an IPv6 address"),
        pytest.param(says(SITE), "AAAA", "dns_no_answer", (), id="none of that version"),
        pytest.param(says(rcode="NXDOMAIN"), "A", "dns_nxdomain_error", (), id="denial"),
        pytest.param(says(rcode="REFUSED"), "A", "dns_refused_error", (), id="refusal"),
        pytest.param(says(rcode="SERVFAIL"), "A", "dns_servfail_error", (), id="failure"),
        pytest.param(says(rcode="NOTIMP"), "A", "dns_server_misbehaving", (), id="nonsense"),
        pytest.param(None, "A", "connection_refused", (), id="no resolver there"),
    ],
)
def test_a_lookup_ends_as_the_resolver_says(replies, kind, failure, addresses):
    found = asked(replies, kind, late_s=0.0)
    assert (found.failure, found.addresses) == (failure, addresses)
    assert found.resolver == f"{RESOLVER}:53"
    assert 0 <= found.t0 <= found.reply.t


def test_a_silent_resolver_is_asked_again_and_then_given_up():
    heard: list[bytes] = []

    def replies(question: bytes):
        heard.append(question)
        return ()

    found = asked(replies, total_s=0.3, tries=3, try_s=0.05)
    assert found.failure == "generic_timeout_error"
    assert len(heard) == 3
    assert len(set(heard)) == 1, "the same question, with the same id"


def test_a_lost_question_is_made_good_by_the_next():
    heard: list[bytes] = []

    def replies(question: bytes):
        heard.append(question)
        return [(0.0, answer(question, [SITE]))] if len(heard) == 2 else ()

    assert asked(replies, try_s=0.05).addresses == (SITE,)


def test_the_first_of_two_answers_counts_and_the_second_is_kept():
    found = asked(lambda q: [(0.0, answer(q, [OTHER])), (0.02, answer(q, [SITE]))], late_s=0.1)
    assert found.addresses == (OTHER,)
    assert [late.addresses for late in found.late] == [(SITE,)]


@pytest.mark.parametrize("junk", [wrong_id, lambda q: b"\x00", lambda q: q])
def test_what_is_no_answer_is_kept_and_not_believed(junk):
    found = asked(lambda q: [(0.0, junk(q)), (0.02, answer(q, [SITE]))], late_s=0.0)
    assert found.addresses == (SITE,)
    assert [late.failure for late in found.late] == ["dns_reply_with_wrong_query_id"]


def test_only_answers_with_a_wrong_id_are_no_silence():
    found = asked(lambda q: [(0.0, wrong_id(q))], total_s=0.1, tries=1)
    assert found.failure == "dns_reply_with_wrong_query_id"


def test_a_cut_answer_is_asked_for_again_over_tcp():
    def cut(question: bytes):
        reply = bytearray(answer(question))
        reply[2] |= 2  # TC: RFC 1035, section 4.1.1
        return [(0.0, bytes(reply))]

    async def over_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        reply = answer(await reader.readexactly(length), [SITE])
        for byte in struct.pack("!H", len(reply)) + reply:
            writer.write(bytes((byte,)))
            await writer.drain()

    async def ask() -> Lookup:
        async with Town() as town:
            await town.udp(RESOLVER, 53, cut)
            await town.tcp(RESOLVER, 53, over_tcp)
            return await lookup(town.vantage(), RESOLVER, NAME, "A")

    assert asyncio.run(ask()).addresses == (SITE,)


@pytest.mark.parametrize(
    ("replies", "failure", "addresses"),
    [
        pytest.param(says(SITE, SITE6), None, (SITE, SITE6), id="both versions"),
        pytest.param(says(SITE6), None, (SITE6,), id="one is enough"),
        pytest.param(says(), "dns_no_answer", (), id="neither"),
        pytest.param(says(rcode="NXDOMAIN"), "dns_nxdomain_error", (), id="denial"),
    ],
)
def test_the_system_asks_for_both_versions_and_gets_one_answer(replies, failure, addresses):
    async def ask() -> Lookup:
        async with Town() as town:
            await town.udp(RESOLVER, 53, replies)
            return await lookup_system(town.vantage(), RESOLVER, NAME, late_s=0.0)

    found = asyncio.run(ask())
    assert (found.engine, found.resolver, found.query_type) == ("getaddrinfo", "", "ANY")
    assert (found.failure, found.addresses) == (failure, addresses)


def test_a_system_without_a_resolver_is_told_so_at_once():
    async def ask() -> Lookup:
        async with Town() as town:
            return await lookup_system(town.vantage(), None, NAME)

    assert asyncio.run(ask()).failure == "dns_temporary_failure"


@pytest.mark.parametrize(
    ("name", "replies", "failure", "addresses"),
    [
        pytest.param("dns.example", says(SITE), None, (SITE,), id="an address"),
        pytest.param("dns.example", says(rcode="NXDOMAIN"), "dns_nxdomain_error", (), id="denial"),
        pytest.param("other.example", says(SITE), "ssl_invalid_hostname", (), id="somebody else's"),
        pytest.param("dns.example", None, "connection_refused", (), id="out of reach"),
    ],
)
def test_over_https_failing_to_reach_the_resolver_is_failing_to_look_up(
    name, replies, failure, addresses, tmp_path
):
    certificates = Office(tmp_path)

    async def ask() -> Lookup:
        async with Town() as town:
            if replies is not None:
                context = certificates.context("valid", ["dns.example"], alpn=["http/1.1"])
                await town.tcp(RESOLVER, 443, doh(replies), context)
            return await lookup_https(
                town.vantage(), name, RESOLVER, NAME, "A", ca=certificates.ca_file
            )

    found = asyncio.run(ask())
    assert (found.failure, found.addresses) == (failure, addresses)
    assert found.resolver == f"https://{name}/dns-query"


def test_a_name_that_no_question_can_hold_fails_without_asking():
    async def ask() -> Lookup:
        async with Town() as town:
            await town.udp(RESOLVER, 53, silence)
            return await lookup(town.vantage(), RESOLVER, f"{'a' * 64}.example", "A")

    assert asyncio.run(ask()).failure == "dns_non_recoverable_failure"
