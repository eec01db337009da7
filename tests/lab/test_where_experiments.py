"""Where it happens to what requests with limited TTLs do not show: it is slow, or QUIC itself."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as with_changes
from typing import Any

from gatewatch.lab.rules import Action, Censor, Drop, Throttle, Trigger
from gatewatch.probe.experiments import held_back, hop
from gatewatch.probe.experiments.attempts import finding
from gatewatch.probe.experiments.mechanism import Bench, Experiment, Suspicion
from gatewatch.probe.finding import Finding
from tests.lab.test_timing_experiments import LISTED, found_in, suspected, world

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
