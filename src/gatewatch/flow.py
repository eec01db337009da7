"""The stages run in order: files in, verdicts out; with a store, or straight through.

This is the one place where the rooms meet. It decides nothing about a measurement: it hands
the output of one room to the next, writes what they say, and keeps count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from gatewatch.archive.reader import find_inputs, read_records
from gatewatch.judge.pool import Pool, Voice, voice_of
from gatewatch.judge.rules import RULES_VERSION
from gatewatch.judge.verdict import judge
from gatewatch.model.records import Measurement, Observed, SetAside, Source
from gatewatch.model.verdict import Verdict
from gatewatch.observe.lens import RefDataLens
from gatewatch.observe.stage import observe
from gatewatch.refdata.snapshot import RefData

if TYPE_CHECKING:
    from gatewatch.archive.store import Store

BATCH_ROWS = 2_000
"Measurements written at a time: enough for good column chunks, little enough for memory."

BATCH_BYTES, BATCH_FILES = 32 << 20, 2_000
"Raw bytes, and raw files, whose tables are written together; as much as one process takes on."

WAITING = 50_000
"Measurements that may wait for other measurements' controls; later ones are judged alone."

PARALLEL_FROM = 16 << 20
"Bytes of raw files below which starting processes costs more than it saves."


class Progress(msgspec.Struct, frozen=True):
    stage: str
    done_bytes: int
    total_bytes: int | None
    records: int
    set_aside: int


class Judged(msgspec.Struct, frozen=True):
    source: Source
    verdict: Verdict


class ImportSummary(msgspec.Struct, frozen=True, kw_only=True):
    files: int
    "Files given."
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


ProgressTo = Callable[[Progress], None]


def _silent(progress: Progress) -> None:
    del progress


# -- without a store -------------------------------------------------------------------------


def judge_paths(
    inputs: list[str],
    refdata: RefData,
    *,
    stdin: BinaryIO | None = None,
    progress: ProgressTo = _silent,
) -> Iterator[Judged | SetAside]:
    """Judge every record of files, or of standard input as it arrives.

    Of files, the few measurements that need other measurements' controls come last, when all
    controls have been seen; everything else comes at once and in order. What comes from
    standard input is judged by itself, for it may never end.
    """
    lens = RefDataLens(refdata)
    if stdin is not None:
        for item in observe(read_records(stdin, file="-"), lens):
            yield item if isinstance(item, SetAside) else _judged(item[1], judge(item[1], refdata))
        return
    pool, waiting = Pool(), list[Observed]()
    paths = find_inputs(inputs)
    sizes = [path.stat().st_size for path in paths]
    records = set_aside = 0
    for number, path in enumerate(paths):
        for item in observe(read_records(path, file=str(path)), lens):
            if isinstance(item, SetAside):
                set_aside += 1
                yield item
                continue
            records += 1
            observed = item[1]
            voice = voice_of(observed)
            if voice is not None:
                pool.add(voice)
            verdict = judge(observed, refdata)
            if verdict.wanted_controls and len(waiting) < WAITING:
                waiting.append(observed)
            else:
                yield _judged(observed, verdict)
            if records % 1000 == 0:
                progress(Progress("judge", sum(sizes[:number]), sum(sizes), records, set_aside))
    progress(Progress("judge", sum(sizes), sum(sizes), records, set_aside))
    for observed in waiting:
        yield _judged(observed, judge(observed, refdata, pool))


def _judged(observed: Observed, verdict: Verdict) -> Judged:
    return Judged(source_of(observed.measurement), verdict)


def source_of(measurement: Measurement) -> Source:
    member = measurement.source_member
    return Source(
        file=measurement.source_file if member is None else f"{measurement.source_file}!{member}",
        line=measurement.source_line,
        offset=measurement.source_offset,
        length=measurement.source_length,
    )


# -- with a store ----------------------------------------------------------------------------


def import_paths(
    store: Store,
    inputs: list[str],
    refdata: RefData,
    *,
    stdin: BinaryIO | None = None,
    workers: int = 1,
    progress: ProgressTo = _silent,
) -> ImportSummary:
    """Bring files into the store and every table up to date.

    Safe to kill at any instant and to run again: a raw file is in the store whole or not at
    all, its observations and verdicts likewise, and whatever is missing is made on the next run.
    """
    started = monotonic()
    with store.lock():
        new: list[Any] = []
        files = 0
        if stdin is not None:
            files += 1
            new += [raw for raw in [store.add_raw(stdin, name="-")] if raw.new]
        for path in find_inputs(inputs) if inputs else []:
            files += 1
            new += [raw for raw in [store.add_raw(path, name=str(path))] if raw.new]
        counts = _observe_missing(store, refdata, workers, progress)
        analyzed = _analyze(store, refdata, progress)
    return ImportSummary(
        files=files,
        files_new=len(new),
        bytes=sum(raw.bytes for raw in new),
        measurements=counts.measurements,
        duplicates=counts.duplicates,
        set_aside=counts.set_aside,
        verdicts=counts.measurements + analyzed.verdicts,
        seconds=monotonic() - started,
    )


def analyze(
    store: Store, refdata: RefData, *, workers: int = 1, progress: ProgressTo = _silent
) -> AnalyzeSummary:
    """Redo what a change of rules or reference data calls for, and nothing else.

    New rules read observations; new fingerprints read the raw bytes again, for a body is kept
    nowhere else.
    """
    started = monotonic()
    with store.lock():
        counts = _observe_missing(store, refdata, workers, progress)
        analyzed = _analyze(store, refdata, progress)
    return AnalyzeSummary(
        verdicts=counts.measurements + analyzed.verdicts,
        cells=analyzed.cells,
        seconds=monotonic() - started,
    )


class _Batch(msgspec.Struct, frozen=True):
    """Raw files whose tables are written together: small files would cost more in fsync than
    in reading. How files fall into batches never shows in what the tables say."""

    key: str
    raw: list[str]
    "SHA-256 of each, sorted."
    bytes: int


def _missing_batches(store: Store, refdata: RefData) -> list[_Batch]:
    """What is to be observed: batches made under other reference data, and files in none."""
    sizes = {raw.sha256: raw.bytes for raw in store.raw_files()}
    batches: list[_Batch] = []
    for key in store.keys("observations"):
        facts = store.facts("observations", key) or {}
        raw = facts["raw"]
        current = facts["refdata"] == refdata.version and store.facts("verdicts", key) is not None
        if not current:
            batches.append(_Batch(key, raw, sum(sizes.get(sha256, 0) for sha256 in raw)))
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


def _new_batch(raw: list[str], size: int) -> _Batch:
    return _Batch(blake2b("\n".join(raw).encode(), digest_size=16).hexdigest(), raw, size)


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


def _observe_missing(store: Store, refdata: RefData, workers: int, progress: ProgressTo) -> Counts:
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
    store: Store, batches: list[_Batch], refdata: RefData, workers: int
) -> Iterator[tuple[_Batch, Counts]]:
    if workers <= 1 or len(batches) <= 1:
        for batch in batches:
            yield batch, observe_batch(store, batch, refdata)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        jobs = [executor.submit(_observe_in, store.root, batch, refdata) for batch in batches]
        for batch, job in zip(batches, jobs, strict=True):
            yield batch, job.result()


def _observe_in(root: Path, batch: _Batch, refdata: RefData) -> Counts:
    """The same in another process, which opens the store for itself."""
    from gatewatch.archive.store import Store

    return observe_batch(Store.open(root), batch, refdata)


def observe_batch(store: Store, batch: _Batch, refdata: RefData) -> Counts:
    """Observe and judge some raw files, and commit both.

    Measurements are judged by their own controls; `_analyze` lends them others'. Equal bytes
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
        verdicts.commit(_verdict_facts(refdata, wanted, Pool()))
    return counts


