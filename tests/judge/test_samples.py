"""Real measurements, where `GATEWATCH_SAMPLES` names a directory that holds them.

`ooni-qa/` are measurements of emulated networks with their truth in `truth.tsv`; `ooni-field/`
are odd ones from the field, whose truth is known only for the few that show interference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatewatch.model.mechanism import ALL
from tests.judge.reading import agrees, read

SAMPLES = Path(os.environ.get("GATEWATCH_SAMPLES", "/nonexistent"))
INTERFERENCE = {
    "web_connectivity_ir_fp",
    "20250527233111.802678_ID_webconnectivity_5a37ec909dbf14e3",
}
"Field samples that hold evidence of interference."


def _truth() -> list[tuple[Path, tuple[str, ...], tuple[str, ...]]]:
    table = SAMPLES / "ooni-qa" / "truth.tsv"
    rows = table.read_text("utf-8").splitlines() if table.exists() else []
    found = []
    for row in rows:
        if not row or row.startswith("#"):
            continue
        name, outcomes, mechanisms = (*row.split("\t"), "")[:3]
        wanted = tuple(m for m in mechanisms.split("|") if m)
        found.append((table.with_name(f"{name}.json"), tuple(outcomes.split("|")), wanted))
    return found


def _name(value: object) -> str:
    return value.stem if isinstance(value, Path) else ""


@pytest.mark.parametrize(("path", "outcomes", "mechanisms"), _truth(), ids=_name)
def test_a_measurement_of_an_emulated_network_finds_its_truth(path: Path, outcomes, mechanisms):
    found = read(path.read_bytes())
    assert agrees(found, outcomes, mechanisms), (found.outcome, found.reason, found.mechanisms)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("ooni-field/*.json")), ids=_name)
def test_an_odd_measurement_from_the_field_is_read_and_accuses_nobody(path: Path):
    found = read(path.read_bytes())
    assert set(found.mechanisms) <= ALL
    assert found.outcome != "blocked" or path.stem in INTERFERENCE
