"""After the first pass: the experiments that tell how, run so that none disturbs another.

What sets a censor off may change what the next attempt meets. So experiments on different
protocols run beside each other, each with addresses of its own; those on one protocol run one
after the other; and what measures a rate, waits, or sends much, comes last and alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence

from gatewatch.probe.experiments import (
    dns_answers,
    dns_family,
    dns_nobody,
    dns_transport,
    everything_ends,
    first_packet,
    held_back,
    hidden_name,
    hop,
    host_header,
    injection,
    keyword,
    no_sni,
    quic_swap,
    residual,
    sni_swap,
    stalled,
    tcp_port,
    throughput,
    who_answered,
)
from gatewatch.probe.experiments.mechanism import Bench, Experiment, Since, Suspicion
from gatewatch.probe.experiments.suspicions import suspicions
from gatewatch.probe.finding import Finding
from gatewatch.probe.net import Vantage
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat

__all__ = ["TOGETHER", "investigate", "suspicions"]

QUICK_S = 30.0
"All of the quick ones together. Our choice: three times what they take where all is silent."

TOGETHER: tuple[tuple[Experiment, ...], ...] = (
    (dns_transport.EXPERIMENT,),
    (dns_nobody.EXPERIMENT, dns_answers.EXPERIMENT),
    (dns_family.EXPERIMENT,),
    (sni_swap.EXPERIMENT, no_sni.EXPERIMENT),
    (host_header.EXPERIMENT, keyword.EXPERIMENT),
    (quic_swap.EXPERIMENT,),
)
"Lanes that run beside each other; within one, each experiment knows what those before it found."

BESIDE: tuple[Experiment, ...] = (tcp_port.EXPERIMENT,)
"Harmless to all others, and to itself: for all suspicions at once."

WHO_AND_WHERE: tuple[Experiment, ...] = (who_answered.EXPERIMENT, hop.EXPERIMENT)

ALONE: tuple[Experiment, ...] = (
    who_answered.EXPERIMENT,
    injection.EXPERIMENT,
    throughput.EXPERIMENT,
    hop.EXPERIMENT,
    everything_ends.EXPERIMENT,
    held_back.EXPERIMENT,
    stalled.EXPERIMENT,
    hidden_name.EXPERIMENT,
    first_packet.EXPERIMENT,
    residual.EXPERIMENT,
)
"""One after the other, when all lanes have ended: each for all suspicions before the next begins.
What leaves the most behind comes last."""


async def investigate(
    url: str,
    keys: Json,
    seat: Seat,
    vantage: Vantage,
    *,
    deep: bool = False,
    rng: random.Random,
    tell: Callable[[str], None] = lambda words: None,
    findings: list[Finding] | None = None,
    alone: Sequence[Experiment] = ALONE,
) -> list[Finding]:
    """Run what fits each suspicion; what was found, in the order in which it was.

    Args:
        keys: test keys of the first pass, complete.
        deep: also what takes minutes.
        findings: where they are put as they come, for whoever may have to stop it; what is in it
            already is about the same input.
        alone: what comes after all else.
    """
    patience = seat.patience.experiment_s if deep else QUICK_S
    lent, tainted = _known(seat)
    bench = Bench(
        seat=seat,
        vantage=vantage,
        rng=rng,
        deadline=vantage.now() + min(patience, seat.patience.experiment_s),
        deep=deep,
        tell=tell,
        findings=[] if findings is None else findings,
        tainted=Since(tainted, vantage.zero),
        lent=lent,
    )
    suspected = suspicions(url, keys)
    async with asyncio.TaskGroup() as lanes:
        for lane in TOGETHER:
            lanes.create_task(_run(bench, lane, suspected))
        for suspicion in suspected:
            lanes.create_task(_run(bench, BESIDE, [suspicion]))
    for experiment in alone:
        await _run(bench, [experiment], suspected)
    return bench.findings


async def _run(
    bench: Bench, experiments: Sequence[Experiment], suspected: Iterable[Suspicion]
) -> None:
    """Each experiment on each suspicion that it is about, until time is up."""
    for suspicion in suspected:
        for experiment in experiments:
            if suspicion.layer not in experiment.layers:
                continue
            if experiment.deep and not (
                bench.deep or _must_be_placed(bench, experiment, suspicion)
            ):
                continue
            if experiment in WHO_AND_WHERE and _is_settled(bench, suspicion):
                continue
            left = bench.left_s()
            if left <= 0:
                bench.tell(f"no time was left for {experiment.name}")
                return
            try:
                async with asyncio.timeout(left):
                    found = await experiment.run(bench, suspicion)
            except TimeoutError:
                bench.tell(f"{experiment.name} took too long")
                return
            if found is not None:
                bench.findings.append(found)


def _must_be_placed(bench: Bench, experiment: Experiment, suspicion: Suspicion) -> bool:
    """Where an address is dead from here alone, it matters whose network the way ends in: a
    carrier that has lost a route abroad looks like an order from all else that can be asked."""
    return experiment is hop.EXPERIMENT and any(
        found.mechanism in _DEAD and (found.host, found.layer) == (suspicion.host, suspicion.layer)
        for found in bench.findings
    )


_DEAD = ("ip.null_route", "tcp.timeout")
EVERYBODY = frozenset({"everything", "any_name", "any_keyword", "all_names"})
"Answers by which what happens to the site happens to whatever else, as behind a captive portal."


def _is_settled(bench: Bench, suspicion: Suspicion) -> bool:
    """Need nobody ask any more who answers, or where?

    Where everything fares alike, whoever does it has no quarrel with the site; and where a page
    was only unlike the control's, as pages are, and nobody minds Host or path, the question does
    not arise unless all is to be asked.
    """
    answers = {
        found.experiment: found.answer
        for found in bench.findings
        if (found.host, found.depth, found.layer)
        == (suspicion.host, suspicion.depth, suspicion.layer)
    }
    if EVERYBODY & {*answers.values()}:
        return True
    asked = {answers.get("host_header"), answers.get("keyword")} - {None}
    minded = asked & {"name", "keyword"}
    return suspicion.kind == "page" and bool(asked) and not minded and not bench.deep


_KNOWN: dict[tuple[str, ...], tuple[set[str], dict[str, float]]] = {}


def _known(seat: Seat) -> tuple[set[str], dict[str, float]]:
    """Which anchors are in use and which tainted, for all measurements from a place together."""
    key = (*seat.addresses, "", *(anchor.address for anchor in seat.anchors))
    return _KNOWN.setdefault(key, (set(), {}))
