"""A run that was killed is a run like any other."""

from __future__ import annotations

import resource
from datetime import UTC, datetime

import pytest

from gatewatch.model.errors import NotFound
from gatewatch.probe.spool import Opened, Run, Spool, Submitted

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def begun(spool: Spool) -> Run:
    return spool.begin(planned=3, tests=("web_connectivity",), country="IT", asn=137, now=NOW)


def test_what_was_finished_is_there_after_a_kill_and_a_torn_line_is_not(tmp_path):
    run = begun(Spool(tmp_path))
    run.append({"input": "https://a.example/"})
    run.append({"input": "https://b.example/"})
    with run.file.open("ab") as file:
        file.write(b'{"input": "https://c.exam')
    found = Spool(tmp_path).run(run.facts.id)
    assert list(found.lines()) == [
        b'{"input":"https://a.example/"}',
        b'{"input":"https://b.example/"}',
    ]
    assert found.file.read_bytes().endswith(b"}\n")
    found.append({"input": "https://d.example/"})
    assert len(list(found.lines())) == 3


def test_a_file_that_is_one_torn_line_is_empty(tmp_path):
    run = begun(Spool(tmp_path))
    run.file.write_bytes(b"{" * 200_000)
    assert list(Spool(tmp_path).run(run.facts.id).lines()) == []


def test_runs_are_listed_with_what_is_in_them(tmp_path):
    spool = Spool(tmp_path)
    run = begun(spool)
    run.append({})
    run.append({})
    run.mark(Submitted(line=1, collector="https://c", report_id="r", measurement_uid="u", at=NOW))
    run.finish(NOW, interrupted=True)
    (listed,) = spool.runs()
    assert (listed.measurements, listed.submitted) == (2, 1)
    assert listed.facts.interrupted
    assert listed.facts.ended == NOW


@pytest.mark.parametrize("name", ["last", "2026"])
def test_a_run_is_found_by_the_beginning_of_its_id(tmp_path, name):
    spool = Spool(tmp_path)
    run = begun(spool)
    assert spool.run(name).facts == run.facts


@pytest.mark.parametrize("name", ["", "../..", "nothing", "/etc"])
def test_a_name_that_is_no_run_is_refused(tmp_path, name):
    spool = Spool(tmp_path)
    begun(spool)
    with pytest.raises(NotFound):
        spool.run(name)


def test_two_runs_that_begin_alike_are_told_apart(tmp_path):
    spool = Spool(tmp_path)
    ids = {begun(spool).facts.id for _ in range(2)}
    assert len(ids) == 2
    with pytest.raises(NotFound, match="2 runs begin"):
        spool.run("2026")


@pytest.mark.parametrize("left", [b"no JSON", b"", None], ids=["garbled", "empty", "none"])
def test_a_run_whose_description_is_lost_is_still_found_and_can_be_removed(tmp_path, left):
    spool = Spool(tmp_path)
    run = begun(spool)
    run.append({"input": "https://a.example/"})
    (run.folder / "run.json").unlink()
    if left is not None:
        (run.folder / "run.json").write_bytes(left)
    (listed,) = spool.runs()
    assert (listed.measurements, listed.facts.described) == (1, False)
    assert (listed.facts.id, listed.facts.began) == (run.facts.id, NOW)
    spool.run(run.facts.id).remove()
    assert spool.runs() == []


def test_a_folder_whose_name_is_no_date_is_no_run(tmp_path):
    (tmp_path / "99999999T999999Z-abcdef").mkdir()
    assert Spool(tmp_path).runs() == []


def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path):
    run = begun(Spool(tmp_path))
    run.append({"input": "https://a.example/"})
    before, limit = run.file.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limit[1]))
    try:
        with pytest.raises(OSError, match=r"measurements\.jsonl"):
            run.append({"input": "https://b.example/"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert run.file.read_bytes() == before


def test_reports_that_were_opened_are_remembered(tmp_path):
    run = begun(Spool(tmp_path))
    opened = Opened(collector="https://c", kind=("AS137", None), report_id="r")
    run.opened(opened)
    assert Spool(tmp_path).run("last").reports() == [opened]


def test_a_run_is_readable_by_its_owner_alone(tmp_path):
    assert begun(Spool(tmp_path)).folder.stat().st_mode & 0o077 == 0
