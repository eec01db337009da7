"""Clients at work in worlds: each world once, with all its clients at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.clients.cases import Target, target_of
from gatewatch.lab.enclosure import Enclosure, spawn
from gatewatch.lab.runs import Ran, run_many
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.visits import Visit
from gatewatch.lab.world import World

Client = Callable[[Target, Path], str]
"""What a client shows of a target, in words; the folder is its world's."""


class ClientFailed(RuntimeError):
    """A client, or the world around it, did not get as far as showing something."""


def visit_worlds(
    scenarios: Sequence[Scenario],
    folder: Path,
    clients: Mapping[str, Client],
    *,
    at_once: int,
) -> Iterator[str]:
    """Visit scenarios, some at a time; yields the id of each as it ends.

    What was shown is for `shown_in` to read, from the same folder.

    Raises:
        ClientFailed: there is nothing to be read.
        CannotSeal: the system does not let us make worlds.
    """

    def work(tell: Callable[[object], None]) -> None:
        run_many(scenarios, folder, lambda s, home: _visit(s, home, clients), tell, at_once=at_once)

    with Enclosure(work) as enclosure:
        for message in enclosure:
            ran = msgspec.convert(message, Ran)
            if ran.failure is not None:
                raise ClientFailed(f"{ran.scenario}: {ran.failure}")
            yield ran.scenario
        if enclosure.wait() != 0:
            raise ClientFailed(f"the worlds ended with status {enclosure.status}")


def shown_in(folder: Path, scenario: Scenario, client: str) -> str:
    return _words(folder / scenario.id, client).read_text()


def _words(home: Path, client: str) -> Path:
    return home / f"{client}.txt"


def _visit(scenario: Scenario, home: Path, clients: Mapping[str, Client]) -> list[Visit]:
    """Runs one world; nothing is measured in it, so there are no visits of the lab's own kind."""
    target = target_of(scenario)

    def show(name: str, client: Client) -> None:
        _words(home, name).write_text(client(target, home))

    with World(scenario, home) as world:

        def show_all() -> None:
            world.enter_vantage(scenario.vantages[0])
            going = {spawn(lambda n=n, c=c: show(n, c)): n for n, c in clients.items()}
            for pid, name in going.items():
                if os.waitpid(pid, 0)[1] != 0:
                    raise ClientFailed(f"{scenario.id}: {name} showed nothing")

        if os.waitpid(spawn(show_all), 0)[1] != 0:
            raise ClientFailed("a client showed nothing")
        world.check()
    return []
