"""Measuring with limited TTLs: the same request to many distances, all in one volley.

All connections are opened first and all requests sent at once. Who is between will have seen no
request while the connections come up, and residual blocking that begins with the first of them
stops the others at the same box, so the volley still shows where it is. The control's name goes
first: afterwards it might be blocked along.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Literal, NamedTuple

import dns.message
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from gatewatch.model.target import is_address
from gatewatch.probe.hello import client_hello
from gatewatch.probe.net import (
    FULL_TTL,
    Datagrams,
    Failed,
    Plain,
    Stream,
    Tap,
    Vantage,
    connect,
    getaddrinfo,
    knock,
)
from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.path import path_of
from gatewatch.wire.pcap import Frame

Protocol = Literal["tls", "http", "dns", "quic", "syn"]

MOST_HOPS = 30
"As traceroute: hardly any host is farther."
WAVE = 10
"Distances of one volley. Our choice: no host minds so many connections."
BEYOND = 3
"Distances behind the server's at which the tested name is sent as well: see `silent`."
LOOKUP_S = 10.0
CONNECT_S = 5.0
ANSWER_S = 1.3
"""How long an answer is waited for, at least. Our choice: the system sends a request again after
0.2, 0.6 and 1.4 s and a round trip, so a lost one is made good twice."""
ROUND_TRIPS = 4.0
"And on slow paths so many times what a handshake took."
LATE_S = 0.3
"How long what comes after the closing is listened for, besides a round trip. Our choice."
COPIES = 3
"Of a datagram, which nobody sends again for us."
SPACING_S = 0.25
_UDP_S = 1.0
"How long UDP answers are waited for, after the last copy. Our choice: no usual path is longer."


class Target(NamedTuple):
    """Where requests go."""

    address: str
    port: int
    protocol: Protocol
    path: str = "/"
    "Of an HTTP request."


@dataclass(slots=True)
class Trace:
    """What two names brought back from one server."""

    target: Target
    name: str | None
    control_name: str | None
    test: list[Frame] = field(default_factory=list)
    control: list[Frame] = field(default_factory=list)
    distance: int | None = None
    "Of the server, as the control shows it."
    failures: list[str] = field(default_factory=list)
    "Of connections that did not come up."
    lost: int = 0
    "Packets that the tap could not keep."


async def trace(
    vantage: Vantage,
    target: Target,
    name: str | None,
    control_name: str | None,
    *,
    random: Random,
    control_path: str | None = None,
    most_hops: int = MOST_HOPS,
    tell: Callable[[str], None] = lambda words: None,
) -> Trace:
    """Send a control's name and the tested one with TTLs from 1 until the server is reached.

    Args:
        name: None sends none, for what is not about a name.
        control_name: None leaves the control out.
        control_path: of the control's HTTP request; without, the target's.

    Raises:
        Failed: the tap may not listen: `permission_denied`.
    """
    found = Trace(target=target, name=name, control_name=control_name)
    if control_name is not None:
        innocent = target if control_path is None else target._replace(path=control_path)
        with Tap.open([target.address]) as tap:
            for ttls in _waves(most_hops):
                tell(f"{control_name} with TTL {ttls[0]} to {ttls[-1]}")
                found.failures += await volley(vantage, innocent, control_name, ttls, random=random)
                found.control = tap.frames()
                found.distance = distance_of(found.control)
                if found.distance is not None:
                    break
            found.lost += tap.lost
    with Tap.open([target.address]) as tap:
        far = most_hops if found.distance is None else found.distance + BEYOND
        for ttls in _waves(far):
            tell(f"{name or 'no name'} with TTL {ttls[0]} to {ttls[-1]}")
            found.failures += await volley(vantage, target, name, ttls, random=random)
            found.test = tap.frames()
            if found.distance is None and distance_of(found.test) is not None:
                break
        found.lost += tap.lost
    return found


def trace_from_here(
    host: str,
    port: int,
    protocol: Protocol,
    path: str,
    name: str,
    control_name: str,
    *,
    random: Random,
    tell: Callable[[str], None] = lambda words: None,
) -> Trace:
    """`trace` from this machine, in an event loop of its own.

    Args:
        host: a name, which the system looks up, or an address.

    Raises:
        Failed: by name, of the lookup or for want of the right to listen.
    """

    async def go() -> Trace:
        address = host
        if not is_address(host):
            names = await getaddrinfo(host, timeout_s=LOOKUP_S)
            if not names.addresses:
                raise Failed(names.failure or "dns_no_answer")
            address = names.addresses[0]
        tell(f"{protocol} to {address} port {port}")
        zero = asyncio.get_running_loop().time()
        vantage = Vantage(reach=Plain(), addresses=(), zero=zero)
        target = Target(address, port, protocol, path)
        return await trace(vantage, target, name, control_name, random=random, tell=tell)

    return asyncio.run(go())


def _waves(most: int) -> list[range]:
    """
    >>> _waves(13)
    [range(1, 14)]
    >>> _waves(25)
    [range(1, 11), range(11, 26)]
    """
    starts = [1, *range(1 + WAVE, most - WAVE // 2 + 1, WAVE)]
    return [range(a, b) for a, b in zip(starts, [*starts[1:], most + 1], strict=True)]


def distance_of(frames: Iterable[Frame]) -> int | None:
    """How far the server is that answered in these frames."""
    collected = collect(frames, knocks=True)
    return path_of(collected.probes, trusted=True).distance


async def volley(
    vantage: Vantage, target: Target, name: str | None, ttls: Sequence[int], *, random: Random
) -> list[str]:
    """One request to each distance, all at the same time; why connections did not come up."""
    if target.protocol in ("dns", "quic"):
        return await _datagrams(vantage, target, name, ttls, random)
    if target.protocol == "syn":
        async with asyncio.TaskGroup() as group:
            for ttl in ttls:
                group.create_task(
                    knock(vantage, target.address, target.port, ttl, timeout_s=ANSWER_S)
                )
        await asyncio.sleep(LATE_S)
        return []
    opened = await asyncio.gather(
        *(connect(vantage, target.address, target.port, timeout_s=CONNECT_S) for _ in ttls)
    )
    round_trip_s = max((one.t - one.t0 for one in opened if one.stream), default=0.0)
    wait_s = max(ANSWER_S, ROUND_TRIPS * round_trip_s)
    async with asyncio.TaskGroup() as group:
        for one, ttl in zip(opened, ttls, strict=True):
            if one.stream is not None:
                request = request_of(target, name, random)
                group.create_task(_ask(one.stream, request, ttl, vantage.now() + wait_s))
    await asyncio.sleep(round_trip_s + LATE_S)
    return [one.failure for one in opened if one.failure is not None]


def request_of(target: Target, name: str | None, random: Random) -> bytes:
    """The first bytes of a client over TCP."""
    if target.protocol == "tls":
        return client_hello(name, random=random)
    lines = (
        f"GET {target.path} HTTP/1.1",
        f"Host: {name or target.address}",
        "User-Agent: Mozilla/5.0",
        "Accept: */*",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("latin-1", "replace")


async def _ask(stream: Stream, request: bytes, ttl: int, until: float) -> None:
    """Send a request so far, listen, and end the connection with a RST of full TTL, so that the
    system does not send the request itself once more with that."""
    with suppress(Failed):  # whatever it is, the tap hears it
        stream.set_ttl(ttl)
        await stream.write(request, until)
        while await stream.read(until):
            pass
    while stream.vantage.now() < until:
        await asyncio.sleep(max(until - stream.vantage.now(), 0.0))
    stream.set_ttl(FULL_TTL)
    stream.reset()


async def _datagrams(
    vantage: Vantage, target: Target, name: str | None, ttls: Sequence[int], random: Random
) -> list[str]:
    failures: list[str] = []

    async def ask(ttl: int) -> None:
        payloads = _question(name, random) if target.protocol == "dns" else _initial(target, name)
        try:
            with await Datagrams.open(vantage, target.address, target.port) as sent:
                sent.set_ttl(ttl)
                for _ in range(COPIES):
                    for payload in payloads:
                        await _send(sent, payload)
                    await asyncio.sleep(SPACING_S)
                await asyncio.sleep(_UDP_S)
        except Failed as failed:
            failures.append(failed.failure)

    async with asyncio.TaskGroup() as group:
        for ttl in ttls:
            group.create_task(ask(ttl))
    return failures


async def _send(sent: Datagrams, payload: bytes) -> None:
    with suppress(Failed):  # an ICMP error about the one before, which the tap heard
        await sent.send(payload)


def _question(name: str | None, random: Random) -> list[bytes]:
    message = dns.message.make_query(name or ".", "A", id=random.getrandbits(16))
    return [message.to_wire()]


def _initial(target: Target, name: str | None) -> list[bytes]:
    """The client's first flight of QUIC."""
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["h3"], server_name=name or target.address
    )
    connection = QuicConnection(configuration=configuration)
    connection.connect((target.address, target.port), now=0.0)
    return [data for data, _ in connection.datagrams_to_send(now=0.0)]
