"""The sentences of `check`: what can be defended, how it is done, what else it could be."""

from __future__ import annotations

from collections.abc import Sequence

from gatewatch.model.mechanism import words as mechanism_words
from gatewatch.model.outcome import CellState
from gatewatch.publish.check import Check, MechanismSeen
from gatewatch.publish.standing import FILTERED
from gatewatch.publish.words import STATE_WORDS, count, interval, network, since, span

MECHANISMS_SHOWN = 4


def headline(check: Check, name: str | None = None) -> str:
    """State, probability, networks and onset in one line."""
    parts = [f"{name or check.target}{_where(check)}: {STATE_WORDS[check.state].upper()}"]
    parts.append(interval(check.p, *check.interval))
    if check.scope["probe_asn"] is None and check.state is not CellState.INSUFFICIENT:
        n = check.n
        parts.append(f"{n.networks_blocked} of {count(n.networks_sufficient, 'network')}")
    if check.state is CellState.INSUFFICIENT:
        parts.append(f"{count(check.n.measurements, 'measurement')} in {_reports(check)}")
    if check.since is not None:
        parts.append(since(check.since.earliest, check.since.latest))
    return "  ".join(part for part in parts if part)


def short_line(check: Check) -> str:
    """The state, and the share of votes that say blocked with its interval."""
    return f"{check.state} {interval(check.p, *check.interval)}".rstrip()


def reasons(check: Check) -> list[str]:
    """The lines below the headline."""
    lines: list[str] = []
    if check.mechanisms:
        lead = "how" if check.state in FILTERED else "blocking seen"
        lines.append(f"{lead}: {_how(check.mechanisms)}")
    excluded = [a.words for a in check.alternatives if a.excluded]
    standing = [a.words for a in check.alternatives if not a.excluded]
    if excluded:
        lines.append("not explained by: " + "; ".join(excluded))
    if standing:
        lines.append("not ruled out: " + "; ".join(standing))
    few = check.n.networks - check.n.networks_sufficient
    if few and check.state is not CellState.INSUFFICIENT and check.scope["probe_asn"] is None:
        lines.append(f"too little evidence on {count(few, 'more network', 'more networks')}")
    if check.state is CellState.INSUFFICIENT:
        lines.append("below the evidence floor: this says neither blocked nor open")
    basis = f"{count(check.n.measurements, 'measurement')}, {_reports(check)}"
    basis += f", {span(check.window.first, check.window.last)}"
    if check.evidence:
        basis += f" — gatewatch explain {check.evidence[0]}"
    lines.append(f"evidence: {basis}")
    return lines


def _where(check: Check) -> str:
    cc, asn = check.scope["probe_cc"], check.scope["probe_asn"]
    place = f" in {cc}" if cc else ""
    return place + (f" on {network(asn, check.scope['asn_name'])}" if asn else "")


def _reports(check: Check) -> str:
    return count(check.n.reports, "submission")


def _how(mechanisms: Sequence[MechanismSeen]) -> str:
    shown = [
        f"{mechanism_words(seen.mechanism)} ({seen.mechanism}, {count(seen.networks, 'network')})"
        for seen in mechanisms[:MECHANISMS_SHOWN]
    ]
    more = len(mechanisms) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")