class _Tables:
    """Rows gathered for the tables of one raw file, written in batches."""

    def __init__(self) -> None:
        names = "measurements lookups connects handshakes exchanges set_aside verdicts".split()
        self.rows: dict[str, list[Any]] = {name: [] for name in names}

    def add(self, observed: Observed, verdict: Verdict) -> None:
        rows = self.rows
        rows["measurements"].append(observed.measurement)
        rows["lookups"] += observed.lookups
        rows["connects"] += observed.connects
        rows["handshakes"] += observed.handshakes
        rows["exchanges"] += observed.exchanges
        rows["verdicts"].append(verdict)

    def write(self, observations: Any, verdicts: Any) -> None:
        from gatewatch.archive.arrow import to_table
        from gatewatch.model.tables import TABLES

        for name, rows in self.rows.items():
            if rows:
                writer = verdicts if name == "verdicts" else observations
                writer.write(name, to_table(TABLES[name].noun, rows))
                rows.clear()


def _verdict_facts(refdata: RefData, wanted: Iterable[str], pool: Pool) -> dict[str, Any]:
    hosts = sorted(wanted)
    return {
        "rules": RULES_VERSION,
        "refdata": refdata.version,
        "wanted": hosts,
        "pool": pool.digest(hosts),
    }


def _analyze(store: Store, refdata: RefData, progress: ProgressTo) -> AnalyzeSummary:
    """Bring verdicts up to date with rules and lent controls, then the cells."""
    pool = _pool(store)
    verdicts = cells = 0
    for key in store.keys("observations"):
        facts = store.facts("verdicts", key) or {}
        if facts != _verdict_facts(refdata, facts.get("wanted", ()), pool):
            verdicts += _judge_again(store, key, refdata, pool)
            progress(Progress("judge", 0, None, verdicts, 0))
    if not _cells_are_current(store):
        cells = _count(store)
        progress(Progress("cells", 0, None, cells, 0))
    return AnalyzeSummary(verdicts=verdicts, cells=cells, seconds=0.0)


