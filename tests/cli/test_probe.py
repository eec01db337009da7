"""`gatewatch probe`, as its user meets it."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.speed.submit import Server
from gatewatch.cli.exits import UsageFault
from gatewatch.cli.probe_machine import anchor_of, asn_of, controls_of
from gatewatch.cli.probe_plan import plan
from gatewatch.cli.probe_rounds import seconds_of
from gatewatch.lab.visits import environment_of
from gatewatch.model.errors import NoData, NotFound
from gatewatch.probe.consent import consent_text
from gatewatch.probe.machine import seat_of_machine
from gatewatch.probe.runner import Job
from gatewatch.probe.spool import Spool
from gatewatch.probe.whereabouts import asked
from gatewatch.refdata.snapshot import RefData, load
from tests.lab.full import requires_full_lab
from tests.server.control import measurement, stored

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


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbfa.example\r\n\r\n# b\r\n", id="a byte order mark, CRLF"),
        pytest.param("a.example\n".encode("utf-16"), id="UTF-16"),
        pytest.param(b"url,category_code\nhttps://a.example/,NEWS\n", id="a test list"),
        pytest.param(b'code,url\n"x,y",https://a.example/\nx\n', id="CSV with quotes"),
    ],
)
def test_a_file_of_urls_may_come_from_any_editor(refdata, tmp_path, content):
    file = tmp_path / "urls.txt"
    file.write_bytes(content)
    assert [job.input for job in planned(refdata, files=[file])] == ["https://a.example/"]


def test_lines_that_are_no_urls_are_set_aside_and_told_with_their_place(refdata, tmp_path):
    file = tmp_path / "urls.txt"
    file.write_bytes(b"https://a.example/\nnot a url\nhttps://a.example/caf\xe9\n" + b"a" * 9000)
    told: list[str] = []
    jobs = planned(refdata, files=[file], aside=told.append)
    assert [job.input for job in jobs] == ["https://a.example/"]
    assert [words.split(": ")[0] for words in told] == [f"{file}, line {n}" for n in (2, 3, 4)]
    with pytest.raises(UsageFault, match="line 2"):
        planned(refdata, files=[file])


@pytest.mark.parametrize(
    "given",
    [
        "javascript:alert(1)",
        "mailto:x@y.example",
        "about:blank",
        "ftp://www.example.org/",
        "https://user:password@www.example.org/",
        "http://[::1",
        "https://www.example.org:99999/",
        "http:/www.example.org",
        "https://www.example.org/a b",
        "https://www.example.org/\x00",
        "//www.example.org/",
        "https:///x",
    ],
)
def test_what_cannot_be_visited_is_no_measurement(refdata, given):
    with pytest.raises(UsageFault):
        planned(refdata, urls=[given])


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("1.2.3.4", "https://1.2.3.4/"),
        ("2001:db8::1", "https://[2001:db8::1]/"),
        ("example.org:8443", "https://example.org:8443/"),
        (
            "\u044f\u043d\u0434\u0435\u043a\u0441.\u0440\u0444",
            "https://\u044f\u043d\u0434\u0435\u043a\u0441.\u0440\u0444/",
        ),
    ],
)
def test_addresses_ports_and_names_of_every_script_are_sites(refdata, given, url):
    assert [job.input for job in planned(refdata, urls=[given])] == [url]


def test_other_tests_have_inputs_with_schemes_of_their_own(refdata):
    (job,) = planned(refdata, urls=["stun://a.example:3478"], tests=["stunreachability"])
    assert job.input == "stun://a.example:3478"


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


def test_no_trace_is_sent_without_consent(tmp_path):
    ran = subprocess.run(
        [*GATEWATCH, "trace", "run", SITE, "--folder", str(tmp_path)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "every hop on the way" in ran.stderr
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


@pytest.mark.usefixtures("full_lab")
def test_what_is_wrong_with_a_run_is_told(tmp_path):
    ran = in_world(
        tmp_path,
        f"""
        printf 'nonsense here\\n{SITE}\\n' > urls.txt
        probe run -f urls.txt --plain --spool $S --control {SITE} --csv; echo $?
        probe run -i {SITE} --plain --spool $S -o /dev/full --csv; echo $?
        probe run -i {SITE} --plain --spool $S --budget 0 --csv; echo $?
        """,
    )
    codes = [line for line in ran.stdout.splitlines() if line.isdigit()]
    assert codes == ["5", "1", "0"], ran.stderr
    for words in (
        "set aside: urls.txt, line 1",
        "no control vantage answered in 1 of 1",
        "/dev/full: No space left on device",
        "1 of 1 not measured: the budget of 0.0 s was spent",
    ):
        assert words in ran.stderr
    assert [run.measurements for run in Spool(tmp_path / "spool").runs()] == [1, 1, 0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--country", "italy"], "two letters"),
        (["--ca", "/nonexistent"], "PEM file"),
        (["--control", "nonsense"], "a URL such as"),
    ],
)
def test_options_that_make_no_sense_are_told_before_anything_is_sent(options, words):
    ran = probe("run", "-i", SITE, "--yes", *options)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert words in ran.stderr


def test_who_is_contacted_is_said_to_the_last_address():
    seat = seat_of_machine()
    text = consent_text([Job("web_connectivity", SITE)], seat, (), deep=False)
    for one in [*seat.udp_resolvers, *(name for name, _ in seat.doh_resolvers), *asked(seat)]:
        assert one in text
    assert "1 measurement " in text


def test_what_is_measured_in_the_lab_does_not_get_among_real_measurements(tmp_path):
    seat = seat_of_machine(ca=tmp_path / "ca.pem")
    assert environment_of(seat)["GATEWATCH_SPOOL"] == str(tmp_path / "spool")


def test_the_same_run_is_removed_once(tmp_path):
    run = Spool(tmp_path).begin(planned=1, tests=("x",), country="IT", asn=1, now=datetime.now(UTC))
    ran = probe("rm", "last", run.facts.id, "--spool", str(tmp_path))
    assert (ran.returncode, ran.stderr.count("removed")) == (0, 1)


def test_what_was_handed_in_and_not_marked_is_stored_once_all_the_same(tmp_path):
    spool = Spool(tmp_path / "spool")
    run = spool.begin(planned=3, tests=("x",), country="IT", asn=137, now=datetime.now(UTC))
    for number in range(3):
        run.append(measurement(input=f"https://{number}.example/"))

    marks = run.folder / "submitted.jsonl"

    async def handed_in() -> list[str]:
        server = Server(tmp_path / "store")
        await server.start()
        url, told = server.listening[0]["url"], []
        for collector, forget in ((url, False), (f"{url}/", True), (url, False)):
            line = ["submit", "last", "--collector", collector, "--spool", str(spool.root), "--yes"]
            sent = await asyncio.to_thread(probe, *line)
            told.append(sent.stderr.strip())
            if forget:
                marks.unlink()
        await server.stop()
        return told

    assert asyncio.run(handed_in()) == [
        "3 submitted, 0 had been before",
        "nothing to submit: 3 of 3 had been before",
        "3 submitted, 0 had been before",
    ]
    assert len(spool.run("last").reports()) == 1
    assert len(stored(tmp_path)) == 3


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
