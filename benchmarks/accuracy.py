"""How often the judge is right, against situations whose truth is known.

    python -m benchmarks.accuracy [--measurements N] [DIRECTORY…]

Three kinds of truth: the named situations of `gatewatch.simulate` (each once), a simulated
world (in the proportions of a real archive), and any directory that holds measurements with a
`truth.tsv` of three columns: file stem, accepted outcomes, accepted mechanisms.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gatewatch import flow
from gatewatch.model.mechanism import under
from gatewatch.model.verdict import Verdict
from gatewatch.refdata.snapshot import RefData, load
from gatewatch.simulate import situations
from gatewatch.simulate.world import write_world

Truth = tuple[list[str], list[str]]


def agrees(verdict: Verdict, truth: Truth) -> bool:
    outcomes, mechanisms = truth
    if verdict.outcome not in outcomes:
        return False
    if not mechanisms:
        return not verdict.mechanisms
    return any(under(m, accepted) for m in verdict.mechanisms for accepted in mechanisms)


def read_truth(path: Path) -> dict[str, Truth]:
    truth: dict[str, Truth] = {}
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, outcomes, mechanisms = [*line.split("\t"), "", ""][:3]
            truth[name] = (outcomes.split("|"), [m for m in mechanisms.split("|") if m])
    return truth


def directory(folder: Path, refdata: RefData) -> None:
    truth = read_truth(folder / "truth.tsv")
    right, wrong = 0, list[str]()
    for item in flow.judge_paths([str(folder / f"{name}.json") for name in truth], refdata):
        if not isinstance(item, flow.Judged):
            continue
        name = Path(item.source.file).stem
        if agrees(item.verdict, truth[name]):
            right += 1
        else:
            wrong.append(f"{name}: {item.verdict.outcome} {item.verdict.mechanisms}")
    print(f"{right} of {len(truth)} right")
    for line in wrong:
        print(f"- {line}")


def world(refdata: RefData, measurements: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        now = datetime(2026, 3, 11, tzinfo=UTC)
        write_world(folder, seed=2, days=10, measurements_per_day=measurements // 10, now=now)
        truth: dict[str, Truth] = {}
        for line in (folder / "truth.jsonl").read_bytes().splitlines():
            row = msgspec.json.decode(line)
            truth[row["measurement_uid"]] = (row["outcomes"], row["mechanisms"])
        table: Counter[tuple[str, str]] = Counter()
        agreed = 0
        for item in flow.judge_paths([str(folder / "raw")], refdata):
            known = isinstance(item, flow.Judged) and truth.get(item.verdict.measurement_id)
            if not known or not isinstance(item, flow.Judged):
                continue
            agreed += agrees(item.verdict, known)
            table["|".join(known[0]), item.verdict.outcome] += 1
    total = table.total()
    print(f"{agreed:,} of {total:,} right ({agreed / total:.4f})\n")
    said = sorted({outcome for _, outcome in table})
    print(f"| truth | {' | '.join(said)} |")
    print("|---" * (len(said) + 1) + "|")
    for accepted in sorted({accepted for accepted, _ in table}):
        shown = accepted.replace("|", " or ")
        print(f"| {shown} | {' | '.join(f'{table[accepted, o]:,}' for o in said)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="*", type=Path)
    parser.add_argument("--measurements", type=int, default=10_000)
    options = parser.parse_args()
    refdata = load()
    with tempfile.TemporaryDirectory() as name:
        situations.write(Path(name))
        print("## Named situations\n")
        directory(Path(name), refdata)
    for folder in options.directories:
        print(f"\n## {folder.name}\n")
        directory(folder, refdata)
    print("\n## Simulated world\n")
    world(refdata, options.measurements)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
