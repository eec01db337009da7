"""Files into a store, and every table up to date: the two things a user asks for."""

from __future__ import annotations

from hashlib import blake2b
from time import monotonic
from typing import Any, BinaryIO

import msgspec

from gatewatch.archive.incoming import take_in
from gatewatch.archive.reader import find_inputs
from gatewatch.archive.store import Store
from gatewatch.flow.batches import observe_missing, verdict_facts
from gatewatch.flow.progress import Progress, ProgressTo, silent
from gatewatch.flow.rejudge import judge_again, pool_of
from gatewatch.refdata.snapshot import RefData


class ImportSummary(msgspec.Struct, frozen=True, kw_only=True):
    files: int
    "Files given."
    unreadable: list[str]
    "Of these, files that could not be opened, each with the system's reason."
    files_new: int
    "Of these, files whose bytes the store did not have."
    bytes: int
    "Bytes of the new files."
    measurements: int
    "Measurements read, also of files that an earlier run took in and did not come to read."
    duplicates: int
    "Records met again, byte for byte; they count once."
    set_aside: int
    "Records that could not be read."
    verdicts: int
    "Measurements judged or judged again."
    seconds: float


class AnalyzeSummary(msgspec.Struct, frozen=True, kw_only=True):
    verdicts: int
    "Measurements judged again."
    cells: int
    "Cells counted again; 0 when they were current."
    seconds: float


def import_paths(
    store: Store,
    inputs: list[str],
    refdata: RefData,
    *,
    stdin: BinaryIO | None = None,
    workers: int = 1,
    progress: ProgressTo = silent,
) -> ImportSummary:
    """Bring files into the store and every table up to date.

    Safe to kill at any instant and to run again: a raw file is in the store whole or not at
    all, its observations and verdicts likewise, and whatever is missing is made on the next run.
    """
    started = monotonic()
    with store.lock():
        take_in(store)
        taken: list[Any] = []
        unreadable: list[str] = []
        if stdin is not None:
            taken.append(store.add_raw(stdin, name="-"))
        for path in find_inputs(inputs) if inputs else []:
            try:
                taken.append(store.add_raw(path, name=str(path)))
            except (PermissionError, FileNotFoundError, IsADirectoryError) as error:
                unreadable.append(f"{path}: {error.strerror}")
        new = [raw for raw in taken if raw.new]
        counts = observe_missing(store, refdata, workers, progress)
        analyzed = _analyze(store, refdata, progress)
    return ImportSummary(
        files=len(taken) + len(unreadable),
        unreadable=unreadable,
        files_new=len(new),
        bytes=sum(raw.bytes for raw in new),
        measurements=counts.measurements,
        duplicates=counts.duplicates,
        set_aside=counts.set_aside,
        verdicts=counts.measurements + analyzed.verdicts,
        seconds=monotonic() - started,
    )


def analyze(
    store: Store, refdata: RefData, *, workers: int = 1, progress: ProgressTo = silent
) -> AnalyzeSummary:
    """Judge what was submitted since, and redo what new rules or reference data call for.

    New rules read observations; new fingerprints read the raw bytes again, for a body is kept
    nowhere else.
    """
    started = monotonic()
    with store.lock():
        take_in(store)
        counts = observe_missing(store, refdata, workers, progress)
        analyzed = _analyze(store, refdata, progress)
    return AnalyzeSummary(
        verdicts=counts.measurements + analyzed.verdicts,
        cells=analyzed.cells,
        seconds=monotonic() - started,
    )


def _analyze(store: Store, refdata: RefData, progress: ProgressTo) -> AnalyzeSummary:
    """Bring verdicts up to date with rules and lent controls, then the cells."""
    pool = pool_of(store)
    verdicts = cells = 0
    for key in store.keys("observations"):
        facts = store.facts("verdicts", key) or {}
        if facts != verdict_facts(refdata, facts.get("wanted", ()), pool):
            verdicts += judge_again(store, key, refdata, pool)
            progress(Progress("judge", 0, None, verdicts, 0))
    if not _cells_are_current(store):
        cells = _count(store)
        progress(Progress("cells", 0, None, cells, 0))
    return AnalyzeSummary(verdicts=verdicts, cells=cells, seconds=0.0)


def _cells_are_current(store: Store) -> bool:
    return (store.facts("cells", "all") or {}).get("of") == _verdicts_digest(store)


def _verdicts_digest(store: Store) -> str:
    """What the cells were counted from: which files, under which rules and lent controls."""
    facts = [(key, store.facts("verdicts", key)) for key in store.keys("verdicts")]
    return blake2b(msgspec.json.encode(facts, order="sorted"), digest_size=16).hexdigest()


def _count(store: Store) -> int:
    import narwhals as nw

    from gatewatch.archive.arrow import schema_of
    from gatewatch.cells.stage import cells
    from gatewatch.model.verdict import Cell

    verdicts = store.database().table("verdicts")
    table = cells(nw.from_native(verdicts).lazy(), schema_of(Cell))
    store.commit("cells", "all", {"cells": table}, {"of": _verdicts_digest(store)})
    return table.num_rows
