"""Does a handshake that sends no name get through where every name is reset?"""

from __future__ import annotations

import asyncio

from gatewatch.probe.experiments.attempts import (
    ENDING_WORDS,
    SILENT_S,
    answered,
    finding,
    of,
    say_name,
)
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.sni_swap import BY_ADDRESS
from gatewatch.probe.finding import Finding

TRIES = 3


class NoSni:
    """A handshake without a name, at the suspected address."""

    name = "no_sni"
    version = 1
    question = "Does a handshake that sends no name get through to the address?"
    layers: frozenset[Layer] = frozenset({"tls"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        address = suspicion.address
        if suspicion.kind != "failed" or address is None:
            return None
        if not bench.deep and not _is_of_the_address(bench, suspicion):
            return None
        bench.tell(f"does {address} answer a handshake without a name?")
        tries = await asyncio.gather(
            *(
                say_name(bench, address, suspicion.port, "", "no_name", SILENT_S)
                for _ in range(TRIES)
            )
        )
        trials = [one.trial for one in tries]
        failed = [one for one in tries if not one.ok]
        if not failed:
            words = f"Without a name the handshake with {address} ends well: it takes one to fail."
            return finding(self, suspicion, "passes", words, trials)
        ending = failed[0].ending
        alike = len(failed) == TRIES and all(one.ending == ending and one.told for one in failed)
        if not alike:
            words = f"Without a name {of(len(failed), TRIES)} handshakes failed, not all alike."
            return finding(self, suspicion, "inconclusive", words, trials)
        # Servers may refuse a client that names nobody, with an alert; they do not reset it.
        by_address = _is_of_the_address(bench, suspicion) and ending != "tls_error"
        proved = by_address and suspicion.reached is True
        mechanism = BY_ADDRESS["tls"].get(ending) if proved else None
        words = (
            f"Without a name too the handshake with {address} {ENDING_WORDS[ending]},"
            f" {of(TRIES, TRIES)} times: no name is needed for it."
        )
        return finding(
            self,
            suspicion,
            "fails",
            words,
            trials,
            mechanism="tls.reset.other" if mechanism == "tls.reset" else mechanism,
            trigger="address" if proved else None,
        )


def _is_of_the_address(bench: Bench, suspicion: Suspicion) -> bool:
    """Has an experiment before this one found that it is not the name?"""
    return answered(bench, suspicion, "sni_swap", "address")


EXPERIMENT = NoSni()
