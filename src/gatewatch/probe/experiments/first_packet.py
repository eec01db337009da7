"""Are connections let through whose first packet looks like nothing in particular?"""

from __future__ import annotations

from gatewatch.probe.experiments.attempts import finding
from gatewatch.probe.experiments.hidden_name import HelloArms, already, in_words
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.swap import swap
from gatewatch.probe.finding import Finding
from gatewatch.probe.seat import Anchor

PORT = 443
LENGTH = 517
"Bytes, as an ordinary ClientHello has them."


class FirstPacket:
    """Random bytes in place of a ClientHello, at addresses of ours. It says nothing of the site."""

    name = "first_packet"
    version = 1
    question = "Is a connection let through whose first packet looks like nothing in particular?"
    layers: frozenset[Layer] = frozenset({"tls", "http", "tcp"})
    deep = True

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        if already(bench, self.name):
            return None
        bench.tell("is a connection let through that looks like nothing?")

        def noise(_: Anchor) -> bytes:
            # Not what a handshake, a request or a DNS message could begin with.
            return b"\xff" + bench.rng.randbytes(LENGTH - 1)

        found = await swap(bench, HelloArms(bench, "encrypted", PORT, noise), None)
        blocked = found.answer == "name"
        passes = bool(found.suspect) and not found.failed
        answer = "blocked" if blocked else "passes" if passes else "inconclusive"
        return finding(
            self,
            suspicion,
            answer,
            f"With {LENGTH} random bytes in place of a handshake {in_words(found)}.",
            found.trials,
            trigger="protocol" if blocked else None,
        )


EXPERIMENT = FirstPacket()
