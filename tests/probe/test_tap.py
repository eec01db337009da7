"""The tap, and requests of limited TTLs, in real worlds: where the censors are that sit there."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from gatewatch.lab.rules import Action, BlockPage, Censor, Drop, ForgeDns, NullRoute, Reset, Trigger
from gatewatch.lab.scenario import Host, Resolver, Web
from gatewatch.lab.world import World
from gatewatch.probe.net import (
    Failed,
    Plain,
    Tap,
    Vantage,
    _filter,
    connect,
    say_again,
    say_aside,
)
from gatewatch.probe.trace.knocking import read_knocks
from gatewatch.probe.trace.limited import Target, trace
from gatewatch.probe.trace.reading import Examined, examine
from gatewatch.probe.trace.stalled import repeated
from tests.lab.full import as_ordinary_user, in_world, requires_full_lab, requires_root
from tests.lab.worlds import SITE, scenario

ACCESS_1, NATIONAL_2 = "130.192.0.1", "79.0.0.2"
HOSTS = {
    "site": Host(addresses=(SITE,), names=("www.example.com", "www.example.org"), web=Web()),
    "resolver": Host(addresses=("8.8.8.8",), resolver=Resolver()),
}


def censor(at: str, trigger: Trigger, action: Action) -> Censor:
    return Censor(id="box", at=at, trigger=trigger, action=action)


SNI = Trigger(sni=("www.example.com",))
HTTP = Trigger(host=("www.example.com",))
PAGE = BlockPage(page="india")
DNS = Trigger(dns=("www.example.com",))
CASES = [
    pytest.param(
        censor("national", SNI, Action(reset=Reset())),
        Target(SITE, 443, "tls"), "tls.reset.sni", "on_path", 5, NATIONAL_2, id="RST beside it",
    ),
    pytest.param(
        censor("access/1", SNI, Action(drop=Drop())),
        Target(SITE, 443, "tls"), "tls.timeout", "in_path", 1, ACCESS_1, id="drop at the first hop",
    ),
    pytest.param(
        censor("access/2", HTTP, Action(block_page=PAGE)),
        Target(SITE, 80, "http"), "http.blockpage", "on_path", 2, None, id="page at a silent hop",
    ),
    pytest.param(
        censor("national", DNS, Action(forge_dns=ForgeDns(a=("10.0.0.1",)))),
        Target("8.8.8.8", 53, "dns"), "dns.injection.bogon", "on_path", 5, NATIONAL_2, id="DNS",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("box", "target", "mechanism", "placement", "hop_ttl", "hop"), CASES)
def test_limited_ttls_show_the_last_hop_before_a_box(
    box, target, mechanism, placement, hop_ttl, hop
):
    def client(world: World) -> Examined:
        return asyncio.run(measure(target))

    requires_full_lab()
    lived = in_world(scenario(hosts=HOSTS, censors=(box,)), {"access": client})
    reading, hops, _ = lived.results["access"]
    assert (reading.verdict, reading.mechanism) == ("blocked", mechanism), reading.evidence
    assert reading.placement == placement, reading.evidence
    assert (reading.hop_ttl - 1, hops.get(reading.hop_ttl - 1)) == (hop_ttl, hop)


async def measure(target: Target) -> Examined:
    vantage = Vantage(reach=Plain(), addresses=(), zero=asyncio.get_running_loop().time())
    found = await trace(vantage, target, "www.example.com", "www.example.org", random=Random(1))
    return examine(found.test, found.control, name="www.example.com")


def test_an_address_without_a_route_ends_at_the_router_that_lost_it():
    async def knocks() -> Examined:
        vantage = Vantage(reach=Plain(), addresses=(), zero=asyncio.get_running_loop().time())
        found = await trace(vantage, Target(SITE, 443, "syn"), None, None, random=Random(1))
        return read_knocks(found.test, reached=True)

    def client(world: World) -> Examined:
        return asyncio.run(knocks())

    requires_full_lab()
    box = censor("national/1", Trigger(ip=(SITE,)), Action(null_route=NullRoute()))
    lived = in_world(scenario(hosts=HOSTS, censors=(box,)), {"access": client})
    reading, hops, _ = lived.results["access"]
    assert (reading.verdict, reading.placement) == ("blocked", "in_path")
    assert (reading.hop_ttl - 1, hops.get(reading.hop_ttl - 1)) == (4, "79.0.0.1")


def test_a_site_that_nobody_touches_is_not_accused():
    def client(world: World) -> Examined:
        return asyncio.run(measure(Target(SITE, 443, "tls")))

    requires_full_lab()
    lived = in_world(scenario(hosts=HOSTS), {"access": client})
    reading, _, distance = lived.results["access"]
    assert (reading.verdict, reading.hop, distance) == ("none", None, 7), reading.evidence


@pytest.mark.parametrize(
    ("heard", "said", "came"),
    [
        pytest.param(True, True, b"aside", id="it takes the place of what is said later"),
        pytest.param(False, False, b"later", id="not without the handshake's numbers"),
    ],
)
def test_what_is_said_aside_is_the_connection_s_next_bytes(heard, said, came):
    async def go() -> tuple[bool, bytes]:
        read: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            read.set_result(await reader.readexactly(5))
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            vantage = Vantage.of(Plain(), ("127.0.0.1",))
            with Tap.open(["127.0.0.1"]) as tap:
                reached = await connect(vantage, *server.sockets[0].getsockname())
                assert reached.stream is not None
                told = say_aside(reached.stream, tap.frames() if heard else [], b"aside", 9)
            await reached.stream.write(b"later", vantage.now() + 5)
            found = told, await read
            reached.stream.reset()
            return found

    requires_root()
    assert asyncio.run(go()) == (said, came)


@pytest.mark.parametrize(
    ("ttls", "said"),
    [
        pytest.param((3, 7, 30), True, id="what was said"),
        pytest.param((3, 7, 45), False, id="more than was said, and then nothing"),
    ],
)
def test_what_is_said_again_is_acknowledged_and_the_server_s_program_gets_it_once(ttls, said):
    words = bytes(range(40))

    async def go() -> tuple[bool, bytes, list[tuple[int, bytes]], bool]:
        read: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            read.set_result(await reader.readexactly(42))
            writer.write(b"!")

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            vantage = Vantage.of(Plain(), ("127.0.0.1",))
            with Tap.open(["127.0.0.1"]) as tap:
                reached = await connect(vantage, *server.sockets[0].getsockname())
                assert reached.stream is not None
                await reached.stream.write(words, vantage.now() + 5)
                told = say_again(reached.stream, tap.frames(), ttls)
                (probes,) = repeated(tap.frames(), [reached.stream.source_port])
                again = [(p.ttl, p.request[0].packet.payload) for p in probes]
                heard = any(p.heard for p in probes)
            await reached.stream.write(b"ok", vantage.now() + 5)
            assert await reached.stream.read(vantage.now() + 5) == b"!"
            found = told, await read, again, heard
            reached.stream.reset()
            return found

    requires_root()
    again = [(ttl, words[ttl : ttl + 1]) for ttl in ttls] if said else []
    assert asyncio.run(go()) == (said, words + b"ok", again, said)


def test_without_the_right_the_tap_says_so():
    requires_root()

    def work() -> str:
        try:
            Tap.open([SITE])
        except Failed as failed:
            return failed.failure
        return "opened"

    assert as_ordinary_user(work) == "permission_denied"


def test_the_filter_grows_with_its_peers_and_stays_within_the_kernel_s_bounds():
    few = _filter(["192.0.2.1", "2001:db8::1"])
    assert len(few) % 8 == 0
    assert len(_filter([f"192.0.2.{n}" for n in range(200)])) // 8 < 4096
