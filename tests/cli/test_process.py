"""The program as a process: start-up, pipes, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from threading import Timer

import pytest

GATEWATCH = [sys.executable, "-c", "from gatewatch.cli.app import main; main()"]


def test_version_loads_no_engine():
    listed = (
        "import sys; from gatewatch.cli.app import load; load(['version']); print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", listed], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"duckdb", "pyarrow", "numpy", "scipy", "hyperscan", "narwhals", "rich.table"}
    assert heavy & set(loaded) == set()


def test_version_answers():
    done = subprocess.run([*GATEWATCH, "version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("gatewatch ")
    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="there is no SIGPIPE here")
def test_a_reader_that_has_seen_enough_ends_it_in_silence():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*GATEWATCH, "rules"], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(writer)
    assert done.returncode == -signal.SIGPIPE
    assert done.stderr == b""


def test_a_live_stream_is_judged_line_by_line_and_an_interrupt_is_130():
    process = subprocess.Popen(
        [*GATEWATCH, "judge", "-", "--jsonl", "-q"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    watchdog = Timer(60, process.kill)
    watchdog.start()
    try:
        # Longer than what is looked at first to tell what kind of stream it is.
        line = b'{"x": "' + b"x" * 8000 + b'"}'
        process.stdin.write(line + b"\n")
        process.stdin.flush()
        first = json.loads(process.stdout.readline())
        assert first["source"] == {"file": "-", "line": 1, "offset": 0, "length": len(line)}
        assert set(first["error"]) == {"where", "field", "got", "want"}
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        told = process.stderr.read()
        assert b"Traceback" not in told
        assert told.count(b"\n") <= 1
    finally:
        watchdog.cancel()
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.stderr.close()
