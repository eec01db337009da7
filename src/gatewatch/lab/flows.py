"""Flows as a box on the way sees them: whose they are, how far they got, and their first bytes.

Both directions of a flow are one; its client is who sent the SYN, or the first packet where there
is none. What the bytes mean is for `triggers`, what becomes of them for `censors`.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from itertools import cycle
from typing import TYPE_CHECKING, Any

from gatewatch.wire.packet import ACK, FIN, ICMP, ICMPV6, SYN, TCP, UDP, Packet

if TYPE_CHECKING:
    from gatewatch.lab.triggers.reading import Reading
    from gatewatch.lab.watch import Watch

IDLE_S = 120.0
"A flow that is silent for longer is forgotten. Our choice, of the order that boxes are known for."
FLOWS_MAX = 65_536
"Flows remembered at a time; the oldest go first. Our choice: some 100 MB at worst."
STREAM_MAX = 65_536
"Bytes of a stream that are looked at: `lab.rules` promises triggers the first 64 kB."
FREE_PORT = 1_024
"First of the ports that a diverted flow may be given: RFC 6056, section 3.2."
GAPS_MAX = 64
"Segments kept while one before them is missing. Our choice: a full window of early segments."

TRANSPORTS = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "icmp"}

Key = tuple[int, bytes, int, bytes, int]
"Protocol, source and its port, destination and its port."


def endpoint(address: bytes, port: int) -> str:
    """
    >>> endpoint(bytes([192, 0, 2, 1]), 443), endpoint(bytes(15) + b"\\x01", 53)
    ('192.0.2.1:443', '[::1]:53')
    """
    text = str(ip_address(address))
    return f"{text}:{port}" if len(address) == 4 else f"[{text}]:{port}"


def length(packet: Packet) -> int:
    """How much sequence space a segment takes: its payload, and one for a SYN or FIN."""
    flags = packet.flags
    return packet.end - packet.payload_at + ((flags & SYN) >> 1) + (flags & FIN)


def ahead(a: int, b: int) -> int:
    """How far sequence number `a` is ahead of `b`, negative if behind (RFC 9293, section 3.4).

    >>> ahead(5, 0xFFFFFFFF), ahead(0xFFFFFFFF, 5)
    (6, -6)
    """
    return ((a - b + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Flow:
    """One flow and what a box keeps of it."""

    def __init__(self, client: tuple[bytes, int], server: tuple[bytes, int], protocol: int) -> None:
        self.client, self.client_port = client
        self.server, self.server_port = server
        self.protocol = protocol
        self.last = 0.0
        "When its last packet passed, seconds."
        self.number = 0
        "How many flows there were before it between this client and this port of this server."
        self.isn: int | None = None
        "Sequence number of the client's SYN, if it was seen."
        self.client_next: int | None = None
        "Sequence number after the last byte seen from the client."
        self.server_next: int | None = None
        self.watches: list[Watch] = []
        "The censors that it may still concern; none is the fast way through."
        self.reading: Reading | None = None
        "Kept while a censor wants to know what the flow says."
        self.diverted_to: bytes | None = None
        "The machine that gets its packets in the server's place."
        self.diverted_port = self.client_port
        "The client's port, as that machine sees it."
        self.kept: dict[Any, Any] = {}
        "Whatever an action has to remember of the flow."
        self.keys: list[Key] = []

    @property
    def transport(self) -> str:
        return TRANSPORTS.get(self.protocol, str(self.protocol))

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells it from others in every run; the client's port differs from run to run."""
        return self.protocol, self.client.hex(), self.server.hex(), self.server_port, self.number

    def advance(self, packet: Packet, to_server: bool) -> None:
        """Note how far the sender of a TCP segment has got."""
        after = packet.seq + length(packet) & 0xFFFFFFFF
        if to_server:
            if self.client_next is None or ahead(after, self.client_next) > 0:
                self.client_next = after
        elif self.server_next is None or ahead(after, self.server_next) > 0:
            self.server_next = after


