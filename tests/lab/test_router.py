"""The router carries what belongs to the world, in its own time, and nothing else."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from gatewatch.lab.scenario import Host, Link
from gatewatch.lab.topology import Place, Topology
from gatewatch.wire.packet import SYN, icmp_unreachable, parse, tcp, udp
from gatewatch.wire.quote import quoted
from tests.lab.dialogue import assert_sound
from tests.lab.wires import wired
from tests.lab.worlds import ACCESS, PROBE, SITE, packed, scenario

WORLD = scenario()
ELSEWHERE, FORGED = "destination is not in the world", "source is not the sender's"
ONE_WAY_S = sum(s.link.delay_ms for s in Topology(WORLD).way("access", "hosting")) / 1000


def syn(src=PROBE, dst=SITE, ttl=64, sport=1234):
    return tcp(packed(src), packed(dst), sport, 443, seq=7, flags=SYN, ttl=ttl)


def test_a_packet_arrives_whole_after_the_delay_of_its_way():
    with wired(WORLD) as lab:
        sent = time.monotonic()
        lab.probe.send(syn())
        packet, came = lab.world.receive()
    assert (packet.src, packet.dst, packet.seq) == (packed(PROBE), packed(SITE), 7)
    assert packet.ttl == 64 - 6
    assert packet.data == syn(ttl=58)
    assert ONE_WAY_S <= came - sent < ONE_WAY_S + 0.5


def test_every_hop_says_so_when_the_ttl_runs_out_and_a_silent_one_does_not():
    said = {}
    with wired(WORLD) as lab:
        for ttl in range(1, 8):
            lab.probe.send(syn(ttl=ttl))
            got = lab.probe.hear(0.4) if ttl < 7 else lab.world.receive()
            said[ttl] = got and got[0]
    hops = ["130.192.0.1", None, "130.192.0.3", "79.0.0.1", "79.0.0.2", "93.184.216.1"]
    assert [said[n] and said[n].src for n in range(1, 7)] == [h and packed(h) for h in hops]
    assert all(p.protocol == 1 and p.payload_at for n, p in said.items() if p and n < 7)
    assert said[4].data[40:48] == packed(PROBE) + packed(SITE)
    assert said[7].ttl == 1


def test_an_icmp_error_comes_sooner_from_a_nearer_hop():
    with wired(WORLD) as lab:
        times = []
        for ttl in (1, 5):
            sent = time.monotonic()
            lab.probe.send(syn(ttl=ttl))
            times.append(lab.probe.receive()[1] - sent)
    near, far = (2 * s for s in (0.002, 0.002 + 0.001 + 0.004 + 0.0005))
    assert near <= times[0]
    assert far <= times[1]


def test_ipv6_is_carried_alike():
    data = udp(packed("2001:760::211"), packed("2606:2800::34"), 5, 443, b"x", ttl=64)
    expiring = udp(packed("2001:760::211"), packed("2606:2800::34"), 5, 443, b"x", ttl=1)
    with wired(WORLD) as lab:
        lab.probe.send(data)
        there, _ = lab.world.receive()
        lab.probe.send(expiring)
        back, _ = lab.probe.receive()
    assert (there.ttl, there.payload) == (58, b"x")
    assert (back.protocol, back.src) == (58, packed("2001:760::1"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(syn(dst="9.9.9.9"), ELSEWHERE, id="a real address"),
        pytest.param(syn(dst="127.0.0.1"), ELSEWHERE, id="loopback"),
        pytest.param(syn(dst="192.168.1.1"), ELSEWHERE, id="somebody's LAN"),
        pytest.param(syn(dst="224.0.0.251"), ELSEWHERE, id="multicast"),
        pytest.param(syn(src="130.192.91.212"), FORGED, id="a neighbour's address"),
        pytest.param(syn(src=SITE), FORGED, id="a host's address"),
        pytest.param(syn(src="10.0.0.1"), FORGED, id="an address of no network"),
        pytest.param(b"", "malformed", id="nothing"),
        pytest.param(b"\x45" + bytes(30), "malformed", id="junk"),
        pytest.param(b"\xff\xff\xff\xff\xff\xff" + bytes(60), "malformed", id="an Ethernet frame"),
    ],
)  # fmt: skip
def test_what_is_not_of_the_world_is_refused_and_counted(data, why):
    with wired(WORLD) as lab:
        lab.probe.send(data)
        lab.probe.send(syn(sport=9))
        (packet, _), after = lab.world.receive(), lab.world.hear(0.1)
    assert packet.sport == 9
    assert after is None
    assert dict(lab.router.refused) == {why: 1}


def test_nobody_answers_at_an_address_without_a_machine():
    down = scenario(hosts={"site": Host(addresses=(SITE,), down=True)})
    with wired(down) as lab:
        lab.probe.send(syn())
        lab.probe.send(syn(dst="93.184.216.99"))
        assert lab.world.hear(0.2) is None


def test_machines_of_the_world_meet_over_the_wire():
    with wired(WORLD) as lab:
        lab.world.send(udp(packed(SITE), packed("8.8.8.8"), 5, 53, b"q", ttl=64))
        packet, _ = lab.world.receive()
    assert packet.ttl == 62


def test_a_slow_link_carries_its_rate_and_no_more():
    slow = replace(ACCESS, access=Link(delay_ms=1, rate_kbps=400, queue_kb=30))
    world = scenario(networks={**WORLD.networks, "access": slow})
    with wired(world) as lab:
        sent = time.monotonic()
        for n in range(40):
            lab.world.send(udp(packed(SITE), packed(PROBE), n, 5, bytes(972), ttl=64))
        arrived = []
        while got := lab.probe.hear(0.3):
            arrived.append(got[1] - sent)
    assert 30 <= len(arrived) <= 33, "what is on the wire, and 30 kB of queue"
    assert 0.58 <= arrived[-1] < 2.0


def test_a_nat_that_forgets_gives_a_flow_another_port():
    world = scenario(rebind_every_s=0.2)
    with wired(world) as lab:
        lab.probe.send(syn())
        lab.probe.send(syn())
        first, second = lab.world.receive()[0], lab.world.receive()[0]
        time.sleep(0.25)
        lab.probe.send(syn())
        third = lab.world.receive()[0]
        for port in (first.sport, third.sport, 777):
            answer = tcp(packed(SITE), packed(PROBE), 443, port, seq=1, flags=SYN)
            lab.world.send(answer)
        back = [lab.probe.hear(0.3) for _ in range(3)]
    assert first.sport == second.sport != third.sport
    assert [b and b[0].dport for b in back] == [1234, 1234, None]


def test_through_a_nat_errors_come_back_about_what_was_sent():
    world = scenario(rebind_every_s=60.0)
    asked = udp(packed(PROBE), packed(SITE), 1234, 443, b"x" * 900, ttl=64)
    with wired(world) as lab:
        lab.probe.send(syn(ttl=4))
        expired = lab.probe.receive()[0]
        lab.probe.send(asked)
        met = lab.world.receive()[0]
        lab.world.send(icmp_unreachable(packed(SITE), met.data, "port"))
        closed = lab.probe.receive()[0]
        unknown = udp(packed(PROBE), packed(SITE), 777, 443, b"")
        lab.world.send(icmp_unreachable(packed(SITE), unknown, "port"))
        assert lab.probe.hear(0.2) is None
    assert (met.sport, met.dport) != (1234, 443)
    for error, sent, by in ((expired, syn(ttl=1), "79.0.0.1"), (closed, asked, SITE)):
        assert_sound(error)
        about = quoted(error)
        assert error.src == packed(by)
        assert about
        assert (about.src, about.sport, about.dport) == (packed(PROBE), 1234, 443)
        assert error.payload[20:] == sent[20 : len(error.payload)]


def test_through_a_nat_errors_go_out_about_what_came():
    world = scenario(rebind_every_s=60.0)
    with wired(world) as lab:
        lab.probe.send(syn())
        outside = lab.world.receive()[0].sport
        late = tcp(packed(SITE), packed(PROBE), 443, 1234, seq=1, flags=SYN)
        lab.probe.send(icmp_unreachable(packed(PROBE), late, "port"))
        about = quoted(lab.world.receive()[0])
    assert about
    assert (about.dst, about.dport) == (packed(PROBE), outside)


def test_a_nat_lets_pings_through():
    ping = bytes.fromhex("0800f7fe00010000")
    header = bytes.fromhex("4500001c000040004001") + bytes(2) + packed(PROBE) + packed(SITE)
    with wired(scenario(rebind_every_s=60.0)) as lab:
        lab.probe.send(header + ping)
        met = lab.world.receive()[0]
    assert met.data[20:] == ping


def test_probes_get_lost_and_wait_in_queues_before_the_hop_where_they_die():
    fields = {"loss": 0.5, "rate_kbps": 800}
    national = replace(WORLD.networks["access"], uplink=Link(delay_ms=4.0, **fields))
    world = scenario(networks={**WORLD.networks, "access": national})
    with wired(world) as lab:
        sent = time.monotonic()
        for number in range(40):
            data = udp(packed(PROBE), packed(SITE), 1_024 + number, 443, bytes(972), ttl=4)
            lab.probe.send(data)
        arrived = []
        while got := lab.probe.hear(0.5):
            arrived.append(got[1] - sent)
    assert 5 <= len(arrived) <= 20, "a quarter, for the errors get lost on their way, too"
    assert arrived[-1] > 0.2, "each takes ten milliseconds to be sent"


class Mirror:
    """A box that sends the packet on and an answer back at once."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bool]] = []

    def handle(self, packet, outward, now):
        self.seen.append((packet.ttl, outward))
        if not outward:
            return [(packet.data, 0.0)]
        answer = tcp(packet.dst, packet.src, packet.dport, packet.sport, seq=9, flags=4, ttl=50)
        return [(answer, 0.5), (packet.data, 0.0), (answer, 30.0)]


def test_a_box_sees_what_passes_its_hop_and_what_it_injects_starts_there():
    mirror = Mirror()
    with wired(WORLD, {Place("access", 3): mirror}) as lab:
        sent = time.monotonic()
        lab.probe.send(syn())
        injected, came = lab.probe.receive()
        onward, passed = lab.world.receive()
        late, came_late = lab.probe.receive()
        lab.world.send(
            parse(syn()).data and tcp(packed(SITE), packed(PROBE), 443, 1, seq=1, flags=16)
        )
        lab.probe.receive()
    assert mirror.seen == [(61, True), (60, False)]
    assert injected.ttl == late.ttl == 48, "two hops from there to the probe"
    assert onward.ttl == 58
    assert 0.0065 <= came - sent < passed - sent
    assert came_late - sent >= 0.036


def test_what_expires_before_the_box_is_never_seen_by_it():
    mirror = Mirror()
    with wired(WORLD, {Place("national", 1): mirror}) as lab:
        for ttl in (4, 5):
            lab.probe.send(syn(ttl=ttl))
        lab.probe.receive()
        lab.probe.receive()
    assert mirror.seen == [(1, True), (63, False)], "the second, and what came back of it"
