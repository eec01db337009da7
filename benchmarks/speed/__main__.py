"""How fast raw files become verdicts, as a ratio to a floor taken in the same run.

    python -m benchmarks.speed [--measurements N] [--rounds N] [FILE…]

The floor decompresses the same files with igzip and parses every line with orjson, which is
the least any reader of all fields does. Machines are shared and noisy: the two are run in
turn, and the median of the ratios is what may be quoted. Without files, a simulated world is
written first.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np

from gatewatch import flow
from gatewatch.archive.arrow import schema_of
from gatewatch.archive.reader import RawRecord, find_inputs, read_records
from gatewatch.archive.store import Store
from gatewatch.cells.stage import cells
from gatewatch.model.outcome import Outcome
from gatewatch.model.verdict import Cell
from gatewatch.observe.lens import RefDataLens
from gatewatch.observe.stage import observe
from gatewatch.refdata.snapshot import RefData, load

CELL_ROWS = 1_000_000


def floor(paths: list[Path]) -> int:
    """Decompress and parse, keeping nothing."""
    import orjson
    from isal import igzip

    count = 0
    for path in paths:
        with igzip.IGzipFile(str(path), "rb") as file:
            for line in io.BufferedReader(file, 1 << 20):
                try:
                    orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                count += 1
    return count


def read_only(paths: list[Path], refdata: RefData) -> int:
    records = (r for path in paths for r in read_records(path, file=str(path)))
    return sum(isinstance(record, RawRecord) for record in records)


def observe_only(paths: list[Path], refdata: RefData) -> int:
    lens = RefDataLens(refdata)
    records = (r for path in paths for r in read_records(path, file=str(path)))
    return sum(isinstance(item, tuple) for item in observe(records, lens))


def judge_only(paths: list[Path], refdata: RefData) -> int:
    items = flow.judge_paths([str(path) for path in paths], refdata)
    return sum(isinstance(item, flow.Judged) for item in items)


def whole_import(workers: int) -> Callable[[list[Path], RefData], int]:
    def run(paths: list[Path], refdata: RefData) -> int:
        with tempfile.TemporaryDirectory() as folder:
            store = Store.open(Path(folder) / "store", create=True)
            inputs = [str(path) for path in paths]
            return flow.import_paths(store, inputs, refdata, workers=workers).measurements

    return run


STAGES: dict[str, Callable[[list[Path], RefData], int]] = {
    "read records": read_only,
    "read + observe": observe_only,
    "read + observe + judge": judge_only,
    "import (all stages, store, cells), 1 process": whole_import(1),
    "import (all stages, store, cells), 2 processes": whole_import(2),
}


def cells_rate(rounds: int) -> float:
    """Verdict rows counted into cells, rows a second, the median round."""
    import duckdb
    import narwhals as nw
    import pyarrow as pa

    rng = np.random.default_rng(7)
    n = CELL_ROWS
    hosts = np.array([f"site{i}.example" for i in range(2_000)])
    target = hosts[rng.zipf(1.3, n) % len(hosts)]
    outcome = np.array([o.value for o in Outcome])[rng.choice(5, n, p=[0.8, 0.03, 0.1, 0.02, 0.05])]
    start = date(2026, 1, 1)
    days = np.array([start + timedelta(days=i) for i in range(30)])
    verdicts = pa.table(
        {
            "target": target,
            "domain": target,
            "service": pa.nulls(n, pa.string()),
            "probe_cc": np.array(["IR", "TR", "RU", "IN", "BR"])[rng.integers(5, size=n)],
            "probe_asn": rng.integers(1, 60, n),
            "resolver_asn": rng.integers(1, 20, n),
            "day": pa.array(days[rng.integers(30, size=n)], pa.date32()),
            "report_id": np.array([f"r{i}" for i in range(50_000)])[rng.integers(50_000, size=n)],
            "outcome": outcome,
            "mechanisms": [["tls.reset"] if o == "blocked" else [] for o in outcome],
            "probe_id": pa.nulls(n, pa.string()),
        }
    )
    schema, rates = schema_of(Cell), list[float]()
    for _ in range(rounds):
        connection = duckdb.connect()
        connection.register("verdicts", verdicts)
        began = perf_counter()
        cells(nw.from_native(connection.table("verdicts")).lazy(), schema)
        rates.append(n / (perf_counter() - began))
    return statistics.median(rates)


def timed(run: Callable[[], int]) -> tuple[float, int]:
    began = perf_counter()
    count = run()
    return perf_counter() - began, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--measurements", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    refdata = load()
    with tempfile.TemporaryDirectory() as folder:
        inputs: list[str] = options.files
        if not inputs:
            from gatewatch.simulate.world import write_world

            now = datetime(2026, 3, 11, tzinfo=UTC)
            per_day = options.measurements // 10
            write_world(Path(folder), seed=1, days=10, measurements_per_day=per_day, now=now)
            inputs = [str(Path(folder) / "raw")]
        report(find_inputs(inputs), refdata, options.rounds)


def report(paths: list[Path], refdata: RefData, rounds: int) -> None:
    size = sum(path.stat().st_size for path in paths)
    observe_only(paths[:1], refdata)  # what is compiled and loaded once is not what is measured
    times: dict[str, list[float]] = {name: [] for name in STAGES}
    floors: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in STAGES}
    count = 0
    for round_number in range(rounds):
        for name, run in STAGES.items():
            print(f"round {round_number + 1}: {name}", file=sys.stderr)
            base, _ = timed(lambda: floor(paths))
            took, count = timed(lambda run=run: run(paths, refdata))
            floors.append(base)
            times[name].append(took)
            ratios[name].append(took / base)
    base = statistics.median(floors)
    print(f"{count:,} measurements, {len(paths)} files, {size / 1e6:.1f} MB compressed\n")
    print("| what | × floor (median, range) | measurements/s |")
    print("|---|---|---|")
    print(f"| floor: igzip + orjson | 1 | {count / base:,.0f} |")
    for name in STAGES:
        low, high = min(ratios[name]), max(ratios[name])
        rate = count / statistics.median(times[name])
        middle = statistics.median(ratios[name])
        print(f"| {name} | {middle:.1f} ({low:.1f}–{high:.1f}) | {rate:,.0f} |")
    print(f"| verdicts → cells, {CELL_ROWS:,} rows | – | {cells_rate(rounds):,.0f} rows/s |")


if __name__ == "__main__":
    main()
