"""Whatever ends a lab, nothing of it stays: no process, no namespace, no mount."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from gatewatch.lab.enclosure import Enclosure, Tell, spawn
from gatewatch.lab.world import World
from tests.lab.full import (
    WORLD,
    attend,
    become_ordinary,
    in_world,
    requires_full_lab,
    requires_root,
)
from tests.lab.hostile import HOSTILE
from tests.lab.talk import PATIENCE_S, stream
from tests.lab.worlds import SITE

param = pytest.param

RESOLV_CONF = Path("/etc/resolv.conf")

GONE_S = 5.0
"Within which all must be gone. It takes milliseconds; the machine may be busy."


class Started(NamedTuple):
    """A world whose client never ends, in a process group of its own."""

    pid: int
    "Of the process that started it and waits for it."
    life: int
    "At its end as soon as no process is left that has inherited the other end."
    news: int
    "What the client and its daemon say once they are at work."
    folder: Path

    def is_at_work(self) -> None:
        """Wait until the client and its daemon are."""
        said = b""
        while len(said) < 2:
            assert select.select([self.news], (), (), PATIENCE_S)[0], "they do not begin"
            words = os.read(self.news, 2)
            assert words, "they have ended"
            said += words

    def is_gone(self) -> bool:
        return bool(select.select([self.life], (), (), GONE_S)[0]) and not os.read(self.life, 1)


@contextmanager
def started(*, ordinary: bool = False) -> Iterator[Started]:
    requires_root()
    requires_full_lab()
    (life, held), (news, telling) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)

        def work(_: Tell) -> None:
            with World(HOSTILE, Path(name)) as world:
                attend(world, {"access": lambda w: linger(w, telling)})

        def starter() -> None:
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if ordinary:
                become_ordinary()
            with Enclosure(work) as enclosure:
                assert list(enclosure) == []

        pid = spawn(starter)
        os.close(held)
        os.close(telling)
        try:
            yield Started(pid, life, news, Path(name))
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(life)
            os.close(news)


def linger(world: World, telling: int) -> None:
    """Stay for ever, and leave a daemon that does all that daemons do in order to stay longer."""
    stream(SITE, 80).close()  # so all are at work
    (world.folder / "seen").write_text(RESOLV_CONF.read_text())
    between = os.fork()
    if between == 0:
        os.setsid()
        if os.fork() == 0:
            for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                signal.signal(ignored, signal.SIG_IGN)
            os.write(telling, b"d")
            os.closerange(0, 1024)
            while True:
                signal.pause()
        os._exit(0)
    os.waitpid(between, 0)
    os.write(telling, b"c")
    while True:
        signal.pause()


class Traces:
    """Processes and network namespaces of a tree, as the system knows them."""

    def __init__(self, root: int) -> None:
        there = processes()
        tree = [root]
        for pid in tree:
            tree += [child for child, stat in there.items() if stat.parent == pid]
        ours = os.stat("/proc/self/ns/net").st_ino
        self.processes = {(pid, there[pid].born) for pid in tree}
        self.namespaces = {inode for pid in tree for inode in namespaces_of(pid)} - {ours}
        self._latest = max(stat.born for stat in there.values())

    def left(self) -> tuple[set, set]:
        """What there still is of them.

        Whoever was born later cannot have inherited a namespace, but its own may have been given
        a number that was free again.
        """
        there = {(pid, stat.born) for pid, stat in processes().items()}
        old = [pid for pid, born in there if born <= self._latest]
        held = {inode for pid in old for inode in namespaces_of(pid)}
        return self.processes & there, self.namespaces & held


class Stat(NamedTuple):
    parent: int
    born: int
    "In clock ticks since the system began."


def processes() -> dict[int, Stat]:
    """All that run, by PID: from `/proc/PID/stat`, proc(5)."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, *more = stat.read_text().rpartition(")")[2].split()
            if state not in "ZX":
                found[int(stat.parent.name)] = Stat(int(parent), int(more[17]))
    return found


def namespaces_of(pid: int) -> Iterator[int]:
    """Network namespaces that a process is in or holds open."""
    for link in (Path(f"/proc/{pid}/ns/net"), *listed(Path(f"/proc/{pid}/fd"))):
        with suppress(OSError):
            kind, _, inode = os.readlink(link).partition(":")
            if kind == "net":
                yield int(inode.strip("[]"))


def listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def child_of(pid: int) -> int:
    (child,) = (child for child, stat in processes().items() if stat.parent == pid)
    return child


@pytest.mark.parametrize("ordinary", [param(False, id="root"), param(True, id="ordinary user")])
@pytest.mark.parametrize(
    "end",
    [
        param(lambda lab: os.kill(lab, signal.SIGKILL), id="kill -9"),
        param(lambda lab: os.kill(lab, signal.SIGTERM), id="kill"),
        param(lambda lab: os.killpg(lab, signal.SIGINT), id="Ctrl-C"),
        param(lambda lab: os.kill(child_of(lab), signal.SIGKILL), id="kill -9 of its child"),
        param(lambda lab: os.kill(child_of(child_of(lab)), signal.SIGKILL), id="and of that one's"),
    ],
)
def test_nothing_is_left_of_a_lab_whose_starter_has_ended(end, ordinary):
    """Not even a client's daemon, that has left its session, its files and its manners behind."""
    with started(ordinary=ordinary) as lab:
        lab.is_at_work()
        traces = Traces(lab.pid)
        assert len(traces.processes) == 7, "the starter, two of ours, router, hosts, client, daemon"
        assert len(traces.namespaces) >= 3, "of the machine, of the hosts, of the router"
        end(lab.pid)
        assert lab.is_gone()
        until = time.monotonic() + GONE_S
        while traces.left() != (set(), set()) and time.monotonic() < until:
            time.sleep(0.01)
        assert traces.left() == (set(), set())


@pytest.mark.parametrize("after_ms", [0, 2, 5, 10, 15, 20, 30, 40, 60, 100])
def test_nothing_is_left_of_a_lab_that_is_killed_while_it_starts(after_ms):
    with started() as lab:
        time.sleep(after_ms / 1000)
        os.kill(lab.pid, signal.SIGKILL)
        assert lab.is_gone()


def test_what_a_world_mounts_is_not_seen_by_the_host():
    before = mounts()
    with started() as lab:
        lab.is_at_work()
        during = mounts()
        seen = (lab.folder / "seen").read_text()
    assert seen == "nameserver 8.8.8.8\noptions timeout:2 attempts:2\n"
    assert before == during == mounts()


def mounts() -> tuple[str, str]:
    return Path("/proc/self/mountinfo").read_text(), RESOLV_CONF.read_text()


def test_what_a_machine_has_in_place_of_its_files_is_not_seen_by_others_of_its_world():
    furnished, furnishing = os.pipe()

    def machine(_: World) -> str:
        seen = RESOLV_CONF.read_text()
        os.write(furnishing, b"!")
        return seen

    def other(_: World) -> str:
        os.read(furnished, 1)
        return RESOLV_CONF.read_text()

    seen = in_world(HOSTILE, {"access": machine, WORLD: other}).results
    assert seen["access"] != seen[WORLD] == RESOLV_CONF.read_text()
