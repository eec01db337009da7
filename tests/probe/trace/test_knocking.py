"""QUIC that ends on the way, against SYNs to the same address that go on."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.knocking import read_stopped
from gatewatch.probe.trace.limited import Target, _initial
from gatewatch.probe.trace.probes import Probe
from gatewatch.wire.packet import ACK, SYN, icmp_time_exceeded, parse, tcp, udp, with_ttl
from gatewatch.wire.pcap import Frame
from tests.probe.trace.build import CLIENT, SERVER

param = pytest.param
DISTANCE = 6
INITIAL = _initial(Target("203.0.113.80", 443, "quic"), "blocked.example")[0]


def router(hop: int) -> bytes:
    return ip_address(f"198.51.100.{hop}").packed


def way(made: dict[int, bytes], *, tells: set[int], answer: bytes = b"") -> list[Probe]:
    """Probes by TTL, the hops that tell of those that expire, and what the server answers."""
    packets: list[bytes] = []
    for ttl, packet in made.items():
        packets.append(packet)
        if ttl in tells and ttl < DISTANCE:
            packets.append(icmp_time_exceeded(router(ttl), with_ttl(packet, 1), ttl=255 - ttl))
        elif answer and ttl >= DISTANCE:
            asked = parse(packet)
            reply = tcp if asked.flags else udp
            more = {"seq": 7, "ack": asked.seq + 1, "flags": SYN | ACK} if asked.flags else {}
            payload = () if asked.flags else (answer,)
            packets.append(reply(SERVER, CLIENT, 443, asked.sport, *payload, ttl=58, **more))
    frames = [Frame(n, n * 1_000_000, parse(one)) for n, one in enumerate(packets, 1)]
    return collect(frames, knocks=True).probes


def quic(tells: set[int], *, answered: bool = False) -> list[Probe]:
    made = {ttl: udp(CLIENT, SERVER, 40_000 + ttl, 443, INITIAL, ttl=ttl) for ttl in range(1, 10)}
    return way(made, tells=tells, answer=b"\xc0quic" if answered else b"")


def syns(tells: set[int], *, answered: bool = True) -> list[Probe]:
    made = {
        ttl: tcp(CLIENT, SERVER, 50_000 + ttl, 443, seq=1, flags=SYN, ttl=ttl)
        for ttl in range(1, 10)
    }
    return way(made, tells=tells, answer=b"yes" if answered else b"")


EVERY = set(range(1, DISTANCE))


@pytest.mark.parametrize(
    ("stopped", "knocks", "last"),
    [
        param(quic({1, 2}), syns(EVERY), 2, id="behind the second hop"),
        param(quic(set()), syns(EVERY), 0, id="before the first hop"),
        param(quic({1, 2}), syns({1, 2, 5}), 2, id="silent hops on the way of both"),
        param(quic({1, 3}), syns({1, 3, 4}), 3, id="a silent hop before it"),
        param(quic(EVERY), syns(EVERY), None, id="it may be the server that has no QUIC"),
        param(quic({1, 2}), syns({1, 2}), None, id="all other hops are silent for both"),
        param(quic({1, 2}), syns({1, 2}, answered=False), None, id="SYNs end there as well"),
        param(quic({1, 2}, answered=True), syns(EVERY), None, id="the server answers QUIC"),
        param([], syns(EVERY), None, id="no QUIC was sent"),
    ],
)
def test_where_syns_go_on_and_quic_does_not_is_the_box(stopped, knocks, last):
    found = read_stopped(stopped, knocks)
    assert (found and (found.reading.placement, found.reading.hop_ttl)) == (
        None if last is None else ("in_path", last + 1)
    )
    if found and last:
        assert found.hops[last] == f"198.51.100.{last}"
