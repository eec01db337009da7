"""Measurements as others read them: OONI's own `oonidata`, and our adapter."""

from __future__ import annotations

import atexit
import fcntl
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from gatewatch.flow.straight import Judged, judge_paths
from gatewatch.model.records import SetAside
from tests.judge.reading import observe, refdata

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "tests" / "probe" / "install-oonidata"
PLACE = ROOT / ".venv" / "oonidata"
READER = """
import json, sys
from oonidata.dataclient import load_measurement
for line in sys.stdin:
    try:
        found = load_measurement(msmt=json.loads(line))
        print(json.dumps([type(found).__name__, None]), flush=True)
    except Exception as error:
        print(json.dumps([None, f"{type(error).__name__}: {error}"]), flush=True)
"""


@cache
def python() -> Path:
    """The interpreter that has oonidata; it is installed where it is not yet."""
    PLACE.parent.mkdir(exist_ok=True)
    with PLACE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        subprocess.run([INSTALL, sys.executable, PLACE], check=True)
    return PLACE / "bin" / "python"


@cache
def reader() -> subprocess.Popen[str]:
    """oonidata at work, for as long as these tests run; to load it takes most of a second."""
    working = subprocess.Popen(
        [python(), "-c", READER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    atexit.register(working.communicate)
    return working


def loaded_by_oonidata(measurement: dict[str, Any]) -> tuple[str | None, str | None]:
    """The model that `load_measurement` makes of a measurement, or why it makes none."""
    working = reader()
    assert working.stdin is not None
    assert working.stdout is not None
    working.stdin.write(json.dumps(measurement) + "\n")
    made, error = json.loads(working.stdout.readline())
    return made, error


def assert_others_can_read(
    measurements: list[dict[str, Any]], tmp_path: Path, *, model: str | None = None
) -> None:
    """oonidata loads every one, as `model` where it is named; our own reader finds no flaw in
    any, sets none aside, and judges each.

    Args:
        model: oonidata's class; "BaseMeasurement" for tests that it does not know.
    """
    assert measurements
    for one in measurements:
        made, error = loaded_by_oonidata(one)
        assert error is None, (one["test_name"], one["input"], error)
        assert model in (None, made), (one["test_name"], made)
    for one in measurements:
        assert observe(one).measurement.flaws == [], one["input"]
    file = tmp_path / "measurements.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in measurements))
    judged = list(judge_paths([str(file)], refdata()))
    aside = [item for item in judged if isinstance(item, SetAside)]
    assert not aside, aside[:3]
    assert len([item for item in judged if isinstance(item, Judged)]) == len(measurements)
