"""SYNs to addresses that share no network, and whether their ways end at the same hop."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from gatewatch.probe.trace.ending import Ending, common_end
from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.probes import Probe
from gatewatch.wire.packet import (
    ACK,
    RST,
    SYN,
    icmp_time_exceeded,
    icmp_unreachable,
    parse,
    tcp,
    with_ttl,
)
from gatewatch.wire.pcap import Frame
from tests.probe.trace.build import CLIENT

param = pytest.param
SERVERS = ("203.0.113.80", "93.184.216.34", "8.8.8.8", "116.202.1.1")
PUBLIC, PRIVATE, BOTH = "130.192.0.{}", "10.0.0.{}", ("10.0.0.1", "130.192.0.2")


def way(
    server: str,
    tells: set[int],
    *,
    hops: str | tuple[str, ...] = PUBLIC,
    refuses: int | None = None,
    by: str | None = None,
    answers: tuple[int, int] | None = None,
    ttls: range = range(1, 11),
) -> list[Probe]:
    """SYNs to one address.

    Args:
        tells: distances whose hops tell of SYNs that expire.
        hops: what they call themselves.
        refuses: from this TTL on the hop there, or `by`, says that there is no way.
        answers: from a TTL on the server answers, with these flags.
    """

    def router(ttl: int) -> bytes:
        return ip_address(hops.format(ttl) if isinstance(hops, str) else hops[ttl - 1]).packed

    packets: list[bytes] = []
    to = ip_address(server).packed
    for ttl in ttls:
        syn = tcp(CLIENT, to, 50_000 + ttl, 443, seq=1, flags=SYN, ttl=ttl)
        packets.append(syn)
        if refuses is not None and ttl >= refuses:
            teller = router(refuses) if by is None else ip_address(by).packed
            packets.append(icmp_unreachable(teller, with_ttl(syn, 1), "host", ttl=250))
        elif answers is not None and ttl >= answers[0]:
            said = tcp(to, CLIENT, 443, 50_000 + ttl, seq=7, ack=2, flags=answers[1], ttl=58)
            packets.append(said)
        elif ttl in tells:
            packets.append(icmp_time_exceeded(router(ttl), with_ttl(syn, 1), ttl=255 - ttl))
    frames = [Frame(n, n * 1_000_000, parse(one)) for n, one in enumerate(packets, 1)]
    return collect(frames, knocks=True).probes


def ways(*tells: set[int], **more: Any) -> list[list[Probe]]:
    return [way(server, one, **more) for server, one in zip(SERVERS, tells, strict=False)]


TWO = {1, 2}


@pytest.mark.parametrize(
    ("given", "ending"),
    [
        param(
            ways(TWO, TWO, TWO), Ending(2, "130.192.0.2", 3, 0, False), id="behind the second hop"
        ),
        param(
            ways({2}, TWO, TWO), Ending(2, "130.192.0.2", 3, 0, False), id="a SYN without mention"
        ),
        param(
            ways(TWO, TWO, TWO, {1}),
            Ending(2, "130.192.0.2", 3, 0, False),
            id="less is heard of one way",
        ),
        param(
            ways(TWO, TWO, TWO, hops=BOTH),
            Ending(2, "130.192.0.2", 3, 0, False),
            id="behind the provider's hop",
        ),
        param(
            ways(TWO, TWO, TWO, hops=PRIVATE),
            Ending(2, "10.0.0.2", 3, 0, True),
            id="on private addresses alone",
        ),
        param(
            ways({1}, {1}, {1}, refuses=2),
            Ending(2, "130.192.0.2", 3, 3, False),
            id="the hop says that there is no way",
        ),
        param(
            ways(TWO, TWO, TWO, refuses=3, by="130.192.0.2"),
            Ending(2, "130.192.0.2", 3, 3, False),
            id="it expires there first",
        ),
        param(
            [
                *ways(TWO, TWO),
                way(SERVERS[2], TWO, hops=("130.192.0.1", "130.192.0.99")),
            ],
            Ending(2, None, 3, 0, False),
            id="two routers of one distance",
        ),
        param(ways(set(), set(), set()), Ending(0, None, 3, 0, True), id="no hop tells of any"),
        param(ways(TWO, TWO), None, id="two may have failed at once"),
        param(ways(TWO, TWO, TWO, {1, 2, 3}), None, id="one goes farther"),
        param(ways(TWO, TWO, {1}, {1}), None, id="here and there"),
        param(ways(TWO, TWO, TWO, ttls=range(1, 6)), None, id="not looked at far enough"),
        param(
            [*ways(TWO, TWO, TWO), way(SERVERS[3], TWO, answers=(6, SYN | ACK))],
            None,
            id="one is answered",
        ),
        param(
            [*ways(TWO, TWO, TWO), way(SERVERS[3], TWO, answers=(6, RST | ACK))],
            None,
            id="one is refused by the host",
        ),
        param(
            [*ways(TWO, TWO, TWO), way(SERVERS[3], TWO, refuses=6, by=SERVERS[3])],
            None,
            id="one is told of a port by the host",
        ),
        param([], None, id="nothing was sent"),
        param([*ways(TWO, TWO, TWO), []], None, id="of one address nothing was seen"),
        param([*ways(TWO, TWO, TWO, refuses=2), []], None, id="nor is it where all are refused"),
    ],
)
def test_all_ways_end_where_the_last_hop_tells_of_most_and_none_goes_on(given, ending):
    assert common_end(given) == ending
