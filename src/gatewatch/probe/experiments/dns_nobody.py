"""Does a question draw an answer where nobody is who could give one?"""

from __future__ import annotations

import asyncio

from gatewatch.model.mechanism import Placement
from gatewatch.probe.dns import DNS_PORT, lookup
from gatewatch.probe.experiments.attempts import finding, invented
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.questions import (
    IN_WORDS,
    Asked,
    asked,
    forged_as,
    record_type,
    shown,
)
from gatewatch.probe.finding import Finding
from gatewatch.probe.seat import Anchor

TRIES, TRY_S = 2, 1.0
"Silence is what is expected here, so that it is not waited for long. Our choice."
LATE_S = 1.0
"For the true answer, from far away, after the forged ones."
REPEATED = 3


class DnsNobody:
    """The question to addresses of ours that run no resolver, beside an innocent one.

    What answers the name alone stands on the path and forges; what answers every name is a proxy
    that takes all questions to itself. Then the same question to a true resolver: whether a
    second, true answer follows tells a box beside the path from one in it.
    """

    name = "dns_nobody"
    version = 1
    question = "Does an address that runs no resolver answer the question?"
    layers: frozenset[Layer] = frozenset({"dns"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        bench.tell(f"does anybody answer for {suspicion.host} where nobody is?")
        await bench.turn(least=2)
        with bench.lend(2, tainted=True) as anchors:
            if not anchors:
                words = "There was no address of ours to ask."
                return finding(self, suspicion, "inconclusive", words, [])
            nobody, _ = invented(bench)
            about, innocent = await asyncio.gather(
                asyncio.gather(*(_ask(bench, a, suspicion.host, suspicion) for a in anchors)),
                asyncio.gather(
                    *(_ask(bench, a, a.name, suspicion) for a in anchors),
                    *(_ask(bench, a, nobody, suspicion) for a in anchors),
                ),
            )
        trials = [one.trial for one in (*about, *innocent)]
        answered = [one for one in about if one.answered]
        if any(one.answered for one in innocent):
            words = (
                "Addresses of ours that run no resolver answer questions for innocent names too:"
                " a proxy on the path takes all questions to itself."
            )
            return finding(self, suspicion, "proxy", words, trials, placement="in_path")
        if not answered:
            words = (
                f"Addresses of ours that run no resolver leave questions for {suspicion.host}"
                " unanswered, as they should: nobody on the path to them forges answers."
            )
            return finding(self, suspicion, "nobody", words, trials)
        placement, more, followed = await _placed(bench, suspicion, answered)
        kinds = [kind for one in answered for kind in _kinds(one)]
        what = " and ".join(dict.fromkeys(IN_WORDS[kind] for kind in kinds))
        racing = max(1 + len(one.lookup.late) for one in answered)
        words = (
            f"An address of ours that runs no resolver answers a question for {suspicion.host}"
            f" with {what}, and leaves one for an innocent name unanswered: something on the path"
            f" forges answers for this name{f', {racing} at a time' if racing > 1 else ''}."
            f" {followed}"
        )
        return finding(
            self,
            suspicion,
            "injector",
            words.strip(),
            [*trials, *(one.trial for one in more)],
            mechanism=forged_as(kinds),
            trigger="name",
            placement=placement,
        )


def _kinds(one: Asked) -> list[str]:
    """What the forged answers of one question amount to, racing ones included."""
    replies = [one.lookup.reply, *one.lookup.late]
    return [shown(reply) for reply in replies if reply.raw]


async def _ask(bench: Bench, anchor: Anchor, name: str, suspicion: Suspicion) -> Asked:
    arm = "suspect" if name == suspicion.host else "innocent_name"
    looking = lookup(
        bench.vantage,
        anchor.address,
        name,
        record_type(suspicion),
        tries=TRIES,
        try_s=TRY_S,
        late_s=0.3,
    )
    return await asked(arm, name, anchor.address, DNS_PORT, looking)


async def _placed(
    bench: Bench, suspicion: Suspicion, forged: list[Asked]
) -> tuple[Placement, list[Asked], str]:
    """Beside the path, where a true answer follows the forged ones; in it, where none does."""
    resolver = next((r for r in bench.seat.udp_resolvers if bench.can_reach(r)), None)
    if resolver is None:
        return "unknown", [], ""
    kind = record_type(suspicion)

    async def ask(name: str, arm: str) -> Asked:
        looking = lookup(bench.vantage, resolver, name, kind, tries=1, late_s=LATE_S)
        return await asked(arm, name, resolver, DNS_PORT, looking)

    neutral = bench.seat.anchors[0].name
    tries = await asyncio.gather(
        *(ask(suspicion.host, "true_resolver") for _ in range(REPEATED)),
        *(ask(neutral, "true_resolver_innocent") for _ in range(REPEATED)),
    )
    about, innocent = tries[:REPEATED], tries[REPEATED:]
    lies = {address for one in forged for address in one.addresses}
    true = {*suspicion.true_addresses} - lies
    followed = sum(
        any(true & {*reply.addresses} for reply in (one.lookup.reply, *one.lookup.late))
        for one in about
    )
    if followed:
        return (
            "on_path",
            tries,
            (
                f"A true resolver's own answer follows {followed} of {REPEATED} times: the question"
                " goes on, and the forger stands beside the path."
            ),
        )
    alive = sum(one.shown == "addresses" for one in innocent)
    if true and alive == REPEATED:
        return (
            "in_path",
            tries,
            (
                f"A true resolver's own answer never follows, {REPEATED} times, where the same one"
                f" answers for an innocent name {alive} times: the question does not go on."
            ),
        )
    return "unknown", tries, ""


EXPERIMENT = DnsNobody()
