"""An ordinary user has the full lab where the system has what it takes, and is told where not."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from gatewatch.lab import trial
from gatewatch.lab.enclosure import Enclosure, Tell, spawn
from gatewatch.lab.load import load
from gatewatch.lab.namespaces import CLONE_NEWUSER, unshare
from gatewatch.lab.runs import run_world
from gatewatch.lab.visits import FIRST_PASS
from gatewatch.lab.world import LOG
from tests.lab.full import NOBODY, as_ordinary_user, requires_full_lab, requires_root

param = pytest.param


def test_a_device_that_everybody_may_open_is_all_that_an_ordinary_user_needs():
    requires_root()
    requires_full_lab()
    assert as_ordinary_user(lambda: (os.geteuid(), trial.why_not())) == (NOBODY, None)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        param(0o600, "/dev/net/tun (mode 600) cannot be opened: Permission denied", id="closed"),
        param(None, "/dev/net/tun cannot be opened: No such file or directory", id="none"),
    ],
)
def test_without_the_device_the_user_is_told_of_it(mode, words):
    requires_root()
    requires_full_lab()
    assert as_ordinary_user(trial.why_not, tun_mode=mode) == words


def test_an_ordinary_user_runs_a_scenario():
    requires_root()
    requires_full_lab()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, NOBODY, NOBODY)

        def run() -> tuple[int | None, list]:
            def work(tell: Tell) -> None:
                visits = run_world(
                    load("tls-reset-sni"), folder, client=FIRST_PASS, seed=1, capture=False
                )
                tell([(visit.url, visit.failure) for visit in visits])

            with Enclosure(work) as enclosure:
                messages = list(enclosure)
            return enclosure.status, messages

        status, messages = as_ordinary_user(run)
        acts = [json.loads(line) for line in (folder / LOG).read_bytes().splitlines()]
    assert status == 0
    assert messages == [[["https://www.example.com/", None], ["https://www.example.org/", None]]]
    assert [(act["action"], act["subject"]) for act in acts] == [("reset", "www.example.com")]


def forbid_user_namespaces() -> None:
    """As a system without them: here it is this process and what comes of it that may have none.

    The limit is a user namespace's own, so a new one is made that has root and the ordinary user.
    """
    outside, inside = os.pipe(), os.pipe()
    unmapped = os.getpid()

    def map_ids() -> None:
        os.read(outside[0], 1)
        for kind in ("uid", "gid"):
            Path(f"/proc/{unmapped}/{kind}_map").write_text(f"0 0 1\n{NOBODY} {NOBODY} 1")
        os.write(inside[1], b"!")

    spawn(map_ids)
    unshare(CLONE_NEWUSER, "user namespace")
    os.write(outside[1], b"!")
    os.read(inside[0], 1)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def test_a_system_without_user_namespaces_says_so():
    requires_root()
    requires_full_lab()
    words = as_ordinary_user(trial.why_not, tun_mode=None, before=forbid_user_namespaces)
    limits = "the limits in /proc/sys/user forbid it"
    assert words == f"a new user namespace cannot be made: {limits}"
