"""Conversations past a box, packet by packet: what each side says, and what comes out of the box.

Both sides keep their sequence numbers as real ones do, so that what a censor forges can be held
against what its victim expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import dns.message
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from gatewatch.lab.box import Act, Box
from gatewatch.lab.rules import Action, Censor, Trigger
from gatewatch.lab.scenario import Host
from gatewatch.wire.packet import ACK, FIN, PSH, RST, SYN, UDP, Packet, checksum, parse, tcp, udp
from tests.lab.worlds import packed

CLIENT, SERVER, OTHER = "10.1.0.7", "93.184.216.34", "93.184.216.35"
CLIENT6, SERVER6 = "fd00::7", "2606:2800::34"
ROUTER, ROUTER6 = packed("10.1.0.1"), packed("fd00::1")
TTLS = (61, 52)
"Of what client and server send themselves; no test lets a censor use them."
CLOCK = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def inside(address: bytes) -> str | None:
    return {packed("10.1.0.7"): "fixed", packed("10.2.0.7"): "mobile"}.get(
        address, "fixed" if address[0] == 0xFD else "mobile" if address[0] == 10 else None
    )


def censor(trigger: Trigger, action: Action, *, id: str = "censor", **more) -> Censor:
    return Censor(id=id, at="isp", trigger=trigger, action=action, **more)


@dataclass
class Passage:
    """What came out of the box for one packet."""

    passed: Packet | None
    "The packet itself, perhaps readdressed; None if it was dropped."
    forged: list[Packet]
    delay_ms: float
    "Of the packet itself."
    delays_ms: list[float]
    "Of the forged ones."

    def to(self, address: str) -> list[Packet]:
        return [packet for packet in self.forged if packet.dst == packed(address)]


class Street:
    """A box with its censors, the world's time, and the log of what they did."""

    def __init__(
        self, *censors: Censor, seed: int = 7, hosts: Mapping[str, Host] | None = None
    ) -> None:
        self.acts: list[Act] = []
        self.now = 0.0
        self.box = Box(
            "isp/1",
            censors,
            inside=inside,
            seed=seed,
            clock=CLOCK,
            tell=self.acts.append,
            hosts=hosts or {},
            addresses=(ROUTER, ROUTER6),
        )

    def pass_(self, data: bytes) -> Passage:
        packet = parse(data)
        outward = inside(packet.src) is not None
        came = [(parse(out), ms) for out, ms in self.box.handle(packet, outward, self.now)]
        for out, _ in came:
            assert_sound(out)
        own = [pair for pair in came if pair[0].ttl in TTLS]
        forged = [pair for pair in came if pair[0].ttl not in TTLS]
        return Passage(
            passed=own[0][0] if own else None,
            forged=[out for out, _ in forged],
            delay_ms=own[0][1] if own else 0.0,
            delays_ms=[ms for _, ms in forged],
        )

    def acted(self) -> list[tuple[str, str]]:
        return [(act.action, act.subject) for act in self.acts]

    def connection(self, server: str = SERVER, port: int = 443, **ends) -> Connection:
        """A connection that has been opened, whatever the box made of it."""
        connection = self.unopened(server, port, **ends)
        connection.open()
        return connection

    def unopened(self, server: str = SERVER, port: int = 443, **ends) -> Connection:
        return Connection(self, server, port, **ends)

    def datagram(
        self,
        payload: bytes,
        *,
        server: str = SERVER,
        port: int = 53,
        client: str = CLIENT,
        client_port: int = 40_000,
        back: bool = False,
    ) -> Passage:
        """One UDP datagram to the server, or back from it."""
        here, there = (packed(client), client_port), (packed(server), port)
        source, target = (there, here) if back else (here, there)
        return self.pass_(udp(source[0], target[0], source[1], target[1], payload, ttl=TTLS[0]))


