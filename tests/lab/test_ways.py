"""What ways do to packets: they take their time, lose some, hold them back, and let them expire.

Upper bounds on time are wide, for the machine may be busy; lower bounds are exact, for nothing in
a world may come early.
"""

from __future__ import annotations

import os
import select
import socket
import time

import msgspec
import pytest

from gatewatch.lab.rules import Action, Divert, Throttle, Trigger
from gatewatch.lab.scenario import Answer, Host, Link, Middlebox, Route, Scenario, Web
from gatewatch.lab.world import World
from gatewatch.wire.packet import ICMP, TCP, UDP
from tests.lab.censored import (
    ASKED,
    ELSEWHERE,
    FORGED,
    FORGES,
    HOSTS,
    LISTED,
    NAMED,
    NOBODY,
    ONE_WAY_S,
    RESOLVER,
    SITE6,
    only,
    world,
)
from tests.lab.dialogue import query
from tests.lab.full import WORLD, in_world
from tests.lab.talk import PATIENCE_S, Told, addresses, asker, probe, rest, stream, told
from tests.lab.worlds import HOSTING, SITE, scenario

param = pytest.param

# -- TTL -------------------------------------------------------------------------------------

HOPS = ["130.192.0.1", None, "130.192.0.3", "79.0.0.1", "79.0.0.2", "93.184.216.1"]
HOPS6 = ["2001:760::1", None, None, None, None, "2606:2800::1"]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("server", "hops", "exceeded"),
    [param(SITE, HOPS, 11, id="IPv4"), param(SITE6, HOPS6, 3, id="IPv6")],
)
def test_a_probe_dies_at_the_hop_of_its_ttl_and_is_told_by_it(server, hops, exceeded, transport):
    """Silent hops are asked first: the farthest would answer after them, if they did."""

    def client():
        probes = [probe(transport, server, 33_434, ttl) for ttl in range(1, len(hops) + 1)]
        farthest = told(probes[-1], PATIENCE_S)
        return [*(told(sock, 0) for sock in probes[:-1]), farthest]

    lived = in_world(world(), only(client))
    assert lived.results["access"] == [hop and Told(hop, exceeded, 0) for hop in hops]
    assert not [p for p in lived.arrived(WORLD) if p.protocol in (TCP, UDP)]


def test_a_probe_with_one_more_ttl_than_hops_arrives():
    def client():
        return told(probe("udp", SITE, 33_434, len(HOPS) + 1), PATIENCE_S)

    lived = in_world(world(), only(client))
    assert lived.results["access"] == Told(SITE, 3, 3), "nobody listens there"
    assert [p.ttl for p in lived.arrived(WORLD)] == [1]


def test_a_censor_answers_what_passes_its_hop_and_not_what_dies_there():
    """As one finds out where an injector sits: here, at the third hop."""

    def client():
        found = []
        for ttl in (3, 4):
            with asker(RESOLVER, ttl=ttl) as sock:
                sock.send(query(LISTED))
                found.append(told(sock, PATIENCE_S))
        return found

    lived = in_world(world(ASKED, FORGES), only(client))
    assert lived.results["access"] == [Told("130.192.0.3", 11, 0), Told("79.0.0.1", 11, 0)]
    came = [p.protocol for p in lived.arrived("access")]
    assert came == [ICMP, UDP, ICMP], "the forged answer is sooner there than the error"


# -- translated addresses ---------------------------------------------------------------------


def test_behind_a_nat_one_is_told_of_ones_own_probes():
    def client():
        wanted = [("tcp", 1), ("udp", 4), ("udp", 64)]
        return [told(probe(how, SITE, 33_434, ttl), PATIENCE_S) for how, ttl in wanted]

    lived = in_world(scenario(hosts=HOSTS, rebind_every_s=60.0), only(client))
    assert lived.results["access"] == [
        Told("130.192.0.1", 11, 0),
        Told("79.0.0.1", 11, 0),
        Told(SITE, 3, 3),
    ]


