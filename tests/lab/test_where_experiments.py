"""Where it happens to what requests with limited TTLs do not show: it is slow, or QUIC itself."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as with_changes
from typing import Any

import pytest
from msgspec.structs import replace as replaced

from gatewatch.lab.rules import Action, Censor, Drop, Throttle, Trigger
from gatewatch.lab.scenario import Host, Route, Web
from gatewatch.probe.experiments import held_back, hop, stalled
from gatewatch.probe.experiments.attempts import finding
from gatewatch.probe.experiments.mechanism import Bench, Experiment, Suspicion
from gatewatch.probe.finding import Finding
from tests.lab.test_timing_experiments import HOSTS, LISTED, found_in, suspected, world
from tests.lab.worlds import SITE

SLOW = Censor(
    id="slow",
    at="access/1",
    trigger=Trigger(sni=(LISTED,)),
    action=Action(throttle=Throttle(rate_kbps=140.0, burst_kb=8.0)),
)
STALLS = Censor(
    id="stalls",
    at="national/1",
    trigger=Trigger(host=(LISTED,)),
    action=Action(drop=Drop(after_packets=6)),
)
NO_QUIC = Censor(
    id="no-quic",
    at="national/1",
    trigger=Trigger(port=(443,), transport="udp"),
    action=Action(drop=Drop()),
)


@dataclass
class Knowing:
    """An experiment, after another one that found something."""

    experiment: Experiment
    answer: str
    more: dict[str, Any]

    def __post_init__(self) -> None:
        one = self.experiment
        self.name, self.version, self.question = one.name, one.version, one.question
        self.layers, self.deep = one.layers, one.deep

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        known = finding(self.experiment, suspicion, self.answer, "", [], **self.more)
        bench.findings.append(known)
        return await self.experiment.run(bench, suspicion)


SLOWED = Knowing(held_back.EXPERIMENT, "slowed_by_name", {"trigger": "name"})
NAMED = Knowing(held_back.EXPERIMENT, "name", {"trigger": "name"})
ITSELF = Knowing(hop.EXPERIMENT, "protocol", {"trigger": "protocol"})
STALLED = with_changes(suspected("http"), failure="generic_timeout_error")
BY_NAME = ((SLOWED, suspected("http", "slow", scheme="https")), (NAMED, STALLED))


def test_the_hop_is_found_where_requests_are_answered_or_every_name_vanishes():
    found = found_in(world(SLOW, STALLS, NO_QUIC), *BY_NAME, (ITSELF, suspected("quic")))
    seen = [one and (one.answer, one.placement, one.hop_ttl, one.hop_address) for one in found]
    assert seen == [
        ("found", "in_path", 1, "130.192.0.1"),
        ("found", "in_path", 4, "79.0.0.1"),
        ("found", "in_path", 4, "79.0.0.1"),
    ], [one and one.words for one in found]


def test_where_nobody_holds_anything_back_no_hop_is_named():
    found = found_in(world(), *BY_NAME)
    assert [one and (one.answer, one.placement, one.hop_ttl) for one in found] == 2 * [
        ("not_seen", None, None)
    ]


def page(scheme: str, path: str) -> Suspicion:
    """A page of the site's that stalls."""
    asked = suspected("http", path=path, scheme=scheme)
    return with_changes(asked, failure="generic_timeout_error")


BY_ADDRESS = Knowing(
    stalled.EXPERIMENT, "address", {"trigger": "address", "mechanism": "http.timeout"}
)
PAGES = Web(routes=(Route(path="/big", size=65_536), Route(path="/never", delay_ms=60_000.0)))


def stalling(at: str, drop: Drop) -> Censor:
    return Censor(id="stall", at=at, trigger=Trigger(ip=(SITE,)), action=Action(drop=drop))


@pytest.mark.parametrize(
    ("censors", "path", "seen"),
    [
        pytest.param(
            (stalling("national/1", Drop(after_kb=16.0)),), "/big",
            ("found", "in_path", 4, "79.0.0.1"), id="after 16 kB",
        ),
        pytest.param(
            (stalling("access/1", Drop(after_packets=12)),), "/big",
            ("found", "in_path", 1, "130.192.0.1"), id="after 12 packets, before a silent hop",
        ),
        pytest.param(
            (stalling("national/1", Drop(after_kb=16.0, to="client")),), "/big",
            ("not_seen", None, None, None), id="what is sent still goes on",
        ),
        pytest.param((), "/never", ("not_seen", None, None, None), id="the server stops by itself"),
        pytest.param((), "/big", ("not_repeated", None, None, None), id="nothing stalls"),
    ],
)  # fmt: skip
def test_the_hop_is_found_where_connections_to_an_address_stall(censors, path, seen):
    lab = world(*censors)
    hosts = {**HOSTS, "site": Host(addresses=(SITE,), names=(LISTED,), web=PAGES)}
    asked = [(BY_ADDRESS, page(scheme, path)) for scheme in ("https", "http")]
    found = found_in(replaced(lab, hosts=hosts), *asked)
    words = [one and one.words for one in found]
    shown = [one and (one.answer, one.placement, one.hop_ttl, one.hop_address) for one in found]
    assert shown == [seen, seen], words


def test_nobody_asks_where_it_stalls_unless_it_is_known_for_what():
    unknown = Knowing(stalled.EXPERIMENT, "here_only", {})
    assert found_in(world(), (unknown, page("http", "/big"))) == [None]


def test_an_address_that_stalls_is_the_reason_once_the_server_is_known_not_to_be():
    known = Knowing(stalled.EXPERIMENT, "stalled_at_address", {})
    slow = with_changes(suspected("http", "slow", path="/big", scheme="https"), reached=True)
    stops = world(stalling("national/1", Drop(after_kb=16.0)))
    found = [found_in(lab, (known, slow))[0] for lab in (stops, world())]
    assert [one and (one.answer, one.trigger, one.hop_ttl) for one in found] == [
        ("found", "address", 4),
        ("not_repeated", None, None),
    ]
