"""What the mechanism experiments share: a suspicion, a bench to test it on, and their interface.

An experiment changes one thing against the suspected attempt and compares. It is run for the
suspicions of the layers it names; the quick ones always, the deep ones only when asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gatewatch.probe.finding import Finding
from gatewatch.probe.net import Vantage
from gatewatch.probe.seat import Seat

Layer = Literal["dns", "tcp", "tls", "quic", "http"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """One thing in the first pass that may be interference."""

    layer: Layer
    kind: Literal["failed", "answer", "page", "slow", "unasked"]
    """The step failed; a resolver's answer is not the control's; the page is not the control's;
    it was slow; or, for what the first pass does not ask, nothing is known yet."""
    failure: str | None
    url: str
    host: str
    "A-labels, lower case."
    address: str | None
    "None: the name gave none."
    port: int
    depth: int
    true_addresses: tuple[str, ...] = ()
    "What a control, or a resolver that authenticates itself, says the host's addresses are."
    answers: tuple[str, ...] = ()
    "What the suspected resolver answered."


@dataclass(slots=True, kw_only=True)
class Bench:
    """What an experiment has to work with."""

    seat: Seat
    vantage: Vantage
    rng: random.Random
    deadline: float
    "Seconds since the measurement began; nothing is begun that cannot end before."
    deep: bool = False
    tell: Callable[[str], None] = lambda words: None
    "What is happening, for whoever watches."
    findings: list[Finding] = field(default_factory=list)
    "Of the experiments before this one, about the same input."
    tainted: dict[str, float] = field(default_factory=dict)
    """Address → until when it may be under residual blocking, seconds since the measurement
    began. An experiment that sends a trigger to an anchor says so here and takes another one."""

    def left_s(self) -> float:
        return self.deadline - self.vantage.now()


class Experiment(Protocol):
    """One question. Modules of `probe.experiments` give one each, as `EXPERIMENT`."""

    name: str
    version: int
    question: str
    layers: frozenset[Layer]
    deep: bool
    "Takes long, or many packets: only when asked for."

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        """The finding; None when the question does not arise. Never raises for the network."""
        ...
