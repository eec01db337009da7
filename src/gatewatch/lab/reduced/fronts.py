"""Whoever asks for a way past censors is given a front: a socket of its own for this one flow.

A connection is opened in segments before its program connects, all at once, because only then can
the program be led to where it hangs or is refused. What the program says afterwards takes the
time that its way takes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from ipaddress import ip_address
from random import Random

from msgspec.structs import replace

from gatewatch.lab.attach import Local, Transport
from gatewatch.lab.box import Act
from gatewatch.lab.diversion import Diversion, Diversions
from gatewatch.lab.flows import Key, length
from gatewatch.lab.reduced.corner import Corner
from gatewatch.lab.reduced.datagrams import DatagramEnd
from gatewatch.lab.reduced.streams import Endpoint, StreamEnd
from gatewatch.lab.reduced.ways import AtOnce, Pace, Ways
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.topology import Topology
from gatewatch.lab.world import boxes_of
from gatewatch.wire.address import parted
from gatewatch.wire.packet import ACK, RST, SYN, TCP, UDP, Packet, parse, tcp

SYN_TRIES = 3
"As often as a client sends it in its five seconds of patience: after 1 s and 3 s again (RFC 6298)."
CONNECT_S = 10.0
"Until a program is taken not to connect any more. Our choice: it does so at once."


class Fronts:
    """The way in for hosts and clients alike: an `Attach`.

    Args:
        clock: seconds since the world began.
        tell: told of what the censors do.
        start: runs work that ends with the world.
    """

    def __init__(
        self,
        scenario: Scenario,
        corner: Corner,
        *,
        seed: int,
        clock: Callable[[], float],
        tell: Callable[[Act], None],
        start: Callable[[Coroutine[None, None, None]], object],
    ) -> None:
        self._corner, self._tell, self._start = corner, tell, start
        self.listening: dict[tuple[bytes, int, Transport], Local] = {}
        "Everything that hosts listen with."
        self.latest: Local | None = None
        "The last of it."
        topology = Topology(scenario)
        boxes = boxes_of(scenario, topology, seed, self._told)
        self._ways = Ways(scenario, topology, boxes, clock=clock, seed=seed, deliver=self._deliver)
        self._chance = Random(f"{seed} sequence numbers")
        self._machines = {
            ip_address(address).packed
            for host in scenario.hosts.values()
            for address in (() if host.down else host.addresses)
        }
        self._ends: dict[Key, StreamEnd | DatagramEnd] = {}
        "By protocol, its own address and port, and the other's."
        self._berths: dict[tuple[int, Endpoint], socket.socket] = {}
        "By protocol and client: the socket from which its server is to hear of it."
        self._diversions = Diversions()

    # -- Attach --------------------------------------------------------------------------------

    def listen_at(self, address: str, port: int, transport: Transport) -> Local:
        found = self._corner.loopback.listen_at(address, port, transport)
        self.listening[ip_address(address).packed, port, transport] = self.latest = found
        return found

    def reach(
        self, source: str | None, address: str, port: int, transport: Transport
    ) -> tuple[str, int, Local | None]:
        ip, to_port, local = self._corner.loopback.reach(source, address, port, transport)
        target = ip_address(address).packed
        if source is not None and self._ways.guarded(ip_address(source).packed, target):
            front = self._to_server if transport == "tcp" else self._to_service
            ip, to_port = front(source, (target, port))
        elif target not in self._machines:
            ip, to_port = self._corner.silent(transport)
        return ip, to_port, local

    def who(self, peer: tuple) -> str:
        return self._corner.loopback.who(peer)

    async def original(self, transport: str, peer: str) -> Diversion | None:
        """What a diverted flow was, by what a middlebox sees of it."""
        return self._diversions.of(transport, peer)

    def _told(self, act: Act) -> None:
        """A middlebox hears of a client from the client's own berth, whatever port boxes give."""
        self._tell(act)
        if act.peer is not None:
            self._diversions.note(replace(act, peer=act.client))
            protocol = TCP if act.transport == "tcp" else UDP
            berth = self._berths.pop((protocol, _endpoint(act.client)), None)
            if berth is not None:
                self._berths[protocol, _endpoint(act.peer)] = berth

    # -- the client's end ----------------------------------------------------------------------

    def _to_server(self, source: str, there: Endpoint) -> tuple[str, int]:
        """Open a connection; where its program then finds it."""
        here = self._berth(TCP, source)
        end = self._stream_end(here, there)
        for _ in range(SYN_TRIES):
            pace = AtOnce()
            end.open(pace)
            pace.run()
            if end.refused or end.opened:
                break
        if not end.opened:
            self._leave(TCP, here, there)
            return self._corner.closed() if end.refused else self._corner.silent("tcp")
        front = self._corner.socket(socket.SOCK_STREAM)
        front.listen(1)
        self._start(_accept(front, end))
        return front.getsockname()

    def _to_service(self, source: str, there: Endpoint) -> tuple[str, int]:
        """Where a program sends its datagrams for a flow."""
        here = self._berth(UDP, source)
        front = self._corner.socket(socket.SOCK_DGRAM)
        gone = partial(self._leave, UDP, here, there)
        self._ends[UDP, *here, *there] = DatagramEnd(self._ways, here, there, front, gone=gone)
        return front.getsockname()

    def _berth(self, protocol: int, source: str) -> Endpoint:
        """A port for a new flow from an address, with a socket that is bound to it."""
        kind = socket.SOCK_STREAM if protocol == TCP else socket.SOCK_DGRAM
        berth = self._corner.socket(kind, source)
        here = (ip_address(source).packed, berth.getsockname()[1])
        self._berths[protocol, here] = berth
        return here

    def _stream_end(self, here: Endpoint, there: Endpoint) -> StreamEnd:
        isn, gone = self._chance.getrandbits(32), partial(self._leave, TCP, here, there)
        end = self._ends[TCP, *here, *there] = StreamEnd(
            self._ways, here, there, isn=isn, gone=gone
        )
        return end

    def _leave(self, protocol: int, here: Endpoint, there: Endpoint) -> None:
        self._ends.pop((protocol, *here, *there), None)
        berth = self._berths.pop((protocol, here), None)
        if berth is not None:
            berth.close()

    # -- the server's end ----------------------------------------------------------------------

    def _deliver(self, packet: Packet, pace: Pace) -> bool:
        """Give a packet to the machine that it is for; whether there is one."""
        here, there = (packet.dst, packet.dport), (packet.src, packet.sport)
        end = self._ends.get((packet.protocol, *here, *there))
        if end is None:
            if packet.dst not in self._machines:
                return False
            answer = self._accept_stream if packet.protocol == TCP else self._accept_datagram
            end = answer(packet, here, there, pace)
        if end is not None:
            end.receive(packet, pace)
        return True

    def _accept_stream(
        self, packet: Packet, here: Endpoint, there: Endpoint, pace: Pace
    ) -> StreamEnd | None:
        """The end of a new connection, if this packet opens one; any other is answered by RST."""
        opens = packet.flags & (SYN | ACK) == SYN
        target = self.listening.get((*here, "tcp"))
        berth = self._berths.pop((TCP, there), None) if opens and target else None
        if target is not None and berth is not None:
            end = self._stream_end(here, there)
            self._start(_connect(berth, target, end))
            return end
        if length(packet) and not packet.flags & RST:
            self._ways.send(refusal(packet), pace)
        return None

    def _accept_datagram(
        self, packet: Packet, here: Endpoint, there: Endpoint, pace: Pace
    ) -> DatagramEnd | None:
        """The end of a new flow; where nobody listens its client is told so."""
        target = self.listening.get((*here, "udp"))
        berth = self._berths.pop((UDP, there), None)
        if target is None or berth is None:
            front = self._ends.get((UDP, *there, *here))
            if isinstance(front, DatagramEnd):
                front.close()
            return None
        gone = partial(self._leave, UDP, here, there)
        end = self._ends[UDP, *here, *there] = DatagramEnd(
            self._ways, here, there, berth, peer=target, gone=gone
        )
        return end


def _endpoint(text: str) -> Endpoint:
    address, port = parted(text)
    return ip_address(address).packed, port


def refusal(packet: Packet) -> Packet:
    """What a machine answers to a segment that belongs to no connection (RFC 9293, 3.10.7.1)."""
    return parse(
        tcp(
            packet.dst,
            packet.src,
            packet.dport,
            packet.sport,
            seq=packet.ack if packet.flags & ACK else 0,
            ack=packet.seq + length(packet) & 0xFFFFFFFF,
            flags=RST | ACK,
        )
    )


async def _accept(front: socket.socket, end: StreamEnd) -> None:
    """Let the program in for which a connection has been opened."""
    loop = asyncio.get_running_loop()
    with front:
        try:
            async with asyncio.timeout(CONNECT_S):
                program, _ = await loop.sock_accept(front)
        except TimeoutError:
            end.give_up()
            return
    await loop.connect_accepted_socket(lambda: end, program)


async def _connect(berth: socket.socket, target: Local, end: StreamEnd) -> None:
    """Tell a server of a connection that has been opened."""
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(berth, target)
        await loop.create_connection(lambda: end, sock=berth)
    except OSError:
        berth.close()
        end.give_up()
