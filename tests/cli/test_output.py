"""What comes out: formats, columns, and other people's bytes made harmless."""

from __future__ import annotations

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from gatewatch.cli.clean import clean, json_bytes
from gatewatch.cli.human import console, table_of
from gatewatch.cli.sheet import Sheet, as_csv, as_json, as_jsonl, as_markdown, as_tsv
from tests.publish.world import known_world

HOSTILE = "a\x1b[31mred\x07\x9b2J\u202edesrever\tb\nc\x00\u2028\u200f"
RAW = set("\x1b\x07\x9b\u202e\x00\u2028\u200f")
SHEET = Sheet(["name", "n"], [(HOSTILE, 1), ("=cmd()", -2), ("@x", None)])


@pytest.mark.parametrize("make", [as_tsv, as_csv, as_markdown])
def test_nothing_that_acts_on_a_terminal_is_written(make):
    assert not RAW & set(make(SHEET))


@pytest.mark.parametrize("make", [as_jsonl, lambda sheet: as_json([HOSTILE])])
def test_json_escapes_what_acts_on_a_terminal_and_loses_nothing(make):
    made = make(SHEET).decode()
    assert not RAW & set(made)
    first = json.loads(made.splitlines()[0]) if make is as_jsonl else json.loads(made)
    assert HOSTILE in (first.values() if isinstance(first, dict) else first)


def test_tables_for_people_show_hostile_text_as_text():
    out = io.StringIO()
    console(out).print(table_of(SHEET))
    assert not RAW & set(out.getvalue())
    assert r"\x1b[31mred" in out.getvalue()


def test_a_hostile_title_does_not_reach_the_terminal_through_a_query(run):
    result = run("query", "select chr(27) || '[2J' || chr(8238) as title", "-f", "table")
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert r"\x1b[2J\u202e" in result.stdout


def test_error_messages_are_cleaned_too(run):
    result = run("check", "x\x1b[2Jy z")
    assert "\x1b" not in result.stderr


def test_a_row_of_tsv_is_one_line_and_its_tabs_are_columns():
    lines = as_tsv(SHEET).splitlines()
    assert len(lines) == 4
    assert all(line.count("\t") == 1 for line in lines)


def test_a_csv_field_is_never_a_formula_and_a_number_stays_a_number():
    rows = list(csv.reader(io.StringIO(as_csv(SHEET))))
    assert [row[0][:1] for row in rows[2:]] == ["'", "'"]
    assert rows[2][1] == "-2"


def test_text_that_is_harmless_is_left_alone():
    words = "мир سلام می\u200cشود 漢字 é"
    assert clean(words) == words
    assert json_bytes(words.encode()) == words.encode()


LINE = ("check", "signal.org", "--from", "2026-03-05", "--to", "2026-03-12")


def test_a_pipe_gets_tsv_with_a_header(run):
    lines = run(*LINE).stdout.splitlines()
    assert lines[0].split("\t")[:5] == ["target", "probe_cc", "probe_asn", "asn_name", "state"]
    assert [line.split("\t")[4] for line in lines[1:]] == ["blocked", "open"]


def test_an_empty_result_is_its_header(run):
    result = run("query", "select 1 as one where false")
    assert result.stdout == "one\n"


def test_json_is_one_document_with_the_promised_keys(run):
    found = json.loads(run(*LINE, "-c", "IR", "--json").stdout)
    assert list(found)[:10] == [
        "schema", "target", "scope", "window", "state", "p", "interval", "n", "since", "mechanisms",
    ]  # fmt: skip
    assert found["schema"] == "gatewatch.check/1"
    assert found["since"] == {"earliest": "2026-03-04", "latest": "2026-03-05"}
    assert found["scope"]["probe_cc"] == "IR"
    assert 0 <= found["p"] <= 1
    assert found["provenance"]["as_of"].endswith("Z")


def test_fields_limit_and_sort_make_the_table_narrower(run):
    result = run(*LINE, "-F", "probe_cc,p", "--sort", "-probe_cc", "--limit", "1", "--csv")
    assert result.stdout == "probe_cc,p\nNL,0.05555555555555555\n"
    rows = [json.loads(line) for line in run(*LINE, "-F", "state", "--jsonl").stdout.splitlines()]
    assert rows == [{"state": "blocked"}, {"state": "open"}]


def test_an_output_file_is_named_by_its_ending_and_appears_whole(run, tmp_path):
    target = tmp_path / "verdicts.parquet"
    assert run("export", "verdicts", "-o", str(target)).exit_code == 0
    assert pq.read_table(target).num_rows == len(known_world())
    assert list(tmp_path.glob(".*.part")) == []


def test_an_export_that_fails_leaves_the_old_file(run, tmp_path):
    target = tmp_path / "x.parquet"
    target.write_bytes(b"old")
    assert run("export", "nothing", "-o", str(target)).exit_code == 4
    assert target.read_bytes() == b"old"


def test_export_writes_every_row_once_in_every_format(run):
    for flag in ("--csv", "--format=tsv", "--jsonl"):
        result = run("export", "cells", flag)
        header = 0 if flag == "--jsonl" else 1
        counted = run("query", "select count(*) as n from cells", "-f", "tsv").stdout.split()[1]
        assert len(result.stdout.splitlines()) - header == int(counted)


def test_the_sql_used_can_be_seen(run):
    result = run("check", "signal.org", "-c", "IR", "--explain-query")
    assert result.stdout.startswith("select max(day) as day from verdicts where")
    assert "'IR'" in result.stdout
    assert "$" not in result.stdout


def test_quiet_means_nothing_but_errors(run):
    assert run("check", "signal.org", "-c", "IR,DE", "-q").stderr == ""
    assert "in DE" in run("check", "signal.org", "-c", "IR,DE").stderr


def test_short_is_one_line(run):
    result = run(*LINE, "-c", "IR", "--short")
    assert result.stdout == "blocked P=0.79 [0.66–0.90]\n"


def test_no_colour_without_a_terminal_and_colour_when_asked_for(run, monkeypatch):
    line = ("country", "IR", "-f", "table")
    assert "\x1b[" not in run(*line).stdout
    assert "\x1b[" in run(*line, "--color", "always").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run(*line).stdout


def test_the_raw_bytes_of_a_record_and_nothing_else(run):
    found = json.loads(run("check", "signal.org", "-c", "IR", "--json").stdout)
    result = run("explain", found["evidence"][0], "--raw")
    assert result.stdout_bytes == b'{"synthetic": "record"}'


def test_doctor_finds_a_raw_file_that_changed(run, store, tmp_path, monkeypatch):
    import shutil

    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    raw = next(path for path in (copy / "raw").rglob("*") if path.is_file() and not path.suffix)
    raw.chmod(0o600)
    raw.write_bytes(b"x" * raw.stat().st_size)
    told = {row["check"]: row for row in json.loads(run("doctor", "--json").stdout)}
    assert told["store: raw files"]["level"] == "ok"
    result = run("doctor", "--json", "--store", str(copy))
    told = {row["check"]: row for row in json.loads(result.stdout)}
    assert told["store: raw files"]["level"] == "fail"
    assert told["store: raw files"]["remedy"]
    assert result.exit_code == 1
