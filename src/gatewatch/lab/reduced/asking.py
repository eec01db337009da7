"""Ways for a client in a process of its own: it asks the one where hosts and fronts are."""

from __future__ import annotations

import asyncio
import socket

import msgspec
from msgspec import Struct

from gatewatch.lab.attach import Attach, Local, Loopback, Transport

MESSAGE_MAX = 4_096


class Wish(Struct, frozen=True):
    """The arguments of `Attach.reach`."""

    source: str | None
    address: str
    port: int
    transport: Transport


Way = tuple[str, int, Local | None]


class Asking:
    """An `Attach` that asks before each connection; the answer takes less than a millisecond.

    Args:
        asked: one end of a pair of sockets that keep messages apart; `answer` has the other.
    """

    def __init__(self, loopback: Loopback, asked: socket.socket) -> None:
        self._loopback, self._asked = loopback, asked

    def listen_at(self, address: str, port: int, transport: Transport) -> Local:
        return self._loopback.listen_at(address, port, transport)

    def reach(
        self, source: str | None, address: str, port: int, transport: Transport
    ) -> tuple[str, int, Local | None]:
        self._asked.send(msgspec.json.encode(Wish(source, address, port, transport)))
        return msgspec.json.decode(self._asked.recv(MESSAGE_MAX), type=Way)

    def who(self, peer: tuple) -> str:
        return self._loopback.who(peer)


async def answer(asked: socket.socket, attach: Attach) -> None:
    """Answer wishes until nobody is left who has any."""
    loop = asyncio.get_running_loop()
    asked.setblocking(False)
    while message := await loop.sock_recv(asked, MESSAGE_MAX):
        wish = msgspec.json.decode(message, type=Wish)
        way = attach.reach(wish.source, wish.address, wish.port, wish.transport)
        await loop.sock_sendall(asked, msgspec.json.encode(way))
