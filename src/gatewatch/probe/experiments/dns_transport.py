"""Does the answer depend on whom one asks for a name, and over what?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator

from gatewatch.probe.dns import (
    DNS_PORT,
    HTTPS_PORT,
    TLS_PORT,
    lookup,
    lookup_https,
    lookup_tcp,
    lookup_tls,
)
from gatewatch.probe.experiments.attempts import finding, invented, of
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.questions import (
    IN_WORDS,
    MECHANISMS,
    TOTAL_S,
    TRIES,
    TRY_S,
    Asked,
    asked,
    innocent_name,
    record_type,
)
from gatewatch.probe.experiments.swap import CHANCE, fisher
from gatewatch.probe.finding import Finding

REPEATED = 3
INNOCENT = 4
"One more: three of three against none of four is beyond chance (Fisher's exact test)."


class DnsTransport:
    """One question to the network's resolver and a public one, over UDP and TCP; and in private.

    Repeated where it is suspected, with an innocent name beside it.
    """

    name = "dns_transport"
    version = 1
    question = "Does the answer depend on which resolver is asked, and over what?"
    layers: frozenset[Layer] = frozenset({"dns"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        neutral = innocent_name(bench)
        if bench.seat.resolver is None or neutral is None:
            return None
        bench.tell(f"who says what of {suspicion.host}?")
        arms = list(_arms(bench, suspicion, neutral))
        every = await asyncio.gather(*arms)
        read = _Read(suspicion, every)
        answer, words = read.answer()
        proved = answer in ("resolver", "clear_text", "udp") and read.sure()
        mechanism = read.mechanism() if proved else None
        return finding(
            self,
            suspicion,
            answer,
            words,
            [one.trial for one in every],
            mechanism=mechanism,
            trigger="name" if mechanism is not None else None,
        )


def _arms(bench: Bench, suspicion: Suspicion, neutral: str) -> Iterator[Awaitable[Asked]]:
    seat, vantage, host = bench.seat, bench.vantage, suspicion.host
    kind = record_type(suspicion)

    def over_udp(arm: str, name: str, resolver: str) -> Awaitable[Asked]:
        looking = lookup(
            vantage, resolver, name, kind, total_s=TOTAL_S, tries=TRIES, try_s=TRY_S, late_s=0.0
        )
        return asked(arm, name, resolver, DNS_PORT, looking)

    def over_tcp(arm: str, name: str, resolver: str) -> Awaitable[Asked]:
        looking = lookup_tcp(vantage, resolver, name, kind, total_s=TOTAL_S)
        return asked(arm, name, resolver, DNS_PORT, looking)

    own = seat.resolver
    assert own is not None
    public = next((r for r in seat.udp_resolvers if r != own and bench.can_reach(r)), None)
    for _ in range(REPEATED):
        yield over_udp("system_udp", host, own)
    for _ in range(INNOCENT):
        yield over_udp("system_innocent", neutral, own)
    for name in invented(bench):
        yield over_udp("system_unknown", name, own)
    yield over_tcp("system_tcp", host, own)
    if public is not None:
        yield over_udp("public_udp", host, public)
        yield over_udp("public_udp", host, public)
        yield over_udp("public_innocent", neutral, public)
        yield over_tcp("public_tcp", host, public)
    for name, address in seat.doh_resolvers[:2]:
        yield asked(
            "doh",
            host,
            address,
            HTTPS_PORT,
            lookup_https(vantage, name, address, host, kind, ca=seat.ca, total_s=TOTAL_S),
        )
    for name, address in seat.doh_resolvers[:1]:
        yield asked(
            "dot",
            host,
            address,
            TLS_PORT,
            lookup_tls(vantage, name, address, host, kind, ca=seat.ca, total_s=TOTAL_S),
        )


class _Read:
    """What the answers say, side by side."""

    def __init__(self, suspicion: Suspicion, every: list[Asked]) -> None:
        self.host = suspicion.host
        self.arms: dict[str, list[Asked]] = {}
        for one in every:
            self.arms.setdefault(one.arm, []).append(one)
        private = [*self.of("doh"), *self.of("dot")]
        self.private = [one for one in private if one.shown not in ("timeout", "unreached")]
        said = {address for one in self.private for address in one.addresses}
        self.true = said or {*suspicion.true_addresses}
        self.kind = self.of("system_udp")[0].shown

    def of(self, arm: str) -> list[Asked]:
        return self.arms.get(arm, [])

    def is_true(self, one: Asked) -> bool:
        return bool(self.true & {*one.addresses})

    def is_false(self, one: Asked) -> bool:
        """Is it what is suspected: the same as the system's, where that is not the truth?"""
        return one.shown == self.kind and not self.is_true(one)

    def mechanism(self) -> str | None:
        """Addresses of other networks are no proof by themselves: sites have many."""
        if self.kind == "bogon":
            return "dns.injection.bogon"
        return MECHANISMS.get(self.kind)

    def sure(self) -> bool:
        """Beyond chance, which is how answers get lost; and with a truth to be false to."""
        false = sum(self.is_false(one) for one in self.of("system_udp"))
        innocent = self.of("system_innocent")
        lost = sum(one.shown != "addresses" for one in innocent)
        return bool(self.true) and fisher(false, REPEATED, lost, len(innocent)) <= CHANCE

    def answer(self) -> tuple[str, str]:
        """The answer, and why."""
        own, innocent = self.of("system_udp"), self.of("system_innocent")
        false = [one for one in own if self.is_false(one)]
        what = IN_WORDS[self.kind]
        others = [*innocent, *self.of("system_unknown")]
        given = {address for one in others for address in one.addresses}
        if self.true and any(self.is_true(one) for one in own):
            count = of(sum(self.is_true(one) for one in own), REPEATED)
            words = f"Asked again, the network's resolver tells the truth {count} times."
            return "not_repeated", words
        if given & {address for one in own for address in one.addresses}:
            return "all_names", "The network's resolver gives an innocent name the same answer."
        if not any(one.shown == "addresses" for one in innocent):
            return "resolver_silent", (
                f"The network's resolver has no answer for an innocent name either,"
                f" {of(0, len(innocent))} times."
            )
        if not self.true:
            return self._without_truth(what)
        if len(false) < REPEATED:
            return "inconclusive", (
                f"Of {REPEATED} questions {len(false)} were answered with {what}, and none truly."
            )
        clear = f"the network's resolver answers with {what} {of(len(false), REPEATED)} times"
        beside = f"and knows an innocent name {len(innocent)} times"
        others = f"resolvers asked in private say {', '.join(sorted(self.true)[:3])}"
        public = [*self.of("public_udp"), *self.of("public_tcp")]
        if public and all(self.is_false(one) for one in public):
            return "clear_text", (
                f"For {self.host} {clear} {beside}, and so does a public resolver asked in clear,"
                f" over UDP and TCP; {others}."
            )
        if public and all(self.is_false(one) for one in self.of("public_udp")):
            return "udp", (
                f"For {self.host} {clear} {beside}, and so does a public resolver over UDP, but"
                f" not over TCP; {others}."
            )
        if not public or any(self.is_true(one) for one in public):
            return "resolver", (
                f"For {self.host} {clear} {beside}; "
                + ("a public resolver asked in clear tells the truth, and " if public else "")
                + f"{others}. It is that resolver, or the path to it."
            )
        return "inconclusive", f"For {self.host} {clear}; a public one says something else again."

    def _without_truth(self, what: str) -> tuple[str, str]:
        if self.private:
            kinds = {one.shown for one in self.private}
            if kinds == {self.kind}:
                return "everywhere", (
                    f"Resolvers asked in private say the same of {self.host}: {what}."
                )
        return "inconclusive", "There was no answer to hold the suspected one against."


EXPERIMENT = DnsTransport()
