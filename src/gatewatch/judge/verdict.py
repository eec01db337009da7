"""The stage: one observed measurement in, one verdict out."""

from __future__ import annotations

from gatewatch.judge import words
from gatewatch.judge.case import Case
from gatewatch.judge.day import day_of
from gatewatch.judge.pool import NO_POOL, Pool
from gatewatch.judge.rules import RULES, RULES_VERSION
from gatewatch.judge.weigh import conclude, fire, probabilities
from gatewatch.model.mechanism import deepest, under
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Measurement, Observed
from gatewatch.model.verdict import FiredRule, Probabilities, Verdict
from gatewatch.refdata.snapshot import RefData

_EVEN = Probabilities(open=0.25, down=0.25, blocked=0.25, server_side=0.25)


def judge(observed: Observed, refdata: RefData, pool: Pool = NO_POOL) -> Verdict:
    """What this measurement says, with every rule that fired.

    Args:
        observed: one measurement and its attempts.
        pool: what other measurements' controls say; used only where this one has none.
    """
    measurement = observed.measurement
    if measurement.test_name != "web_connectivity":
        outcome, reason = Outcome.UNCLEAR, Reason.UNSUPPORTED_TEST
        return _verdict(measurement, refdata, outcome, reason, [], [], [], _EVEN, [], "")
    case = Case(observed, refdata, pool)
    fired = fire(case, RULES)
    p = probabilities(fired)
    outcome, reason = conclude(case, fired, p)
    rows = [row for _, row in fired]
    masking = [row for rule, row in fired if rule.masks is not None and rule.masks is reason]
    mechanisms = [] if masking else _mechanisms(rows, outcome)
    wanted = sorted(case.wanted)
    return _verdict(
        measurement,
        refdata,
        outcome,
        reason,
        mechanisms,
        rows,
        masking,
        p,
        wanted,
        pool.digest(wanted),
    )


def _mechanisms(rows: list[FiredRule], outcome: Outcome) -> list[str]:
    """How, as far as this outcome lets the rules speak of it.

    In an unclear verdict they say how the path failed, if it is interference at all. A probe in
    no state to know (a masked verdict) has not even a suspicion.
    """
    shown = [row for row in rows if row.mechanism]
    if outcome is Outcome.SERVER_SIDE:
        shown = [row for row in shown if row.evidence_for == outcome]
    found = deepest([row.mechanism for row in shown if row.mechanism])
    if outcome is Outcome.DOWN:
        # A name that exists only here is tampering all the same; the rest was the site's fault.
        found = [mechanism for mechanism in found if under(mechanism, "dns.injection")]
    return found


def _verdict(
    measurement: Measurement,
    refdata: RefData,
    outcome: Outcome,
    reason: Reason | None,
    mechanisms: list[str],
    rules: list[FiredRule],
    masking: list[FiredRule],
    p: Probabilities,
    wanted: list[str],
    pool_digest: str,
) -> Verdict:
    day = day_of(measurement)
    return Verdict(
        record_id=measurement.record_id,
        measurement_id=measurement.measurement_id,
        report_id=measurement.report_id,
        test_name=measurement.test_name,
        input=measurement.input,
        target=measurement.target,
        domain=measurement.domain,
        service=measurement.service,
        probe_cc=measurement.probe_cc,
        probe_asn=measurement.probe_asn,
        probe_network=measurement.probe_network,
        resolver_asn=measurement.resolver_asn,
        measured_at=measurement.measured_at,
        day=day,
        outcome=outcome,
        reason=reason,
        mechanisms=mechanisms,
        p_open=p.open,
        p_down=p.down,
        p_blocked=p.blocked,
        p_server_side=p.server_side,
        rules=rules,
        sentence=words.sentence(measurement, day, outcome, reason, mechanisms, rules, masking),
        wanted_controls=wanted,
        pool_digest=pool_digest,
        probe_id=measurement.probe_id,
        rules_version=RULES_VERSION,
        refdata_version=refdata.version,
    )
