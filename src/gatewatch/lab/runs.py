"""Worlds run to be measured in, some at a time, each in a process of its own.

Call this inside an `enclosure`. A run leaves in its folder what the world leaves, the
measurements, and `visits.jsonl`; reading and judging them is for others.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from gatewatch.lab.attach import Attach
from gatewatch.lab.enclosure import IGNORED, Tell, spawn
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.visits import (
    VISIT_S,
    Client,
    Visit,
    environment_of,
    expected_on,
    seat_at,
    visit_all,
)
from gatewatch.lab.world import CA, World, WorldFailed
from gatewatch.model.errors import GatewatchError

VISITS = "visits.jsonl"


class FolderTaken(GatewatchError):
    """A folder for a world holds something already."""


class Running(Protocol):
    """A world to measure in, of the full lab or the reduced one."""

    began: float
    "On the monotonic clock."

    def enter_vantage(self, network: str) -> Attach:
        """Make this process the machine at a vantage point; how it gets its sockets there."""
        ...

    def check(self) -> None:
        """
        Raises:
            WorldFailed: a process of it has ended.
        """
        ...


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """One world has been and gone."""

    scenario: str
    failure: str | None = None


Runner = Callable[[Scenario, Path], list[Visit]]
"""Runs one scenario in a folder."""


def run_world(
    scenario: Scenario, folder: Path, *, client: Client, seed: int, capture: bool
) -> list[Visit]:
    """Run one world and measure everything in it that the scenario expects.

    Raises:
        WorldFailed: a process of it ended before its time.
        CannotSeal: the system does not let us make it.
    """
    with World(scenario, folder, seed=seed, capture=capture) as world:
        return visits_in(world, scenario, folder, client=client)


def visits_in(world: Running, scenario: Scenario, folder: Path, *, client: Client) -> list[Visit]:
    """Measure everything that the scenario expects, all vantage points at a time.

    Raises:
        WorldFailed: a process of it ended before its time.
    """

    def visit(network: str) -> None:
        seat = seat_at(scenario, network, world.enter_vantage(network), folder / CA)
        visits = visit_all(scenario, network, folder, seat=seat, client=client, since=world.began)
        _visits(folder, network).write_bytes(msgspec.json.encode(visits))

    going = {spawn(lambda n=name: visit(n)): name for name in scenario.vantages}
    longest = max(sum(1 for _ in expected_on(scenario, n)) for n in scenario.vantages)
    _await(going, world, time.monotonic() + longest * client.most_s + VISIT_S)
    world.check()
    made = list[Visit]()
    for network in scenario.vantages:
        own = _visits(folder, network)
        made += msgspec.json.decode(own.read_bytes(), type=list[Visit])
        own.unlink()
    return made


def run_in_world(
    scenario: Scenario, folder: Path, network: str, command: list[str], *, seed: int, capture: bool
) -> int:
    """Run a command at a vantage point of one world; its exit status, 128 and more for a signal.

    Raises:
        WorldFailed, CannotSeal: as for `run_world`.
    """

    def call() -> int:
        for usual in IGNORED:
            signal.signal(usual, signal.SIG_DFL)
        seat = seat_at(scenario, network, world.enter_vantage(network), folder / CA)
        os.environ.update(environment_of(seat))
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # a socket of the host's would lead out
        try:
            os.execvp(command[0], command)
        except (OSError, ValueError) as error:
            print(f"{command[0]!r} cannot be run: {error}", file=sys.stderr)
            return 127

    with World(scenario, folder, seed=seed, capture=capture) as world:
        ended = _ended(spawn(call), world)
    return ended if ended >= 0 else 128 - ended


def _ended(pid: int, world: Running) -> int:
    """Wait for a process for as long as the world stands; its exit status.

    Raises:
        WorldFailed: the world ended first.
    """
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        world.check()
        time.sleep(0.02)
    return os.waitstatus_to_exitcode(found[1])


def _visits(folder: Path, network: str) -> Path:
    return folder / f"visits-{network}.json"


def _await(going: dict[int, str], world: Running, until: float) -> None:
    while going:
        for pid, network in list(going.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del going[pid]
                if status:
                    raise WorldFailed(f"the client in {network} ended with status {status}")
        if time.monotonic() > until:
            raise WorldFailed(f"the clients in {', '.join(going.values())} did not end")
        world.check()
        time.sleep(0.02)


def run_many(
    scenarios: Sequence[Scenario], folder: Path, run: Runner, tell: Tell, *, at_once: int
) -> None:
    """Run scenarios, each in its prepared `folder/ID`; `Ran` is told of each as it ends.

    Args:
        at_once: so many at a time.
    """
    waiting = list(scenarios)[::-1]
    going: dict[int, Scenario] = {}
    while waiting or going:
        while waiting and len(going) < at_once:
            scenario = waiting.pop()
            home = folder / scenario.id
            going[spawn(lambda s=scenario, h=home: _run(s, h, run))] = scenario
        pid, status = os.wait()
        if pid not in going:
            continue  # an orphan of a world: its first process adopts it
        scenario = going.pop(pid)
        failure = folder / scenario.id / "failure.txt"
        words = failure.read_text() if failure.exists() else f"ended with status {status}"
        ran = Ran(scenario=scenario.id, failure=words if status else None)
        tell(msgspec.to_builtins(ran))


def prepare(home: Path) -> None:
    """Make a world's folder; one that holds anything is somebody's and is left alone.

    Raises:
        FolderTaken: it is not empty.
    """
    home.mkdir(parents=True, exist_ok=True)
    if any(home.iterdir()):
        raise FolderTaken(f"{home} is not empty; remove it, or give another --folder")


def _run(scenario: Scenario, home: Path, run: Runner) -> int:
    try:
        visits = run(scenario, home)
    except Exception as error:  # noqa: BLE001 - told to whoever started the run, not lost
        (home / "failure.txt").write_text(f"{type(error).__name__}: {error}")
        return 1
    encoder = msgspec.json.Encoder()
    (home / VISITS).write_bytes(b"".join(encoder.encode(visit) + b"\n" for visit in visits))
    return 0
