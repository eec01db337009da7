"""A corner of loopback for one world, and what answers there for nobody."""

from __future__ import annotations

import errno
import os
import socket
from typing import Self

from gatewatch.lab.attach import Loopback, Transport
from gatewatch.lab.reduced.needs import CannotReduce
from gatewatch.lab.scenario import Scenario

FIRST, LAST = 0x0100, 0xFFFE
"Of the worlds that `Loopback` can tell apart: 127.0.0.0/16 has other users."
TRIES = 64
"Corners tried. Our choice: more worlds at a time than any machine has the power for."
CLAIM_PORT = 20_000
"Whoever listens here has the corner. Our choice, beside those of `attach.unprivileged`."


class Corner:
    """127.x.y.0/24, claimed until closed.

    Raises:
        CannotReduce: none is to be had.
    """

    def __init__(self, scenario: Scenario) -> None:
        world = FIRST + os.getpid() % (LAST - FIRST)
        for number in range(world, world + TRIES):
            self.loopback = Loopback.of(scenario, world=FIRST + (number - FIRST) % (LAST - FIRST))
            try:
                self._silent = bound(self.loopback.nowhere, CLAIM_PORT, socket.SOCK_STREAM)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise CannotReduce(
                        f"{self.loopback.nowhere}: {error.strerror}; the reduced lab needs all "
                        "of 127.0.0.0/8 to be this machine, as on Linux"
                    ) from None
        else:
            raise CannotReduce(
                f"port {CLAIM_PORT} is taken at {self.loopback.nowhere} and in {TRIES - 1} "
                "corners of 127.0.0.0/8 before it"
            )
        self._silent.listen(0)
        # With its only place in the queue taken, Linux drops whatever SYN comes.
        self._filler = socket.create_connection(self._silent.getsockname())
        self._silent_datagrams = bound(self.loopback.nowhere, 0, socket.SOCK_DGRAM)
        self._closed = bound(self.loopback.nowhere, 0, socket.SOCK_STREAM)

    def silent(self, transport: Transport) -> tuple[str, int]:
        """Where nobody answers, and nobody says so."""
        return (self._silent if transport == "tcp" else self._silent_datagrams).getsockname()

    def closed(self) -> tuple[str, int]:
        """Where TCP connections are refused: the port is taken, and nobody listens."""
        return self._closed.getsockname()

    def socket(self, kind: socket.SocketKind, address: str | None = None) -> socket.socket:
        """A non-blocking socket at a lab address; None: at one that is nobody's."""
        where = self.loopback.nowhere
        if address is not None:
            where = self.loopback.listen_at(address, 0, "tcp")[0]
        made = bound(where, 0, kind)
        made.setblocking(False)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._silent, self._filler, self._silent_datagrams, self._closed):
            sock.close()


def bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """
    Raises:
        OSError: the port is taken, or the address not ours.
    """
    made = socket.socket(socket.AF_INET, kind)
    try:
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    return made