class Flows:
    """The table of all flows through one box, bounded in time and number."""

    def __init__(self) -> None:
        self._flows: dict[Key, tuple[Flow, bool]] = {}
        "By key of a packet: its flow, and whether the packet travels to the server."
        self._before: Counter[tuple[int, bytes, bytes, int]] = Counter()
        self._ports = cycle(range(FREE_PORT, 65_536))
        "For diverted flows that cannot keep theirs; there are more than flows."

    def __len__(self) -> int:
        return len(self._flows) // 2

    def find(self, packet: Packet, now: float) -> tuple[Flow, bool] | None:
        """The flow of a packet and whether it travels to the server; None for a new one."""
        found = self._flows.get(
            (packet.protocol, packet.src, packet.sport, packet.dst, packet.dport)
        )
        if found is None:
            return None
        flow = found[0]
        if now - flow.last > IDLE_S or (
            packet.flags & (SYN | ACK) == SYN and packet.seq != flow.isn
        ):
            self._forget(flow)
            return None
        flow.last = now
        return found

    def begin(self, packet: Packet, outward: bool, now: float) -> tuple[Flow, bool]:
        """Start a flow with this packet, as `find` would return it.

        Args:
            outward: which way it travels; where a flow is met in its middle, the inner end is
                taken for the client.
        """
        source, destination = (packet.src, packet.sport), (packet.dst, packet.dport)
        handshake = packet.flags & (SYN | ACK)
        to_server = True
        if packet.protocol == TCP and handshake != SYN:
            to_server = False if handshake & SYN else outward
        client, server = (source, destination) if to_server else (destination, source)
        flow = Flow(client, server, packet.protocol)
        flow.last = now
        if handshake == SYN:
            flow.isn = packet.seq
        ends = (packet.protocol, flow.client, flow.server, flow.server_port)
        flow.number = self._before[ends]
        self._before[ends] += 1
        while len(self) >= FLOWS_MAX:
            self._forget(next(iter(self._flows.values()))[0])
        self._add(flow, (packet.protocol, *client, *server), to_server=True)
        self._add(flow, (packet.protocol, *server, *client), to_server=False)
        return flow, to_server

    def divert(self, flow: Flow, to: bytes) -> None:
        """From now on packets from another machine are the flow's answers.

        They come from the server's port to the client's, or to another one where they could be
        those of a flow of the same client to another server.
        """
        port = flow.client_port
        while (key := (flow.protocol, to, flow.server_port, flow.client, port)) in self._flows:
            port = next(self._ports)
        flow.diverted_to, flow.diverted_port = to, port
        self._add(flow, key, to_server=False)

    def answered(self, key: Key) -> Flow | None:
        """The flow whose answers have this key."""
        flow, to_server = self._flows.get(key, (None, True))
        return None if to_server else flow

    def _add(self, flow: Flow, key: Key, *, to_server: bool) -> None:
        self._flows[key] = flow, to_server
        flow.keys.append(key)

    def _forget(self, flow: Flow) -> None:
        for key in flow.keys:
            if key in self._flows and self._flows[key][0] is flow:
                del self._flows[key]


class Stream:
    """The first bytes that one side sends, in order, from segments in any order.

    A byte that is in its place stays, whatever a later copy of it says.

    >>> stream = Stream()
    >>> stream.begin(100)
    >>> stream.add(103, b"lo!"), stream.add(100, b"hell"), bytes(stream.data)
    (False, True, b'hello!')
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.grown_from = 0
        "Where the bytes begin that the last `add` put in place."
        self._start: int | None = None
        self._early: dict[int, bytes] = {}
        "Segments by their place in the stream, of which one before is missing."

    @property
    def full(self) -> bool:
        return len(self.data) >= STREAM_MAX

    def begin(self, seq: int) -> None:
        """Say which sequence number the first byte has; without, the first segment decides."""
        self._start = seq

    def add(self, seq: int, payload: bytes) -> bool:
        """Take a segment; whether the stream grew."""
        self.grown_from = len(self.data)
        if self._start is None:
            self._start = seq
        at = ahead(seq, self._start)
        if at >= STREAM_MAX or self.full:
            return False
        if at > self.grown_from:
            if len(self._early) < GAPS_MAX:
                self._early.setdefault(at, payload)
            return False
        self._place(at, payload)
        while ready := [early for early in self._early if early <= len(self.data)]:
            for early in ready:
                self._place(early, self._early.pop(early))
        return len(self.data) > self.grown_from

    def append(self, payload: bytes) -> bool:
        """Take what comes without sequence numbers, such as a datagram."""
        self.grown_from = len(self.data)
        self._place(self.grown_from, payload)
        return len(self.data) > self.grown_from

    def _place(self, at: int, payload: bytes) -> None:
        self.data += payload[len(self.data) - at :][: STREAM_MAX - len(self.data)]
