"""Resolvers, as clients of every transport meet them."""

from __future__ import annotations

import ssl

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from gatewatch.lab.scenario import Answer, Host, Resolver
from gatewatch.lab.zone import WHOAMI
from gatewatch.probe.steps import lookup, lookup_https
from tests.lab.hosts.running import ABROAD, PROBE, RESOLVER, SITE, Running, meet, world

FORWARDER = "130.192.3.21"
SITE_HOST = Host(addresses=(SITE,), names=("www.example.org",))
EVERYTHING = Host(
    addresses=(RESOLVER,),
    names=("dns.example",),
    resolver=Resolver(transports=("udp", "tcp", "dot", "doh")),
)


async def over(running: Running, transport: str, query: dns.message.Message) -> dns.message.Message:
    """An answer from the resolver over one transport."""
    ports = {"udp": 53, "tcp": 53, "dot": 853}
    kind = "udp" if transport == "udp" else "tcp"
    ip, port, local = running.attach.reach(PROBE, RESOLVER, ports[transport], kind)
    where = {"where": ip, "port": port, "source": local[0] if local else None, "timeout": 4.0}
    if transport == "dot":
        context = ssl.create_default_context(cafile=running.ca)
        return await dns.asyncquery.tls(
            query, **where, ssl_context=context, server_hostname="dns.example"
        )
    return await {"udp": dns.asyncquery.udp, "tcp": dns.asyncquery.tcp}[transport](query, **where)


@pytest.mark.parametrize("transport", ["udp", "tcp", "dot"])
def test_a_resolver_answers_over_every_transport(transport):
    async def visit(running: Running) -> None:
        query = dns.message.make_query("wWw.example.org", "A")
        answer = await over(running, transport, query)
        assert answer.flags & dns.flags.RA
        assert answer.question[0].name.to_text() == "wWw.example.org."
        assert [r.address for s in answer.answer for r in s] == [SITE]

    meet(world({"resolver": EVERYTHING, "site": SITE_HOST}), visit)


def test_a_resolver_answers_over_https():
    async def visit(running: Running) -> None:
        found = await lookup_https(
            running.vantage(), "dns.example", RESOLVER, "www.example.org", "A", ca=running.ca
        )
        assert (found.addresses, found.failure) == ((SITE,), None)
        query = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA29yZwAAAQAB"
        page = await running.get(f"https://dns.example/dns-query?dns={query}", RESOLVER)
        assert dict(page.headers)["Content-Type"] == "application/dns-message"
        answer = dns.message.from_wire(page.body)
        assert [r.address for s in answer.answer for r in s] == [SITE]

    meet(world({"resolver": EVERYTHING, "site": SITE_HOST}), visit)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("?dns=%20", id="no base64"),
        pytest.param("?dns=", id="empty"),
        pytest.param("", id="none"),
    ],
)
def test_what_is_no_question_is_a_bad_request(query):
    async def visit(running: Running) -> None:
        page = await running.get(f"https://dns.example/dns-query{query}", RESOLVER)
        assert page.status == 400

    meet(world({"resolver": EVERYTHING}), visit)


def test_a_negative_answer_says_how_long_it_holds():
    async def visit(running: Running) -> None:
        missing = await over(running, "udp", dns.message.make_query("no.example", "A"))
        assert missing.rcode() == dns.rcode.NXDOMAIN
        no_such_type = await over(running, "udp", dns.message.make_query("www.example.org", "MX"))
        assert no_such_type.rcode() == dns.rcode.NOERROR
        for answer in (missing, no_such_type):
            assert [s.rdtype for s in answer.authority] == [dns.rdatatype.SOA]

    meet(world({"resolver": EVERYTHING, "site": SITE_HOST}), visit)


def test_an_answer_too_large_for_a_datagram_is_cut_and_whole_over_tcp():
    pool = tuple(f"93.184.217.{n}" for n in range(1, 60))

    async def visit(running: Running) -> None:
        cut = await over(running, "udp", dns.message.make_query("many.example", "A"))
        assert cut.flags & dns.flags.TC
        found = await lookup(running.vantage(), RESOLVER, "many.example", "A", late_s=0)
        assert set(found.addresses) == set(pool)

    names = {"many.example": Answer(addresses=pool)}
    meet(world({"resolver": EVERYTHING}, names=names), visit)


