"""A store is whole after a kill at any instant, and the same work done again completes it."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatewatch.archive.store import Store
from gatewatch.model.errors import GatewatchError
from gatewatch.model.tables import TABLES
from tests.archive.rows import aside, connect, measurement, tables

KEYS = [f"k{number}" for number in range(6)]


def work(root: Path) -> Store:
    """Some of everything that writes: raw files, commits, replacements, parts."""
    store = Store.open(root, create=True)
    for number, key in enumerate(KEYS):
        store.add_raw(io.BytesIO(key.encode() * 50_000), name=key)
        with store.lock():
            for tries in range(2):
                rows = [measurement(f"{key}{n}", offset=n) for n in range(3 + tries)]
                with store.writer("observations", key) as writer:
                    for port in range(2):
                        given = tables(measurements=rows[port::2], connects=[connect(key, port)])
                        for name, table in given.items():
                            writer.write(name, table)
                    writer.commit({"number": number, "tries": tries})
            store.commit("verdicts", key, tables(set_aside=[aside(number)]), {})
    store.commit("cells", "all", tables(cells=[]), {"keys": len(KEYS)})
    return store


def check(root: Path) -> None:
    """Whatever has happened, a reader sees whole commits only."""
    try:
        store = Store.open(root)
    except GatewatchError:
        assert not (root / "gatewatch-store.json").exists()
        return
    for raw in store.raw_files():
        assert store.raw_path(raw.sha256).stat().st_size == raw.bytes
    for key in store.keys("observations"):
        facts = store.facts("observations", key)
        assert facts is not None
        assert store.read("observations", key, "measurements").num_rows == 3 + facts["tries"]
        assert store.read("observations", key, "connects")["port"].to_pylist() == [0, 1]
    assert all(path.exists() for table in TABLES for path in store.files(table))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> str:
    return work(tmp_path_factory.mktemp("whole") / "store").logical_digest()


CHILD = """
import sys
from pathlib import Path
from tests.archive.test_crash import work
print("ready", flush=True)
work(Path(sys.argv[1]))
print("done", flush=True)
"""


def test_twenty_kills_at_random_instants_change_nothing_in_the_end(tmp_path, undisturbed):
    chance, root = random.Random(20), tmp_path / "store"
    started = time.monotonic()
    work(tmp_path / "timing")
    usual = time.monotonic() - started
    kills = 0
    for _ in range(20):
        # Killed in the middle of things, wherever the last one stopped; a fifth start afresh.
        if chance.random() < 0.2:
            root = tmp_path / f"store{kills}"
        command = [sys.executable, "-c", CHILD, str(root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(chance.random() * usual)
            child.send_signal(signal.SIGKILL)
            kills += child.wait() == -signal.SIGKILL
        check(root)
    assert kills > 10
    assert work(root).logical_digest() == undisturbed
    with Store.open(root).lock():
        assert leftovers(root) == set()


def leftovers(root: Path) -> set[str]:
    store = Store.open(root)
    counted = {path for table in TABLES for path in store.files(table)}
    there = {path for path in (root / "tables").rglob("*") if path.is_file()}
    return {str(path) for path in there - counted} | set(os.listdir(root / "pending"))


STEPS = ("fsync", "replace", "unlink", "mkdir")


def steps_taken(root: Path, *, before_end: int | None = None) -> int:
    """Do the work in a process of its own, which ends at once at the given step.

    Returns:
        How many steps it took; nothing of it is tidied up, as after a cut of power.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        reached = 0
        for name in STEPS:
            real = getattr(os, name)

            def stop(*args, real=real, **options):
                nonlocal reached
                if reached == before_end:
                    os._exit(1)
                reached += 1
                os.write(writing, b".")
                return real(*args, **options)

            setattr(os, name, stop)
        try:
            few(root)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        taken = len(pipe.read())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (before_end is not None)
    return taken


def few(root: Path) -> Store:
    """The shortest work that takes every path: first and second commit, raw file, clearing."""
    store = Store.open(root, create=True)
    store.add_raw(io.BytesIO(b"raw"), name="raw")
    for port in range(2):
        given = tables(connects=[connect("a", port)], set_aside=[aside(port)])
        store.commit("observations", "k", given, {"port": port})
    store.commit("verdicts", "k", {}, {})
    return store


def test_an_interruption_at_every_single_step_changes_nothing_in_the_end(tmp_path):
    whole = few(tmp_path / "whole").logical_digest()
    steps = steps_taken(tmp_path / "counted")
    assert steps > 30
    for step in range(steps):
        root = tmp_path / str(step)
        assert steps_taken(root, before_end=step) == step
        if (root / "gatewatch-store.json").exists():
            store = Store.open(root)
            facts = store.facts("observations", "k")
            if facts:
                read = store.read("observations", "k", "connects")
                assert read["port"].to_pylist() == [facts["port"]]
                assert store.read("observations", "k", "set_aside").num_rows == 1
        assert few(root).logical_digest() == whole, f"after step {step}"
        with Store.open(root).lock():
            assert leftovers(root) == set(), f"after step {step}"
