"""`gatewatch probe`, as its user meets it."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatewatch.cli.exits import UsageFault
from gatewatch.cli.probe_plan import plan
from gatewatch.cli.probe_session import anchor_of, asn_of, controls_of, seconds_of
from gatewatch.model.errors import NoData, NotFound
from gatewatch.probe.runner import Job
from gatewatch.probe.spool import Spool
from gatewatch.refdata.snapshot import RefData, load
from tests.lab.full import requires_full_lab

GATEWATCH = [sys.executable, "-c", "from gatewatch.cli.app import main; main()"]
SITE, BLOCKED = "https://www.example.org/", "https://www.example.com/"
OWN = "130.192.91.211"
"Address of the vantage point."


def probe(*arguments: str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GATEWATCH, "probe", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **more,
    )


@pytest.fixture(scope="module")
def refdata() -> RefData:
    return load(None)


def planned(refdata: RefData, **asked) -> list[Job]:
    nothing = dict.fromkeys(("urls", "files", "lists", "services", "tests"), ())
    return plan(refdata, **{**nothing, **asked})


# -- what is to be measured ------------------------------------------------------------------


def test_a_bare_name_is_a_page_over_https_and_each_is_measured_once(refdata):
    jobs = planned(refdata, urls=["example.org", "https://example.org/", "http://example.org/"])
    assert [job.input for job in jobs] == ["https://example.org/", "http://example.org/"]
    assert {job.test for job in jobs} == {"web_connectivity"}


def test_a_file_of_urls_may_have_comments_and_empty_lines(refdata, tmp_path):
    file = tmp_path / "urls.txt"
    file.write_text("# mine\n\nhttps://a.example/\n  b.example  \n")
    jobs = planned(refdata, files=[file])
    assert [job.input for job in jobs] == ["https://a.example/", "https://b.example/"]


def test_urls_may_come_from_standard_input(refdata, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("https://a.example/\n"))
    assert [job.input for job in planned(refdata, files=[Path("-")])] == ["https://a.example/"]


def test_a_service_is_its_own_test_and_its_sites(refdata):
    jobs = planned(refdata, services=["telegram"])
    assert Job("telegram", None) in jobs
    assert all(job.test in ("telegram", "web_connectivity") for job in jobs)
    assert len(jobs) > 1


def test_a_group_of_tests_is_all_of_them(refdata):
    tests = {job.test for job in planned(refdata, tests=["im"])}
    assert {"telegram", "whatsapp", "signal", "facebook_messenger"} <= tests


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({}, NoData, "nothing to measure"),
        ({"urls": ["not a url"]}, UsageFault, "is no URL"),
        ({"services": ["nonesuch"]}, NotFound, "no service"),
        ({"tests": ["nonesuch"]}, NotFound, "no test"),
        ({"tests": ["web_connectivity"]}, UsageFault, "wants an input"),
    ],
)
def test_what_cannot_be_measured_is_told(refdata, asked, error, words):
    with pytest.raises(error, match=words):
        planned(refdata, **asked)


# -- options ---------------------------------------------------------------------------------


def test_a_control_is_a_url_or_a_name_for_known_ones():
    (one,) = controls_of("http://192.0.2.1:8080/th")
    assert (one.address, one.port, one.scheme, one.url) == (
        "192.0.2.1",
        8080,
        "http",
        "http://192.0.2.1:8080/th",
    )
    assert len(controls_of("ooni")) > 1


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (controls_of, "th.example.net"),
        (controls_of, "ftp://th.example.net/"),
        (controls_of, "https://[bad/"),
        (anchor_of, "anchor.example.net"),
        (anchor_of, "anchor=somewhere"),
        (asn_of, "AS-1"),
        (asn_of, "AS99999999999"),
        (seconds_of, "6"),
        (seconds_of, "0h"),
        (seconds_of, "-1h"),
    ],
)
def test_an_option_that_is_none_is_told_with_what_is_wanted(read, text):
    with pytest.raises(UsageFault, match="wanted"):
        read(text)


@pytest.fixture(scope="module")
def full_lab() -> None:
    requires_full_lab()


# -- as a process ----------------------------------------------------------------------------


def test_nothing_is_measured_without_consent(tmp_path):
    refused = probe("run", "-i", SITE, "--spool", str(tmp_path), stdin=subprocess.DEVNULL)
    assert refused.returncode == 2
    assert "It will contact" in refused.stderr
    assert "consent" in refused.stderr
    assert refused.stdout == ""
    assert list(tmp_path.iterdir()) == []


def in_world(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a sealed world, where `probe` is the command."""
    words = shlex.join([*GATEWATCH, "probe"])
    file = folder / "script.sh"
    file.write_text(f'probe() {{ {words} "$@"; }}\nS={folder}/spool\ncd {folder}\n{script}')
    return subprocess.run(
        [*GATEWATCH, "lab", "run", "tls-reset-sni", "--", "sh", str(file)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.usefixtures("full_lab")
def test_measurements_stream_out_and_stay_in_the_spool(tmp_path):
    ran = in_world(
        tmp_path,
        f"probe run -i {SITE} --asn AS137 -c it --spool $S --jsonl --yes\n",
    )
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.splitlines()
    measurement = json.loads(line)
    assert (measurement["probe_asn"], measurement["probe_cc"]) == ("AS137", "IT")
    assert measurement["input"] == SITE
    assert measurement["test_keys"]["control"]["http_request"]["status_code"] == 200
    assert OWN not in ran.stdout
    spool = tmp_path / "spool"
    (run,) = Spool(spool).runs()
    assert (run.measurements, run.facts.interrupted) == (1, False)
    assert probe("show", "last", "--spool", str(spool), "--jsonl").stdout == ran.stdout
    listed = probe("list", "--spool", str(spool), "--json")
    assert [row["run"] for row in json.loads(listed.stdout)] == [run.facts.id]
    assert probe("rm", run.facts.id, "--spool", str(spool)).returncode == 0
    assert probe("list", "--spool", str(spool)).returncode == 3


@pytest.mark.usefixtures("full_lab")
def test_a_probe_is_judged_from_a_pipe_and_adds_to_a_file(tmp_path):
    judge = shlex.join([*GATEWATCH, "judge", "-", "--jsonl"])
    (tmp_path / "out.jsonl").write_text('{"before": 1}\n')
    ran = in_world(
        tmp_path,
        f"probe run -i {BLOCKED} -y --plain --spool $S --jsonl|{judge}\n"
        f"probe run -i {SITE} --yes --plain --spool $S -o out.jsonl\n",
    )
    assert ran.returncode == 0, ran.stderr
    verdict, *summary = ran.stdout.splitlines()
    assert json.loads(verdict)["outcome"] == "blocked"
    assert any(SITE in line for line in summary)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


@pytest.mark.usefixtures("full_lab")
def test_an_interrupted_run_leaves_whole_lines_and_says_so(tmp_path):
    urls = tmp_path / "urls.txt"
    urls.write_text("".join(f"https://www.example.org/{n}\n" for n in range(200)))
    words = shlex.join([*GATEWATCH, "probe", "run", "--file", str(urls), "--yes", "--plain"])
    ran = in_world(
        tmp_path,
        f"""
        {words} --spool $S & PROBE=$!
        until [ -s $S/*/measurements.jsonl ]; do sleep 0.05; done
        kill -INT $PROBE
        wait $PROBE
        """,
    )
    assert ran.returncode == 130, ran.stderr
    (run,) = Spool(tmp_path / "spool").runs()
    assert run.facts.interrupted
    assert 0 < run.measurements < 200
    for line in Spool(tmp_path / "spool").run("last").lines():
        json.loads(line)


def test_a_collector_that_is_not_there_is_told_and_nothing_is_marked(tmp_path):
    spool = Spool(tmp_path)
    run = spool.begin(planned=1, tests=("x",), country="IT", asn=1, now=datetime.now(UTC))
    run.append({"test_name": "web_connectivity", "probe_asn": "AS1", "probe_cc": "IT"})
    sent = probe(
        "submit", "last", "--collector", "http://127.0.0.1:9", "--spool", str(tmp_path), "--yes"
    )
    assert sent.returncode == 6
    assert "connection_refused" in sent.stderr
    assert spool.run("last").submissions() == []