def test_a_resolver_answers_each_client_by_its_country():
    async def visit(running: Running) -> None:
        for source, address in ((PROBE, "93.184.216.99"), (ABROAD, SITE)):
            found = await lookup(
                running.vantage(source), RESOLVER, "www.example.org", "A", late_s=0
            )
            assert found.addresses == (address,)

    names = {"www.example.org": Answer(by_country={"IT": ("93.184.216.99",)})}
    meet(world({"site": SITE_HOST}, names=names), visit)


def ask_one(host: Host, failure: str | None, addresses: tuple[str, ...]) -> None:
    """Ask a resolver that has an upstream for a site."""

    async def visit(running: Running) -> None:
        found = await lookup(
            running.vantage(), FORWARDER, "www.example.org", "A", total_s=0.3, tries=1, late_s=0
        )
        assert (found.failure, found.addresses) == (failure, addresses)

    meet(world({"forwarder": host, "site": SITE_HOST}), visit)


@pytest.mark.parametrize(
    ("resolver", "failure", "addresses"),
    [
        pytest.param(Resolver(upstream=RESOLVER), None, (SITE,), id="passes on what it is told"),
        pytest.param(
            Resolver(upstream="8.8.4.4"), "dns_servfail_error", (), id="whose upstream is not there"
        ),
        pytest.param(
            Resolver(upstream=RESOLVER, answers={"*.org": Answer(addresses=("10.10.34.35",))}),
            None,
            ("10.10.34.35",),
            id="has its own word first",
        ),
        pytest.param(
            Resolver(answers={".example.org": Answer(rcode="REFUSED")}),
            "dns_refused_error",
            (),
            id="refuses",
        ),
        pytest.param(Resolver(silent=True), "generic_timeout_error", (), id="is silent"),
        pytest.param(
            Resolver(answers={"www.example.org": Answer(silent=True)}),
            "generic_timeout_error",
            (),
            id="is silent about the name",
        ),
        pytest.param(Resolver(delay_ms=5_000), "generic_timeout_error", (), id="is too slow"),
        pytest.param(Resolver(transports=("tcp",)), "connection_refused", (), id="has no UDP"),
    ],
)
def test_a_resolver_of_an_access_network(resolver, failure, addresses):
    ask_one(Host(addresses=(FORWARDER,), resolver=resolver), failure, addresses)


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        pytest.param(RESOLVER, RESOLVER, id="the one that is asked"),
        pytest.param(FORWARDER, RESOLVER, id="the one that it asks in turn"),
    ],
)
def test_a_name_tells_which_resolver_asks_the_worlds_servers(asked, seen):
    async def visit(running: Running) -> None:
        found = await lookup(running.vantage(), asked, WHOAMI, "A", late_s=0)
        assert found.addresses == (seen,)

    forwarder = Host(addresses=(FORWARDER,), resolver=Resolver(upstream=RESOLVER))
    meet(world({"forwarder": forwarder, "site": SITE_HOST}), visit)


def test_what_is_no_query_is_not_answered():
    async def visit(running: Running) -> None:
        reader, writer = await running.stream(RESOLVER, 53)
        query = dns.message.make_query("www.example.org", "A", id=7).to_wire()
        writer.write(b"\0\4junk" + len(query).to_bytes(2, "big") + query)
        assert (await reader.readexactly(4))[2:] == b"\0\7"
        writer.close()

    meet(world({"site": SITE_HOST}), visit)


def test_a_resolver_that_is_silent_over_https_leaves_its_client_waiting():
    silent = Host(
        addresses=(RESOLVER,),
        names=("dns.example",),
        resolver=Resolver(transports=("doh",), silent=True),
    )

    async def visit(running: Running) -> None:
        found = await lookup_https(
            running.vantage(), "dns.example", RESOLVER, "a.example", "A", ca=running.ca, total_s=0.3
        )
        assert found.failure == "generic_timeout_error"

    meet(world({"resolver": silent}), visit)
