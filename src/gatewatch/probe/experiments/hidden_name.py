"""Are handshakes that hide their name treated otherwise than those that show it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatewatch.probe.experiments.attempts import CONNECT_S, Attempt, finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.swap import Swapped, lasting, swap
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.hello import client_hello, ech_extension, say_hello
from gatewatch.probe.seat import Anchor
from gatewatch.probe.steps import connect

PORT = 443


@dataclass(frozen=True, slots=True)
class HelloArms:
    """First packets made by hand: an ordinary ClientHello, and another."""

    bench: Bench
    arm: str
    port: int
    other: Callable[[Anchor], bytes]
    "The other first packet; random each time."

    async def innocent(self, anchor: Anchor, within_s: float) -> Attempt:
        hello = client_hello(anchor.name, random=self.bench.rng)
        return await self._send(anchor, PORT, hello, "plain_hello", within_s)

    async def suspect(self, anchor: Anchor, within_s: float) -> Attempt:
        return await self._send(anchor, self.port, self.other(anchor), self.arm, within_s)

    async def unknown(self, anchor: Anchor, within_s: float) -> Sequence[Attempt]:
        return ()

    async def again(self, within_s: float) -> Attempt | None:
        return None

    async def innocent_here(self, within_s: float) -> Attempt | None:
        return None

    async def _send(
        self, anchor: Anchor, port: int, first: bytes, arm: str, within_s: float
    ) -> Attempt:
        reached = await connect(
            self.bench.vantage, anchor.address, port, timeout_s=min(CONNECT_S, within_s)
        )
        step, failure, t = "tcp", reached.failure, reached.t
        if reached.stream is not None:
            step = "tls"
            said = await say_hello(reached.stream, first, within_s)
            # A server that hangs up on what it does not understand has been reached.
            failure = None if said.failure == "eof_error" else said.failure
            t = said.t
            reached.stream.close()
        trial = Trial(
            arm=arm,
            step=step,
            address=anchor.address,
            port=port,
            name=anchor.name if arm != "encrypted" else None,
            failure=failure,
            t0=reached.t0,
            t=t,
        )
        return Attempt(trial=trial)


class HiddenName:
    """ECH, and ESNI before it, around an innocent name, at addresses of ours.

    It says nothing of the site: whoever is blocked so is whoever hides a name.
    """

    name = "hidden_name"
    version = 1
    question = "Is a handshake treated otherwise that hides its name?"
    layers: frozenset[Layer] = frozenset({"tls"})
    deep = True

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        if already(bench, self.name):
            return None
        bench.tell("are handshakes that hide their name let through?")
        rng = bench.rng

        def with_ech(anchor: Anchor) -> bytes:
            return client_hello(anchor.name, ech=ech_extension(rng), random=rng)

        def with_esni(anchor: Anchor) -> bytes:
            return client_hello(None, esni=True, random=rng)

        ech = await swap(bench, HelloArms(bench, "ech", PORT, with_ech), None)
        esni = await swap(bench, HelloArms(bench, "esni", PORT, with_esni), None)
        kept = [name for name, found in (("ech", ech), ("esni", esni)) if found.answer == "name"]
        answer = "_and_".join(kept) or _otherwise(ech, esni)
        return finding(
            self,
            suspicion,
            answer,
            f"With ECH {in_words(ech)}. With ESNI {in_words(esni)}.",
            [*ech.trials, *esni.trials],
            trigger="protocol" if kept else None,
        )


def already(bench: Bench, name: str) -> bool:
    """Has an experiment that asks about the network, and not about a site, been run?"""
    return any(found.experiment == name for found in bench.findings)


def in_words(found: Swapped) -> str:
    """How the other first packets fared, against ordinary ones at the same addresses."""
    if found.answer == "name":
        return f"it fails {found.counts}{lasting(found)}"
    if found.suspect and not found.failed:
        return f"it is answered as ordinary handshakes are, {len(found.suspect)} times"
    return "nothing is certain"


def _otherwise(*every: Swapped) -> str:
    passed = all(found.suspect and not found.failed for found in every)
    return "passes" if passed else "inconclusive"


EXPERIMENT = HiddenName()
