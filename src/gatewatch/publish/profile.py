"""A country or a network as a whole: what is filtered there, how, since when, on what evidence."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from gatewatch.model.errors import NoData
from gatewatch.model.outcome import CellState
from gatewatch.publish.check import MechanismSeen, Provenance, mechanisms, provenance
from gatewatch.publish.matrix import Matrix, matrix
from gatewatch.publish.onset import Since, since
from gatewatch.publish.reading import Asked, Reading, Scope, Window
from gatewatch.publish.standing import FILTERED, SEVERITY, Standing, standings, tally

REPORTED = FILTERED | {CellState.IMPAIRED}


class FilteredSite(msgspec.Struct, frozen=True, kw_only=True):
    """A site that is blocked, likely blocked or impaired in the scope."""

    target: str
    service: str | None
    state: CellState
    p: float | None
    interval: tuple[float | None, float | None]
    networks_blocked: int
    networks_sufficient: int
    since: Since | None
    mechanisms: list[str]
    measurements: int
    example: str | None
    "The measurement that shows it best."


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer rests on, and what it cannot see."""

    measurements: int
    reports: int
    networks: int
    targets: int
    targets_insufficient: int
    days: int
    "Days of the window with a measurement."
    unclear: int
    caveats: list[str]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What stands where in one country, or on one network."""

    schema: str
    scope: dict[str, Any]
    window: Window
    states: dict[str, int]
    "State → number of sites, most severe first."
    matrix: Matrix
    sites: list[FilteredSite]
    mechanisms: list[MechanismSeen]
    coverage: Coverage
    provenance: Provenance


def country(reading: Reading, cc: str, asked: Asked) -> Profile:
    """A country by its code.

    Raises:
        NoData: nothing was measured there.
    """
    return _profile(reading, "gatewatch.country/1", Scope(cc=cc), asked, f"in {cc}")


def network(reading: Reading, asn: int, asked: Asked) -> Profile:
    """A network by its number.

    Raises:
        NoData: nothing was measured there.
    """
    return _profile(reading, "gatewatch.network/1", Scope(asn=asn), asked, f"on AS{asn}")


def _profile(reading: Reading, schema: str, scope: Scope, asked: Asked, where: str) -> Profile:
    try:
        window = reading.settle(asked, scope)
    except NoData:
        raise NoData(f"no measurement {where}; `gatewatch status` shows what there is") from None
    by_site = standings(reading, scope, window, ["target"])
    if not by_site:
        raise NoData(f"no measurement {where} in {window.first}..{window.last}")
    return Profile(
        schema=schema,
        scope={
            "probe_cc": scope.cc,
            "probe_asn": scope.asn,
            "asn_name": reading.network_name(scope.asn),
        },
        window=window,
        states=tally(s.state for s in by_site.values()),
        matrix=matrix(reading, scope, window),
        sites=_sites(reading, scope, window, {key[0]: s for key, s in by_site.items()}),
        mechanisms=mechanisms(reading, scope, window),
        coverage=_coverage(reading, scope, window, [s.state for s in by_site.values()]),
        provenance=provenance(reading, scope, window),
    )


def _sites(
    reading: Reading, scope: Scope, window: Window, by_site: dict[str, Standing]
) -> list[FilteredSite]:
    reported = {host: s for host, s in by_site.items() if s.state in REPORTED}
    if not reported:
        return []
    chosen = msgspec.structs.replace(scope, hosts=tuple(reported))
    by_network: dict[str, dict[int | None, CellState]] = {}
    for (host, asn), standing in standings(
        reading, chosen, window, ["target", "probe_asn"]
    ).items():
        by_network.setdefault(host, {})[asn] = standing.state
    facts = _facts(reading, chosen, window)
    rows: list[FilteredSite] = []
    for host, standing in reported.items():
        states = {asn: state for asn, state in by_network[host].items() if asn is not None}
        filtered = [asn for asn, state in by_network[host].items() if state in FILTERED]
        only = msgspec.structs.replace(scope, hosts=(host,))
        fact = facts.get(host, {})
        rows.append(
            FilteredSite(
                target=host,
                service=fact.get("service"),
                state=standing.state,
                p=standing.p,
                interval=(standing.low, standing.high),
                networks_blocked=sum(state in FILTERED for state in states.values()),
                networks_sufficient=sum(s is not CellState.INSUFFICIENT for s in states.values()),
                since=since(reading, only, window.last, filtered)
                if standing.state in FILTERED or filtered
                else None,
                mechanisms=fact.get("mechanisms") or [],
                measurements=standing.measurements,
                example=fact.get("example"),
            )
        )
    rows.sort(key=lambda site: (-SEVERITY.index(site.state), -(site.p or 0.0), site.target))
    return rows


def _facts(reading: Reading, scope: Scope, window: Window) -> dict[str, dict[str, Any]]:
    """Host → its service, its mechanisms (most frequent first) and its clearest measurement."""
    condition, values = scope.where()
    found = reading.rows(
        f"""with hits as (select * from verdicts
  where {condition} and outcome = 'blocked' and day between $first and $last),
best as (select target, any_value(service) as service,
  arg_max(measurement_id, (p_blocked, measured_at, measurement_id)) as example
  from hits group by target),
how as (select target, list(mechanism order by seen desc, mechanism) as mechanisms from (
    select target, mechanism, count(*) as seen
    from (select target, unnest(list_distinct(mechanisms)) as mechanism from hits)
    group by target, mechanism) group by target)
select * from best left join how using (target) order by target""",
        **values,
        first=window.first,
        last=window.last,
    )
    return {row["target"]: row for row in found}


def _coverage(reading: Reading, scope: Scope, window: Window, states: list[CellState]) -> Coverage:
    condition, values = scope.where()
    found = reading.one(
        f"""select count(*) as measurements, count(distinct report_id) as reports,
  count(distinct probe_asn) as networks, count(distinct target) as targets,
  count(distinct day) as days, count(*) filter (outcome = 'unclear') as unclear,
  count(*) filter (probe_asn is null) as without_network
from verdicts where {condition} and day between $first and $last""",
        **values,
        first=window.first,
        last=window.last,
    )
    without_network = found.pop("without_network")
    insufficient = sum(state is CellState.INSUFFICIENT for state in states)
    length = (window.last - window.first + dt.timedelta(days=1)).days
    caveats: list[str] = []
    if found["networks"] <= 1 and scope.asn is None:
        caveats.append("one network only: this may be the network, not the country")
    if insufficient:
        caveats.append(
            f"{insufficient:,} of {found['targets']:,} sites have too little evidence for a state"
        )
    if found["days"] < length:
        caveats.append(f"{length - found['days']} of {length} days of the window have no data")
    if without_network:
        caveats.append(f"{without_network:,} measurements do not say which network they come from")
    caveats.append("volunteers choose when and what to test; a site not listed was not measured")
    return Coverage(**found, targets_insufficient=insufficient, caveats=caveats)
