"""What the mechanism experiments share: a suspicion, a bench to test it on, and their interface.

An experiment changes one thing against the suspected attempt and compares. It is run for the
suspicions of the layers it names; the quick ones always, the deep ones only when asked for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal, Protocol

from gatewatch.probe.finding import Finding
from gatewatch.probe.net import Vantage
from gatewatch.probe.seat import Anchor, Seat

Layer = Literal["dns", "tcp", "tls", "quic", "http"]

WAIT_S, LEAST_S = 0.05, 5.0
"Between looks at whether an anchor is free, and what a comparison should still have. Our choice."
RESIDUAL_S = 180.0
"The longest residual blocking that is documented (China, TLS and QUIC)."


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
    reached: bool | None = None
    """A control got past this step, at this address where there is one; None where no control
    says."""
    answering: tuple[int, ...] = ()
    "TCP ports of the address at which something answered a control: a host is there."


class Since(MutableMapping[str, float]):
    """Times by the event loop's clock, as seconds since a measurement began.

    What one measurement has done to an anchor the next must know, and they begin at different
    times.
    """

    def __init__(self, times: MutableMapping[str, float], zero: float) -> None:
        self._times, self._zero = times, zero

    def __getitem__(self, key: str) -> float:
        return self._times[key] - self._zero

    def __setitem__(self, key: str, value: float) -> None:
        self._times[key] = value + self._zero

    def __delitem__(self, key: str) -> None:
        del self._times[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._times)

    def __len__(self) -> int:
        return len(self._times)


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
    tainted: MutableMapping[str, float] = field(default_factory=dict)
    """Address → until when it may be under residual blocking, seconds since the measurement
    began. An experiment that sends a trigger to an anchor says so here and takes another one."""

    lent: set[str] = field(default_factory=set)
    "Addresses of anchors that an experiment is at work with, of another measurement too."

    def left_s(self) -> float:
        return self.deadline - self.vantage.now()

    def can_reach(self, address: str) -> bool:
        """Have we an address of that IP version?"""
        mine = {ip_address(one).version for one in self.seat.addresses}
        return not mine or ip_address(address).version in mine

    def taint(self, address: str, for_s: float = RESIDUAL_S) -> float | None:
        """A trigger was sent there, and may be remembered; until when one before it may be."""
        before = self.tainted.get(address)
        until = self.vantage.now() + for_s
        self.tainted[address] = until if before is None else max(until, before)
        return before

    def clear(self, address: str, before: float | None) -> None:
        """The trigger set nothing off; what an earlier one did stays, as `taint` told it."""
        if before is None:
            self.tainted.pop(address, None)
        else:
            self.tainted[address] = before

    def free(self, like: str | None = None, *, tainted: bool = False) -> list[Anchor]:
        """Anchors that nobody uses and no trigger was sent to.

        Args:
            like: only of the IP version of this address; None is IPv4 where we have it.
            tainted: after those also what a trigger was sent to, the longest ago first.
        """
        free = [anchor for anchor in self._anchors(like) if anchor.address not in self.lent]
        clean = [anchor for anchor in free if not self.is_tainted(anchor.address)]
        rest = [anchor for anchor in free if tainted and self.is_tainted(anchor.address)]
        return clean + sorted(rest, key=lambda anchor: self.tainted[anchor.address])

    def is_tainted(self, address: str) -> bool:
        now = self.vantage.now()
        return self.tainted.get(address, now) > now

    async def turn(self, like: str | None = None, least: int = 1) -> None:
        """Wait until so many anchors are free, tainted or not, or there is little time left."""
        least = min(least, len(self._anchors(like)))
        while len(self.free(like, tainted=True)) < least and self.left_s() > LEAST_S:
            await asyncio.sleep(WAIT_S)

    def _anchors(self, like: str | None) -> list[Anchor]:
        found = [anchor for anchor in self.seat.anchors if self.can_reach(anchor.address)]
        if like is not None:
            version = ip_address(like).version
            return [anchor for anchor in found if ip_address(anchor.address).version == version]
        return sorted(found, key=lambda anchor: ip_address(anchor.address).version)

    @contextmanager
    def lend(
        self, most: int, like: str | None = None, *, tainted: bool = False
    ) -> Iterator[list[Anchor]]:
        """Up to so many anchors that nobody else is given meanwhile; as `free` has them.

        Args:
            tainted: also what a trigger was sent to; for those who find out whether innocent
                attempts go well there.
        """
        with self.hold(self.free(like, tainted=tainted)[:most]) as anchors:
            yield anchors

    @contextmanager
    def hold(self, anchors: list[Anchor]) -> Iterator[list[Anchor]]:
        """These, all of them free, for nobody else."""
        addresses = {anchor.address for anchor in anchors}
        self.lent |= addresses
        try:
            yield anchors
        finally:
            self.lent -= addresses


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
