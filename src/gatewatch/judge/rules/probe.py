"""Rules on the probe itself: evidence that it could not have seen, whatever it wrote down."""

from __future__ import annotations

from gatewatch.judge.case import Case
from gatewatch.judge.control import Seen
from gatewatch.judge.rules.row import Fired, Rule
from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Lookup

_OFFLINE = frozenset(
    (
        FailureKind.TIMEOUT,
        FailureKind.UNREACHABLE,
        FailureKind.LOCAL,
        FailureKind.SERVFAIL,
        FailureKind.DNS_OTHER,
    )
)

_DENIALS = (FailureKind.NXDOMAIN, FailureKind.NO_ANSWER, FailureKind.DNS_REFUSED)

_NO_WORD = (
    FailureKind.TIMEOUT,
    FailureKind.SERVFAIL,
    FailureKind.DNS_OTHER,
    FailureKind.REFUSED,
    FailureKind.UNKNOWN,
)
"How stubs and libraries spell a resolver that does not do its work."

_NOBODY = "127.0.0.2"
"What OONI's probes write in place of a resolver that did not say who it is, with AS0."


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


def _resolver_silent(case: Case) -> Fired | None:
    """A resolver hides a name by failing at it only if it speaks of others.

    Where others asked in clear fail at the name too, and are heard on another, it is the path.
    """
    step, asked = case.obstacle, case.measurement
    if step is None or step.layer != "dns" or step.failure == "dns_bogon_error":
        return None
    # where nobody noted whether it said who it is, only silence itself is held to be silence
    no_word = _NO_WORD if asked.resolver_ip == _NOBODY else (FailureKind.TIMEOUT,)
    if step.kind not in no_word or case.seen(step) is Seen.FAILS:
        return None
    said_who = asked.resolver_asn is not None or asked.resolver_ip not in (None, _NOBODY)
    if said_who or _heard(case, "system"):
        return None
    clear = [o for o in step.hop.others if o.transport == "udp"]
    if clear and not any(_spoken(o) for o in clear) and _heard(case, "udp"):
        return None
    return Fired(f"{step.hop.host}: {step.words[:80]}, from a resolver that was never heard")


def _heard(case: Case, transport: str) -> bool:
    """Has such a resolver answered the probe anything in this measurement?"""
    asked = [o for o in case.observed.lookups if o.vantage == "probe" and o.transport == transport]
    return any(_spoken(o) for o in asked)


def _spoken(lookup: Lookup) -> bool:
    """An answer, or a denial; a stub may make up other failures by itself."""
    return lookup.failure is None or kind_of(lookup.failure) in _DENIALS


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
    Rule("probe.resolver_silent", "probe", "own", Outcome.OPEN, 0.0,
         "the resolver has no word on the name, and nothing shows that it is alive",
         _resolver_silent, masks=Reason.RESOLVER_SILENT),
    Rule("probe.clock", "probe", "reaches", Outcome.OPEN, 0.0,
         "a certificate refused for its dates only, where the control accepts it", _clock,
         masks=Reason.PROBE_CLOCK),
)  # fmt: skip
