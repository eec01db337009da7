"""What was measured around a measurement: nobody should look at one in isolation."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from gatewatch.publish.reading import Reading

SHOWN = 10
BEFORE_AND_AFTER = 5


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """Outcomes of one network, or of one target."""

    target: str | None
    asn: int | None
    asn_name: str | None
    open: int
    down: int
    blocked: int
    server_side: int
    unclear: int


class Nearby(msgspec.Struct, frozen=True, kw_only=True):
    measurement_id: str
    measured_at: dt.datetime | None
    outcome: str
    reason: str | None


class Neighbours(msgspec.Struct, frozen=True, kw_only=True):
    """What else was measured, in the same country; beside a list that is cut, its full length."""

    other_networks: list[Around]
    "The same target on other networks of the country, from the day before to the day after."
    other_networks_total: int
    other_targets: list[Around]
    "Other targets on the same network on the same day, those seen blocked first."
    other_targets_total: int
    before: list[Nearby]
    "The same target on the same network, on any day, oldest first."
    after: list[Nearby]


_OUTCOMES = "open down blocked server_side unclear".split()
_COUNTS = ", ".join(f"count(*) filter (outcome = '{o}') as {o}" for o in _OUTCOMES)


def neighbours(reading: Reading, row: dict[str, Any]) -> Neighbours:
    """Neighbours of a verdict.

    Args:
        row: its row of `verdicts`.
    """
    networks = _other_networks(reading, row)
    targets = _other_targets(reading, row)
    return Neighbours(
        other_networks=networks[:SHOWN],
        other_networks_total=len(networks),
        other_targets=targets[:SHOWN],
        other_targets_total=len(targets),
        before=list(reversed(_nearby(reading, row, "<", "desc"))),
        after=_nearby(reading, row, ">", "asc"),
    )


def _other_networks(reading: Reading, row: dict[str, Any]) -> list[Around]:
    if row["day"] is None or row["target"] is None:
        return []
    found = reading.rows(
        f"""select probe_asn as asn, {_COUNTS} from verdicts
where target = $target and probe_cc is not distinct from $cc
  and probe_asn is distinct from $asn and day between $first and $last
group by probe_asn order by count(*) desc, probe_asn""",
        target=row["target"],
        cc=row["probe_cc"],
        asn=row["probe_asn"],
        first=row["day"] - dt.timedelta(days=1),
        last=row["day"] + dt.timedelta(days=1),
    )
    return [Around(target=None, asn_name=reading.network_name(r["asn"]), **r) for r in found]


def _other_targets(reading: Reading, row: dict[str, Any]) -> list[Around]:
    if row["day"] is None or row["probe_asn"] is None:
        return []
    found = reading.rows(
        f"""select target, {_COUNTS} from verdicts
where probe_asn = $asn and probe_cc is not distinct from $cc and day = $day
  and target is not null and target is distinct from $target
group by target order by blocked > 0 desc, count(*) desc, target""",
        asn=row["probe_asn"],
        cc=row["probe_cc"],
        day=row["day"],
        target=row["target"],
    )
    return [Around(asn=None, asn_name=None, **r) for r in found]


def _nearby(reading: Reading, row: dict[str, Any], side: str, order: str) -> list[Nearby]:
    if row["measured_at"] is None or row["probe_asn"] is None or row["target"] is None:
        return []
    found = reading.rows(
        f"""select measurement_id, measured_at, outcome, reason from verdicts
where target = $target and probe_cc is not distinct from $cc and probe_asn = $asn
  and record_id <> $record and measured_at {side} $at
order by measured_at {order}, measurement_id limit {BEFORE_AND_AFTER}""",
        target=row["target"],
        cc=row["probe_cc"],
        asn=row["probe_asn"],
        record=row["record_id"],
        at=row["measured_at"],
    )
    return [Nearby(**r) for r in found]
