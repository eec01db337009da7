"""A router between descriptors that tests hold, with no namespace and no privilege."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gatewatch.lab.router import Passed, Router
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.topology import Place
from gatewatch.wire.packet import Packet, parse


class Wire:
    """An interface whose other end a test reads and writes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._router, self._test = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._router.setblocking(False)

    def fileno(self) -> int:
        return self._router.fileno()

    def send(self, data: bytes) -> None:
        self._test.send(data)

    def receive(self) -> tuple[Packet, float]:
        """The next packet and when it came."""
        found = self.hear(5.0)
        assert found, f"nothing came to {self.name}"
        return found

    def hear(self, within_s: float) -> tuple[Packet, float] | None:
        """The next packet and when it came; None: none did in that time."""
        self._test.settimeout(within_s)
        try:
            return parse(self._test.recv(65536)), time.monotonic()
        except TimeoutError:
            return None

    def close(self) -> None:
        self._router.close()
        self._test.close()


class Wired:
    def __init__(self, router: Router, probe: Wire, world: Wire) -> None:
        self.router, self.probe, self.world = router, probe, world


@contextmanager
def wired(scenario: Scenario, boxes: Mapping[Place, Passed] | None = None) -> Iterator[Wired]:
    """A router at work in a thread, the vantage `access` on one wire and the world on the other."""
    probe, world = Wire("access"), Wire("world")
    router = Router(scenario, {"access": probe}, world, boxes or {}, clock=time.monotonic, seed=1)
    stop, stopping = os.pipe()
    thread = threading.Thread(target=router.run, args=(stop,))
    thread.start()
    try:
        yield Wired(router, probe, world)
    finally:
        os.close(stopping)
        thread.join()
        os.close(stop)
        probe.close()
        world.close()
