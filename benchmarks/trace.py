"""How often the packet detector is right, against captures whose truth is known.

    python -m benchmarks.trace DIRECTORY…

A directory holds captures and a `truth.tsv` of CenTrace's test data: per server and keyword a test
and a control, with what was read from each in `verdict_and_notes`.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import NamedTuple

from gatewatch.probe.trace.case import Reading
from gatewatch.probe.trace.reading import read
from gatewatch.wire.pcap import Reader

HOPS = 1
"By so many a hop may be off."


class Pair(NamedTuple):
    """Two captures, and what is known of the first."""

    server: str
    name: str
    test: Path
    control: Path
    verdict: tuple[str, ...]
    "Accepted ones."
    placement: str | None
    hop: str | None
    hop_ttl: int | None

    def reversed(self) -> Pair:
        """The control, of which it is known that nobody interferes with it."""
        clean = ("none", "unusable")
        return Pair(self.server, "example.com", self.control, self.test, clean, None, None, None)


def pairs(folder: Path) -> list[Pair]:
    """The pairs of a folder; none where there is no table."""
    table = folder / "truth.tsv"
    if not table.exists():
        return []
    with table.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    by_pair: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for row in rows:
        by_pair.setdefault((row["server"], row["keyword"]), {})[row["role"]] = row
    return [
        _pair(folder, both["test"], both["control"])
        for both in by_pair.values()
        if both.keys() >= {"test", "control"}
    ]


def _pair(folder: Path, test: dict[str, str], control: dict[str, str]) -> Pair:
    known = " ".join((test.get("verdict_and_notes") or "", test.get("upstream_label") or ""))
    drop = "POSITIVE drop" in known
    if "UNUSABLE" in known or "HANDSHAKE_TIMEOUT" in (test.get("pair") or "") + known:
        verdict = ("unusable",)
    elif "POSITIVE" in known:
        verdict = ("blocked",)
    else:
        verdict = ("none",)
    blocked = verdict == ("blocked",)
    beside = {"True": "on_path", "False": "in_path"}.get(test["on_path"])
    terms = dict(part.split("=", 1) for part in (test.get("pair") or "").split() if "=" in part)
    at = test["term_ttl"]
    return Pair(
        server=test["server"],
        name=test["tested"],
        test=folder / Path(test["file"]).name,
        control=folder / Path(control["file"]).name,
        verdict=verdict,
        placement=("in_path" if drop else beside) if blocked else None,
        hop=(terms.get("hop") or test["hop_at_term"] or None) if blocked else None,
        hop_ttl=int(at) if blocked and at.isdigit() else None,
    )


def reading_of(pair: Pair, *, with_control: bool = True) -> Reading:
    with pair.test.open("rb") as test:
        if not with_control:
            return read(Reader(test))
        with pair.control.open("rb") as control:
            return read(Reader(test), Reader(control))


def faults(pair: Pair, *, with_control: bool = True) -> list[str]:
    """In what a reading is not what is known; without a control the address may be unknown."""
    found = reading_of(pair, with_control=with_control)
    wrong = []
    if found.verdict not in pair.verdict:
        wrong.append(f"verdict {found.verdict}, known {'|'.join(pair.verdict)}")
    if pair.placement is not None and found.placement != pair.placement:
        wrong.append(f"placement {found.placement}, known {pair.placement}")
    if pair.hop is not None and found.hop != pair.hop and (with_control or found.hop):
        wrong.append(f"hop {found.hop}, known {pair.hop}")
    if pair.hop_ttl is not None and abs((found.hop_ttl or 0) - pair.hop_ttl) > HOPS:
        wrong.append(f"hop at {found.hop_ttl}, known {pair.hop_ttl}")
    return wrong


def main(arguments: list[str]) -> int:
    """The table; 1 when a reading is wrong."""
    agreed = total = 0
    if not arguments:
        print("which directories?", file=sys.stderr)
        return 2
    for folder in arguments:
        for pair in pairs(Path(folder)):
            for whose, one in ((pair.name, pair), ("example.com", pair.reversed())):
                wrong = faults(one)
                total, agreed = total + 1, agreed + (not wrong)
                print(f"{pair.server}\t{whose}\t{'; '.join(wrong) or 'agrees'}")
    print(f"{agreed}/{total} agreed")
    return 0 if agreed == total else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
