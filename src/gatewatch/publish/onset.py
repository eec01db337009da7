"""Since when: the current uninterrupted run of blocked days, with honest ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import msgspec

from gatewatch.publish.reading import Reading, Scope


class Since(msgspec.Struct, frozen=True):
    """The first blocked day lies between the two, both included."""

    earliest: dt.date | None
    "The day after the last one seen not blocked; None when no such day is known."
    latest: dt.date
    "The first day seen blocked."


def since(
    reading: Reading, scope: Scope, until: dt.date, networks: Collection[int | None]
) -> Since | None:
    """When the run of blocked days began that lasts until the end of the window.

    A day speaks through the networks that are filtered now: it is seen blocked when more than half
    of its decided votes say so, not blocked when at most half do, and silent without a decided
    vote. A silent day does not end a run. All days on record count, not only those of the window.

    Args:
        networks: those filtered now; empty means all.

    Returns:
        None when the last day that speaks is not blocked, or none speaks.
    """
    condition, values = scope.where()
    if networks:
        condition += " and list_contains($networks, coalesce(probe_asn, 0))"
        values["networks"] = [asn or 0 for asn in networks]
    days = reading.rows(
        f"""with voters as (
  select day, avg((outcome = 'blocked')::int) as blocked,
    avg((outcome in ('open', 'down', 'server_side'))::int) as other
  from verdicts where {condition} and day <= $until
  group by target, probe_cc, probe_asn, day, report_id)
select day, sum(blocked) > sum(other) as blocked
from voters group by day having sum(blocked) + sum(other) > 0 order by day desc""",
        **values,
        until=until,
    )
    latest: dt.date | None = None
    for row in days:
        if not row["blocked"]:
            day_after = row["day"] + dt.timedelta(days=1)
            return None if latest is None else Since(day_after, latest)
        latest = row["day"]
    return None if latest is None else Since(None, latest)
