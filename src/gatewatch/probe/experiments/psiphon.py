"""Psiphon: can what its client needs at the start be fetched?

OONI's test `psiphon` starts Psiphon and fetches a page through it. This one does not start it: it
says whether the list of servers and the pages for downloads can be had, and nothing of whether a
tunnel would come up; `bootstrap_time` is therefore null, and the test has a name of its own.
"""

from __future__ import annotations

from gatewatch.probe.experiments.common.services import ByKind, ServiceTest
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat


def read(reached: ByKind, seat: Seat) -> Json:
    lists = reached.get("server_list", [])
    return {
        "bootstrap_time": None,
        "x_fronts_reachable": {
            one.endpoint.url: one.well for ones in reached.values() for one in ones
        },
        "x_server_list_reachable": any(one.well for one in lists),
    }


EXPERIMENT = ServiceTest(
    name="psiphon_fronts",
    version="0.1.0",
    question="Can the list of servers be fetched that Psiphon begins with?",
    service="psiphon",
    read=read,
)
