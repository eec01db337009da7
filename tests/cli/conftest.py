"""A store that holds the small world of `tests.publish.world`, and a way to run commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gatewatch.cli.app import load
from tests.publish.world import RAW, RAW_SHA256, Names, known_world, tables_of

APP = load()
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from gatewatch.archive.store import Store

    folder = tmp_path_factory.mktemp("world")
    raw = folder / "march.jsonl"
    raw.write_bytes(RAW)
    made = Store.open(folder / "store", create=True)
    assert made.add_raw(raw, name="march.jsonl").sha256 == RAW_SHA256
    tables = tables_of(known_world())
    cells, verdicts = tables.pop("cells"), tables.pop("verdicts")
    made.commit("observations", RAW_SHA256, tables, {})
    made.commit("verdicts", RAW_SHA256, {"verdicts": verdicts}, {})
    made.commit("cells", "all", {"cells": cells}, {})
    return made.root


@pytest.fixture
def run(store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line over the small world, with its reference data."""

    def names(directory: Any = None) -> Names:
        return Names()

    monkeypatch.setattr("gatewatch.refdata.snapshot.load", names)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("GATEWATCH_STORE", str(store))
    monkeypatch.setenv("GATEWATCH_REFDATA", str(tmp_path / "refdata"))

    def go(*arguments: str, **more: Any) -> Result:
        return CliRunner().invoke(APP, list(arguments), prog_name="gatewatch", **more)

    return go
