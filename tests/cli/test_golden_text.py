"""The main views as people see them, 100 columns wide, over a world whose truth is known."""

from __future__ import annotations

from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
LATELY = ("--window", "8d")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("check", ("check", "signal.org", "-c", "IR", *LATELY)),
        ("check_insufficient", ("check", "rare.example", "-c", "IR", *LATELY)),
        ("check_everywhere", ("check", "signal.org", *LATELY)),
        ("country", ("country", "IR", *LATELY)),
        ("network", ("network", "AS64496", *LATELY)),
        ("site", ("site", "signal.org", *LATELY)),
        ("service", ("service", "chat", *LATELY)),
        ("explain", ("explain", "20260312_IR_3797bf08")),
        ("explain_cell", ("explain", "signal.org/IR/AS64496/2026-03-12")),
    ],
)
def test_a_view_reads_as_it_was_agreed(run, store, name, line):
    told = run(*line, "-f", "table").stdout.replace(str(store), "STORE")
    told = "\n".join(text.rstrip() for text in told.splitlines()) + "\n"
    assert told == (GOLDEN / f"{name}.txt").read_text("utf-8")
