"""What we think of one measurement, and how often we think it: verdicts and cells."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import msgspec

from gatewatch.model.columns import Column


class FiredRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of the judge whose condition held."""

    id: str
    layer: str
    control: str
    "`agrees`, `disagrees`, `none`, or `own` where the evidence needs no control."
    evidence_for: str
    "The outcome it speaks for."
    weight: float
    "Nats added to that outcome's score; provisional until fitted."
    mechanism: str | None
    words: str
    "What was seen, in words, with the values seen."


class Probabilities(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of belief; they sum to 1."""

    open: float
    down: float
    blocked: float
    server_side: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one measurement says of the ordinary user's path to its target."""

    record_id: Annotated[str, Column("string", "the measurement judged")]
    measurement_id: Annotated[str, Column("string", "its public id")]
    report_id: Annotated[str, Column("string", "the submission; influence is capped by it")]
    test_name: Annotated[str, Column("string", "nettest, snake case")]
    input: Annotated[str | None, Column("string", "what was tested, as submitted")]
    target: Annotated[str | None, Column("string", "canonical host")]
    domain: Annotated[str | None, Column("string", "registrable domain")]
    service: Annotated[str | None, Column("string", "service, if any")]
    probe_cc: Annotated[str | None, Column("string", "country of the probe, ISO 3166")]
    probe_asn: Annotated[int | None, Column("int64", "network of the probe")]
    probe_network: Annotated[str | None, Column("string", "its name, as submitted")]
    resolver_asn: Annotated[int | None, Column("int64", "network of the system resolver")]
    measured_at: Annotated[datetime | None, Column("timestamp[us]", "by the probe's clock", "UTC")]
    day: Annotated[
        date | None,
        Column(
            "date32[day]",
            "UTC day it counts for: measured, or received where the probe's clock cannot be right",
        ),
    ]
    outcome: Annotated[
        str, Column("string", "`open`, `down`, `blocked`, `server_side` or `unclear`")
    ]
    reason: Annotated[str | None, Column("string", "why it is unclear; null otherwise")]
    mechanisms: Annotated[
        list[str], Column("list<string>", "how, as taxonomy paths, deepest that is supported")
    ]
    p_open: Annotated[float, Column("double", "probability", "0..1")]
    p_down: Annotated[float, Column("double", "probability", "0..1")]
    p_blocked: Annotated[float, Column("double", "probability", "0..1")]
    p_server_side: Annotated[float, Column("double", "probability", "0..1")]
    rules: Annotated[
        list[FiredRule],
        Column(
            "list<struct<id: string, layer: string, control: string, evidence_for: string, "
            "weight: double, mechanism: string, words: string>>",
            "every rule that fired",
        ),
    ]
    sentence: Annotated[str, Column("string", "the verdict in words")]
    wanted_controls: Annotated[
        list[str],
        Column(
            "list<string>",
            "`host@day`: what other measurements' controls may say that bears on this one",
        ),
    ]
    pool_digest: Annotated[str, Column("string", "digest of what they said when this was judged")]
    probe_id: Annotated[
        str | None, Column("string", "pseudonym of the probe, where the archive carries one")
    ] = None
    rules_version: Annotated[str, Column("string", "version of the rule set")]
    refdata_version: Annotated[str, Column("string", "version of the reference data in force")]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """How often each outcome was seen for one target on one network on one day."""

    target: Annotated[str, Column("string", "canonical host")]
    domain: Annotated[str | None, Column("string", "registrable domain")]
    service: Annotated[str | None, Column("string", "service, if any")]
    probe_cc: Annotated[str | None, Column("string", "country of the probes")]
    probe_asn: Annotated[int | None, Column("int64", "network of the probes")]
    resolver_asn: Annotated[int | None, Column("int64", "network of their resolver")]
    day: Annotated[date | None, Column("date32[day]", "UTC day")]
    measurements: Annotated[int, Column("int64", "distinct measurements", "count")]
    reports: Annotated[int, Column("int64", "distinct submissions behind them", "count")]
    probes: Annotated[
        int | None,
        Column("int64", "distinct probes; null where the archive does not tell", "count"),
    ]
    open: Annotated[int, Column("int64", "measurements with this outcome", "count")]
    down: Annotated[int, Column("int64", "measurements with this outcome", "count")]
    blocked: Annotated[int, Column("int64", "measurements with this outcome", "count")]
    server_side: Annotated[int, Column("int64", "measurements with this outcome", "count")]
    unclear: Annotated[int, Column("int64", "measurements with this outcome", "count")]
    votes: Annotated[
        float, Column("double", "evidence after the cap of one vote a submission", "votes")
    ]
    blocked_share: Annotated[
        float | None, Column("double", "share of decided votes that say blocked", "0..1")
    ]
    blocked_low: Annotated[float | None, Column("double", "lower end of its 95 % interval", "0..1")]
    blocked_high: Annotated[
        float | None, Column("double", "upper end of its 95 % interval", "0..1")
    ]
    state: Annotated[
        str,
        Column(
            "string",
            "`blocked`, `likely_blocked`, `impaired`, `down`, `server_side`, `open` or "
            "`insufficient`",
        ),
    ]
    mechanisms: Annotated[list[str], Column("list<string>", "mechanisms seen, most frequent first")]
    mechanism_counts: Annotated[
        list[int], Column("list<int64>", "measurements with each of them", "count")
    ]
