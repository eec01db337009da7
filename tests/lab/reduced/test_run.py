"""Scenarios that come with the lab, run reduced by a user without any privilege."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gatewatch.flow.lab_check import run_lab, truths_of
from gatewatch.lab.enclosure import spawn
from gatewatch.lab.load import load
from gatewatch.lab.reduced import CannotReduce, run_reduced
from gatewatch.lab.reduced.run import ReducedWorld
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.visits import FIRST_PASS, Visit, uid_of

NOBODY = 65_534
VISITS = Path("visits-of-nobody.json")

MET = {
    "dns-injection-bogon": {"generic_timeout_error"},
    "dns-injection-blockpage": {"connection_refused"},
    "dns-nxdomain": {"dns_nxdomain_error"},
    "dns-refused": {"dns_refused_error"},
    "dns-timeout": {"generic_timeout_error"},
    "tcp-refused": {"connection_refused"},
    "tcp-timeout": {"generic_timeout_error"},
    "tls-reset-sni-ipv6": {"connection_reset"},
    "tls-timeout": {"generic_timeout_error"},
    "tls-eof": {"eof_error"},
    "tls-error": {"ssl_failed_handshake"},
    "tls-mitm-ca-signed": {"ssl_unknown_authority"},
    "http-reset-host": {"connection_reset"},
    "http-eof": {"eof_error"},
    "china-tls-resets": {"connection_reset"},
}
"By scenario: failures that the first thing it expects must show at the first vantage point."


def as_nobody(scenario: Scenario, home: Path) -> list[Visit]:
    """A run by an ordinary user, who sees of its folder only that it is the current one."""

    def run() -> None:
        os.chdir(home)
        if os.geteuid() == 0:
            os.chown(".", NOBODY, NOBODY)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        visits = run_reduced(scenario, Path("."), client=FIRST_PASS, seed=1)
        VISITS.write_bytes(msgspec.json.encode(visits))

    _, status = os.waitpid(spawn(run), 0)
    assert status == 0
    return msgspec.json.decode((home / VISITS).read_bytes(), type=list[Visit])


def failures(measurement: dict) -> Iterator[str | None]:
    """Every way in which a step of a measurement ended."""
    found = measurement["test_keys"]
    for step in ("queries", "tls_handshakes", "requests"):
        yield from (entry["failure"] for entry in found[step] or ())
    yield from (entry["status"]["failure"] for entry in found["tcp_connect"] or ())


def test_leaves_and_national_styles_run_without_privilege_and_without_packets(tmp_path):
    scenarios = [load(name) for name in MET]
    ran = run_lab(scenarios, tmp_path, as_nobody, at_once=len(scenarios), enclosed=False)
    assert [world for world in ran if world.failure] == []
    for scenario in scenarios:
        home = tmp_path / scenario.id
        truths = list(truths_of(scenario, tmp_path))
        assert [doubt for doubt in truths if isinstance(doubt, str)] == []
        file = home / f"{uid_of(scenario, scenario.vantages[0], 0)}.jsonl"
        assert MET[scenario.id] <= {*failures(json.loads(file.read_text()))}, scenario.id
        assert (home / "ca.pem").read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_a_world_says_which_port_it_could_not_have(tmp_path):
    given = load("dns-nxdomain")
    twice = msgspec.structs.replace(given, hosts={**given.hosts, "double": given.hosts["garr-dns"]})
    with pytest.raises(CannotReduce, match=r"^127\.\d+\.\d+\.\d+, port 20053: .*in use"):
        ReducedWorld(twice, tmp_path).__enter__()


def test_worlds_leave_no_process_behind(tmp_path):
    with ReducedWorld(load("dns-nxdomain"), tmp_path) as world:
        world.check()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
