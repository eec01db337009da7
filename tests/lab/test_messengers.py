"""Tests of messengers and of Tor in real worlds: blocked, moved, and open."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gatewatch.lab.attach import Direct
from gatewatch.lab.load import load
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.visits import seat_at
from gatewatch.lab.world import World
from gatewatch.probe.experiments import signal, telegram, tor, whatsapp
from gatewatch.refdata.endpoints import EndpointClass, Endpoints
from tests.lab.full import in_world

param = pytest.param
Json = dict[str, Any]

SCENARIO = """
title = "A provider, and messengers"
words = "For tests."
kind = "innocent"
extends = "worlds/messengers.toml"

[networks.isp]
asn = 137
name = "A provider"
country = "IT"
prefixes = ["130.192.0.0/16"]
hops = [["130.192.0.1"], ["130.192.0.3"]]
probe = ["130.192.91.211"]
resolver = "8.8.8.8"

[[expect]]
url = "https://www.example.org/"
outcome = "open"
"""
CENSOR = """
[[censors]]
id = "censor"
at = "isp"
trigger = {trigger}
action = {action}
"""
GONE = """
[hosts.{host}]
addresses = ["{address}"]
down = true{more}
"""
"In place of the world's own: nothing listens there, and nothing says so."


def table() -> Endpoints:
    """Fewer of each kind than the reference data has: worlds are small, and time-outs long."""
    facts = {"as_of": date(2026, 1, 1), "source": "test"}
    rows: list[Json] = [
        {"service": "telegram", "id": "data_center", "protocol": "http_post", "need": "any",
         "hosts": ["149.154.167.51", "149.154.175.50"], "ports": [80, 443], "path": "/"},
        {"service": "telegram", "id": "web", "protocol": "https", "need": "all",
         "hosts": ["web.telegram.org"], "ports": [443], "path": "/"},
        {"service": "whatsapp", "id": "endpoint", "protocol": "tcp", "need": "any",
         "hosts": ["e2.whatsapp.net", "e3.whatsapp.net"], "ports": [443, 5222],
         "networks": [32934]},
        {"service": "whatsapp", "id": "web", "protocol": "https", "need": "all",
         "hosts": ["web.whatsapp.com"], "ports": [443], "path": "/"},
        {"service": "signal", "id": "backend", "protocol": "https", "need": "all",
         "hosts": ["chat.signal.org", "storage.signal.org"], "ports": [443], "path": "/"},
        {"service": "tor", "id": "dir_port", "protocol": "http", "need": "any",
         "at": ["128.31.0.39:9131"], "path": "/tor/status-vote/current/consensus.z"},
        {"service": "tor", "id": "obfs4", "protocol": "tcp", "need": "any",
         "at": ["193.11.166.194:27015"]},
    ]  # fmt: skip
    return Endpoints([EndpointClass(**facts, **row) for row in rows], [], version="test")


TESTS = {
    one.name: one
    for one in (telegram.EXPERIMENT, whatsapp.EXPERIMENT, signal.EXPERIMENT, tor.EXPERIMENT)
}


def scenario(tmp_path: Path, *more: str) -> Scenario:
    file = tmp_path / "messengers.toml"
    file.write_text(SCENARIO + "".join(more))
    return load(file)


def measured(world: Scenario) -> Mapping[str, Json]:
    """All four tests, from the provider's network, at the same time."""
    endpoints = table()

    def client(running: World) -> Json:
        seat = seat_at(world, "isp", Direct(), running.folder / "ca.pem")

        async def all_at_once() -> list[Json]:
            tests = (replace(test, table=endpoints) for test in TESTS.values())
            return await asyncio.gather(*(t.run(None, seat, random.Random(1)) for t in tests))

        return dict(zip(TESTS, asyncio.run(all_at_once()), strict=True))

    return in_world(world, {"isp": client}).results["isp"]


def censor(trigger: str, action: str) -> str:
    return CENSOR.format(trigger=trigger, action=action)


def gone(host: str, address: str, more: str = "") -> str:
    return GONE.format(host=host, address=address, more=more)


ALL_OPEN = {"telegram": False, "whatsapp": False, "signal": False, "tor": False}


@pytest.mark.parametrize(
    ("more", "blocked"),
    [
        param((), {}, id="nothing is filtered"),
        param(
            (censor('{ ip = ["149.154.160.0/20"] }', "{ refuse = {} }"),),
            {"telegram": True},
            id="the addresses of one are refused",
        ),
        param(
            (censor('{ sni = [".whatsapp.com", ".signal.org"] }', "{ reset = {} }"),),
            {"whatsapp": True, "signal": True},
            id="two are reset by server name",
        ),
        param(
            (censor('{ endpoint = ["128.31.0.39:9131/tcp"] }', "{ reset = {} }"),),
            {"tor": True},
            id="directories of Tor are reset",
        ),
        param(
            (gone("telegram-dc", "149.154.167.51"), gone("tor-authority", "128.31.0.39")),
            {"telegram": None, "tor": None},
            id="data centres and directories have moved",
        ),
        param(
            (gone("control", "162.55.247.208", '\ncontrol = true\nnames = ["th.lab"]'),),
            {},
            id="all works, and there is no control",
        ),
    ],
)
def test_what_is_blocked_is_found_and_what_moved_is_not(more, blocked, tmp_path):
    found = measured(scenario(tmp_path, *more))
    said = {name: one["test_keys"]["x_service"]["blocked"] for name, one in found.items()}
    why = {name: one["test_keys"]["x_service"] for name, one in found.items()}
    assert said == {**ALL_OPEN, **blocked}, why
