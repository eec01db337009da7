"""Experiments on a street of loopback servers, each with one peculiarity."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.message
import pytest

from gatewatch.lab.certificates import Office
from gatewatch.probe.experiments import (
    dns_answers,
    dns_nobody,
    dns_transport,
    host_header,
    injection,
    keyword,
    sni_swap,
    tcp_port,
)
from gatewatch.probe.experiments.mechanism import Bench, Experiment, Layer, Suspicion
from gatewatch.probe.finding import Finding
from gatewatch.probe.seat import Anchor, Seat
from tests.probe.town import (
    PROBE,
    Town,
    answer,
    closes,
    doh,
    http,
    pages,
    resets,
    says,
    silence,
    zone,
)

param = pytest.param

NAME, ANCHOR = "www.example.org", "anchor.example"
SITE, BLOCKER = "93.184.216.34", "83.224.65.41"
ANCHORS = tuple(f"162.55.247.{n}" for n in range(210, 216))
ISP, PUBLIC, SECURE, DOH = "130.192.3.21", "8.8.8.8", "9.9.9.9", "dns.quad9.net"
NAMES = {NAME: (SITE,), ANCHOR: (ANCHORS[0],)}
OURS = b"<html><head><title>Ours</title></head><body>Nothing to see</body></html>"
BLOCKED = b"<html><head><title>Access Denied</title></head><body>By order.</body></html>"

Furnish = Callable[[Town, Office], Awaitable[None]]


def found(folder: Path, experiment: Experiment, suspicion: Suspicion, furnish: Furnish) -> Finding:
    """What an experiment finds in a town that `furnish` has furnished."""

    async def go() -> Finding | None:
        office = Office(folder)
        async with Town() as town:
            await furnish(town, office)
            seat = Seat(
                asn=137,
                country="IT",
                network="A network",
                addresses=(PROBE,),
                resolver=ISP,
                udp_resolvers=(PUBLIC,),
                doh_resolvers=((DOH, SECURE),),
                anchors=tuple(Anchor(name=ANCHOR, address=one) for one in ANCHORS),
                ca=office.ca_file,
                reach=town,
            )
            bench = Bench(
                seat=seat,
                vantage=town.vantage(),
                rng=random.Random(7),
                deadline=60.0,
            )
            return await experiment.run(bench, suspicion)

    made = asyncio.run(go())
    assert made is not None
    return made


def suspected(layer: Layer, **more: object) -> Suspicion:
    given = {
        "layer": layer,
        "kind": "failed",
        "failure": "connection_reset",
        "url": f"http://{NAME}/",
        "host": NAME,
        "address": SITE,
        "port": 80,
        "depth": 0,
        "reached": True,
        "true_addresses": (SITE,),
        **more,
    }
    return Suspicion(**given)  # pyright: ignore[reportArgumentType]


# -- names in clear --------------------------------------------------------------------------


def web(act: Callable[[str, str], bytes | None], *, at_site: bool = True) -> Furnish:
    """Every address answers with our page, but for what a rule does to host and path."""

    async def furnish(town: Town, office: Office) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            host = next(one[6:] for one in lines if one.lower().startswith("host: "))
            said = act(host, lines[0].split()[1])
            if said is None:
                writer.transport.abort()
                return
            writer.write(said)
            await writer.drain()

        for address in (*ANCHORS, *([SITE] if at_site else [])):
            await town.tcp(address, 80, serve)

    return furnish


PAGE = http(200, OURS, content_type="text/html")


def one_host(made: bytes) -> Callable[[str, str], bytes]:
    return lambda host, path: made if host == NAME else PAGE


@pytest.mark.parametrize(
    ("made", "mechanism"),
    [
        param(http(200, BLOCKED), "http.blockpage", id="a page"),
        param(http(403, BLOCKED), "http.blockpage", id="a refusal"),
        param(http(302, location="http://notice.example/"), "http.redirect", id="a redirect"),
        param(http(502, b"Upstream"), "http.error", id="an error"),
        param(http(200, OURS.replace(b"</body>", b"<script src=/x></script></body>")),
              "http.injection", id="our page, added to"),
        param(b"<html>no status line</html>", "http", id="no HTTP at all"),
    ],
)  # fmt: skip
def test_an_answer_in_place_of_ours_is_told_by_what_it_is(tmp_path, made, mechanism):
    suspicion = suspected("http", kind="page", failure=None)
    made = found(tmp_path, host_header.EXPERIMENT, suspicion, web(one_host(made)))
    assert (made.answer, made.mechanism, made.trigger) == ("name", mechanism, "name")


@pytest.mark.parametrize(
    ("rule", "answer", "mechanism"),
    [
        param(lambda host, path: http(302, location=f"http://portal.example/?{host}"),
              "any_name", None, id="a portal that redirects every request"),
        param(lambda host, path: PAGE if host.endswith(ANCHOR) else http(502),
              "any_name", None, id="a proxy that goes where the Host leads"),
        param(lambda host, path: PAGE, "not_name", None, id="nobody minds"),
    ],
)  # fmt: skip
def test_what_is_done_to_every_host_is_no_blocking_of_one(tmp_path, rule, answer, mechanism):
    suspicion = suspected("http", kind="page", failure=None)
    made = found(tmp_path, host_header.EXPERIMENT, suspicion, web(rule))
    assert (made.answer, made.mechanism) == (answer, mechanism)


def test_a_word_in_the_path_is_told_from_the_host(tmp_path):
    def rule(host: str, path: str) -> bytes | None:
        return None if "forbidden" in path else PAGE

    suspicion = suspected("http", url=f"http://{NAME}/search?q=forbidden-word")
    host = found(tmp_path, host_header.EXPERIMENT, suspicion, web(rule))
    word = found(tmp_path, keyword.EXPERIMENT, suspicion, web(rule))
    assert (host.answer, host.mechanism) == ("not_name", None)
    assert (word.answer, word.trigger) == ("keyword", "keyword")


def test_a_list_of_whole_urls_is_found_where_neither_host_nor_path_is_minded(tmp_path):
    def rule(host: str, path: str) -> bytes | None:
        return http(403, BLOCKED) if (host, path) == (NAME, "/page") else PAGE

    suspicion = suspected("http", kind="page", url=f"http://{NAME}/page")
    made = found(tmp_path, keyword.EXPERIMENT, suspicion, web(rule))
    assert (made.answer, made.mechanism) == ("keyword", "http.blockpage")
    assert "whole URL" in made.words


# -- names in handshakes ---------------------------------------------------------------------


def handshakes(refuses: Callable[[str | None], bool], *, forges: bool = False) -> Furnish:
    """Every address speaks TLS, but for names that a rule refuses or answers falsely."""

    async def furnish(town: Town, office: Office) -> None:
        false = office.context("self_signed", (NAME,), alpn=["http/1.1"])
        context = office.context("valid", (ANCHOR,), alpn=["http/1.1"])

        def named(shown: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            if not refuses(name):
                return None
            if forges:
                shown.context = false
                return None
            return ssl.AlertDescription.ALERT_DESCRIPTION_HANDSHAKE_FAILURE

        context.sni_callback = named  # pyright: ignore[reportAttributeAccessIssue]
        for address in (*ANCHORS, SITE):
            await town.tcp(address, 443, pages(lambda *_: PAGE), context)

    return furnish


TLS = suspected("tls", url=f"https://{NAME}/", port=443, failure="ssl_failed_handshake")
MITM = suspected("tls", url=f"https://{NAME}/", port=443, failure="ssl_unknown_authority")


@pytest.mark.parametrize(
    ("suspicion", "furnish", "answer", "mechanism"),
    [
        param(TLS, handshakes(lambda name: name == NAME), "name", "tls.eof", id="a list"),
        param(TLS, handshakes(lambda name: name != ANCHOR), "any_name", None, id="all but ours"),
        param(TLS, handshakes(lambda name: True), "everything", None, id="all"),
        param(TLS, handshakes(lambda name: False), "not_repeated", None, id="none, any more"),
        param(MITM, handshakes(lambda name: name == NAME, forges=True), "name",
              "tls.mitm.self_signed", id="a list of those to intercept"),
        param(MITM, handshakes(lambda name: False), "not_name", None, id="the site's own fault"),
    ],
)  # fmt: skip
def test_a_name_in_a_handshake_is_found_at_innocent_addresses(
    tmp_path, suspicion, furnish, answer, mechanism
):
    made = found(tmp_path, sni_swap.EXPERIMENT, suspicion, furnish)
    assert (made.answer, made.mechanism) == (answer, mechanism)


# -- connections -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_anchors", "other", "answer"),
    [
        param(True, True, "as_far", id="the server may refuse"),
        param(False, False, "everything", id="nothing can be reached"),
    ],
)
def test_a_refusal_is_laid_at_nobodys_door_without_proof(tmp_path, at_anchors, other, answer):
    async def furnish(town: Town, office: Office) -> None:
        for address in ANCHORS if at_anchors else ():
            await town.tcp(address, 443, closes)
        if other:
            await town.tcp(SITE, 80, closes)

    suspicion = suspected("tcp", port=443, failure="connection_refused")
    made = found(tmp_path, tcp_port.EXPERIMENT, suspicion, furnish)
    assert (made.answer, made.mechanism) == (answer, None)


# -- questions -------------------------------------------------------------------------------


def forges(name: str, *addresses: str) -> Callable:
    """Answers for one name, and is nobody for all others."""
    return lambda question: [(0.0, answer(question, addresses))] if about(name, question) else []


def about(name: str, question: bytes) -> bool:
    return str(dns.message.from_wire(question).question[0].name) == f"{name}."


def resolvers(isp: Callable, public: Callable | None = None, **more: Callable) -> Furnish:
    async def furnish(town: Town, office: Office) -> None:
        context = office.context("valid", (DOH,), alpn=["http/1.1"])
        await town.tcp(SECURE, 443, doh(more.get("private", zone(NAMES))), context)
        await town.udp(ISP, 53, isp)
        await town.udp(PUBLIC, 53, public or zone(NAMES))
        if "nobody" in more:
            for address in ANCHORS:
                await town.udp(address, 53, more["nobody"])
        await town.tcp(BLOCKER, 80, pages(lambda *_: http(200, BLOCKED)))
        await town.tcp(SITE, 80, pages(lambda *_: PAGE))

    return furnish


def denies(name: str) -> Callable:
    def replies(question: bytes):
        if about(name, question):
            return [(0.0, answer(question, rcode="NXDOMAIN"))]
        return zone(NAMES)(question)

    return replies


DNS = suspected("dns", failure="dns_nxdomain_error", address=None)
LIED = suspected("dns", kind="answer", failure=None, address=None, answers=(BLOCKER,))


@pytest.mark.parametrize(
    ("furnish", "answer_", "mechanism"),
    [
        param(resolvers(denies(NAME)), "resolver", "dns.nxdomain", id="one resolver denies it"),
        param(resolvers(zone(NAMES)), "not_repeated", None, id="it knows the name again"),
        param(resolvers(says(rcode="NXDOMAIN")), "resolver_silent", None,
              id="it denies every name"),
        param(resolvers(denies(NAME), private=denies(NAME)), "inconclusive", None,
              id="so does everybody, in private too"),
    ],
)  # fmt: skip
def test_a_denial_counts_where_others_know_the_name(tmp_path, furnish, answer_, mechanism):
    suspicion = suspected("dns", failure="dns_nxdomain_error", address=None, true_addresses=())
    made = found(tmp_path, dns_transport.EXPERIMENT, suspicion, furnish)
    expected = {answer_, "everywhere"} if answer_ == "inconclusive" else {answer_}
    assert made.answer in expected
    assert made.mechanism == mechanism


@pytest.mark.parametrize(
    ("nobody", "answer_", "mechanism"),
    [
        param(forges(NAME, "10.10.34.34"), "injector", "dns.injection.bogon", id="a forger"),
        param(forges(NAME, BLOCKER), "injector", "dns.injection", id="one with real addresses"),
        param(says("10.0.0.1"), "proxy", None, id="who answers for every name"),
        param(silence, "nobody", None, id="nobody"),
    ],
)
def test_who_answers_where_no_resolver_is_forges(tmp_path, nobody, answer_, mechanism):
    furnish = resolvers(zone(NAMES), nobody=nobody)
    made = found(tmp_path, dns_nobody.EXPERIMENT, LIED, furnish)
    assert (made.answer, made.mechanism) == (answer_, mechanism)


@pytest.mark.parametrize(
    ("suspicion", "isp", "answer_", "mechanism"),
    [
        param(LIED, zone({**NAMES, NAME: (BLOCKER,)}), "block_page", "dns.injection.blockpage",
              id="a page that is known for it"),
        param(LIED, says(BLOCKER), "all_names", None, id="a portal"),
        param(suspected("dns", kind="answer", failure=None, address=None, answers=("1.2.3.4",)),
              zone({**NAMES, NAME: ("1.2.3.4",)}), "refuses", None,
              id="a server of somebody's that has no page"),
    ],
)  # fmt: skip
def test_answers_are_judged_by_where_they_lead(tmp_path, suspicion, isp, answer_, mechanism):
    made = found(tmp_path, dns_answers.EXPERIMENT, suspicion, resolvers(isp))
    assert (made.answer, made.mechanism) == (answer_, mechanism)


def test_resets_are_told_apart_from_silence(tmp_path):
    async def furnish(town: Town, office: Office) -> None:
        for address in (*ANCHORS, SITE):
            await town.tcp(address, 80, resets)

    made = found(tmp_path, host_header.EXPERIMENT, suspected("http"), furnish)
    assert (made.answer, made.mechanism) == ("everything", None)


# -- pages that are changed on the way -------------------------------------------------------

COUNTER = b"<script>/* counts this visit and no more */</script>"
ATTACK = b"<script>/* asks a target again and again */</script>"


@pytest.mark.parametrize(
    ("swaps", "answer_", "trigger"),
    [
        param(lambda path: path == "/h.js", "injected", "keyword", id="of one path alone"),
        param(lambda path: True, "injected", None, id="of whatever is asked"),
        param(lambda path: path in ("/", "/h.js"), "injected", None, id="of every page there is"),
        param(lambda path: False, "none", None, id="of nothing"),
    ],
)
def test_a_swapped_script_goes_by_the_path_where_other_paths_come_through(
    tmp_path, swaps, answer_, trigger
):
    def true(path: str) -> bytes:
        found = path in ("/", "/h.js")
        body = COUNTER if found else b"No such page." + COUNTER
        return http(200 if found else 404, body, content_type="text/html")

    def changed(path: str) -> bytes:
        return true(path).replace(COUNTER, ATTACK)

    async def furnish(town: Town, office: Office) -> None:
        clear = pages(lambda host, path: changed(path) if swaps(path) else true(path))
        await town.tcp(SITE, 80, clear)
        context = office.context("valid", (NAME,), alpn=["http/1.1"])
        await town.tcp(SITE, 443, pages(lambda host, path: true(path)), context)

    suspicion = suspected("http", kind="unasked", failure=None, url=f"http://{NAME}/h.js")
    made = found(tmp_path, injection.EXPERIMENT, suspicion, furnish)
    assert (made.answer, made.trigger) == (answer_, trigger)
