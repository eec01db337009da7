"""One end of a UDP flow: a program's socket on one side, datagrams in packets on the other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from gatewatch.lab.reduced.streams import Endpoint
from gatewatch.lab.reduced.ways import Pace, Ways
from gatewatch.wire.packet import Packet, parse, udp

IDLE_S = 20.0
"After so long without a datagram a flow is over. Our choice: above every client's patience."
DATAGRAM_MAX = 65_535


class DatagramEnd:
    """The machine `here` in its flow with `there`.

    Args:
        sock: non-blocking, towards the program.
        peer: where the program is; None: wherever the first datagram comes from.
        gone: called when the socket is no more.
    """

    def __init__(
        self,
        ways: Ways,
        here: Endpoint,
        there: Endpoint,
        sock: socket.socket,
        *,
        peer: tuple[str, int] | None = None,
        gone: Callable[[], None],
    ) -> None:
        self._ways, self._gone = ways, gone
        self._here, self._there = here, there
        self._socket, self._peer = sock, peer
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._read)
        self._last = self._loop.time()
        self._sweep = self._loop.call_later(IDLE_S, self._close_if_idle)

    def receive(self, packet: Packet, pace: Pace) -> None:
        """Hand over a datagram; as UDP is, nobody hears of it if the program does not take it."""
        self._last = self._loop.time()
        if self._peer is not None:
            self._socket.sendto(packet.payload, self._peer)

    def close(self) -> None:
        """What the program sends from now on is refused."""
        self._sweep.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        self._gone()

    def _read(self) -> None:
        try:
            data, self._peer = self._socket.recvfrom(DATAGRAM_MAX)
        except BlockingIOError:  # a datagram whose checksum was wrong
            return
        self._last = self._loop.time()
        (address, port), (to_address, to_port) = self._here, self._there
        packet = parse(udp(address, to_address, port, to_port, data))
        self._ways.send(packet, self._ways.real_time)

    def _close_if_idle(self) -> None:
        left = self._last + IDLE_S - self._loop.time()
        if left <= 0:
            self.close()
        else:
            self._sweep = self._loop.call_later(left, self._close_if_idle)
