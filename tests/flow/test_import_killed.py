"""An import may be killed at any instant: the next one ends where an undisturbed one would."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewatch.archive.store import Store
from gatewatch.simulate.world import write_world

KILLS = 20
IMPORT = "import sys; from gatewatch.cli.app import main; sys.argv = ['gatewatch', *{}]; main()"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data")
    now = datetime(2026, 3, 11, tzinfo=UTC)
    write_world(out, seed=3, days=2, measurements_per_day=100, now=now)
    return out / "raw"


def start(files: list[Path], store: Path) -> subprocess.Popen[bytes]:
    arguments = ["import", *map(str, files), "--store", str(store), "-q"]
    command = [sys.executable, "-c", IMPORT.format(arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_killed_twenty_times_it_ends_where_an_undisturbed_import_does(data: Path, tmp_path: Path):
    files = sorted(data.rglob("*.gz"))
    share = [files[: 1 + len(files) * n // KILLS] for n in range(KILLS)]
    began = time.monotonic()
    assert start(share[0], tmp_path / "timed").wait() in (0, 5)
    took = time.monotonic() - began
    assert start(files, tmp_path / "whole").wait() in (0, 5)

    rng = random.Random(6)
    killed = 0
    for more in share:  # every run has something new to do, and little time for it
        run = start(more, tmp_path / "killed")
        try:
            run.wait(rng.uniform(0.2, 0.95) * took)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            killed += 1
    assert killed > KILLS // 2, "the kills came too late to test anything"
    assert start(files, tmp_path / "killed").wait() in (0, 5)

    whole, again = (Store.open(tmp_path / name) for name in ("whole", "killed"))
    assert again.logical_digest() == whole.logical_digest()
    assert whole.database().execute("select count(*) from verdicts").fetchone() != (0,)
