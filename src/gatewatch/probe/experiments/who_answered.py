"""Who answered: the server, or somebody in its name? One repetition with the packets watched.

A stranger's packets come another way, so that their TTL differs from the SYN/ACK's; they do not
fit the stream, or come in bursts; and where the stranger only listens, the server's own answer
comes as well.
"""

from __future__ import annotations

from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.experiments.attempts import finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.spots import Spot, spots
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.net import FULL_TTL, NO_RIGHT, Failed, Tap
from gatewatch.probe.trace.flows import collect
from gatewatch.probe.trace.limited import volley
from gatewatch.probe.trace.reading import read
from gatewatch.probe.trace.replies import Reply, replies
from gatewatch.probe.trace.words import frames, mark
from gatewatch.wire.pcap import Frame

ANSWERED = {FailureKind.RESET, FailureKind.EOF, FailureKind.TLS_ERROR, FailureKind.REFUSED}
"Failures that somebody sent; behind a silence there is no packet to look at."
LEAST_S = 8.0
"What looking at one spot may take on a slow path. Our choice."


class WhoAnswered:
    """The suspected attempt once more, with an eye on the packets."""

    name = "who_answered"
    version = 1
    question = "Does the answer come from the server, or from somebody in its name?"
    layers: frozenset[Layer] = frozenset({"dns", "tls", "http"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        if not _somebody_answered(suspicion) or ":" in suspicion.host:
            return None
        trials: list[Trial] = []
        with spots(bench, suspicion) as places:
            for spot in places:
                if bench.left_s() < LEAST_S:
                    break
                bench.tell(f"who answers? {spot.target.protocol} to {spot.target.address}")
                try:
                    control = await _heard(bench, spot, spot.control_name)
                    test = await _heard(bench, spot, spot.name)
                except Failed as failed:
                    return _without(self, suspicion, failed.failure)
                if spot.target.protocol == "dns":
                    found = _forged(self, suspicion, spot, test, trials)
                else:
                    bench.taint(spot.target.address)
                    found = _stranger(self, suspicion, bench, spot, control, test, trials)
                if found is not None:
                    return found
        if not trials:
            return None
        words = "The answer bears no mark of anybody but the server; that does not prove it."
        return finding(self, suspicion, "no_sign", words, trials)


def _somebody_answered(suspicion: Suspicion) -> bool:
    match suspicion.kind:
        case "answer" | "page":
            return True
        case "failed":
            return kind_of(suspicion.failure) in ANSWERED or suspicion.layer == "dns"
        case _:
            return False


async def _heard(bench: Bench, spot: Spot, name: str | None) -> list[Frame]:
    """All packets of one attempt.

    Raises:
        Failed: without the right to listen.
    """
    with Tap.open([spot.target.address]) as tap:
        await volley(bench.vantage, spot.target, name, [FULL_TTL], random=bench.rng)
        return tap.frames()


def _stranger(
    experiment: WhoAnswered,
    suspicion: Suspicion,
    bench: Bench,
    spot: Spot,
    control: list[Frame],
    test: list[Frame],
    trials: list[Trial],
) -> Finding | None:
    reading = read(test, control, name=spot.name)
    now = bench.vantage.now()
    trials.append(
        Trial(
            arm="watched",
            step="packet",
            address=spot.target.address,
            port=spot.target.port,
            name=spot.name,
            failure=None if reading.verdict == "none" else reading.mechanism or "inconclusive",
            t0=now,
            t=now,
            words="; ".join(reading.evidence),
        )
    )
    if reading.verdict != "blocked" or reading.placement == "endpoint":
        return None
    mechanism = reading.mechanism
    if mechanism == "http.reset.host":  # the host is not told from the rest of the request
        mechanism = "http.reset"
    if mechanism is not None and mechanism.endswith(".sni") and not _is_the_name(bench, suspicion):
        mechanism = mechanism.removesuffix(".sni")  # one attempt each may differ by a lost packet
    placed = reading.placement == "on_path"
    strange = placed or "no other" in " ".join(reading.evidence)
    words = "Somebody answers in the server's name. " if strange else "It is ended for the name. "
    return finding(
        experiment,
        suspicion,
        "stranger" if strange else "ended",
        words + "; ".join(reading.evidence) + ".",
        trials,
        mechanism=mechanism,
        placement=reading.placement if placed else None,
    )


def _is_the_name(bench: Bench, suspicion: Suspicion) -> bool:
    """Have experiments that repeat what they compare found that it is?"""
    return any(
        found.trigger == "name" and (found.host, found.layer) == (suspicion.host, suspicion.layer)
        for found in bench.findings
    )


def _forged(
    experiment: WhoAnswered,
    suspicion: Suspicion,
    spot: Spot,
    test: list[Frame],
    trials: list[Trial],
) -> Finding | None:
    """Several answers to one question, which came different ways."""
    probes = [p for p in collect(test).probes if p.name == spot.name]
    given = [reply for probe in probes for reply in replies(probe) if reply.kind == "dns"]
    trials += [_dns_trial(spot, reply) for reply in given[:8]]
    ways = {reply.frames[0].packet.ttl for reply in given}
    said = {(reply.rcode, reply.addresses) for reply in given}
    if len(ways) < 2 or len(said) < 2:
        return None
    shown = "; ".join(
        f"{', '.join(r.addresses) or r.rcode} ({frames(r.frames)}: {mark(r.frames[0].packet)})"
        for r in given[:6]
    )
    words = f"{len(given)} answers to one question came by different ways: {shown}."
    return finding(
        experiment,
        suspicion,
        "stranger",
        words,
        trials,
        mechanism="dns",
        placement="on_path",
    )


def _dns_trial(spot: Spot, reply: Reply) -> Trial:
    return Trial(
        arm="watched",
        step="dns",
        address=spot.target.address,
        port=spot.target.port,
        name=spot.name,
        failure=None,
        t0=0.0,
        t=0.0,
        words=f"{', '.join(reply.addresses) or reply.rcode}; {mark(reply.frames[0].packet)}",
    )


def _without(experiment: WhoAnswered, suspicion: Suspicion, failure: str) -> Finding:
    if failure == "permission_denied":
        return finding(experiment, suspicion, "no_right", f"Not tried: {NO_RIGHT}.", [])
    return finding(experiment, suspicion, "inconclusive", f"Packets cannot be seen: {failure}.", [])


EXPERIMENT = WhoAnswered()
