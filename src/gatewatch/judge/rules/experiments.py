"""Rules on what the probe's own experiments found: they tell how, and bear on whether.

An experiment changes one thing and compares, so its finding is stronger than a failure alone. It
is still one probe's word, and counts once a measurement whatever the number of findings.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatewatch.judge.case import Case
from gatewatch.judge.rules.row import Fired, Rule
from gatewatch.model.mechanism import under
from gatewatch.model.outcome import Outcome
from gatewatch.model.records import Finding

FEWEST_TRIALS = 3
"Below so many attempts an answer may be chance. Our choice."
THROTTLED_BELOW = 0.5
"Upper end of the interval of throughput against a neutral name. Our choice: halved, surely."

_BESIDE = ("quic", "tls.throttle", "http.throttle", "http.injection")
"Interference that leaves the page within reach, so that the path shows nothing of it."


def _proved(case: Case) -> Iterator[tuple[Finding, str]]:
    for finding in case.observed.findings:
        if finding.mechanism is not None and finding.trials >= FEWEST_TRIALS:
            yield finding, finding.mechanism


def _beside(mechanism: str) -> bool:
    return any(under(mechanism, one) for one in _BESIDE)


def _tells_how(case: Case) -> Fired | None:
    """The deepest finding about the step that failed, or about another page than the site's."""
    step = case.obstacle
    host = step.hop.host if step is not None else None
    about = [
        (finding, mechanism)
        for finding, mechanism in _proved(case)
        if not _beside(mechanism) and (host is None or finding.host == host)
    ]
    if not about or (step is None and case.authenticated):
        return None
    finding, mechanism = max(about, key=lambda one: one[1].count("."))
    return Fired(finding.words, mechanism)


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
    Rule("experiment.tells_how", "probe", "own", Outcome.BLOCKED, 4.0,
         "changing one thing at a time shows what the network acts upon", _tells_how),
    Rule("experiment.quic", "quic", "own", Outcome.BLOCKED, 12.0,
         "QUIC to the same address fails for this name, and works for another or elsewhere",
         _besides("quic"), proof=True),
    Rule("experiment.tls_throttle", "tls", "own", Outcome.BLOCKED, 12.0,
         "the server name is slower than a neutral one on the same path",
         _besides("tls.throttle"), proof=True),
    Rule("experiment.http_throttle", "http", "own", Outcome.BLOCKED, 12.0,
         "the Host header is slower than a neutral one on the same path",
         _besides("http.throttle"), proof=True),
    Rule("experiment.injection", "http", "own", Outcome.BLOCKED, 12.0,
         "the page in clear holds what the site does not send",
         _besides("http.injection"), proof=True),
)  # fmt: skip
