"""Verdicts made by hand, and the cells that come of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache
from typing import Any

import duckdb
import narwhals as nw

from gatewatch.archive.arrow import from_table, schema_of, to_table
from gatewatch.cells.stage import cells
from gatewatch.model.outcome import Outcome
from gatewatch.model.verdict import Cell, Verdict

DAY = date(2024, 5, 6)


def verdict(outcome: Outcome | str = Outcome.OPEN, report: str = "a", **about: Any) -> Verdict:
    ordinary: dict[str, Any] = {
        "record_id": "r",
        "measurement_id": "m",
        "report_id": report,
        "test_name": "web_connectivity",
        "input": "https://site.example/",
        "target": "site.example",
        "domain": "site.example",
        "service": None,
        "probe_cc": "IR",
        "probe_asn": 64510,
        "probe_network": None,
        "resolver_asn": 64511,
        "measured_at": None,
        "day": DAY,
        "outcome": str(outcome),
        "reason": None,
        "mechanisms": [],
        "p_open": 0.25,
        "p_down": 0.25,
        "p_blocked": 0.25,
        "p_server_side": 0.25,
        "rules": [],
        "sentence": "",
        "wanted_controls": [],
        "pool_digest": "",
        "rules_version": "1",
        "refdata_version": "1",
    }
    return Verdict(**{**ordinary, **about})


def cells_of(verdicts: Iterable[Verdict]) -> list[Cell]:
    """The cells of these verdicts, counted by DuckDB."""
    frame = _connection().from_arrow(to_table(Verdict, list(verdicts)))
    return from_table(Cell, cells(nw.from_native(frame).lazy(), schema_of(Cell)))


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def cell_of(verdicts: Iterable[Verdict]) -> Cell:
    (cell,) = cells_of(verdicts)
    return cell


def reports(outcome: Outcome, count: int, name: str = "honest") -> list[Verdict]:
    """One measurement from each of so many reports."""
    return [verdict(outcome, f"{name} {outcome} {n}") for n in range(count)]
