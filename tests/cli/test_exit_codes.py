"""Exit codes are a promise to scripts."""

from __future__ import annotations

import pytest

from gatewatch.cli.exits import ExitCode
from gatewatch.model.errors import Unreachable

BLOCKED_DAYS = ("--from", "2026-03-05", "--to", "2026-03-12")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param(("check", "signal.org", "-c", "IR", *BLOCKED_DAYS), 0, id="any verdict"),
        pytest.param(
            ("check", "signal.org", "-c", "IR", *BLOCKED_DAYS, "--exit-status"), 10, id="blocked"
        ),
        pytest.param(("check", "signal.org", "-c", "IR", "--exit-status"), 11, id="likely"),
        pytest.param(("check", "news.example", "-c", "NL", "--exit-status"), 0, id="open"),
        pytest.param(("check", "rare.example", "-c", "IR", "--exit-status"), 3, id="insufficient"),
        pytest.param(("check", "rare.example", "-c", "IR"), 3, id="too little to say"),
        pytest.param(("check", "signal.org", "-c", "DE"), 3, id="not measured there"),
        pytest.param(("check", "unmeasured.example"), 3, id="not measured at all"),
        pytest.param(("check", "signal.org", "-c", "QQ"), 4, id="no such country"),
        pytest.param(("check", "two words"), 4, id="no such thing"),
        pytest.param(("country", "IR"), 0, id="a country"),
        pytest.param(("country", "DE"), 3, id="a country without data"),
        pytest.param(("country", "QQ"), 4, id="no country"),
        pytest.param(("network", "AS64496"), 0, id="a network"),
        pytest.param(("network", "64499"), 3, id="a network without data"),
        pytest.param(("network", "ASX"), 4, id="no network"),
        pytest.param(("service", "chat"), 0, id="a service"),
        pytest.param(("service", "nothing"), 4, id="no service"),
        pytest.param(("explain", "nothing"), 4, id="no such id"),
        pytest.param(("export", "nothing"), 4, id="no such table"),
        pytest.param(("query", "select 1 as one"), 0, id="a query"),
        pytest.param(("query", "select 1 as one where false"), 3, id="a query without rows"),
        pytest.param(("query", "drop table x"), 1, id="a query that may not run"),
        pytest.param(("check",), 2, id="an argument missing"),
        pytest.param(("check", "signal.org", "--nope"), 2, id="no such option"),
        pytest.param(("check", "signal.org", "--from", "soon"), 2, id="no day"),
        pytest.param(("check", "signal.org", "--window", "long"), 2, id="no length"),
        pytest.param(("check", "signal.org", "--json", "--csv"), 2, id="two formats"),
        pytest.param(("check", "signal.org", "-F", "nope"), 2, id="no such column"),
        pytest.param(("nope",), 2, id="no such command"),
        pytest.param(("status", "--store", "/nonexistent/store"), 1, id="no store"),
        pytest.param(("rules",), 0, id="rules"),
        pytest.param(("version",), 0, id="version"),
    ],
)
def test_the_exit_code_says_how_it_went(run, line, code):
    assert run(*line).exit_code == code


def test_the_worst_of_several_countries_decides_the_status(run):
    line = ("check", "signal.org", "-c", "NL,IR", *BLOCKED_DAYS, "--exit-status")
    assert run(*line).exit_code == 10


def test_a_source_that_cannot_be_had_is_6(run, monkeypatch):
    def away(*given, **more):
        raise Unreachable("https://example.org: no answer")

    monkeypatch.setattr("gatewatch.refdata.update.update", away)
    result = run("refdata", "update")
    assert result.exit_code == ExitCode.UNREACHABLE
    assert result.stderr == "gatewatch: https://example.org: no answer\n"


def test_an_error_is_one_line_on_standard_error(run):
    result = run("country", "QQ")
    assert result.stdout == ""
    assert result.stderr.startswith("gatewatch: 'QQ' is no country")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


def test_records_that_cannot_be_read_make_5_and_the_rest_goes_on(run, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"broken\n[]\n')
    result = run("judge", str(bad), "--jsonl")
    assert result.exit_code == ExitCode.PARTIAL
    assert len(result.stdout.splitlines()) == 2
    assert all('"error":{"where":"' in line for line in result.stdout.splitlines())
