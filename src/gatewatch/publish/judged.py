"""The line that `judge` writes for one measurement: a fixed order of keys, for other programs."""

from __future__ import annotations

import datetime as dt

import msgspec

from gatewatch.model.records import SetAside, Source
from gatewatch.model.verdict import FiredRule, Probabilities, Verdict


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict beside the place of its bytes."""

    source: Source
    measurement_id: str
    test_name: str
    input: str | None
    target: str | None
    probe_cc: str | None
    probe_asn: int | None
    outcome: str
    reason: str | None
    mechanisms: list[str]
    p: Probabilities
    rules: list[FiredRule]
    sentence: str
    report_id: str
    service: str | None
    measured_at: dt.datetime | None
    rules_version: str
    refdata_version: str


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    where: str
    field: str
    got: str
    want: str


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be read."""

    source: Source
    error: Fault


def judged(source: Source, verdict: Verdict) -> Judged:
    """The line for a verdict."""
    return Judged(
        source=source,
        measurement_id=verdict.measurement_id,
        test_name=verdict.test_name,
        input=verdict.input,
        target=verdict.target,
        probe_cc=verdict.probe_cc,
        probe_asn=verdict.probe_asn,
        outcome=verdict.outcome,
        reason=verdict.reason,
        mechanisms=verdict.mechanisms,
        p=Probabilities(
            open=verdict.p_open,
            down=verdict.p_down,
            blocked=verdict.p_blocked,
            server_side=verdict.p_server_side,
        ),
        rules=verdict.rules,
        sentence=verdict.sentence,
        report_id=verdict.report_id,
        service=verdict.service,
        measured_at=verdict.measured_at and verdict.measured_at.replace(tzinfo=dt.UTC),
        rules_version=verdict.rules_version,
        refdata_version=verdict.refdata_version,
    )


def unread(aside: SetAside) -> Unread:
    """The line for a record that was set aside."""
    file = aside.source_file + (f"!{aside.source_member}" if aside.source_member else "")
    return Unread(
        source=Source(
            file=file,
            line=aside.source_line,
            offset=aside.source_offset,
            length=aside.source_length,
        ),
        error=Fault(
            where=f"{file}:{aside.source_line}", field=aside.field, got=aside.got, want=aside.want
        ),
    )
