"""An update takes what is sound, leaves what it cannot better, and survives being killed."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from gatewatch.model.errors import GatewatchError, NotFound, Unreachable
from gatewatch.refdata import store
from gatewatch.refdata.snapshot import load
from gatewatch.refdata.store import DamagedData
from gatewatch.refdata.update import UpdateResult, read_sources, update
from tests.refdata.sources import (
    ANSWERS,
    FINGERPRINTS,
    addresses,
    ip2asn,
    networks,
    small_sets,
    sources,
    suffix_list,
    tarball,
)

__all__ = ["small_sets"]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DNS = "https://t.example/fingerprints_dns.csv"
HTTP = "https://t.example/fingerprints_http.csv"
NETWORKS = "https://t.example/networks.tgz"

pytestmark = pytest.mark.usefixtures("small_sets")


def run(directory: Path, files: dict[str, bytes] | None = None, *only: str) -> list[UpdateResult]:
    held = sources() | (files or {})

    def fetch(address: str) -> bytes:
        if address not in held:
            raise Unreachable(f"{address}: no answer")
        return held[address]

    return update(directory, addresses(), fetch=fetch, now=NOW, only=only or None)


def states(results: list[UpdateResult]) -> dict[str, str]:
    return {result.dataset: result.state for result in results}


def test_everything_fetched_answers_afterwards(tmp_path):
    results = run(tmp_path)
    assert set(states(results).values()) == {"updated"}
    refdata = load(tmp_path)
    assert refdata.asns_of(["1.0.0.1", "1.0.4.1", "1.0.5.0", "2001:db8::1", "8.8.8.8"]) == [
        64500,
        64501,
        64500,
        64500,
        None,
    ]
    assert refdata.network_name(64500) == "One, Inc."
    assert refdata.country_of("1.0.0.9") == "IR"
    assert refdata.country_of("2001:db8::9") == "TM"
    assert refdata.category_of("https://vote.example/") == "POLR"
    answer = refdata.injected_answer("192.0.2.77")
    assert answer is not None
    assert answer.id == "t.answer"
    body = '<h1>Page "stopped"</h1>\r\n<p>by us</p> <b>Stopped by Big Box 7</b> kitchen garden'
    found = refdata.match_page(body, [("Location", "http://stop.example/x")], None)
    assert found == ["t.prefix", "t.lines", "t.regexp", "t.fp"]
    assert refdata.match_page("", [("Location", "http://block.example/")], None) == ["t.full"]
    target = refdata.target_of("a.b.host.example")
    assert target is not None
    assert target.domain == "b.host.example"


def test_our_own_tables_stay_in_force_beside_the_public_ones(tmp_path):
    run(tmp_path)
    assert load(tmp_path).match_page("", [], "Just a moment...") == ["gw.cloudflare.title"]


def test_what_is_in_force_is_told_with_date_source_and_hash(tmp_path):
    run(tmp_path)
    told = {dataset.name: dataset for dataset in load(tmp_path).datasets()}
    assert told["networks"].date == date(2026, 1, 2)
    assert told["test_lists"].date == date(2026, 1, 1)
    assert told["fingerprints_dns"].date == NOW.date()
    assert told["suffixes"].date == date(2026, 12, 31)
    assert told["networks"].origin == "updated"
    assert told["networks"].source == NETWORKS
    assert "DB-IP" in told["networks"].attribution
    assert told["services"].origin == "embedded"
    assert "abc1" in told["test_lists"].note


def test_the_version_changes_with_what_is_in_force_and_only_then(tmp_path):
    before = load(tmp_path).version
    assert before == load().version
    run(tmp_path)
    after = load(tmp_path).version
    assert after != before
    assert set(states(run(tmp_path)).values()) == {"unchanged"}
    assert load(tmp_path).version == after


def test_one_set_that_cannot_be_had_keeps_its_old_version_and_the_rest_goes_on(tmp_path):
    run(tmp_path)
    changed = {DNS: ANSWERS.replace(".77", ".78").encode(), NETWORKS: b"<html>sorry</html>"}
    results = run(tmp_path, changed)
    assert states(results)["networks"] == "failed"
    assert states(results)["fingerprints_dns"] == "updated"
    refdata = load(tmp_path)
    assert refdata.asn_of("1.0.0.1") == 64500
    assert refdata.injected_answer("192.0.2.78") is not None
    assert refdata.injected_answer("192.0.2.77") is None


HEADER = FINGERPRINTS.splitlines(keepends=True)[0]


@pytest.mark.parametrize(
    ("address", "content", "words"),
    [
        (HTTP, b"", "header"),
        (HTTP, b"\xff\xfe", "UTF-8"),
        (HTTP, FINGERPRINTS.encode() + b'"open', "unexpected end"),
        (HTTP, FINGERPRINTS.encode() + b"x" * 200_000 + b",\n", "field"),
        (HTTP, FINGERPRINTS.encode() + b"t.x,isp,,body,regexp,(a,5,AA,t,,\n", "unsound.*compile"),
        (HTTP, HEADER.encode(), "0 rows"),
        (NETWORKS, b"1,2\n", "unsound"),
        (NETWORKS, networks()[:-40], "gzip"),
        (NETWORKS, gzip.compress(b"\0" * 600, mtime=0)[:-9], "gzip"),
        (NETWORKS, tarball({"package/package.json": "{}"}), "num.csv"),
        (NETWORKS, tarball({"package/package.json": "["}), "npm package"),
        (NETWORKS, gzip.compress(b"x" * 257 + b"ustar" + b"y" * 300, mtime=0), "archive|tar"),
        ("https://t.example/test_lists.tgz", tarball({"x/lists/ir.csv": "a,b\n"}), "url"),
        ("https://t.example/test_lists.tgz", tarball({"x/README": ""}), "0 rows"),
        ("https://t.example/suffixes.dat", suffix_list()[:-40], "end of PRIVATE"),
        ("https://t.example/suffixes.dat", b"// nothing", "VERSION"),
    ],
)
def test_a_broken_source_is_reported_and_changes_nothing(tmp_path, address, content, words):
    run(tmp_path)
    before = load(tmp_path).version
    failed = [result for result in run(tmp_path, {address: content}) if result.state == "failed"]
    assert len(failed) == 1
    assert failed[0].new == failed[0].old
    assert re.search(words, failed[0].words), failed[0].words
    assert load(tmp_path).version == before


def test_a_few_unsound_rows_are_left_out_and_named(tmp_path):
    rows = "".join(f"t.{n},isp,,body,contains,page {n}!,5,AA,t,,\n" for n in range(60))
    bad = "t.bad,isp,,body,regexp,(a,5,AA,t,,\n"
    result = run(tmp_path, {HTTP: (FINGERPRINTS + rows + bad).encode()}, "fingerprints_http")[0]
    assert result.state == "updated"
    assert ["t.bad" in words for words in result.set_aside] == [True]
    refdata = load(tmp_path)
    assert [one.id for one in refdata.skipped_patterns()] == ["t.bad"]
    assert refdata.match_page("page 7!", [], None) == ["t.7"]


def test_another_format_of_the_same_facts_is_read(tmp_path):
    held = {NETWORKS: ip2asn(), "https://t.example/countries.tgz": ip2asn()}
    assert set(states(run(tmp_path, held, "networks", "countries")).values()) == {"updated"}
    refdata = load(tmp_path)
    assert refdata.asns_of(["1.0.0.9", "1.0.1.9", "2001:db8::1"]) == [64510, None, 64511]
    assert [refdata.country_of(a) for a in ("1.0.0.9", "1.0.1.9", "2001:db8::1")] == [
        "IR",
        None,
        "TM",
    ]
    assert refdata.network_name(64511) == "ELEVEN"


def test_earlier_snapshots_answer_for_earlier_days(tmp_path):
    for asn, stamp in ((64601, "2026020100"), (64603, "2026090100"), (64602, "2026070100")):
        run(tmp_path, {NETWORKS: networks(asn, stamp)}, "networks")
    refdata = load(tmp_path)
    embedded = load().asn_of("1.0.0.1")
    assert refdata.asn_of("1.0.0.1", at=date(2020, 1, 1)) == 64601, "none so old: the oldest"
    assert refdata.asn_of("1.0.0.1", at=date(2026, 2, 1)) == 64601
    assert refdata.asn_of("1.0.0.1", at=date(2026, 6, 30)) == embedded, "2026-06-17 is newer"
    assert refdata.asn_of("1.0.0.1", at=date(2026, 8, 31)) == 64602
    assert refdata.asn_of("1.0.0.1", at=date(2030, 1, 1)) == 64603
    assert refdata.asn_of("1.0.0.1") == 64602, "the last one fetched is in force"


class Killed(BaseException):
    """The process ends here: nothing after it runs that a kill would not run."""


@pytest.mark.parametrize("step", range(14))
def test_a_kill_at_any_step_leaves_a_whole_version_in_force(tmp_path, monkeypatch, step):
    run(tmp_path, None, "networks")
    before = load(tmp_path).datasets()
    taken = 0

    def counted(original):
        def call(*args, **kwargs):
            nonlocal taken
            taken += 1
            if taken > step:
                raise Killed
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", counted(os.fsync))
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(shutil, "rmtree", lambda *args, **kwargs: None)
        try:
            run(tmp_path, {NETWORKS: networks(64999)}, "networks")
            killed = False
        except Killed:
            killed = True
    refdata = load(tmp_path)
    assert refdata.asn_of("1.0.0.1") == (64500 if refdata.datasets() == before else 64999)
    if not killed:
        assert refdata.datasets() != before
    assert states(run(tmp_path, {NETWORKS: networks(64999)}, "networks"))["networks"] in (
        "updated",
        "unchanged",
    )
    assert load(tmp_path).asn_of("1.0.0.1") == 64999
    assert [path.name for path in tmp_path.glob("*/.new-*")] == []


def test_the_steps_of_an_installation_are_fewer_than_the_kills_tried(tmp_path, monkeypatch):
    steps = 0

    def counted(original):
        def call(*args, **kwargs):
            nonlocal steps
            steps += 1
            return original(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(Path, "rename", counted(Path.rename))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    run(tmp_path, None, "networks")
    assert 5 < steps < 14


def test_a_damaged_file_is_not_read_and_an_update_mends_it(tmp_path):
    run(tmp_path)
    file = next((tmp_path / "networks").glob("2*/v4.parquet"))
    file.write_bytes(b"PAR1")
    with pytest.raises(DamagedData, match=r"v4\.parquet: SHA-256 .* wanted"):
        load(tmp_path).asn_of("1.0.0.1")
    assert states(run(tmp_path))["networks"] == "updated"
    assert load(tmp_path).asn_of("1.0.0.1") == 64500


@pytest.mark.parametrize("content", [b"", b"../../elsewhere", b"2020-01-01-00000000", b"\xff"])
def test_a_pointer_that_leads_nowhere_is_an_error_an_update_mends(tmp_path, content):
    run(tmp_path)
    (tmp_path / "networks" / "current").write_bytes(content)
    with pytest.raises(DamagedData, match="current"):
        load(tmp_path)
    assert states(run(tmp_path))["networks"] == "updated"
    assert load(tmp_path).asn_of("1.0.0.1") == 64500


def test_a_set_half_as_long_as_before_is_taken_to_be_cut_off(tmp_path, monkeypatch):
    run(tmp_path)
    monkeypatch.setattr("gatewatch.refdata.update.SHRINK_SHARE_MIN", 0.5)
    short = "".join(FINGERPRINTS.splitlines(keepends=True)[:2]).encode()
    result = run(tmp_path, {HTTP: short}, "fingerprints_http")[0]
    assert result.state == "failed"
    assert "holds 1 rows, and what is in force 5" in result.words


def test_two_updates_at_once_are_one_too_many(tmp_path):
    with store.only_writer(tmp_path), pytest.raises(GatewatchError, match="under way"):
        run(tmp_path)


@pytest.mark.parametrize("name", ["services", "nonsense"])
def test_a_dataset_that_is_not_fetched_is_named(tmp_path, name):
    with pytest.raises(NotFound, match=name):
        update(tmp_path, {name: "https://t.example/"}, fetch=lambda _: b"", now=NOW)


def test_a_file_is_fetched_from_disk_and_checked_against_the_hash_stated(tmp_path):
    file = tmp_path / "a file.csv"
    file.write_bytes(ANSWERS.encode())
    digest = hashlib.sha256(ANSWERS.encode()).hexdigest()
    for check, state in ((digest, "updated"), (digest[::-1], "failed"), ("", "unchanged")):
        address = file.as_uri() + (f"#sha256={check}" if check else "")
        given = {"fingerprints_dns": address}
        result = update(tmp_path / "data", given, now=NOW, only=["fingerprints_dns"])[0]
        assert result.state == state, result.words


@pytest.mark.parametrize(
    "address", ["http://t.example/", "ftp://t.example/", "/etc/hosts", "", "npm:../x", "https:"]
)
def test_no_other_scheme_is_fetched(tmp_path, address):
    asked: list[str] = []

    def fetch(asked_for: str) -> bytes:
        asked.append(asked_for)
        raise Unreachable(asked_for)

    given = {"fingerprints_dns": address}
    result = update(tmp_path, given, fetch=fetch, now=NOW, only=["fingerprints_dns"])[0]
    assert result.state == "failed"
    assert asked in ([], ["https:"])


def test_a_package_is_checked_against_the_integrity_its_registry_states(tmp_path):
    content = networks()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    for integrity, state in ((f"sha512-{digest}", "updated"), (f"sha512-{digest[::-1]}", "failed")):
        about = {"dist": {"tarball": "https://r.example/a.tgz", "integrity": integrity}}
        held = {
            "https://registry.npmjs.org/@s%2fp/latest": json.dumps(about).encode(),
            "https://r.example/a.tgz": content,
        }
        given = {"networks": "npm:@s/p"}
        result = update(
            tmp_path / state, given, fetch=held.__getitem__, now=NOW, only=["networks"]
        )[0]
        assert result.state == state, result.words


def test_the_configured_sources_are_sound():
    for source in read_sources().values():
        assert source.address.startswith(("https://", "npm:@"))
        assert source.licence
