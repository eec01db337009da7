"""Lookups against resolvers that answer, deny, lie, mumble, or say nothing."""

from __future__ import annotations

import asyncio
import struct

import dns.message
import dns.rcode
import dns.rrset
import pytest
from h2.connection import H2Connection
from hypothesis import given
from hypothesis.strategies import binary

from gatewatch.lab.certificates import Office
from gatewatch.probe.asking import MOST_LATE
from gatewatch.probe.replies import read_reply, stray_reply
from gatewatch.probe.steps import (
    Lookup,
    Reply,
    Vantage,
    lookup,
    lookup_https,
    lookup_system,
    lookup_tcp,
    lookup_tls,
)
from tests.probe import http2_server, http3_server
from tests.probe.town import (
    Replies,
    Stream,
    Town,
    answer,
    closes,
    doh,
    resets,
    says,
    sends,
    silence,
    stays_silent,
)

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


# -- what is kept of a message -----------------------------------------------------------------


def records(question: bytes, *lines: str, rcode: str = "NOERROR") -> bytes:
    """A reply with these records, one a line of a zone file; `;` begins those of the authority."""
    reply = dns.message.make_response(dns.message.from_wire(question))
    reply.set_rcode(dns.rcode.from_text(rcode))
    for line in lines:
        section = reply.authority if line.startswith(";") else reply.answer
        name, ttl, kind, *data = line.lstrip(";").split()
        section.append(dns.rrset.from_text(name, int(ttl), "IN", kind, " ".join(data)))
    return reply.to_wire()


def keeps(*lines: str, **options):
    return lambda question: [(0.0, records(question, *lines, **options))]


SOA = ";example.org. 300 SOA ns.example.org. root.example.org. 1 2 3 4 60"


@pytest.mark.parametrize(
    ("replies", "kind", "failure", "addresses", "ttl_s", "kinds"),
    [
        pytest.param(
            keeps(f"{NAME}. 60 CNAME cdn.example.", f"cdn.example. 7 A {SITE}"),
            "A", None, (SITE,), 7, ["CNAME", "A"], id="an alias and its address",
        ),
        pytest.param(
            keeps(f"{NAME}. 60 CNAME cdn.example."),
            "A", "dns_no_answer", (), 60, ["CNAME"], id="an alias of nothing",
        ),
        pytest.param(
            keeps(f"{NAME}. 300 A {SITE}", f"{NAME}. 5 AAAA {SITE6}"),
            "A", None, (SITE,), 5, ["A", "AAAA"], id="more than was asked for",
        ),
        pytest.param(
            keeps(f"{NAME}. 300 A {SITE}"),
            "AAAA", "dns_no_answer", (), 300, ["A"], id="an A to a question for AAAA",
        ),
        pytest.param(
            keeps(SOA, rcode="NXDOMAIN"),
            "A", "dns_nxdomain_error", (), None, ["SOA"], id="a denial with its authority",
        ),
        pytest.param(
            keeps(f"{NAME}. 9 A {SITE}", rcode="NXDOMAIN"),
            "A", "dns_nxdomain_error", (), 9, ["A"], id="a denial with an address",
        ),
        pytest.param(
            keeps(f'{NAME}. 30 TXT "words"'), "TXT", None, (), 30, ["TXT"], id="a text",
        ),
        pytest.param(keeps(), "A", "dns_no_answer", (), None, [], id="nothing"),
    ],
)  # fmt: skip
def test_all_that_a_reply_holds_is_kept(replies, kind, failure, addresses, ttl_s, kinds):
    found = asked(replies, kind, late_s=0.0).reply
    assert (found.failure, found.addresses, found.ttl_s) == (failure, addresses, ttl_s)
    assert [record.kind for record in found.records] == kinds
    assert found.id == int.from_bytes(found.raw[:2], "big")


def test_a_late_answer_says_what_it_holds_and_when_it_came():
    found = asked(
        lambda q: [
            (0.0, records(q, f"{NAME}. 11 A {OTHER}")),
            (0.03, records(q, f"{NAME}. 60 A {SITE}")),
        ],
        late_s=0.2,
    )
    (late,) = found.late
    assert (found.reply.ttl_s, late.ttl_s) == (11, 60)
    assert late.id == found.reply.id
    assert late.t - found.reply.t >= 0.02


