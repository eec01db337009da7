"""The stages in order: what comes out does not depend on how, when or beside what it went in."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatewatch import flow
from gatewatch.archive.reader import read_one
from gatewatch.archive.store import Store
from gatewatch.model.records import SetAside
from gatewatch.model.verdict import Verdict
from gatewatch.refdata.snapshot import RefData, load
from gatewatch.simulate.situations import SITUATIONS

NAMES = sorted(SITUATIONS)[::6]
DENIED_WITHOUT_HELPER = "no_helper_nxdomain_nothing_else"


@pytest.fixture(scope="module")
def refdata() -> RefData:
    return load()


def line(measurement: dict[str, Any]) -> bytes:
    return json.dumps(measurement).encode() + b"\n"


def write(path: Path, *measurements: dict[str, Any]) -> Path:
    path.write_bytes(b"".join(line(m) for m in measurements))
    return path


def some(**about: Any) -> list[dict[str, Any]]:
    return [SITUATIONS[name].measurement(**about) for name in NAMES]


def honest(count: int) -> Iterator[dict[str, Any]]:
    """Measurements whose helper got the page, of as many reports from as many networks."""
    for n in range(count):
        about = {"report_id": f"honest-{n}", "probe_asn": f"AS{100 + n}", "test_runtime": n}
        yield SITUATIONS["success_https"].measurement() | about


def judged(refdata: RefData, *paths: Path) -> dict[str, Verdict]:
    items = flow.judge_paths([str(path) for path in paths], refdata)
    return {i.verdict.record_id: i.verdict for i in items if isinstance(i, flow.Judged)}


def stored(store: Store) -> dict[str, tuple[Any, ...]]:
    rows = store.database().execute("select record_id, outcome, p_blocked from verdicts").fetchall()
    return {row[0]: row[1:] for row in rows}


def fresh(folder: Path) -> Store:
    return Store.open(folder, create=True)


def test_a_store_says_what_a_straight_run_says(tmp_path: Path, refdata: RefData):
    path = write(tmp_path / "some.jsonl", *some())
    store = fresh(tmp_path / "store")
    summary = flow.import_paths(store, [str(path)], refdata)
    straight = {r: (v.outcome, v.p_blocked) for r, v in judged(refdata, path).items()}
    assert stored(store) == straight
    assert summary.measurements == len(straight) == len(NAMES)


def test_importing_again_changes_nothing(tmp_path: Path, refdata: RefData):
    path = write(tmp_path / "some.jsonl", *some())
    store = fresh(tmp_path / "store")
    flow.import_paths(store, [str(path)], refdata)
    before = store.logical_digest()
    again = flow.import_paths(store, [str(path), str(path)], refdata)
    assert (again.files_new, again.measurements, again.verdicts) == (0, 0, 0)
    assert store.logical_digest() == before


def test_the_order_and_the_grouping_of_files_do_not_matter(tmp_path: Path, refdata: RefData):
    rows = some()
    one = [write(tmp_path / f"{n}.jsonl", m) for n, m in enumerate(rows)]
    first, second = fresh(tmp_path / "one"), fresh(tmp_path / "two")
    flow.import_paths(first, [str(path) for path in one], refdata)
    for path in reversed(one):
        flow.import_paths(second, [str(path)], refdata)
    assert first.logical_digest() == second.logical_digest()


def test_equal_bytes_in_two_files_count_once(tmp_path: Path, refdata: RefData):
    rows = some()
    plain = write(tmp_path / "plain.jsonl", *rows)
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    store = fresh(tmp_path / "store")
    flow.import_paths(store, [str(plain)], refdata)
    flow.import_paths(store, [str(packed)], refdata)
    count = store.database().execute("select count(*) from measurements").fetchone()
    assert count == (len(rows),)


def test_a_broken_line_costs_itself(tmp_path: Path, refdata: RefData):
    rows = some()
    path = tmp_path / "broken.jsonl"
    path.write_bytes(line(rows[0]) + b'{"test_name": "web\n' + b"".join(map(line, rows[1:])))
    items = list(flow.judge_paths([str(path)], refdata))
    aside = [item for item in items if isinstance(item, SetAside)]
    assert [(a.source_line, a.source_offset) for a in aside] == [(2, len(line(rows[0])))]
    assert len(items) == len(rows) + 1


def test_every_verdict_names_the_bytes_it_came_from(tmp_path: Path, refdata: RefData):
    rows = some()
    path = write(tmp_path / "some.jsonl", *rows)
    for item in flow.judge_paths([str(path)], refdata):
        assert isinstance(item, flow.Judged)
        at = item.source
        data = read_one(Path(at.file), member=None, offset=at.offset, length=at.length)
        assert json.loads(data) in rows


def test_standard_input_is_judged_as_it_arrives(refdata: RefData):
    stream = io.BytesIO(b"".join(map(line, some())))
    items = list(flow.judge_paths([], refdata, stdin=stream))
    assert [item.source.line for item in items if isinstance(item, flow.Judged)] == list(
        range(1, len(NAMES) + 1)
    )


def test_the_controls_of_others_serve_where_there_is_none(tmp_path: Path, refdata: RefData):
    alone = write(tmp_path / "alone.jsonl", SITUATIONS[DENIED_WITHOUT_HELPER].measurement())
    (verdict,) = judged(refdata, alone).values()
    assert (verdict.outcome, verdict.reason) == ("unclear", "no_control")

    others = write(tmp_path / "others.jsonl", *honest(8))
    assert judged(refdata, alone, others)[verdict.record_id].outcome == "blocked"

    store = fresh(tmp_path / "store")
    flow.import_paths(store, [str(alone)], refdata)
    assert stored(store)[verdict.record_id][0] == "unclear"
    flow.import_paths(store, [str(others)], refdata)  # late data reopens the verdict
    assert stored(store)[verdict.record_id][0] == "blocked"


def test_one_hostile_report_changes_no_other_verdict(tmp_path: Path, refdata: RefData):
    rows = [*some(), SITUATIONS[DENIED_WITHOUT_HELPER].measurement()]
    path = write(tmp_path / "honest.jsonl", *rows)
    lies = [
        SITUATIONS[NAMES[n % len(NAMES)]].measurement()
        | {"report_id": "hostile", "probe_asn": f"AS{1 + n}", "test_runtime": n}
        for n in range(1000)
    ]
    hostile = write(tmp_path / "hostile.jsonl", *lies)
    before, after = judged(refdata, path), judged(refdata, path, hostile)
    assert len(after) == len(rows) + len(lies)
    assert {record: after[record] for record in before} == before

    store = fresh(tmp_path / "store")
    flow.import_paths(store, [str(hostile)], refdata)
    states = store.database().execute("select distinct state from cells").fetchall()
    assert states == [("insufficient",)]


def test_a_file_that_cannot_be_opened_is_told_and_the_rest_goes_on(
    tmp_path: Path, refdata: RefData, monkeypatch: pytest.MonkeyPatch
):
    good = write(tmp_path / "good.jsonl", *some())
    bad = write(tmp_path / "bad.jsonl", *some(report_id="other"))
    store = fresh(tmp_path / "store")
    add_raw = Store.add_raw

    def refuse(self: Store, source: Any, *, name: str) -> Any:
        if source == bad:
            raise PermissionError(13, "Permission denied")
        return add_raw(self, source, name=name)

    monkeypatch.setattr(Store, "add_raw", refuse)
    summary = flow.import_paths(store, [str(bad), str(good)], refdata)
    assert summary.unreadable == [f"{bad}: Permission denied"]
    assert summary.measurements == len(NAMES)
