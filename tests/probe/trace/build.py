"""Captures of sweeps over all TTLs, made packet by packet, with a censor on the way or none.

The client opens a connection for each TTL, sends its request with that TTL, waits, and closes with
a FIN of full TTL, as CenTrace does. The way has a router at each distance below the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random
from typing import Literal

from gatewatch.probe.hello import client_hello
from gatewatch.wire.packet import ACK, FIN, PSH, RST, SYN, icmp_time_exceeded, parse, tcp, with_ttl
from gatewatch.wire.pcap import Frame

CLIENT, SERVER = ip_address("192.0.2.1").packed, ip_address("203.0.113.80").packed
BLOCKED, INNOCENT = "blocked.example", "innocent.example"
NS = 1_000_000_000
STATELESS_HELLO = b"\x16\x03\x03\x00\x50\x02\x00\x00\x4c" + bytes(1100)
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Style = Literal[
    "rst", "rst_ack", "burst", "payload", "copied", "page", "redirect", "fin", "bare_page",
    "drop_flow", "drop_request", "none",
]  # fmt: skip


@dataclass(kw_only=True)
class Censor:
    """A box behind a hop: it sees requests that this hop lets pass."""

    behind: int
    style: Style
    in_path: bool
    names: tuple[str, ...] = (BLOCKED,)
    initial: int = 64
    "TTL that it sends with."


@dataclass(kw_only=True)
class Way:
    """The way to a server, and the server."""

    distance: int
    back: int | None = None
    "Hops of the way back; as there, if not given."
    initial: int = 64
    silent: frozenset[int] = frozenset()
    "Hops that send no ICMP."
    short_quotes: bool = False
    "Routers quote 8 bytes behind the IP header, and no more."
    balanced: tuple[int, ...] = (0,)
    "By how many hops the ways back differ; one of these for each connection."
    loss: float = 0.0
    censor: Censor | None = None
    port: int = 443
    says: Callable[[str], bytes] = lambda name: STATELESS_HELLO
    ends: Callable[[str], Style] = lambda name: "none"
    "What the server itself does to a name."
    failing: float = 0.0
    "Share of connections that do not come up."
    idle_s: float | None = None
    "After so long the server closes a connection on which nothing came."
    random: Random = field(default_factory=lambda: Random(1))

    def router(self, hop: int) -> str:
        return f"198.51.100.{hop}"


def sweep(way: Way, name: str, ttls: Iterable[int], *, copies: int = 1) -> list[Frame]:
    """The capture of one name."""
    made = _Sweep(way, name)
    for ttl in ttls:
        made.probe(ttl, copies)
    made.packets.sort(key=lambda packet: packet[0])
    return [
        Frame(number, int(at * NS), parse(data))
        for number, (at, data) in enumerate(made.packets, 1)
    ]


class _Sweep:
    def __init__(self, way: Way, name: str) -> None:
        self.way, self.name, self.random = way, name, way.random
        self.packets: list[tuple[float, bytes]] = []
        self.at, self.sport = 1000.0, self.random.randrange(20_000, 50_000)

    def lost(self) -> bool:
        return self.random.random() < self.way.loss

    def out(self, at: float, data: bytes) -> None:
        self.packets.append((at, data))

    def back(self, at: float, data: bytes) -> None:
        if not self.lost():
            self.packets.append((at, data))

    def probe(self, ttl: int, copies: int) -> None:
        way, random = self.way, self.random
        self.sport += 1
        at, self.at = self.at, self.at + 7
        rtt = 0.01 * way.distance
        seq, base = random.getrandbits(32), random.getrandbits(32)
        back = (way.back or way.distance) - 1 + random.choice(way.balanced)
        own = way.initial - back
        ident = random.randrange(1, 60_000)

        def client(flags: int, seq: int, ack: int, payload: bytes = b"", ttl: int = 64) -> bytes:
            return tcp(
                CLIENT,
                SERVER,
                self.sport,
                way.port,
                seq=seq,
                ack=ack,
                flags=flags,
                payload=payload,
                ttl=ttl,
                window=8192,
                ip_id=random.getrandbits(16),
            )

        def server(flags: int, seq: int, ack: int, payload: bytes = b"", *, ttl: int = own,
                   window: int = 64_240, ip_id: int = 0) -> bytes:  # fmt: skip
            return tcp(SERVER, CLIENT, way.port, self.sport, seq=seq, ack=ack, flags=flags,
                       payload=payload, ttl=ttl, window=window, ip_id=ip_id)  # fmt: skip

        self.out(at, client(SYN, seq, 0))
        if random.random() < way.failing:
            return
        self.out(at + rtt, server(SYN | ACK, base, seq + 1))
        seq, base = seq + 1, base + 1
        self.out(at + rtt + 0.01, client(ACK, seq, base))
        sent = at + rtt + 0.1
        request = self._request()
        end = seq + len(request)
        dead = taken = acted = False
        for copy in range(copies):
            when = sent + 0.3 * copy
            self.out(when, client(PSH | ACK, seq, base, request, ttl))
            if taken or acted or self.lost():
                continue
            censor = way.censor
            met = censor and ttl > censor.behind and self.name in censor.names
            if censor and met and censor.style != "none":
                acted = True
                self._inject(when, censor, server, base, end, ttl)
                dead = censor.style == "drop_flow"
                if censor.in_path:
                    continue
            if ttl < way.distance:
                self._expire(when, client(PSH | ACK, seq, base, request, 1), ttl)
                continue
            taken = True
            self._serve(when + rtt, server, base, end, ident)
        closing = sent + 3
        if way.idle_s is not None and not taken and not dead:
            self.back(sent + way.idle_s, server(FIN | ACK, base, seq, ip_id=ident))
        self.out(closing, client(FIN | ACK, end if taken else seq, base))
        if not dead and not self.lost():
            ack = (end if taken else seq) + 1
            self.back(closing + rtt, server(FIN | ACK, base, ack, ip_id=ident + 5))

    def _request(self) -> bytes:
        if self.way.port == 443:
            return client_hello(self.name, random=Random(3))
        return f"GET / HTTP/1.1\r\nHost: {self.name}\r\nAccept: */*\r\n\r\n".encode()

    def _expire(self, at: float, data: bytes, hop: int) -> None:
        if hop in self.way.silent or not hop:
            return
        router = ip_address(self.way.router(hop)).packed
        error = icmp_time_exceeded(router, with_ttl(data, 1), ttl=255 - hop)
        if self.way.short_quotes:
            error = error[:2] + (20 + 8 + 28).to_bytes(2, "big") + error[4 : 20 + 8 + 28]
        self.back(at + 0.01 * hop, error)

    def _serve(self, at: float, server, base: int, end: int, ident: int) -> None:
        does = self.way.ends(self.name)
        if does == "drop_flow":
            return
        if does == "rst":
            self.back(at, server(RST, base, 0, window=0))
        elif does == "rst_ack":
            self.back(at, server(RST | ACK, base, end, window=0))
        elif does == "fin":
            self.back(at, server(FIN | ACK, base, end, ip_id=ident))
        else:
            self.back(at, server(ACK, base, end, ip_id=ident))
            said = self.way.says(self.name)
            self.back(at + 0.01, server(PSH | ACK, base, end, said, ip_id=ident + 1))
            self.back(at + 0.8, server(PSH | ACK, base, end, said, ip_id=ident + 2))

    def _inject(self, at: float, censor: Censor, server, base: int, end: int, sent: int) -> None:
        hop = censor.behind
        at += 0.01 * hop
        ttl = censor.initial - hop
        random = self.random
        page = {
            "page": b"HTTP/1.1 403 Forbidden\r\n\r\n<html>blocked</html>",
            "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://10.10.34.36/\r\n\r\n",
            "bare_page": b"<html><body>blocked</body></html>",
        }.get(censor.style)
        if page is not None:
            self.back(at, server(PSH | ACK | FIN, base, end, page, ttl=ttl, window=123))
            self.back(at + 0.01, server(RST, base + len(page) + 1, 0, ttl=ttl, window=0))
        elif censor.style == "rst":
            self.back(at, server(RST, base, 0, ttl=ttl, window=0))
        elif censor.style == "rst_ack":
            self.back(at, server(RST | ACK, base, end, ttl=ttl, window=0))
        elif censor.style == "payload":
            self.back(at, server(RST | ACK, base, end, bytes(range(1, 11)), ttl=ttl))
        elif censor.style == "burst":
            shown = random.randrange(70, 250)
            ident = random.getrandbits(16)
            for _ in range(3):
                injected = server(RST | ACK, base, end, ttl=shown, window=shown + 1375, ip_id=ident)
                self.back(at, injected)
        elif censor.style == "copied":
            left = sent - 2 * hop
            if left > 0:
                self.back(at, server(RST | ACK, base, end, ttl=left, window=0))
        elif censor.style == "fin":
            self.back(at, server(FIN | ACK, base, end, ttl=ttl, window=0))