def test_an_answer_with_a_wrong_id_says_what_it_holds_and_is_not_believed():
    found = asked(lambda q: [(0.0, wrong_id(q)), (0.02, answer(q, [SITE]))], late_s=0.0)
    (stray,) = found.late
    assert stray.addresses == ()
    assert [record.data for record in stray.records] == [OTHER]
    assert stray.id != found.reply.id
    assert stray.t <= found.reply.t


def test_a_flood_of_answers_is_not_kept():
    found = asked(lambda q: [(0.0, answer(q, [OTHER]))] * 300, late_s=0.2)
    assert found.addresses == (OTHER,)
    assert len(found.late) == MOST_LATE


@given(binary(max_size=600))
def test_no_bytes_make_reading_a_reply_fail(data):
    question = dns.message.make_query(NAME, "A")
    assert read_reply(question.to_wire()[:2] + data, question, 0.0) is not data
    assert stray_reply(data, 0.0).failure == "dns_reply_with_wrong_query_id"


# -- over streams -------------------------------------------------------------------------------


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def over_stream(replies: Replies, *, drip: bool = False) -> Stream:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        question = await reader.readexactly(length)
        data = b"".join(framed(reply) for _, reply in replies(question))
        for piece in [data[n : n + 1] for n in range(len(data))] if drip else [data]:
            writer.write(piece)
            await writer.drain()
        await reader.read(-1)

    return serve


@pytest.mark.parametrize("drip", [False, True], ids=["whole", "one byte at a time"])
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize(
    ("replies", "failure", "addresses", "strays"),
    [
        pytest.param(says(SITE), None, (SITE,), 0, id="an address"),
        pytest.param(says(rcode="NXDOMAIN"), "dns_nxdomain_error", (), 0, id="denial"),
        pytest.param(
            lambda q: [(0.0, wrong_id(q)), (0.0, answer(q, [SITE]))], None, (SITE,), 1,
            id="another's answer first",
        ),
        pytest.param(
            lambda q: [(0.0, wrong_id(q))], "dns_reply_with_wrong_query_id", (), 1,
            id="another's answer alone",
        ),
        pytest.param(silence, "generic_timeout_error", (), 0, id="silence"),
    ],
)  # fmt: skip
def test_over_a_stream_the_answer_is_the_resolvers(
    replies, failure, addresses, strays, secure, drip, tmp_path
):
    office = Office(tmp_path)

    async def ask() -> Lookup:
        async with Town() as town:
            serve = over_stream(replies, drip=drip)
            if secure:
                await town.tcp(RESOLVER, 853, serve, office.context("valid", ["dns.example"]))
                return await lookup_tls(
                    town.vantage(), "dns.example", RESOLVER, NAME, "A",
                    ca=office.ca_file, total_s=0.5,
                )  # fmt: skip
            await town.tcp(RESOLVER, 53, serve)
            return await lookup_tcp(town.vantage(), RESOLVER, NAME, "A", total_s=0.5)

    found = asyncio.run(ask())
    assert (found.failure, found.addresses, len(found.late)) == (failure, addresses, strays)
    shown = (("dot", f"{RESOLVER}:853"), ("tcp", f"{RESOLVER}:53"))[not secure]
    assert (found.engine, found.resolver) == shown


@pytest.mark.parametrize(
    ("serve", "failure"),
    [
        pytest.param(None, "connection_refused", id="nobody there"),
        pytest.param(resets, "connection_reset", id="a reset"),
        pytest.param(closes, "eof_error", id="an end"),
        pytest.param(stays_silent, "generic_timeout_error", id="silence"),
        pytest.param(sends(b"\x00\x04abcd"), "dns_server_misbehaving", id="noise and an end"),
    ],
)
def test_over_tcp_a_lookup_ends_as_the_path_ends_it(serve, failure):
    async def ask() -> Lookup:
        async with Town() as town:
            if serve is not None:
                await town.tcp(RESOLVER, 53, serve)
            return await lookup_tcp(town.vantage(), RESOLVER, NAME, "A", total_s=0.3)

    assert asyncio.run(ask()).failure == failure


