"""Residual blocking: what else is blocked for a while after a trigger, in real worlds."""

from __future__ import annotations

import time

import pytest

from gatewatch.lab.rules import Action, Reset, Residual
from tests.lab.censored import ELSEWHERE, INNOCENT, LISTED, SAID, only, world
from tests.lab.dialogue import hello
from tests.lab.full import in_world
from tests.lab.talk import PATIENCE_S, tell
from tests.lab.worlds import PROBE, SITE

param = pytest.param

LONG = 3600.0
HERE = 40_000
"A port of the client's own choice, so that a flow can have the same one again."


@pytest.mark.parametrize(
    ("ends", "open_still"),
    [
        param("2-tuple", {"another server"}, id="client and server"),
        param("3-tuple", {"another server", "another service"}, id="and the server's port"),
        param(
            "4-tuple",
            {"another server", "another service", "another port"},
            id="and the client's port",
        ),
    ],
)
def test_residual_blocking_meets_innocents_with_the_same_ends(ends, open_still):
    flows = {
        "the same": (SITE, 443, HERE),
        "another port": (SITE, 443, HERE + 1),
        "another service": (SITE, 8443, HERE),
        "another server": (ELSEWHERE, 443, HERE),
    }
    innocent = hello(INNOCENT)

    def client():
        before = [opens(server, port, here + 10, innocent) for server, port, here in flows.values()]
        trigger = tell(SITE, 443, hello(LISTED), source=(PROBE, HERE))
        after = {name for name, (s, p, here) in flows.items() if opens(s, p, here, innocent)}
        return before, trigger, after

    lived = in_world(
        world(SAID, Action(reset=Reset(to="both")), residual=Residual(seconds=LONG, ends=ends)),
        only(client),
    )
    assert lived.results["access"] == ([True] * 4, "ECONNRESET", open_still)


def opens(server: str, port: int, here: int, words: bytes) -> bool:
    return tell(server, port, words, source=(PROBE, here)) == words


def test_residual_blocking_lasts_its_seconds():
    seconds = 2.0

    def client():
        began = time.monotonic()
        heard = [tell(SITE, 443, hello(LISTED))]
        while heard[-1] != hello(INNOCENT):
            heard.append(tell(SITE, 443, hello(INNOCENT)))
        return heard, time.monotonic() - began

    residual = Residual(seconds=seconds, extends=False)
    lived = in_world(world(SAID, Action(reset=Reset(to="both")), residual=residual), only(client))
    heard, lasted = lived.results["access"]
    assert len(heard) > 2, "an innocent was blocked, and in the end was not"
    assert seconds <= lasted < seconds + PATIENCE_S
    assert {act.subject for act in lived.acts} == {LISTED}
