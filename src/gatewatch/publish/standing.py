"""Where things stand above the cell: verdicts → capped votes → state and interval.

One submission has one vote in a group, however many measurements, networks and days it claims,
and shares it among the outcomes it saw; what is unclear neither fills that vote nor thins it.
Measurements that name no submission count as one.
What a sum of votes means is for `cells.states`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gatewatch.model.outcome import CellState
from gatewatch.publish.reading import Reading, Scope, ServiceRow, Window

OUTCOMES = ("open", "down", "blocked", "server_side", "unclear")

SEVERITY = (
    CellState.INSUFFICIENT,
    CellState.OPEN,
    CellState.SERVER_SIDE,
    CellState.DOWN,
    CellState.IMPAIRED,
    CellState.LIKELY_BLOCKED,
    CellState.BLOCKED,
)
"""From least to most to report; a fixed order for sorting and for combining hosts."""

FILTERED = frozenset({CellState.BLOCKED, CellState.LIKELY_BLOCKED})


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the measurements of one scope say together."""

    state: CellState
    share: float | None
    "Share of decided votes that say blocked, 0..1; None below the evidence floor."
    low: float | None
    high: float | None
    "Ends of its 95 % interval."
    votes: dict[str, float]
    "Outcome → votes after the cap."
    measurements: int
    reports: int
    networks: int
    first: dt.date | None
    last: dt.date | None
    "First and last day with a measurement in the window."

    @property
    def p(self) -> float | None:
        """Probability that a vote says blocked: the mean under the interval's own (Jeffreys)
        prior, so that no finite number of votes makes it 0 or 1. None below the floor."""
        if self.share is None:
            return None
        decided = sum(votes for outcome, votes in self.votes.items() if outcome != "unclear")
        return (self.votes["blocked"] + 0.5) / (decided + 1)


Key = tuple[Any, ...]


def standings(
    reading: Reading, scope: Scope, window: Window, by: Sequence[str]
) -> dict[Key, Standing]:
    """Standing of each group of verdicts.

    Args:
        by: columns of `verdicts` to group by, out of target, service, probe_cc, probe_asn, day.

    Returns:
        Values of `by` → standing, in the order of the keys. A group nobody measured is absent.
    """
    condition, values = scope.where()
    keys = ", ".join(by)
    sums = ", ".join(f"coalesce(sum(vote) filter (outcome = '{o}'), 0) as {o}" for o in OUTCOMES)
    order = "order by all nulls first" if by else ""
    found = reading.rows(
        f"""with voted as (
  select *, count(*) filter (outcome <> 'unclear') over submission as decided,
    case when decided = 0 then 1.0 / count(*) over submission
      when outcome = 'unclear' then 0 else 1.0 / decided end as vote
  from verdicts where {condition} and day between $first and $last
  window submission as (partition by {keys + "," if keys else ""} report_id))
select {keys + "," if keys else ""} {sums},
  count(*) as measurements, count(distinct report_id) as reports,
  count(distinct probe_asn) as networks, min(day) as first_day, max(day) as last_day
from voted {"group by " + keys if keys else "having count(*) > 0"} {order}""",
        **values,
        first=window.first,
        last=window.last,
    )
    keyed = [tuple(row[key] for key in by) for row in found]
    return dict(zip(keyed, _standings(found), strict=True))


def _standings(rows: list[dict[str, Any]]) -> list[Standing]:
    """All of them in one call, since the interval costs more to ask for than to work out."""
    import numpy as np

    from gatewatch.cells.states import states_of

    if not rows:
        return []
    decided = [np.array([row[o] for row in rows], float) for o in OUTCOMES if o != "unclear"]
    reports = np.array([row["reports"] for row in rows], np.int64)
    found = zip(*states_of(*decided, reports=reports), strict=True)
    return [_standing(row, *numbers) for row, numbers in zip(rows, found, strict=True)]


def _standing(row: dict[str, Any], state: str, share: float, low: float, high: float) -> Standing:
    stated = CellState(str(state))
    known = stated is not CellState.INSUFFICIENT
    return Standing(
        state=stated,
        share=float(share) if known else None,
        low=float(low) if known else None,
        high=float(high) if known else None,
        votes={outcome: float(row[outcome]) for outcome in OUTCOMES},
        measurements=row["measurements"],
        reports=row["reports"],
        networks=row["networks"],
        first=row["first_day"],
        last=row["last_day"],
    )


def combined(service: ServiceRow, hosts: Mapping[str, Standing]) -> Standing | None:
    """One standing for a service out of those of its hosts, by the service's own rule.

    `any_core`: as its worst core host. `all_core`: filtered only when every core host is, and
    impaired where some are and others are open or were not measured. Core hosts with too little
    evidence do not speak, and hosts that are not core never decide.

    Args:
        hosts: host → its standing in one scope; hosts without data are absent.

    Returns:
        The standing of the host that decides, with the counts of all hosts; None without data.
    """
    everything = list(hosts.values())
    core = [_worst([s for host, s in hosts.items() if matches(host, p)]) for p in service.core]
    speaking = [s for s in core if s is not None and s.state is not CellState.INSUFFICIENT]
    deciding = _worst(speaking) or _worst(everything)
    if deciding is None:
        return None
    state = deciding.state if speaking else CellState.INSUFFICIENT
    if service.combine == "all_core" and state in FILTERED:
        filtered = [s for s in speaking if s.state in FILTERED]
        whole = len(filtered) == len(service.core)
        state = (
            min((s.state for s in filtered), key=SEVERITY.index) if whole else CellState.IMPAIRED
        )
    return msgspec.structs.replace(
        deciding,
        state=state,
        measurements=sum(s.measurements for s in everything),
        first=min((s.first for s in everything if s.first), default=None),
        last=max((s.last for s in everything if s.last), default=None),
    )


def matches(host: str, pattern: str) -> bool:
    """Does a host fall under a service's pattern: `a.org` that host, `.a.org` it and all beneath?

    >>> matches("a.org", ".a.org"), matches("x.a.org", ".a.org"), matches("x.a.org", "a.org")
    (True, True, False)
    """
    if pattern.startswith("."):
        return host == pattern[1:] or host.endswith(pattern)
    return host == pattern


def _worst(standings: Sequence[Standing]) -> Standing | None:
    return max(standings, key=lambda s: SEVERITY.index(s.state), default=None)


def tally(states: Iterable[CellState]) -> dict[str, int]:
    """How many of each state, most severe first; every state has a number."""
    found = list(states)
    return {state.value: found.count(state) for state in reversed(SEVERITY)}
