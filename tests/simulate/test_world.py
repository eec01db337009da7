"""The simulated world is complete, repeatable, and no larger than asked."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewatch.model.mechanism import ALL
from gatewatch.model.outcome import Outcome
from gatewatch.simulate.__main__ import main
from gatewatch.simulate.atlas import CENSORS, COUNTRIES, SITES
from gatewatch.simulate.world import WorldSummary, write_world

NOW = datetime(2026, 3, 11, 7, 30, tzinfo=UTC)
PER_DAY, DAYS = 320, 5

UID = re.compile(r"\d{14}\.\d{6}_[A-Z]{2}_webconnectivity_[0-9a-f]{16}")
REPORT = re.compile(r"\d{8}T\d{6}Z_webconnectivity_[A-Z]{2}_\d+_n1_[A-Za-z0-9]{16}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary]:
    out = tmp_path_factory.mktemp("world")
    summary = write_world(out, seed=7, days=DAYS, measurements_per_day=PER_DAY, now=NOW)
    return out, summary


def lines(out: Path) -> list[tuple[Path, bytes]]:
    found = sorted((out / "raw").rglob("*.jsonl.gz"))
    return [(p, line) for p in found for line in gzip.decompress(p.read_bytes()).splitlines()]


def records(out: Path) -> list[tuple[Path, dict]]:
    """Every line that is JSON."""
    out_: list[tuple[Path, dict]] = []
    for path, line in lines(out):
        try:
            out_.append((path, json.loads(line)))
        except json.JSONDecodeError:
            continue
    return out_


def truth(out: Path) -> dict[str, dict]:
    rows = [json.loads(line) for line in (out / "truth.jsonl").read_text().splitlines()]
    assert len({r["measurement_uid"] for r in rows}) == len(rows)
    return {r["measurement_uid"]: r for r in rows}


def test_every_record_has_its_truth_and_every_truth_its_record(world):
    out, summary = world
    names = {r["measurement_uid"] for _, r in records(out)}
    assert names == truth(out).keys()
    assert summary.situations.total() == len(names)


def test_lines_records_and_oddities_add_up(world):
    out, summary = world
    odd = summary.oddities
    assert summary.lines == len(lines(out))
    assert summary.lines == len(records(out)) + odd["broken lines"]
    assert len(records(out)) == len(truth(out)) + odd["repeated lines"]
    wanted = PER_DAY * DAYS + odd["fabricated under one report"] + odd["submitted twice"]
    assert len(truth(out)) == wanted
    assert min(odd.values()) > 0


def test_truth_speaks_the_closed_vocabularies(world):
    for row in truth(world[0]).values():
        assert row["outcomes"]
        assert set(row["outcomes"]) <= {o.value for o in Outcome}
        assert set(row["mechanisms"]) <= ALL
        assert not row["filtered"] or row["situation"] != "open"


def test_a_record_lies_in_the_file_of_its_hour_and_country(world):
    for path, record in records(world[0]):
        uid, report = record["measurement_uid"], record["report_id"]
        assert UID.fullmatch(uid)
        assert REPORT.fullmatch(report)
        day, hour, cc, name = path.parts[-5:-1]
        assert (uid[:8], uid[8:10], record["probe_cc"]) == (day, hour, cc)
        assert name == "webconnectivity"


def test_the_collectors_clock_is_right_even_where_the_probes_is_not(world):
    wrong = 0
    for _, record in records(world[0]):
        received = datetime.strptime(record["measurement_uid"][:14], "%Y%m%d%H%M%S")
        started = datetime.strptime(record["measurement_start_time"], "%Y-%m-%d %H:%M:%S")
        wrong += (received - started).days > 365
        assert received >= started
        assert received <= NOW.replace(tzinfo=None)
    assert 0 < wrong < 50


def test_the_period_is_the_days_before_now(world):
    days = Counter(r["day"] for r in truth(world[0]).values())
    assert sorted(days) == [f"2026-03-{d:02}" for d in range(6, 11)]


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(tmp_path: Path):
    def digest(seed: int, name: str) -> str:
        out = tmp_path / name
        write_world(out, seed=seed, days=2, measurements_per_day=40, now=NOW)
        whole = hashlib.sha256()
        for path in sorted(p for p in out.rglob("*") if p.is_file()):
            whole.update(str(path.relative_to(out)).encode() + path.read_bytes())
        return whole.hexdigest()

    assert digest(1, "a") == digest(1, "b") != digest(2, "c")


def test_one_report_makes_most_claims_about_an_open_site(world):
    fabricated = [r for r in truth(world[0]).values() if r["situation"] == "fabricated"]
    assert len(fabricated) == PER_DAY // 2
    uids = {r["measurement_uid"] for r in fabricated}
    reports = {r["report_id"] for _, r in records(world[0]) if r["measurement_uid"] in uids}
    assert len(reports) == 1
    assert not any(r["filtered"] for r in fabricated)


def test_filters_that_begin_or_end_do_so_within_the_period(world):
    rows = [json.loads(x) for x in (world[0] / "filters.jsonl").read_text().splitlines()]
    assert len(rows) == sum(len(c.hosts) for c in CENSORS)
    turns = [t for r in rows for t in (r["since"], r["until"]) if t]
    assert turns
    assert all("2026-03-06" < t[:10] <= "2026-03-10" for t in turns)
    assert all(r["mechanisms"] or r["host"] for r in rows)


def test_filtering_begins_when_the_filter_says(world):
    out, _ = world
    (row,) = (
        json.loads(x)
        for x in (out / "filters.jsonl").read_text().splitlines()
        if json.loads(x)["cc"] == "IR" and json.loads(x)["host"] == "signal.org"
    )
    since = datetime.strptime(row["since"], "%Y-%m-%dT%H:%M:%SZ")
    seen = {True: 0, False: 0}
    for uid, r in truth(out).items():
        if r["cc"] == "IR" and r["site"] == "signal.org":
            after = datetime.strptime(uid[:14], "%Y%m%d%H%M%S") > since
            early = abs((datetime.strptime(uid[:14], "%Y%m%d%H%M%S") - since).total_seconds())
            if early > 120:
                assert r["filtered"] == after
                seen[after] += 1
    assert min(seen.values()) > 0


def test_censors_name_known_sites_countries_and_networks():
    networks = {c.cc: {n[0] for n in c.networks} for c in COUNTRIES}
    hosts = {s.host for s in SITES}
    for censor in CENSORS:
        assert set(censor.asns) <= networks[censor.cc]
        assert set(censor.hosts) <= hosts


def test_the_command_writes_a_world_and_says_so(tmp_path: Path, capsys):
    main([str(tmp_path), "--days", "1", "--scale", "0.1"])
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "synthetic measurements over 1 days" in err


def test_the_command_writes_the_situations(tmp_path: Path, capsys):
    main([str(tmp_path), "--situations"])
    assert (tmp_path / "truth.tsv").exists()
    assert "situations" in capsys.readouterr().err


def test_a_second_world_is_not_mixed_into_the_first(world, capsys):
    out, summary = world
    with pytest.raises(SystemExit):
        main([str(out), "--days", "1"])
    assert "exists already" in capsys.readouterr().err
    assert len(lines(out)) == summary.lines


def test_a_probe_that_is_offline_is_not_lied_to(world):
    out, _ = world
    rows = truth(out)
    seen = 0
    for _, record in records(out):
        if rows[record["measurement_uid"]]["situation"] == "offline":
            seen += 1
            assert all(q["failure"] for q in record["test_keys"]["queries"])
    assert seen > 0
