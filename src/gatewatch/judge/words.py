"""A verdict in one sentence that can stand by itself in print, and says no more than was seen."""

from __future__ import annotations

from datetime import date

from gatewatch.model import mechanism
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Measurement
from gatewatch.model.verdict import FiredRule

_REASONS = {
    Reason.NO_CONTROL: "nothing tells what it looks like from elsewhere",
    Reason.NO_EVIDENCE: "the probe recorded too little to say anything",
    Reason.PROBE_FAILURE: "the probe itself failed",
    Reason.NO_PROBE_NETWORK: "the probe's own connection was down",
    Reason.RESOLVER_SILENT: "its resolver had no word on it, and nothing shows that it speaks",
    Reason.DEAD_ADDRESS: "it leads to an address that serves nobody, and is up at another",
    Reason.LOST_ROUTE: "the way to it ends abroad, which an accident does as well as an order",
    Reason.WEAK_EVIDENCE: "it failed here, in a way that decides nothing by itself",
    Reason.PAGE_DIFFERS: "another page came back, and nothing says whose it is",
    Reason.LOCAL_PORTAL: "a local portal or an organisation's own filter answered",
    Reason.REDIRECT_UNFOLLOWED: "the answer redirects to where the probe did not go",
    Reason.PROBE_CLOCK: "a certificate was refused for its dates; the probe's clock may be wrong",
    Reason.CONFLICTING: "the evidence points both ways",
    Reason.UNSUPPORTED_TEST: "this kind of test is kept and not yet judged",
}

_OUTCOMES = {
    Outcome.OPEN: "was open",
    Outcome.DOWN: "was down for everybody",
    Outcome.BLOCKED: "was blocked",
    Outcome.SERVER_SIDE: "refused this client itself",
    Outcome.UNCLEAR: "is unclear",
}


def sentence(
    measurement: Measurement,
    day: date | None,
    outcome: Outcome,
    reason: Reason | None,
    mechanisms: list[str],
    fired: list[FiredRule],
    masking: list[FiredRule],
) -> str:
    """Target, outcome, place and time; then how, or why not; then the strongest thing seen.

    Args:
        fired, masking: all rules that fired, and those of them that gave the reason.
    """
    what = measurement.target or measurement.input or f"the test {measurement.test_name}"
    text = f"{_short(what)} {_OUTCOMES[outcome]} {_where(measurement)}"
    text += f" on {day.isoformat()}" if day else ", date unknown"
    if reason is not None:
        text += f": {_REASONS[reason]}"
    elif mechanisms:
        how = "; ".join(mechanism.words(m) for m in mechanisms[:3])
        text += f", through {how}" if outcome is Outcome.BLOCKED else f", with {how} on the way"
    unclear = outcome is Outcome.UNCLEAR
    spoken = masking or [rule for rule in fired if unclear or rule.evidence_for == outcome]
    strongest = max(spoken, key=lambda rule: rule.weight, default=None)
    if strongest is not None:
        text += f" ({strongest.words})"
    return text + "."


def _where(measurement: Measurement) -> str:
    network = f"AS{measurement.probe_asn}" if measurement.probe_asn else "an unknown network"
    return f"on {network} ({measurement.probe_cc or 'country unknown'})"


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:100] + "…"
