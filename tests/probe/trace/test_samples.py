"""Real captures, where `GATEWATCH_SAMPLES` names a directory that holds them.

`pcaps/` are sweeps of CenTrace from 2022, two for each server: a name and `example.com`. Its
`truth.tsv` tells what was read from them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.trace import Pair, faults, pairs

SAMPLES = Path(os.environ.get("GATEWATCH_SAMPLES", "/nonexistent"))


def _name(pair: Pair) -> str:
    return f"{pair.server} {pair.name}"


@pytest.mark.parametrize("pair", pairs(SAMPLES / "pcaps"), ids=_name)
@pytest.mark.parametrize("with_control", [True, False], ids=["control", "alone"])
def test_a_real_capture_is_read_as_it_is_known(pair: Pair, with_control: bool):
    assert faults(pair, with_control=with_control) == []


@pytest.mark.parametrize("pair", pairs(SAMPLES / "pcaps"), ids=_name)
def test_a_control_accuses_nobody(pair: Pair):
    assert faults(pair.reversed(), with_control=False) == []
