"""Stalled connections that end on the way, against begun ones and SYNs that go on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

import pytest

from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.probes import Probe
from gatewatch.probe.trace.stalled import read_stalled, repeated
from gatewatch.wire.packet import ACK, PSH, SYN, icmp_time_exceeded, parse, tcp, with_ttl
from gatewatch.wire.pcap import Frame
from tests.probe.trace.build import CLIENT, SERVER

param = pytest.param
DISTANCE, ISN = 6, 4_294_967_290
EVERY = set(range(1, DISTANCE))
TTLS = range(1, DISTANCE + 2)


def router(hop: int) -> bytes:
    return ip_address(f"198.51.100.{hop}").packed


def framed(packets: Iterable[bytes]) -> list[Frame]:
    return [Frame(n, n * 1_000_000, parse(one)) for n, one in enumerate(packets, 1)]


def theirs(sport: int, flags: int, payload: bytes = b"") -> bytes:
    return tcp(SERVER, CLIENT, 443, sport, seq=7, ack=ISN + 1, flags=flags, payload=payload, ttl=58)


def expired(packet: bytes, hop: int) -> bytes:
    return icmp_time_exceeded(router(hop), with_ttl(packet, 1), ttl=255 - hop)


@dataclass(frozen=True, kw_only=True)
class Connections:
    """Some connections, on which bytes were said again twice."""

    tells: tuple[set[int], ...]
    "Of each connection, the hops that tell of what expires there."
    answered: bool = False
    "The server acknowledges what comes to it."
    trickles: bool = False
    "Data still comes, whatever is said."

    def probes(self, first_port: int) -> list[list[Probe]]:
        ports = range(first_port, first_port + len(self.tells))
        packets = [
            packet
            for port, tells in zip(ports, self.tells, strict=True)
            for packet in self._packets(port, tells)
        ]
        return repeated(framed(packets), ports)

    def _packets(self, port: int, tells: set[int]) -> Iterator[bytes]:
        yield tcp(CLIENT, SERVER, port, 443, seq=ISN, flags=SYN)
        yield theirs(port, SYN | ACK)
        yield tcp(CLIENT, SERVER, port, 443, seq=ISN + 1, flags=PSH | ACK, payload=b"hello" * 9)
        yield theirs(port, PSH | ACK, b"page" * 300)
        for _ in range(2):
            for ttl in TTLS:
                again = tcp(CLIENT, SERVER, port, 443, seq=ISN + 1 + ttl, flags=PSH | ACK,
                            payload=b"h", ttl=ttl)  # fmt: skip
                yield again
                if ttl in tells:
                    yield expired(again, ttl)
                elif self.answered and ttl >= DISTANCE:
                    yield theirs(port, ACK)
            if self.trickles:
                yield theirs(port, PSH | ACK, b"page")


def syns(tells: set[int] = EVERY, *, answered: bool = True) -> list[Probe]:
    packets: list[bytes] = []
    for ttl in range(1, 10):
        packets.append(tcp(CLIENT, SERVER, 50_000 + ttl, 443, seq=ISN, flags=SYN, ttl=ttl))
        if ttl in tells:
            packets.append(expired(packets[-1], ttl))
        elif answered and ttl >= DISTANCE:
            packets.append(theirs(50_000 + ttl, SYN | ACK))
    return collect(framed(packets), knocks=True).probes


def stalled(*tells: set[int], answered: bool = False, trickles: bool = False) -> Connections:
    return Connections(tells=tells, answered=answered, trickles=trickles)


BEGUN = Connections(tells=(EVERY, EVERY), answered=True)
UNACKNOWLEDGED = Connections(tells=(EVERY, EVERY))


@pytest.mark.parametrize(
    ("held", "going", "knocks", "between"),
    [
        param(stalled(*3 * [{1, 2}]), BEGUN, syns(), (2, 3), id="behind the second hop"),
        param(stalled({1, 2}, {1}, {1, 2}), BEGUN, syns(), (2, 3), id="an error was lost"),
        param(stalled(*2 * [{1, 2, 3, 4}]), BEGUN, syns(), (4, 5), id="a hop before the server's"),
        param(
            stalled(*2 * [{1, 2}]), UNACKNOWLEDGED, syns(), (2, 3),
            id="a server that acknowledges nothing without its options",
        ),
        param(
            stalled(*2 * [{1}]), Connections(tells=(EVERY - {2},), answered=True),
            syns(EVERY - {2}), (1, 3), id="a silent hop is where it may be",
        ),
        param(
            stalled(*2 * [{1}]), Connections(tells=({1, 4, 5},), answered=True), syns({1, 4, 5}),
            None, id="two silent hops are too many",
        ),
        param(stalled(*2 * [EVERY], answered=True), BEGUN, syns(), None, id="the server stopped"),
        param(stalled(*2 * [EVERY]), BEGUN, syns(), None, id="the server died"),
        param(
            stalled(*2 * [{1, 2}], answered=True), BEGUN, syns(), None,
            id="hops are silent, and the server acknowledges",
        ),
        param(stalled(*2 * [{1, 2}], trickles=True), BEGUN, syns(), None, id="it only trickles"),
        param(
            stalled(*2 * [{1, 2}]), Connections(tells=2 * ({1, 2},)), syns(), None,
            id="what was said before passes there on no connection",
        ),
        param(
            stalled(*2 * [{1, 2}]), BEGUN, syns(answered=False), None, id="no SYN is answered"
        ),
        param(stalled({1, 2}, {1}), BEGUN, syns(), None, id="no two come equally far"),
        param(stalled(*2 * [set()]), BEGUN, syns(), None, id="it may be our own machine"),
        param(stalled(*2 * [{1, 2}]), stalled(), syns(), None, id="nothing to compare with"),
        param(stalled(), BEGUN, syns(), None, id="nothing stalled"),
    ],
)  # fmt: skip
def test_a_hop_is_named_where_stalled_connections_alone_end(held, going, knocks, between):
    found = read_stalled(held.probes(40_000), going.probes(45_000), knocks)
    assert (found and (found.last, found.first)) == between
    if found:
        for hop in between:
            assert found.hops[hop] == f"198.51.100.{hop}"


def test_only_bytes_said_again_are_probes():
    (found,) = stalled({1, 2}).probes(40_000)
    assert [(p.ttl, p.request[0].packet.payload) for p in found] == 2 * [(n, b"h") for n in TTLS]
    assert {p.ttl for p in found if p.expired} == {1, 2}
