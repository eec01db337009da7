"""One end of a TCP connection: a program's socket on one side, segments on the other.

To the boxes it is the TCP of the machine: it counts, acknowledges, puts in order, believes a
reset only in its place, and says again what was lost. It is spared the guessing: the way tells it
what was lost.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial

from gatewatch.lab.flows import ahead, length
from gatewatch.lab.reduced.ways import Pace, Ways
from gatewatch.wire.packet import ACK, FIN, PSH, RST, SYN, Packet, parse, tcp

SEGMENT_MAX = 1_400
"Payload bytes of a segment. Our choice: fits every path, and is what the boxes' own have."
WINDOW_FIRST, WINDOW_MAX = 10 * SEGMENT_MAX, 65_536
"""Bytes under way, at first: RFC 6928; and at most: our choice, what systems have without scaling.
In between, as RFC 5681 has it: doubled with each window that arrives, halved by a loss, and from
there on grown by a segment with each window."""
RETRY_S = 0.2
"Until a lost segment is said again, at first: Linux, TCP_RTO_MIN. It doubles while all is lost."

Endpoint = tuple[bytes, int]
"Packed address and port."


class StreamEnd(asyncio.Protocol):
    """The machine `here` in its connection with `there`.

    Args:
        isn: its initial sequence number.
        gone: called when its socket is no more.
    """

    def __init__(
        self, ways: Ways, here: Endpoint, there: Endpoint, *, isn: int, gone: Callable[[], None]
    ) -> None:
        self._ways, self._gone = ways, gone
        self._here, self._there = here, there
        self._isn = self._next = isn
        self._wanted: int | None = None
        "Sequence number of what it expects to hear next; None before the other's SYN."
        self._early: dict[int, Packet] = {}
        self._heard = bytearray()
        "For the program, until it takes it."
        self._unsaid = bytearray()
        "From the program, until the window has room for it."
        self._heard_all = self._said_all = self._fin_said = False
        self._flying = 0
        self._window, self._threshold = float(WINDOW_FIRST), float(WINDOW_MAX)
        self._lost: list[Packet] = []
        self._retry: asyncio.TimerHandle | None = None
        self._retry_s = RETRY_S
        self._transport: asyncio.Transport | None = None
        self.refused = False
        "Its SYN was answered with a reset."
        self._reset = False
        "The connection ended with a reset, whoever sent it."

    @property
    def opened(self) -> bool:
        return self._wanted is not None

    def open(self, pace: Pace) -> None:
        """Say that there is to be a connection; again, if need be."""
        self._next = self._isn
        self._say(SYN, pace=pace)

    def give_up(self) -> None:
        """The program is not there after all."""
        if not self._reset:
            self._say(RST | ACK)
        self._over()
        if self._transport is None:
            self._gone()

    # -- from the program ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._reset:
            reset(transport)
        else:
            self._hand_over()

    def data_received(self, data: bytes) -> None:
        self._unsaid += data
        self._say_on()

    def eof_received(self) -> bool:
        self._said_all = True
        self._say_on()
        return not self._heard_all  # whether to stay open

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self._reset:
            self.give_up()
        self._gone()

    # -- from the way --------------------------------------------------------------------------

    def receive(self, packet: Packet, pace: Pace) -> None:
        if packet.flags & RST:
            self._hear_reset(packet)
        elif packet.flags & SYN:
            self._hear_syn(packet, pace)
        elif self._wanted is not None and length(packet):
            self._hear(packet, self._wanted)

    def _hear_reset(self, packet: Packet) -> None:
        """Believed where RFC 9293, section 3.10.7, and RFC 5961, section 3.2, say so."""
        if self._wanted is None:
            self.refused |= bool(packet.flags & ACK) and packet.ack == self._next
        elif packet.seq == self._wanted:
            self._over()
            if self._transport:
                reset(self._transport)

    def _hear_syn(self, packet: Packet, pace: Pace) -> None:
        if self.refused:
            return
        if self._wanted is None:
            self._wanted = packet.seq + 1 & 0xFFFFFFFF
        if packet.flags & ACK:
            self._say(ACK, pace=pace)
        else:
            self._next = self._isn
            self._say(SYN | ACK, pace=pace)

    def _hear(self, packet: Packet, wanted: int) -> None:
        """Take a segment in its turn; what has been heard stays, whatever is said again."""
        self._early.setdefault(packet.seq, packet)
        while ready := [seq for seq in self._early if ahead(seq, wanted) <= 0]:
            found = self._early.pop(ready[0])
            if self._heard_all:
                continue
            new = found.payload[ahead(wanted, found.seq) :]
            self._heard += new
            wanted = wanted + len(new) & 0xFFFFFFFF
            ends_here = found.seq + length(found) - 1 & 0xFFFFFFFF == wanted
            if found.flags & FIN and ends_here:
                self._heard_all = True
                wanted = wanted + 1 & 0xFFFFFFFF
        self._wanted = wanted
        self._hand_over()
        self._say(ACK)

    def _hand_over(self) -> None:
        """Give the program what has been heard."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._heard:
            self._transport.write(bytes(self._heard))
            self._heard.clear()
        if self._heard_all:
            self._transport.close() if self._said_all else self._transport.write_eof()

    # -- to the way ----------------------------------------------------------------------------

    def _say_on(self) -> None:
        """Say as much of what the program said as the window has room for."""
        while self._unsaid and self._flying < self._window:
            piece = bytes(self._unsaid[:SEGMENT_MAX])
            del self._unsaid[:SEGMENT_MAX]
            self._say(PSH | ACK, piece)
        if self._said_all and not self._unsaid and not self._fin_said:
            self._fin_said = True
            self._say(FIN | ACK)
        if self._transport is not None:
            self._transport.pause_reading() if self._unsaid else self._transport.resume_reading()

    def _say(self, flags: int, payload: bytes = b"", *, pace: Pace | None = None) -> None:
        (address, port), (to_address, to_port) = self._here, self._there
        packet = parse(
            tcp(
                address,
                to_address,
                port,
                to_port,
                seq=self._next,
                ack=self._wanted or 0,
                flags=flags,
                payload=payload,
            )
        )
        self._next = self._next + length(packet) & 0xFFFFFFFF
        self._flying += len(payload)
        fate = partial(self._fated, packet) if payload or flags & FIN else None
        self._ways.send(packet, pace or self._ways.real_time, fate)

    def _fated(self, packet: Packet, arrived: bool) -> None:
        if self._reset:
            return
        if arrived:
            self._flying -= len(packet.payload)
            self._retry_s = RETRY_S
            slow = self._window >= self._threshold
            grown = self._window + len(packet.payload) * (SEGMENT_MAX / self._window if slow else 1)
            self._window = min(grown, WINDOW_MAX)
            self._say_on()
            return
        self._lost.append(packet)
        if self._retry is None:
            self._window = self._threshold = max(self._window / 2, 2 * SEGMENT_MAX)
            self._retry = asyncio.get_running_loop().call_later(self._retry_s, self._say_again)

    def _say_again(self) -> None:
        lost, self._lost, self._retry = self._lost, [], None
        self._retry_s *= 2
        for packet in lost:
            self._ways.send(packet, self._ways.real_time, partial(self._fated, packet))

    def _over(self) -> None:
        self._reset = True
        self._lost.clear()
        if self._retry is not None:
            self._retry.cancel()


def reset(transport: asyncio.Transport) -> None:
    """End a connection with an RST: closing does it when nothing may linger."""
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
