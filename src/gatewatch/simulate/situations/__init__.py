"""Named situations and what may honestly be concluded from one measurement of each.

`SITUATIONS` is the table; `write` puts one file per row into a directory, and `truth.tsv` beside
them, in the three columns that OONI's QA samples use here.
"""

from __future__ import annotations

import json
from pathlib import Path

from gatewatch.simulate.situations.common import Situation
from gatewatch.simulate.situations.content import CONTENT
from gatewatch.simulate.situations.flawed import RECORDS
from gatewatch.simulate.situations.names import NAMES
from gatewatch.simulate.situations.paths import PATHS
from gatewatch.simulate.situations.suite import SUITE
from gatewatch.simulate.situations.twins import TWINS

SITUATIONS: dict[str, Situation] = {
    s.name: s for s in (*SUITE, *NAMES, *TWINS, *PATHS, *CONTENT, *RECORDS)
}
"""Name → situation."""

HEADER = (
    "# case\taccepted outcomes (any of)\tmechanism: at least one verdict mechanism lies at or "
    "under one of these (empty: none may be claimed)"
)


def truth_line(situation: Situation) -> str:
    """One row of `truth.tsv`."""
    columns = (situation.name, "|".join(situation.outcomes), "|".join(situation.mechanisms))
    return "\t".join(columns)


def write(out: Path) -> int:
    """Write every situation as `<name>.json`, and `truth.tsv`; the number written."""
    out.mkdir(parents=True, exist_ok=True)
    for name, situation in SITUATIONS.items():
        text = json.dumps(situation.measurement(), indent=1, ensure_ascii=False, sort_keys=False)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    rows = [HEADER, *(truth_line(s) for s in SITUATIONS.values())]
    (out / "truth.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(SITUATIONS)
