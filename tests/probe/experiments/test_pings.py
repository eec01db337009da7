"""Servers of names, calls and handshakes, asked one by one or time after time."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import Any

import dns.message
import dns.rrset
import pytest
from aioquic.asyncio.server import QuicServer
from aioquic.quic.configuration import QuicConfiguration
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.lab.certificates import Office
from gatewatch.probe.experiments import (
    dnscheck,
    dnsping,
    echcheck,
    quicping,
    simplequicping,
    stunreachability,
    tcpping,
    tlsping,
)
from gatewatch.probe.experiments.common.inputs import BAD_INPUT, Pace
from gatewatch.wire.tls import NotTls, client_hello
from tests.probe.experiments.street import Elsewhere, measured, serve_tls, site, with_table
from tests.probe.town import (
    HERE,
    Replies,
    Stream,
    Town,
    answer,
    closes,
    doh,
    reset,
    resets,
    says,
    silence,
    stays_silent,
    zone,
)

param = pytest.param
QUICK = Pace(times=3, gap_s=0.0, timeout_s=0.3)
SITE, NAME = "93.184.216.34", "www.example.org"


async def nobody(town: Town, office: Office) -> None:
    """A town without servers."""


# -- STUN ------------------------------------------------------------------------------------

STUN, STUN_NAME = "198.51.100.9", "stun.example.net"


def stun(kind: int = 0x0101, *, spoil: bool = False) -> Replies:
    def replies(request: bytes):
        ours = bytes(12) if spoil else request[8:20]
        yield 0.0, kind.to_bytes(2, "big") + bytes(2) + request[4:8] + ours

    return replies


@pytest.mark.parametrize(
    ("replies", "failure", "blocked"),
    [
        param(stun(), None, False, id="it answers"),
        param(stun(0x0111), "unknown_failure: STUN error", None, id="with an error"),
        param(stun(spoil=True), "generic_timeout_error", None, id="somebody else's answer"),
        param(lambda _: [(0.0, b"junk")], "generic_timeout_error", None, id="no STUN at all"),
        param(silence, "generic_timeout_error", None, id="silence"),
        param(None, "connection_refused", None, id="nobody"),
    ],
)  # fmt: skip
def test_stun(replies, failure, blocked, office):
    async def furnish(town: Town, office: Office) -> None:
        if replies is not None:
            await town.udp(STUN, 3478, replies)

    keys = measured(
        with_table(stunreachability.EXPERIMENT, None, pace=Pace(times=3, timeout_s=0.02)),
        furnish,
        office,
        names={STUN_NAME: (STUN,)},
        input=f"stun://{STUN_NAME}:3478",
    )["test_keys"]
    assert keys["endpoint"] == f"{STUN_NAME}:3478"
    assert keys["failure"] == failure
    assert keys["x_service"]["blocked"] is blocked


def test_a_lost_request_is_sent_again(office):
    heard: list[bytes] = []

    def replies(request: bytes):
        heard.append(request)
        return stun()(request) if len(heard) > 1 else ()

    async def furnish(town: Town, office: Office) -> None:
        await town.udp(STUN, 3478, replies)

    test = with_table(stunreachability.EXPERIMENT, None, pace=Pace(times=4, timeout_s=0.05))
    found = measured(test, furnish, office, input=f"stun://{STUN}:3478")
    assert found["test_keys"]["failure"] is None
    assert heard[0] == heard[1], "the same transaction, as the RFC has it"


@given(junk=st.binary(max_size=64), transaction=st.binary(min_size=12, max_size=12))
def test_no_datagram_is_too_odd_for_stun(junk, transaction):
    kind = stunreachability.answer_kind(junk, transaction)
    assert kind is None or junk[4:20] == bytes.fromhex("2112a442") + transaction


# -- dnscheck --------------------------------------------------------------------------------

R = "9.9.9.9"
R_NAMES = {"dns.example": (R,)}
TRUE = zone({"example.org": (SITE,)})


@pytest.mark.parametrize(
    ("url", "replies", "failure", "reaches", "blocked"),
    [
        param("https://dns.example/dns-query", TRUE, None, True, False, id="over HTTPS"),
        param(f"udp://{R}:53", TRUE, None, True, False, id="in clear"),
        param("https://dns.example/dns-query", None, "connection_refused", True, True,
              id="refused here alone"),
        param("https://dns.example/dns-query", None, "connection_refused", False, None,
              id="dead"),
        param("https://dns.example/dns-query", None, "connection_refused", None, None,
              id="no control"),
        param(f"udp://{R}:53", None, "connection_refused", True, None,
              id="over UDP a control cannot tell"),
        param(f"udp://{R}:53", says("10.10.34.34"), "dns_bogon_error", True, None,
              id="a bogon in its place"),
        param(f"udp://{R}:53", says(rcode="NXDOMAIN"), "dns_nxdomain_error", True, None,
              id="a denial"),
    ],
)  # fmt: skip
def test_dnscheck(url, replies, failure, reaches, blocked, office):
    async def furnish(town: Town, office: Office) -> None:
        if replies is not None:
            await town.udp(R, 53, replies)
            await serve_tls(town, office, R, "dns.example", doh(replies))

    seen = frozenset({f"{R}:443", f"{R}:53"}) if reaches else frozenset[str]()
    keys = measured(
        dnscheck.EXPERIMENT,
        furnish,
        office,
        names=R_NAMES,
        elsewhere=None if reaches is None else Elsewhere(reaches=seen, names=R_NAMES),
        input=url,
    )["test_keys"]
    (lookup,) = keys["lookups"].values()
    assert lookup["failure"] == failure
    assert keys["domain"] == "example.org"
    assert keys["bootstrap_failure"] is None
    assert (keys["bootstrap"] is None) == (R in url)
    assert keys["x_service"]["blocked"] is blocked, keys["x_service"]["why"]


def test_a_resolver_whose_name_nobody_knows(office):
    keys = measured(dnscheck.EXPERIMENT, nobody, office, input="https://gone.example/dns-query")
    assert keys["test_keys"]["bootstrap_failure"] == "dns_nxdomain_error"
    assert keys["test_keys"]["lookups"] == {}


# -- pings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "failures"),
    [
        param(closes, [None] * 3, id="accepted"),
        param(None, ["connection_refused"] * 3, id="refused"),
    ],
)
def test_tcpping(stream, failures, office):
    async def furnish(town: Town, office: Office) -> None:
        if stream is not None:
            await town.tcp(SITE, 443, stream)

    keys = measured(
        with_table(tcpping.EXPERIMENT, None, pace=QUICK),
        furnish,
        office,
        input=f"tcpconnect://{SITE}:443",
    )["test_keys"]
    assert [p["tcp_connect"]["status"]["failure"] for p in keys["pings"]] == failures
    assert keys["x_answered"] == failures.count(None)


@pytest.mark.parametrize(
    ("stream", "sni", "failure"),
    [
        param(site(), NAME, None, id="the name of the certificate"),
        param(site(), "other.example", "ssl_invalid_hostname", id="another name"),
        param(resets, NAME, "connection_reset", id="a reset"),
        param(None, NAME, None, id="no connection, no handshake"),
    ],
)
def test_tlsping(stream, sni, failure, office):
    async def furnish(town: Town, office: Office) -> None:
        if stream is resets:
            await town.tcp(SITE, 443, stream)
        elif stream is not None:
            await serve_tls(town, office, SITE, NAME, stream)

    keys = measured(
        with_table(tlsping.EXPERIMENT, None, pace=QUICK),
        furnish,
        office,
        input=f"tlshandshake://{SITE}:443?sni={sni}",
    )["test_keys"]
    shaken = [ping["tls_handshake"] for ping in keys["pings"]]
    assert len(shaken) == 3
    assert [one and one["failure"] for one in shaken] == [failure] * 3
    assert all(one is None for one in shaken) == (stream is None)


def quic_server(town: Town, office: Office) -> Any:
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
    configuration.load_cert_chain(office.file("valid", [NAME]))
    return asyncio.get_running_loop().create_datagram_endpoint(
        lambda: QuicServer(configuration=configuration), local_addr=(HERE, 0)
    )


async def furnish_quic(town: Town, office: Office) -> None:
    transport, _ = await quic_server(town, office)
    town.keep(SITE, 443, "udp", transport)


async def furnish_silence(town: Town, office: Office) -> None:
    await town.udp(SITE, 443, silence)


@pytest.mark.parametrize(
    ("furnish", "failure"),
    [
        param(furnish_quic, None, id="a server"),
        param(furnish_silence, "generic_timeout_error", id="silence"),
        param(nobody, "connection_refused", id="nobody"),
    ],
)
def test_simplequicping(furnish, failure, office):
    keys = measured(
        with_table(simplequicping.EXPERIMENT, None, pace=QUICK),
        furnish,
        office,
        input=f"quichandshake://{SITE}:443?sni={NAME}",
    )["test_keys"]
    assert [ping["quic_handshake"]["failure"] for ping in keys["pings"]] == [failure] * 3


@pytest.mark.parametrize(
    ("furnish", "failure", "versions"),
    [
        param(furnish_quic, None, True, id="a server tells its versions"),
        param(furnish_silence, "generic_timeout_error", False, id="silence"),
        param(nobody, "connection_refused", False, id="nobody"),
    ],
)
def test_quicping(furnish, failure, versions, office):
    keys = measured(
        with_table(quicping.EXPERIMENT, None, pace=QUICK),
        furnish,
        office,
        names={NAME: (SITE,)},
        input=f"https://{NAME}/",
    )["test_keys"]
    assert [ping["failure"] for ping in keys["pings"]] == [failure] * 3
    assert keys["domain"] == NAME
    for ping in keys["pings"]:
        assert len(base64.b64decode(ping["request"]["data"])) == 1200
        assert bool(ping["responses"]) is versions
        assert all(1 in one["supported_versions"] for one in ping["responses"])


def test_what_does_not_answer_a_quicping_is_kept_apart(office):
    async def furnish(town: Town, office: Office) -> None:
        await town.udp(SITE, 443, lambda _: [(0.0, b"\0" * 30)])

    keys = measured(
        with_table(quicping.EXPERIMENT, None, pace=QUICK), furnish, office, input=f"https://{SITE}/"
    )["test_keys"]
    assert len(keys["unexpected_responses"]) == 3
    assert keys["x_answered"] == 0


@given(junk=st.binary(max_size=64))
def test_no_datagram_is_too_odd_for_quicping(junk):
    found = quicping.offered_versions(junk, b"a" * 16, b"b" * 16)
    assert found is None or junk[1:5] == bytes(4)


def racing(question: bytes):
    yield 0.0, answer(question, ("10.10.34.34",))
    yield 0.005, answer(question, (SITE,))


@pytest.mark.parametrize(
    ("replies", "first", "late"),
    [
        param(says(SITE), SITE, 0, id="one answer"),
        param(racing, "10.10.34.34", 1, id="a forged one first, the true one late"),
        param(silence, None, 0, id="silence"),
    ],
)
def test_dnsping(replies, first, late, office):
    async def furnish(town: Town, office: Office) -> None:
        await town.udp(R, 53, replies)

    keys = measured(
        with_table(dnsping.EXPERIMENT, None, pace=QUICK),
        furnish,
        office,
        input=f"udp://{R}:53?domains=a.example",
    )["test_keys"]
    asked = [p for p in keys["pings"] if p["query"]["query_type"] == "A"]
    assert len(asked) == 3
    for ping in asked:
        answers = ping["query"]["answers"] or [{"ipv4": None}]
        assert answers[0]["ipv4"] == first
        assert len(ping["delayed_responses"]) == late


@pytest.mark.parametrize(
    "test",
    [tcpping, tlsping, simplequicping, quicping, dnsping],
    ids=lambda module: module.EXPERIMENT.name,
)
@pytest.mark.parametrize("given", ["", "nonsense", "ftp://x/", "http://[", "udp://a b/"])
def test_what_is_no_input_is_no_attempt(test, given, office):
    keys = measured(
        with_table(test.EXPERIMENT, None, pace=QUICK), nobody, office, input=given or "x"
    )["test_keys"]
    assert keys["pings"] == []
    assert keys["failure"] == BAD_INPUT


# -- ECH -------------------------------------------------------------------------------------

ECH_NAME, PUBLIC = "cloudflare-ech.com", "public.example"
CONFIG_BODY = (
    bytes([7]) + b"\0\x20" + b"\0\x20" + b"k" * 32 + b"\0\x04\0\1\0\1" + bytes([0, len(PUBLIC)])
    + PUBLIC.encode() + b"\0\0"
)  # fmt: skip
CONFIG = b"\xfe\x0d" + len(CONFIG_BODY).to_bytes(2, "big") + CONFIG_BODY
CONFIGS = len(CONFIG).to_bytes(2, "big") + CONFIG


def with_ech(question: bytes):
    asked = dns.message.from_wire(question).question[0]
    if asked.rdtype != 65:
        yield from says(SITE)(question)
        return
    reply = dns.message.make_response(dns.message.from_wire(question))
    text = f'1 . alpn="h2" ech="{base64.b64encode(CONFIGS).decode()}"'
    reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "HTTPS", text))
    yield 0.0, reply.to_wire()


SERVER_HELLO = (
    bytes.fromhex("160303002a0200002603 03".replace(" ", "")) + b"r" * 32 + b"\0\x13\x01\0"
)


def server(refuses: Any) -> Stream:
    """Answers a hello with a ServerHello, unless it is of those that are refused."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard, hello = b"", None
        while hello is None:
            heard += await reader.read(65_536)
            try:
                hello = client_hello(heard)
            except NotTls:
                return
        if refuses(hello):
            reset(writer)
            return
        writer.write(SERVER_HELLO)
        await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("refuses", "blocked", "failed"),
    [
        param(lambda hello: False, False, set(), id="all three are answered"),
        param(lambda hello: hello.ech, True, {"grease", "real"}, id="ECH is cut off"),
        param(lambda hello: hello.sni == PUBLIC, True, {"real"}, id="the public name is"),
        param(lambda hello: not hello.ech, None, {"none"}, id="what has no ECH is"),
        param(lambda hello: True, None, {"none", "grease", "real"}, id="everything is"),
    ],
)
def test_echcheck(refuses, blocked, failed, office):
    async def furnish(town: Town, office: Office) -> None:
        await town.tcp(SITE, 443, server(refuses))
        await serve_tls(town, office, R, "dns.example", doh(with_ech))

    keys = measured(
        echcheck.EXPERIMENT,
        furnish,
        office,
        doh_resolvers=(("dns.example", R),),
        input=f"https://{ECH_NAME}/cdn-cgi/trace",
    )["test_keys"]
    assert keys["x_ech"]["blocked"] is blocked, keys["x_ech"]
    assert {kind for kind, failure in keys["x_ech"]["ends"].items() if failure} == failed
    assert keys["x_ech"]["public_name"] == PUBLIC
    assert len(keys["tls_handshakes"]) == 3
    outer = {one["echconfig"]: one["outer_server_name"] for one in keys["tls_handshakes"]}
    assert outer == {"": "", "GREASE": ECH_NAME, base64.b64encode(CONFIGS).decode(): PUBLIC}