def test_a_middlebox_answers_one_socket_in_the_name_of_each_resolver_that_it_asked():
    box = Middlebox(names=(LISTED,), resolver=Answer(addresses=(FORGED,)))
    proxy = Host(addresses=("79.0.0.80",), middlebox=box)
    resolvers = (RESOLVER, ELSEWHERE, NOBODY)

    def client():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE_S)
            for number, resolver in enumerate(resolvers):
                sock.sendto(query(LISTED, id=number), (resolver, 53))
            came = [sock.recvfrom(4096) for _ in resolvers]
        return {(answer[1], where[0], *addresses(answer)) for answer, where in came}

    divert = Action(divert=Divert(to="proxy"))
    lab = world(Trigger(port=(53,)), divert, hosts={**HOSTS, "proxy": proxy})
    lived = in_world(lab, only(client))
    assert lived.results["access"] == {
        (number, resolver, FORGED) for number, resolver in enumerate(resolvers)
    }
    acted = {(act.action, act.client, act.server) for act in lived.acts}
    assert len(acted) == 2 * len(resolvers)
    assert len({act.client for act in lived.acts}) == 1


# -- throttling and links --------------------------------------------------------------------

SIZE = 250_000


@pytest.mark.parametrize("mode", ["police", "shape"])
def test_a_throttled_flow_goes_at_its_rate(mode):
    rate_kbps = 800.0
    web = Web(https=False, routes=(Route(size=SIZE),))
    hosts = {"site": Host(addresses=(SITE,), names=(LISTED,), web=web)}

    def client():
        with stream(SITE, 80) as sock:
            sock.sendall(f"GET / HTTP/1.0\r\nHost: {LISTED}\r\n\r\n".encode())
            return len(rest(sock))

    throttle = Action(throttle=Throttle(rate_kbps=rate_kbps, mode=mode))
    lived = in_world(world(NAMED, throttle, hosts=hosts), only(client))
    assert lived.results["access"] > SIZE
    came = [(s.at, len(s.packet.data)) for s in lived.seen["access"] if not s.sent]
    settled = came[len(came) // 4 :]
    measured = sum(size for _, size in settled[1:]) * 8 / 1000 / (settled[-1][0] - settled[0][0])
    assert measured == pytest.approx(rate_kbps, rel=0.25)


def on_the_way(**link) -> Scenario:
    """A world whose site is behind a link of this kind."""
    hosting = msgspec.structs.replace(HOSTING, access=Link(**{"delay_ms": 2.0, **link}))
    return world(networks={**scenario().networks, "hosting": hosting})


def train(length: int, lab: Scenario, *, seed: int = 0) -> list[tuple[int, float]]:
    """Send numbered datagrams in one go: which ones arrive, in their order, and after how long.

    Not so many that a tap cannot hold them if it is not read for a while: some 300. Somebody
    listens, lest errors travel back and take their share of chance. The last word is
    said until it is heard.
    """
    heard, hearing = os.pipe()

    def sender(_: World) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((SITE, 9))
            for number in range(length):
                sock.send(number.to_bytes(2, "big"))
            while not select.select([heard], (), (), 0.05)[0]:
                sock.send(b"end")

    def listener(_: World) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((SITE, 9))
            sock.settimeout(PATIENCE_S)
            while sock.recv(64) != b"end":
                continue
            os.write(hearing, b"!")

    lived = in_world(lab, {"access": sender, WORLD: listener}, seed=seed)
    os.close(heard)
    os.close(hearing)
    left = {s.packet.payload: s.at for s in lived.seen["access"] if s.sent}
    came = [(s.packet.payload, s.at) for s in lived.seen[WORLD] if len(s.packet.payload) == 2]
    return [(int.from_bytes(number, "big"), at - left[number]) for number, at in came]


def test_the_way_takes_its_time():
    def client():
        began = time.monotonic()
        stream(SITE, 80).close()
        return time.monotonic() - began

    took = in_world(world(), only(client)).results["access"]
    assert 2 * ONE_WAY_S <= took < 2 * ONE_WAY_S + 1.0


def test_jitter_delays_and_does_not_reorder():
    jitter_s = 0.2
    arrived = train(100, on_the_way(jitter_ms=jitter_s * 1000))
    assert [number for number, _ in arrived] == list(range(100))
    took = [seconds for _, seconds in arrived]
    clock_s = 1e-3
    assert min(took) > ONE_WAY_S - clock_s
    assert max(took) > ONE_WAY_S + jitter_s / 2


def test_a_lossy_link_loses_its_share_and_the_same_packets_for_the_same_seed():
    length, loss = 250, 0.3
    first, again, other = (
        {number for number, _ in train(length, on_the_way(loss=loss), seed=seed)}
        for seed in (1, 1, 2)
    )
    assert first == again != other
    for arrived in (first, other):
        assert len(arrived) == pytest.approx(length * (1 - loss), abs=36), "five deviations"
