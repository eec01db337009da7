"""An ordinary user has the full lab where the system has what it takes, and is told where not."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from gatewatch.lab import trial
from gatewatch.lab.enclosure import Enclosure, Tell
from gatewatch.lab.load import load
from gatewatch.lab.namespaces import CLONE_NEWUSER, unshare
from gatewatch.lab.runs import run_world
from gatewatch.lab.world import LOG
from tests.lab.full import NOBODY, as_ordinary_user, requires_full_lab

param = pytest.param


def test_a_device_that_everybody_may_open_is_all_that_an_ordinary_user_needs():
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
    requires_full_lab()
    assert as_ordinary_user(trial.why_not, tun_mode=mode) == words


def test_an_ordinary_user_runs_a_scenario():
    requires_full_lab()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, NOBODY, NOBODY)

        def run() -> tuple[int | None, list]:
            def work(tell: Tell) -> None:
                visits = run_world(
                    load("tls-reset-sni"), folder, client=None, seed=1, capture=False
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
