"""Raw files observed and judged in batches, each committed whole: the step that reads bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec

from gatewatch.archive.reader import read_records
from gatewatch.archive.store import Store
from gatewatch.flow.progress import Progress, ProgressTo
from gatewatch.judge.pool import Pool
from gatewatch.judge.rules import RULES_VERSION
from gatewatch.judge.verdict import judge
from gatewatch.model.records import Observed, SetAside
from gatewatch.model.verdict import Verdict
from gatewatch.observe.lens import RefDataLens
from gatewatch.observe.stage import observe
from gatewatch.refdata.snapshot import RefData

BATCH_ROWS = 2_000
"Measurements written at a time: enough for good column chunks, little enough for memory."

BATCH_BYTES, BATCH_FILES = 32 << 20, 2_000
"Raw bytes, and raw files, whose tables are written together; as much as one process takes on."

PARALLEL_FROM = 16 << 20
"Bytes of raw files below which starting processes costs more than it saves."


class Batch(msgspec.Struct, frozen=True):
    """Raw files whose tables are written together: small files would cost more in fsync than
    in reading. How files fall into batches never shows in what the tables say."""

    key: str
    raw: list[str]
    "SHA-256 of each, sorted."
    bytes: int


def _missing_batches(store: Store, refdata: RefData) -> list[Batch]:
    """What is to be observed: batches made under other reference data, and files in none."""
    sizes = {raw.sha256: raw.bytes for raw in store.raw_files()}
    batches: list[Batch] = []
    for key in store.keys("observations"):
        facts = store.facts("observations", key) or {}
        raw = facts["raw"]
        current = facts["refdata"] == refdata.version and store.facts("verdicts", key) is not None
        if not current:
            batches.append(Batch(key, raw, sum(sizes.get(sha256, 0) for sha256 in raw)))
        for sha256 in raw:
            sizes.pop(sha256, None)
    group, size = list[str](), 0
    for sha256 in sorted(sizes):
        group.append(sha256)
        size += sizes[sha256]
        if size >= BATCH_BYTES or len(group) >= BATCH_FILES:
            batches.append(_new_batch(group, size))
            group, size = [], 0
    return batches + ([_new_batch(group, size)] if group else [])


def _new_batch(raw: list[str], size: int) -> Batch:
    return Batch(blake2b("\n".join(raw).encode(), digest_size=16).hexdigest(), raw, size)


class Counts(msgspec.Struct):
    """What became of the records of some raw files."""

    measurements: int = 0
    duplicates: int = 0
    set_aside: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.measurements + other.measurements,
            self.duplicates + other.duplicates,
            self.set_aside + other.set_aside,
        )


def observe_missing(store: Store, refdata: RefData, workers: int, progress: ProgressTo) -> Counts:
    """Observe and judge the raw files that have not been, under this reference data."""
    batches = _missing_batches(store, refdata)
    total = sum(batch.bytes for batch in batches)
    done, counted = 0, Counts()
    for batch, counts in _observed(
        store, batches, refdata, workers if total > PARALLEL_FROM else 1
    ):
        done, counted = done + batch.bytes, counted + counts
        progress(Progress("observe", done, total, counted.measurements, counted.set_aside))
    return counted


def _observed(
    store: Store, batches: list[Batch], refdata: RefData, workers: int
) -> Iterator[tuple[Batch, Counts]]:
    if workers <= 1 or len(batches) <= 1:
        for batch in batches:
            yield batch, observe_batch(store, batch, refdata)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        jobs = [executor.submit(_observe_in, store.root, batch, refdata) for batch in batches]
        for batch, job in zip(batches, jobs, strict=True):
            yield batch, job.result()


def _observe_in(root: Path, batch: Batch, refdata: RefData) -> Counts:
    """The same in another process, which opens the store for itself."""
    return observe_batch(Store.open(root), batch, refdata)


def observe_batch(store: Store, batch: Batch, refdata: RefData) -> Counts:
    """Observe and judge some raw files, and commit both.

    Measurements are judged by their own controls; `rejudge` lends them others'. Equal bytes
    are read once a batch; the views see to equal bytes in different batches.
    """
    tables, counts = _Tables(), Counts()
    wanted, seen = set[str](), set[str]()
    lens = RefDataLens(refdata)
    with (
        store.writer("observations", batch.key) as observations,
        store.writer("verdicts", batch.key) as verdicts,
    ):
        records = (
            record
            for sha256 in batch.raw
            for record in read_records(store.raw_path(sha256), file=sha256)
        )
        for item in observe(records, lens):
            if isinstance(item, SetAside):
                counts.set_aside += 1
                tables.rows["set_aside"].append(item)
                continue
            observed = item[1]
            if observed.measurement.record_id in seen:
                counts.duplicates += 1
                continue
            seen.add(observed.measurement.record_id)
            counts.measurements += 1
            verdict = judge(observed, refdata)
            wanted.update(verdict.wanted_controls)
            tables.add(observed, verdict)
            if counts.measurements % BATCH_ROWS == 0:
                tables.write(observations, verdicts)
        tables.write(observations, verdicts)
        facts = msgspec.structs.asdict(counts)
        observations.commit({"refdata": refdata.version, "raw": batch.raw, **facts})
        verdicts.commit(verdict_facts(refdata, wanted, Pool()))
    return counts


class _Tables:
    """Rows gathered for the tables of one raw file, written in batches."""

    def __init__(self) -> None:
        names = "measurements lookups connects handshakes exchanges findings".split()
        names += ["set_aside", "verdicts"]
        self.rows: dict[str, list[Any]] = {name: [] for name in names}

    def add(self, observed: Observed, verdict: Verdict) -> None:
        rows = self.rows
        rows["measurements"].append(observed.measurement)
        rows["lookups"] += observed.lookups
        rows["connects"] += observed.connects
        rows["handshakes"] += observed.handshakes
        rows["exchanges"] += observed.exchanges
        rows["findings"] += observed.findings
        rows["verdicts"].append(verdict)

    def write(self, observations: Any, verdicts: Any) -> None:
        from gatewatch.archive.arrow import to_table
        from gatewatch.model.tables import TABLES

        for name, rows in self.rows.items():
            if rows:
                writer = verdicts if name == "verdicts" else observations
                writer.write(name, to_table(TABLES[name].noun, rows))
                rows.clear()


def verdict_facts(refdata: RefData, wanted: Iterable[str], pool: Pool) -> dict[str, Any]:
    wanted = sorted(wanted)
    return {
        "rules": RULES_VERSION,
        "refdata": refdata.version,
        "wanted": wanted,
        "pool": pool.digest(wanted),
    }
