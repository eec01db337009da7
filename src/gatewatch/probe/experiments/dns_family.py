"""Is a name lied about for one version of IP, or for both?"""

from __future__ import annotations

import asyncio

from gatewatch.probe.dns import DNS_PORT, HTTPS_PORT, lookup, lookup_https
from gatewatch.probe.experiments.attempts import finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.questions import (
    IN_WORDS,
    TOTAL_S,
    TRIES,
    TRY_S,
    Asked,
    asked,
)
from gatewatch.probe.finding import Finding

KINDS = ("A", "AAAA")
REPEATED = 2


class DnsFamily:
    """A against AAAA, from the network's resolver and in private."""

    name = "dns_family"
    version = 1
    question = "Is the answer false for A, for AAAA, or for both?"
    layers: frozenset[Layer] = frozenset({"dns"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        own, private = bench.seat.resolver, bench.seat.doh_resolvers[:1]
        if own is None or not private:
            return None
        host, vantage, ca = suspicion.host, bench.vantage, bench.seat.ca
        bench.tell(f"A or AAAA of {host}?")
        (name, address), *_ = private

        def clear(kind: str) -> list:
            return [
                asked(f"system_{kind}", host, own, DNS_PORT, lookup(
                    vantage, own, host, kind, total_s=TOTAL_S, tries=TRIES, try_s=TRY_S, late_s=0
                ))
                for _ in range(REPEATED)
            ]  # fmt: skip

        def secret(kind: str):
            looking = lookup_https(vantage, name, address, host, kind, ca=ca, total_s=TOTAL_S)
            return asked(f"doh_{kind}", host, address, HTTPS_PORT, looking)

        every = await asyncio.gather(
            *(ask for kind in KINDS for ask in (*clear(kind), secret(kind)))
        )
        per = REPEATED + 1
        false = {
            kind: _is_false(every[at * per : at * per + REPEATED], every[at * per + REPEATED])
            for at, kind in enumerate(KINDS)
        }
        what = {kind: IN_WORDS[every[at * per].shown] for at, kind in enumerate(KINDS)}
        answer = _answer(false)
        words = (
            f"The network's resolver answers A with {what['A']} and AAAA with {what['AAAA']},"
            f" each {REPEATED} times; in private A is {every[REPEATED].trial.words} and AAAA"
            f" {every[per + REPEATED].trial.words}."
        )
        return finding(self, suspicion, answer, words, [one.trial for one in every])


def _answer(false: dict[str, bool | None]) -> str:
    """
    >>> _answer({"A": True, "AAAA": False}), _answer({"A": None, "AAAA": True})
    ('a_only', 'inconclusive')
    """
    if None in false.values():
        return "inconclusive"
    return {(True, True): "both", (True, False): "a_only", (False, True): "aaaa_only"}.get(
        (bool(false["A"]), bool(false["AAAA"])), "neither"
    )


def _is_false(clear: list[Asked], private: Asked) -> bool | None:
    """Does every answer in clear differ from the private one? None where there is no such."""
    if private.shown in ("timeout", "unreached", "other"):
        return None
    if private.addresses:
        differ = [not {*one.addresses} & {*private.addresses} for one in clear]
    else:
        differ = [one.shown != private.shown for one in clear]
    return all(differ) if all(differ) or not any(differ) else None


EXPERIMENT = DnsFamily()
