"""Rules on what the probe's own experiments found: they tell how, and bear on whether.

An experiment changes one thing and compares, so its finding is stronger than a failure alone. It
is still one probe's word, and counts once a measurement whatever the number of findings.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatewatch.judge.case import Case
from gatewatch.judge.rules.row import Fired, Rule
from gatewatch.model.failure import FailureKind
from gatewatch.model.mechanism import under
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Finding

FEWEST_TRIALS = 3
"Below so many attempts an answer may be chance. Our choice."
THROTTLED_BELOW = 0.5
"Upper end of the interval of throughput against a neutral name. Our choice: halved, surely."

_BESIDE = ("quic", "tls.throttle", "http.throttle", "http.injection")
"Interference that leaves the page within reach, so that the path shows nothing of it."


NOT_REPEATED = "not_repeated"
"What experiments answer where the failure of the first pass did not come again."
_HOW_FAR = ("hop", "everything_ends")
"""Experiments that name the last hop from which anything was heard. What they find says nothing on
whether it is meant: a cut cable ends ways as well as an order does."""
_SILENT = (FailureKind.TIMEOUT, FailureKind.UNREACHABLE)
_SHOWN_IN_A_PAGE = ("dns", "http")
"Layers whose interference may end in a page, so that no step of the path fails."


def _proved(case: Case) -> Iterator[tuple[Finding, str]]:
    for finding in case.observed.findings:
        if finding.mechanism is not None and finding.trials >= FEWEST_TRIALS:
            yield finding, finding.mechanism


def _beside(mechanism: str) -> bool:
    return any(under(mechanism, one) for one in _BESIDE)


def _tells_how(case: Case) -> Fired | None:
    """The deepest finding about the host at which the path fails, or, where it leads to a page,
    about names and pages there."""
    step, last = case.obstacle, case.hops[-1] if case.hops else None
    if last is None or (step is None and case.authenticated):
        return None
    host = step.hop.host if step is not None else last.host
    about = [
        (finding, mechanism)
        for finding, mechanism in _proved(case)
        if not _beside(mechanism) and finding.host == host
        and (step is not None or finding.layer in _SHOWN_IN_A_PAGE)
    ]  # fmt: skip
    if not about:
        return None
    layer = step.layer if step is not None else "http"
    finding, mechanism = max(about, key=lambda one: (one[0].layer == layer, one[1].count(".")))
    return Fired(finding.words, mechanism)


def _not_repeated(case: Case) -> Fired | None:
    """The step that failed went well when it was repeated, and nothing else was found."""
    step = case.obstacle
    if step is None or any(finding.host == step.hop.host for finding, _ in _proved(case)):
        return None
    again = [
        finding
        for finding in case.observed.findings
        if finding.answer == NOT_REPEATED and finding.host == step.hop.host
        and finding.layer == step.layer
    ]  # fmt: skip
    return Fired(again[0].words) if again else None


def _ends_abroad(case: Case) -> Fired | None:
    """Nothing gets to the address, and the last hop that answers is in another country."""
    step, country = case.obstacle, case.measurement.probe_cc
    if step is None or country is None or step.layer != "tcp" or step.kind not in _SILENT:
        return None
    for finding in case.observed.findings:
        if finding.experiment not in _HOW_FAR or finding.host != step.hop.host:
            continue
        if not finding.hop_address:
            continue
        there = case.refdata.country_of(finding.hop_address)
        if there is not None and there != country:
            return Fired(f"beyond {finding.hop_address}, in {there}, nothing of it is heard")
    return None


def _besides(kind: str):
    def condition(case: Case) -> Fired | None:
        for finding, mechanism in _proved(case):
            if not under(mechanism, kind):
                continue
            if "throttle" in kind and not _slower(finding):
                continue
            return Fired(finding.words, mechanism)
        return None

    return condition


def _slower(finding: Finding) -> bool:
    return finding.effect_high is not None and finding.effect_high < THROTTLED_BELOW


RULES = (
    Rule("probe.experiment.tells_how", "probe", "own", Outcome.BLOCKED, 4.0,
         "changing one thing at a time shows what the network acts upon", _tells_how),
    Rule("probe.experiment.ends_abroad", "probe", "own", Outcome.OPEN, 0.0,
         "no packet gets there, and the way ends in a network of another country", _ends_abroad,
         masks=Reason.LOST_ROUTE),
    Rule("probe.experiment.not_repeated", "probe", "own", Outcome.OPEN, 5.0,
         "the step that failed goes well when it is repeated", _not_repeated),
    Rule("quic.experiment.fails", "quic", "own", Outcome.BLOCKED, 20.0,
         "QUIC to the same address fails for this name, and works for another or elsewhere",
         _besides("quic"), proof=True),
    Rule("tls.experiment.throttle", "tls", "own", Outcome.BLOCKED, 20.0,
         "the server name is slower than a neutral one on the same path",
         _besides("tls.throttle"), proof=True),
    Rule("http.experiment.throttle", "http", "own", Outcome.BLOCKED, 20.0,
         "the Host header is slower than a neutral one on the same path",
         _besides("http.throttle"), proof=True),
    Rule("http.experiment.injection", "http", "own", Outcome.BLOCKED, 20.0,
         "the page in clear holds what the site does not send",
         _besides("http.injection"), proof=True),
)  # fmt: skip
