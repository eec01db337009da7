"""`gatewatch lab`, as its user meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatewatch.lab.load import names
from tests.lab.full import requires_full_lab, requires_root, requires_tool

GATEWATCH = [sys.executable, "-c", "from gatewatch.cli.app import main; main()", "lab"]

MINE = """
title = "An ISP that resets a server name"
words = "One box, one name."
kind = "leaf"
extends = "worlds/internet.toml"

[networks.isp]
asn = 137
name = "An ISP"
country = "IT"
prefixes = ["130.192.0.0/16"]
hops = [["130.192.0.1"], []]
probe = ["130.192.91.211"]
resolver = "8.8.8.8"

[[censors]]
id = "resetter"
at = "isp"
trigger = { sni = [".example.com"] }
action = { reset = {} }

[[expect]]
url = "https://www.example.com/"
outcome = "blocked"
mechanisms = ["tls.reset.sni"]
by = ["resetter"]

[[expect]]
url = "https://www.example.org/"
outcome = "open"
"""
NOT_SO = MINE.replace('outcome = "open"', 'outcome = "down"')


def lab(*arguments: str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GATEWATCH, *arguments], capture_output=True, text=True, timeout=120, check=False, **more
    )


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenarios") / "mine.toml"
    path.write_text(MINE)
    return path


def test_the_list_names_every_scenario(run):
    rows = json.loads(run("lab", "list", "--json").stdout)
    assert [row["id"] for row in rows] == names()


def test_the_list_can_be_of_one_kind(run):
    rows = json.loads(run("lab", "list", "--kind", "innocent", "--json").stdout)
    assert {row["kind"] for row in rows} == {"innocent"}


def test_a_scenario_is_shown_in_words(run, mine):
    shown = run("lab", "show", str(mine), "-f", "table").stdout
    for words in ("An ISP that resets a server name", "AS137", "sni .example.com", "tls.reset.sni"):
        assert words in shown


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (("show", "atlantis"), 4, "no scenario 'atlantis'"),
        (("run", "/nowhere/x.toml"), 1, "cannot be read"),
        (("run", "tls-reset-sni", "--pcap"), 2, "--folder"),
        (("check", "--kind", "nice"), 2, "nice"),
        (("check", "tls-reset-sni", "--kind", "innocent"), 3, "no scenario is of that kind"),
        (("check", "tls-reset-sni", "tls-reset-sni"), 2, "more than one scenario"),
        (("check", "--at-once", "0"), 2, "at-once"),
        (("check", "--client", "sh -c '"), 2, "No closing quotation"),
        (("check", "--client", ""), 2, "wants a command"),
        (("run", "tls-reset-sni", "--network", "garr"), 2, "comes after --"),
    ],
)
def test_what_cannot_be_done_is_said(run, line, code, words):
    done = run("lab", *line)
    assert done.exit_code == code
    assert words in done.stderr


def test_a_scenario_of_ones_own_is_run_and_judged(mine, tmp_path):
    requires_full_lab()
    done = lab("run", str(mine), "--json", "--folder", str(tmp_path), "--pcap")
    assert done.returncode == 0, done.stderr
    checked = json.loads(done.stdout)
    assert checked["totals"]["found"] == checked["totals"]["right"] == 1
    left = {path.name for path in (tmp_path / "mine").iterdir()}
    assert {"acts.jsonl", "truth.jsonl", "visits.jsonl", "isp.pcapng", "world.pcapng"} <= left


def test_a_verdict_that_contradicts_the_truth_fails_the_check(tmp_path):
    requires_full_lab()
    path = tmp_path / "notso.toml"
    path.write_text(NOT_SO)
    done = lab("check", str(path), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["totals"]["wrong_outcome"] == 1


def test_the_scenario_of_the_manual_is_whole(tmp_path):
    requires_full_lab()
    manual = Path(__file__).parents[2] / "docs" / "lab.md"
    path = tmp_path / "manual.toml"
    path.write_text(manual.read_text().partition("```toml\n")[2].partition("```")[0])
    done = lab("run", str(path), "--json")
    assert done.returncode == 0, done.stderr
    totals = json.loads(done.stdout)["totals"]
    assert (totals["found"], totals["right"]) == (1, 1)


def test_a_check_that_measures_nothing_does_not_succeed():
    done = lab("check", "ip-unreachable", "--reduced")
    assert done.returncode == 3
    assert "nothing of it runs in the reduced lab" in done.stderr


def test_somebody_elses_folder_is_left_alone(mine, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all my work")
    done = lab("run", str(mine), "--folder", str(tmp_path), "--reduced")
    assert done.returncode == 1
    assert "is not empty" in done.stderr
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all my work"


def test_a_command_runs_at_a_vantage_point_and_its_end_is_ours(mine):
    requires_full_lab()
    done = lab("run", str(mine), "--", "sh", "-c", "cat /etc/resolv.conf; cat; exit 7", input="in")
    assert done.returncode == 7
    assert done.stdout.startswith("nameserver 8.8.8.8\n")
    assert done.stdout.endswith("in")
    assert done.stderr == ""


def test_a_command_gets_no_descriptor_of_the_hosts(mine):
    requires_full_lab()
    reading, writing = os.pipe()
    told = lab("run", str(mine), "--", "sh", "-c", f"echo out >&{writing}", pass_fds=(writing,))
    os.close(writing)
    assert told.returncode
    assert os.read(reading, 10) == b""
    os.close(reading)


def test_not_even_roots_command_enters_the_network_of_the_host(mine):
    requires_full_lab()
    requires_root()
    nsenter = requires_tool("nsenter")
    with subprocess.Popen(["sleep", "60"]) as host:
        try:
            way = f"/proc/{host.pid}/ns/net"
            tried = f"umount /proc; {nsenter} --net={way} true && echo entered"
            done = lab("run", str(mine), "--", "sh", "-c", tried)
        finally:
            host.kill()
    assert "entered" not in done.stdout
    assert done.returncode


def test_a_client_that_leaves_no_file_is_said_to(mine, tmp_path):
    requires_full_lab()
    client = tmp_path / "client"
    client.write_text('#!/bin/sh\nmkdir "$4"\n')
    client.chmod(0o755)
    done = lab("check", str(mine), "--client", str(client), "--json")
    assert done.returncode == 1
    assert "wrote no lab-mine-isp-0.jsonl" in json.loads(done.stdout)["unconfirmed"][0]


def test_what_is_temporary_is_removed_when_it_is_told_to_end(mine, tmp_path):
    requires_full_lab()
    running = subprocess.Popen(
        [*GATEWATCH, "run", str(mine), "--", "cat"],
        stdin=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    while not list(tmp_path.glob("gatewatch-lab-*/mine/ca.pem")):
        assert running.poll() is None
        time.sleep(0.01)
    running.terminate()
    assert running.wait(20) == 143
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_not_there_is_127(mine):
    requires_full_lab()
    done = lab("run", str(mine), "--", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr


def test_curl_is_reset(mine):
    requires_full_lab()
    curl = requires_tool("curl")
    line = ("run", str(mine), "--", curl, "-sS", "-o", "/dev/null")
    blocked, fine = (lab(*line, f"https://www.example.{end}/") for end in ("com", "org"))
    assert blocked.returncode == 35
    assert "reset by peer" in blocked.stderr
    assert fine.returncode == 0, fine.stderr


def test_a_client_of_ones_own_is_called_for_each_url(mine, tmp_path):
    requires_full_lab()
    client = tmp_path / "client"
    client.write_text('#!/bin/sh\necho "$@" >&2\nexit 3\n')
    client.chmod(0o755)
    done = lab("check", str(mine), "--client", str(client), "--json")
    assert done.returncode == 1
    assert "-i https://www.example.com/ -o " in done.stderr
    assert "ended with 3" in json.loads(done.stdout)["unconfirmed"][0]


def test_an_interrupt_ends_it_all(tmp_path):
    requires_full_lab()
    running = subprocess.Popen(
        [*GATEWATCH, "run", "dns-timeout", "--folder", str(tmp_path)],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    log = tmp_path / "dns-timeout" / "acts.jsonl"
    while not (log.exists() and log.stat().st_size):
        assert running.poll() is None
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=20)
    assert running.returncode == 130
    assert told.decode().startswith("gatewatch: interrupted")
    assert told.count(b"\n") == 1
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert left.stdout == b""