class Connection:
    """One TCP connection past the box; what is said on it always reaches the box in order."""

    def __init__(
        self,
        street: Street,
        server: str,
        port: int,
        client: str = CLIENT,
        client_port: int = 50_000,
    ) -> None:
        self._street = street
        self.server, self.client = server, client
        self._server, self._client = (packed(server), port), (packed(client), client_port)
        self.client_next, self.server_next = 1_000, 4_294_967_000
        "Of the server's numbers, chosen so that they soon wrap round."

    def client_says(self, payload: bytes = b"", flags: int = PSH | ACK) -> Passage:
        passage = self.client_repeats(self.client_next, payload, flags)
        self.client_next += len(payload) + bool(flags & SYN) + bool(flags & FIN)
        return passage

    def client_repeats(self, seq: int, payload: bytes, flags: int = PSH | ACK) -> Passage:
        """A segment at a place in the stream of the test's own choice."""
        (src, sport), (dst, dport) = self._client, self._server
        ack = self.server_next if flags & ACK else 0
        return self._street.pass_(
            tcp(src, dst, sport, dport, seq=seq, ack=ack, flags=flags, payload=payload, ttl=TTLS[0])
        )

    def server_says(self, payload: bytes = b"", flags: int = PSH | ACK) -> Passage:
        (src, sport), (dst, dport) = self._server, self._client
        seq, ack = self.server_next, self.client_next
        passage = self._street.pass_(
            tcp(src, dst, sport, dport, seq=seq, ack=ack, flags=flags, payload=payload, ttl=TTLS[1])
        )
        self.server_next = (seq + len(payload) + bool(flags & (SYN | FIN))) & 0xFFFFFFFF
        return passage

    def open(self) -> Passage:
        """The handshake; what became of the SYN."""
        syn = self.client_says(flags=SYN)
        self.server_says(flags=SYN | ACK)
        self.client_says(flags=ACK)
        return syn


def assert_sound(packet: Packet) -> None:
    """Lengths and checksums are what a receiver wants them to be."""
    assert packet.end == len(packet.data)
    body = packet.data[packet.header_end :]
    if packet.version == 4:
        assert checksum(packet.data[: packet.header_end]) == 0
    pseudo = 0
    if packet.protocol != 1:
        pseudo = int.from_bytes(packet.src + packet.dst, "big") + packet.protocol + len(body)
    assert checksum(body, pseudo) == 0


def get(host: str, path: str = "/", body: bytes = b"") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() + body


def query(name: str, kind: str = "A", id: int = 4711) -> bytes:
    return dns.message.make_query(name, kind, id=id).to_wire()


def hello(
    name: str | None = None, *, alpn: str = "h2", ech: bool = False, esni: bool = False
) -> bytes:
    """A ClientHello in one record, with nothing in it that triggers do not look at."""
    found = []
    if name is not None:
        found.append((0, _sized(2, b"\0" + _sized(2, name.encode()))))
    if alpn:
        found.append((16, _sized(2, _sized(1, alpn.encode()))))
    found += [(kind, bytes(8)) for kind, there in ((0xFE0D, ech), (0xFFCE, esni)) if there]
    extensions = b"".join(kind.to_bytes(2, "big") + _sized(2, data) for kind, data in found)
    body = b"\3\3" + bytes(32) + b"\0" + _sized(2, b"\x13\1") + _sized(1, b"\0")
    return b"\x16\3\1" + _sized(2, b"\1" + _sized(3, body + _sized(2, extensions)))


def _sized(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def quic_client(name: str) -> tuple[QuicConnection, bytes]:
    """A real QUIC client and its first datagram."""
    client = QuicConnection(
        configuration=QuicConfiguration(is_client=True, server_name=name, alpn_protocols=["h3"])
    )
    client.connect((SERVER, 443), now=0.0)
    (datagram, _), *_ = client.datagrams_to_send(now=0.0)
    return client, datagram


def shapes(packets: list[Packet]) -> list[tuple[str, int]]:
    """Flags and payload size of each packet, as one writes a dialogue down.

    >>> shapes([parse(tcp(ROUTER, ROUTER, 1, 2, seq=1, flags=RST | ACK))])
    [('RST/ACK', 0)]
    """
    names = {SYN: "SYN", FIN: "FIN", RST: "RST", PSH: "PSH", ACK: "ACK"}
    return [
        (
            "UDP"
            if p.protocol == UDP
            else "/".join(n for bit, n in names.items() if p.flags & bit),
            len(p.payload),
        )
        for p in packets
    ]
