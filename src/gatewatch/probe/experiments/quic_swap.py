"""Is QUIC interfered with for the name in its first packet, for the address, or for itself?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gatewatch.model.mechanism import Trigger
from gatewatch.probe.experiments.attempts import (
    ENDING_WORDS,
    SILENT_S,
    Attempt,
    Ending,
    commonest,
    finding,
    invented,
    of,
    open_tcp,
    say_name,
    say_name_over_quic,
)
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.sni_swap import unclear_words
from gatewatch.probe.experiments.swap import (
    AT_ONCE,
    CHANCE,
    Swapped,
    fisher,
    here_words,
    lasting,
    swap,
)
from gatewatch.probe.finding import Finding
from gatewatch.probe.seat import Anchor

PORT = 443

ENDED: dict[Ending, str] = {
    "timeout": "quic.timeout",
    "reset": "quic.reset",
    "refused": "quic.reset",
    "eof": "quic.reset",
    "tls_error": "quic.reset",
}


@dataclass(frozen=True, slots=True)
class QuicArms:
    bench: Bench
    suspicion: Suspicion

    async def innocent(self, anchor: Anchor, within_s: float) -> Attempt:
        return await self._say(anchor.address, PORT, anchor.name, "innocent_name", within_s)

    async def suspect(self, anchor: Anchor, within_s: float) -> Attempt:
        name = self.suspicion.host
        return await self._say(anchor.address, PORT, name, "innocent_address", within_s)

    async def again(self, within_s: float) -> Attempt | None:
        at = self.suspicion
        if at.address is None:
            return None
        return await self._say(at.address, at.port, at.host, "suspect", within_s)

    async def innocent_here(self, within_s: float) -> Attempt | None:
        at = self.suspicion
        if at.address is None or not self.bench.seat.anchors:
            return None
        name = self.bench.seat.anchors[0].name
        return await self._say(at.address, at.port, name, "innocent_here", within_s)

    async def unknown(self, anchor: Anchor, within_s: float) -> Sequence[Attempt]:
        return await asyncio.gather(
            *(
                self._say(anchor.address, PORT, name, "unknown_name", within_s)
                for name in invented(self.bench)
            )
        )

    async def _say(self, address: str, port: int, name: str, arm: str, within_s: float) -> Attempt:
        return await say_name_over_quic(
            self.bench, address, port, name, arm, min(within_s, SILENT_S)
        )


class QuicSwap:
    """QUIC with the blocked name at an innocent address, and the other way round; TCP beside."""

    name = "quic_swap"
    version = 1
    question = "Is QUIC interfered with for the name it carries, for the address, or for itself?"
    layers: frozenset[Layer] = frozenset({"quic"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        arms = QuicArms(bench, suspicion)
        if suspicion.address is not None:
            over_tcp = await open_tcp(bench, suspicion.address, PORT, "over_tcp", SILENT_S)
            if not over_tcp.ok:
                return None  # then it is not about QUIC
        if suspicion.kind == "unasked":
            first = await arms.again(SILENT_S)
            if first is None or first.ok:
                return None
        bench.tell(f"is it the name {suspicion.host} in QUIC, or QUIC itself?")
        found = await swap(bench, arms, suspicion.address)
        if found.answer == "everything":
            return await self._all(bench, suspicion, found)
        mechanism, trigger, words = _read(found, suspicion)
        return finding(
            self,
            suspicion,
            found.answer,
            words,
            found.trials,
            mechanism=mechanism,
            trigger=trigger,
        )

    async def _all(self, bench: Bench, suspicion: Suspicion, found: Swapped) -> Finding:
        """Innocent QUIC fails at addresses of ours: does TCP reach the same port of them?"""
        tried = {one.trial.address for one in found.innocent}
        with bench.lend(AT_ONCE, suspicion.address) as more:
            anchors = [a for a in bench.seat.anchors if a.address in tried]
            anchors += [anchor for anchor in more if anchor not in anchors]
            arms = QuicArms(bench, suspicion)
            over_tcp, others = await asyncio.gather(
                asyncio.gather(
                    *(
                        say_name(bench, a.address, PORT, a.name, "over_tcp", SILENT_S)
                        for a in anchors
                    )
                ),
                asyncio.gather(
                    *(arms.innocent(a, SILENT_S) for a in anchors if a.address not in tried)
                ),
            )
        found.innocent += others
        chance = fisher(
            len(found.innocent_failed),
            len(found.innocent),
            sum(not one.ok for one in over_tcp),
            len(over_tcp),
        )
        trials = [*found.trials, *(one.trial for one in over_tcp)]
        failed = of(len(found.innocent_failed), len(found.innocent))
        reached = of(sum(one.ok for one in over_tcp), len(over_tcp))
        words = (
            f"Innocent names fail over QUIC as well, {failed} times at addresses of ours that"
            f" speak it; over TCP {reached} handshakes with the same addresses end well."
        )
        if chance > CHANCE:
            return finding(self, suspicion, "everything", words, trials)
        return finding(
            self,
            suspicion,
            "protocol",
            f"{words} It is QUIC.",
            trials,
            mechanism=ENDED.get(commonest(found.innocent_failed)),
            trigger="protocol",
        )


def _read(found: Swapped, suspicion: Suspicion) -> tuple[str | None, Trigger | None, str]:
    """Mechanism, trigger and words of an answer."""
    at_ours = f"At addresses of ours a QUIC handshake for {suspicion.host}"
    match found.answer:
        case "name":
            kind = ENDED.get(found.ending)
            how = ENDING_WORDS[found.ending]
            words = f"{at_ours} {how} as well: {found.counts}{lasting(found)}."
            return kind and f"{kind}.sni", "name", words
        case "address":
            sure = suspicion.reached is True
            words = f"{at_ours} goes well; {here_words(found)}."
            return ENDED.get(found.ending) if sure else None, "address", words
        case "here_only" | "name_here":
            words = f"QUIC: {here_words(found)}. The server may do it itself."
        case "any_name":
            words = f"{at_ours} fails, and so does one for names that nobody has."
        case "not_repeated":
            words = "QUIC failed in the first pass, and went well when it was repeated."
        case _:
            words = unclear_words(found)
    return None, None, words


EXPERIMENT = QuicSwap()
