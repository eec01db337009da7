"""A scenario, running on loopback: one process of hosts and fronts, and one for each client."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

import msgspec

from gatewatch.lab.attach import Attach
from gatewatch.lab.box import Act
from gatewatch.lab.enclosure import spawn
from gatewatch.lab.hosts import serve
from gatewatch.lab.reduced.asking import Asking, answer
from gatewatch.lab.reduced.corner import Corner
from gatewatch.lab.reduced.fronts import Fronts
from gatewatch.lab.reduced.needs import CannotReduce, needs_packets
from gatewatch.lab.runs import visits_in
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.visits import Client, Visit
from gatewatch.lab.world import LOG, READY_S, WorldFailed

READY = b"ready"
WORDS_MAX = 4_096


def run_reduced(scenario: Scenario, folder: Path, *, client: Client, seed: int) -> list[Visit]:
    """Run one world without packets, and measure everything in it that the scenario expects.

    The folder then holds what `lab.runs.run_world` leaves there.

    Raises:
        CannotReduce: it needs the full lab, and why.
        WorldFailed: a process of it ended before its time.
    """
    if client.command is not None:
        raise CannotReduce(
            f"{client.command[0]} cannot measure in the reduced lab: only the probe knows "
            "where on loopback the world's addresses are"
        )
    reason = needs_packets(scenario)
    if reason is not None:
        raise CannotReduce(f"{scenario.id} cannot run reduced: {reason}")
    with ReducedWorld(scenario, folder, seed=seed) as world:
        return visits_in(world, scenario, folder, client=client)


class ReducedWorld:
    """One world; a context manager that begins and ends it. See `lab.world.World`."""

    def __init__(self, scenario: Scenario, folder: Path, *, seed: int = 0) -> None:
        self._scenario, self._folder, self._seed = scenario, folder, seed

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.began = time.monotonic()
        with ExitStack() as kept:
            self._corner = kept.enter_context(Corner(self._scenario))
            self._log = os.open(
                self._folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            )
            kept.callback(os.close, self._log)
            self._asking = {
                name: socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                for name in self._scenario.vantages
            }
            for pair in self._asking.values():
                for end in pair:
                    kept.callback(end.close)
            self._start()
            kept.callback(self._stop)
            self._await_ready()
            self._kept = kept.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def enter_vantage(self, network: str) -> Attach:
        """How this process gets its sockets as the machine at a vantage point."""
        return Asking(self._corner.loopback, self._asking[network][0])

    def check(self) -> None:
        """
        Raises:
            WorldFailed: the process of hosts and fronts has ended.
        """
        if os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise WorldFailed(f"the world process of {self._scenario.id} has ended")

    def _start(self) -> None:
        self._ready, telling = os.pipe()

        def work() -> int:
            try:
                asyncio.run(self._live(partial(_say, telling, READY)))
            except* CannotReduce as cannot:
                _say(telling, str(cannot.exceptions[0]).encode()[:WORDS_MAX])
            return 1

        self._pid = spawn(work)
        os.close(telling)

    def _await_ready(self) -> None:
        """Wait for the first word of the world; nothing comes from one that ended."""
        with open(self._ready, "rb", buffering=0) as words:
            said = words.read(WORDS_MAX) if select.select([words], (), (), READY_S)[0] else b""
        if said != READY:
            if said:
                raise CannotReduce(said.decode())
            raise WorldFailed(f"the hosts of {self._scenario.id} did not start")

    def _stop(self) -> None:
        os.kill(self._pid, signal.SIGTERM)
        os.waitpid(self._pid, 0)

    # -- in the world's own process --------------------------------------------------------------

    async def _live(self, ready: Callable[[], None]) -> None:
        """All hosts, and the ways to them."""
        async with asyncio.TaskGroup() as tasks:
            fronts = Fronts(
                self._scenario,
                self._corner,
                seed=self._seed,
                clock=self._now,
                tell=self._tell,
                start=tasks.create_task,
            )
            for asking, asked in self._asking.values():
                asking.close()
                tasks.create_task(answer(asked, fronts))
            try:
                await serve(
                    self._scenario,
                    fronts,
                    self._folder,
                    ready=ready,
                    tell=lambda act: self._tell(msgspec.structs.replace(act, t=self._now())),
                    original=fronts.original,
                )
            except OSError as error:
                ip, port = fronts.latest or ("127.0.0.0/8", 0)
                raise CannotReduce(f"{ip}, port {port}: {error.strerror}") from error

    def _now(self) -> float:
        """Seconds since the world began."""
        return time.monotonic() - self.began

    def _tell(self, act: Act) -> None:
        os.write(self._log, msgspec.json.encode(act) + b"\n")


def _say(pipe: int, words: bytes) -> None:
    os.write(pipe, words)