@pytest.mark.parametrize("name", ["dns.example", "other.example"])
def test_over_tls_the_resolver_has_to_prove_its_name(name, tmp_path):
    office = Office(tmp_path)

    async def ask() -> Lookup:
        async with Town() as town:
            context = office.context("valid", ["dns.example"])
            await town.tcp(RESOLVER, 853, over_stream(says(SITE)), context)
            return await lookup_tls(
                town.vantage(), name, RESOLVER, NAME, "A", ca=office.ca_file, total_s=1.0
            )

    proved = name == "dns.example"
    assert asyncio.run(ask()).failure == (None if proved else "ssl_invalid_hostname")


# -- over HTTPS of every version ------------------------------------------------------------------


def doh2(replies: Replies) -> Stream:
    def serve(h2: H2Connection, stream: int, _: dict[str, str], body: bytes) -> None:
        http2_server.page(next(iter(replies(body)))[1])(h2, stream, {}, b"")

    return http2_server.serving(serve)


def doh3(office: Office, replies: Replies):
    def serve(
        server: http3_server.Server, stream: int, headers: dict[str, str], body: bytes
    ) -> None:
        http3_server.page(next(iter(replies(body)))[1])(server, stream, headers, b"")

    return http3_server.serving(office, serve, ["dns.example"], RESOLVER)


@pytest.mark.parametrize("version", ["1.1", "2", "3"])
@pytest.mark.parametrize(
    ("replies", "failure", "addresses"),
    [
        pytest.param(says(SITE), None, (SITE,), id="an address"),
        pytest.param(says(rcode="REFUSED"), "dns_refused_error", (), id="refusal"),
        pytest.param(lambda q: [(0.0, b"no DNS")], "dns_server_misbehaving", (), id="nonsense"),
    ],
)
def test_every_version_of_http_carries_the_same_answer(
    version, replies, failure, addresses, tmp_path
):
    office = Office(tmp_path)

    async def ask() -> Lookup:
        async with Town() as town:
            if version == "3":
                await doh3(office, replies)(town)
            else:
                alpn = "h2" if version == "2" else "http/1.1"
                context = office.context("valid", ["dns.example"], alpn=[alpn])
                serve = doh2(replies) if version == "2" else doh(replies)
                await town.tcp(RESOLVER, 443, serve, context)
            return await lookup_https(
                town.vantage(), "dns.example", RESOLVER, NAME, "A",
                ca=office.ca_file, http3=version == "3",
            )  # fmt: skip

    found = asyncio.run(ask())
    assert (found.failure, found.addresses) == (failure, addresses)
    assert found.engine == ("doh3" if version == "3" else "doh")


@pytest.mark.parametrize(
    ("system", "failure"),
    [
        pytest.param(None, "dns_temporary_failure", id="nobody to ask"),
        pytest.param(says(rcode="NXDOMAIN"), "dns_nxdomain_error", id="a denial"),
        pytest.param(says(RESOLVER), None, id="its address"),
        pytest.param(says("192.0.2.99"), "connection_refused", id="another address"),
    ],
)
def test_a_resolver_without_an_address_is_looked_up_by_the_system(system, failure, tmp_path):
    office = Office(tmp_path)

    async def ask() -> Lookup:
        async with Town() as town:
            context = office.context("valid", ["dns.example"], alpn=["http/1.1"])
            await town.tcp(RESOLVER, 443, doh(says(SITE)), context)
            if system is not None:
                await town.udp("192.0.2.1", 53, system)

            async def ask_system(vantage: Vantage, hostname: str) -> Lookup:
                assert hostname == "dns.example"
                return await lookup_system(vantage, "192.0.2.1", hostname, late_s=0.0)

            return await lookup_https(
                town.vantage(), "dns.example", None, NAME, "A",
                ca=office.ca_file, system=ask_system if system else None,
            )  # fmt: skip

    assert asyncio.run(ask()).failure == failure


def test_where_the_system_is_real_it_is_asked_itself():
    reply = Reply(t=0.0, failure=None, addresses=(SITE,))

    async def ask() -> Lookup:
        async with Town() as town:

            async def system(vantage: Vantage, hostname: str) -> Lookup:
                return Lookup(
                    engine="getaddrinfo", resolver="", hostname=hostname, query_type="ANY",
                    t0=0.0, reply=reply,
                )  # fmt: skip

            return await lookup_system(town.vantage(), RESOLVER, NAME, system=system)

    assert asyncio.run(ask()).addresses == (SITE,)