def _judge_again(store: Store, key: str, refdata: RefData, pool: Pool) -> int:
    """Judge what a change bears on: all of a batch under new rules, else who asked the pool."""
    from gatewatch.archive.arrow import from_table, to_table

    facts = store.facts("verdicts", key)
    verdicts: dict[str, Verdict] = {}
    asked: set[str] | None = None
    if facts and (facts["rules"], facts["refdata"]) == (RULES_VERSION, refdata.version):
        old: list[Verdict] = from_table(Verdict, store.read("verdicts", key, "verdicts"))
        verdicts = {verdict.record_id: verdict for verdict in old}
        asked = {verdict.record_id for verdict in old if verdict.wanted_controls}
    again = [judge(observed, refdata, pool) for observed in observed_in(store, key, asked)]
    verdicts.update((verdict.record_id, verdict) for verdict in again)
    wanted = {host for verdict in verdicts.values() for host in verdict.wanted_controls}
    table = to_table(Verdict, list(verdicts.values()))
    store.commit("verdicts", key, {"verdicts": table}, _verdict_facts(refdata, wanted, pool))
    return len(again)


def observed_in(store: Store, key: str, only: set[str] | None = None) -> Iterator[Observed]:
    """The observations of one batch, back as nouns; of all records, or of `only` these."""
    from gatewatch.archive.arrow import from_table
    from gatewatch.archive.keyed import rows_with
    from gatewatch.model.tables import TABLES

    def rows(name: str) -> list[Any]:
        table = store.read("observations", key, name)
        return from_table(
            TABLES[name].noun, table if only is None else rows_with(table, "record_id", only)
        )

    runs = {name: _runs(rows(name)) for name in ("lookups", "connects", "handshakes", "exchanges")}
    for measurement in rows("measurements"):
        yield Observed(
            measurement=measurement,
            **{name: found.get(measurement.record_id, []) for name, found in runs.items()},
        )


def _runs(rows: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.record_id, []).append(row)
    return found


def _pool(store: Store) -> Pool:
    """The controls of all measurements, for the hosts that some verdict wants them for."""
    hosts = {
        host
        for key in store.keys("verdicts")
        for host in (store.facts("verdicts", key) or {}).get("wanted", ())
    }
    if not hosts:
        return Pool()
    rows = store.database().execute(_VOICES, [sorted(hosts)]).fetchall()
    return Pool(Voice(*row) for row in rows)


_VOICES = """
with wanted as (select unnest(?::varchar[]) as host),
     spoken as (
       select m.target as host, m.report_id as report, m.probe_asn as network,
         (select bool_or(l.failure is null and len(l.addresses) > 0) from lookups l
          where l.record_id = m.record_id and l.vantage = 'control') as resolves,
         (select bool_or(e.failure is null and e.status is not null) from exchanges e
          where e.record_id = m.record_id and e.vantage = 'control') as reaches
       from measurements m join wanted w on m.target = w.host
       where m.test_name = 'web_connectivity')
select host, report, network, resolves, reaches from spoken
where resolves is not null or reaches is not null
order by all
"""
"""`judge.pool.voice_of` for every measurement of the wanted hosts at once."""


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