def test_a_server_without_ech_is_greeted_twice(office):
    async def furnish(town: Town, office: Office) -> None:
        await town.tcp(SITE, 443, server(lambda hello: False))

    keys = measured(
        echcheck.EXPERIMENT, furnish, office, names={ECH_NAME: (SITE,)},
        input=f"https://{ECH_NAME}/",
    )["test_keys"]  # fmt: skip
    assert set(keys["x_ech"]["ends"]) == {"none", "grease"}
    assert keys["x_ech"]["blocked"] is False


@given(junk=st.binary(max_size=120))
def test_no_configuration_is_too_odd(junk):
    found = echcheck.read_config(junk)
    assert found is None or found.raw == junk


@given(cut=st.integers(0, len(CONFIGS) - 3))
def test_a_configuration_that_is_cut_is_none(cut):
    assert echcheck.read_config(CONFIGS[:cut]) is None


def test_stays_silent_is_a_timeout_and_not_an_answer(office):
    async def furnish(town: Town, office: Office) -> None:
        await town.tcp(SITE, 443, stays_silent)

    keys = measured(
        echcheck.EXPERIMENT, furnish, office, names={ECH_NAME: (SITE,)},
        input=f"https://{ECH_NAME}/",
    )["test_keys"]  # fmt: skip
    assert {h["failure"] for h in keys["tls_handshakes"]} == {"generic_timeout_error"}
    assert keys["x_ech"]["blocked"] is None


def test_pings_are_drawn_from_the_rng_given():
    one, two = (quicping.probe_packet(b"a" * 16, b"b" * 16, random.Random(n)) for n in (1, 1))
    assert one == two
