"""Rules on the probe itself: evidence that it could not have seen, whatever it wrote down."""

from __future__ import annotations

from gatewatch.judge.case import Case
from gatewatch.judge.control import Seen
from gatewatch.judge.rules.row import Fired, Rule
from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.model.outcome import Outcome, Reason

_OFFLINE = frozenset(
    (
        FailureKind.TIMEOUT,
        FailureKind.UNREACHABLE,
        FailureKind.LOCAL,
        FailureKind.SERVFAIL,
        FailureKind.DNS_OTHER,
    )
)


def _own_fault(case: Case) -> Fired | None:
    step = case.obstacle
    if step is None or step.kind is not FailureKind.LOCAL:
        return None
    return Fired(f"the probe failed by itself: {step.words[:120]}")


def _offline(case: Case) -> Fired | None:
    """Nothing at all worked, not even the way to the helper."""
    if case.control.present or not case.measurement.control_failure or case.obstacle is None:
        return None
    if kind_of(case.measurement.control_failure) in (FailureKind.UNREACHABLE, FailureKind.LOCAL):
        return Fired(f"the helper was out of reach too: {case.measurement.control_failure}")
    attempts = [*case.observed.lookups, *case.observed.connects]
    mine = [o for o in attempts if o.vantage == "probe"]
    if not mine or any(kind_of(o.failure) not in _OFFLINE for o in mine):
        return None
    return Fired("no resolver, no address and no helper answered")


def _clock(case: Case) -> Fired | None:
    step = case.obstacle
    if step is None or step.layer != "tls" or step.failure != "ssl_invalid_certificate":
        return None
    if case.seen(step) is not Seen.REACHES:
        return None
    states = {o.chain_state for o in step.hop.handshakes if o.failure}
    if states & {"self_signed", "wrong_name"}:
        return None
    return Fired("the certificate was refused for its dates or chain, and the control accepts it")


RULES = (
    Rule("probe.own_fault", "probe", "own", Outcome.OPEN, 0.0,
         "the step failed for a reason inside the probe", _own_fault,
         masks=Reason.PROBE_FAILURE),
    Rule("probe.offline", "probe", "own", Outcome.OPEN, 0.0,
         "everything failed, the helper included", _offline,
         masks=Reason.NO_PROBE_NETWORK),
    Rule("probe.clock", "probe", "reaches", Outcome.OPEN, 0.0,
         "a certificate refused for its dates only, where the control accepts it", _clock,
         masks=Reason.PROBE_CLOCK),
)  # fmt: skip
