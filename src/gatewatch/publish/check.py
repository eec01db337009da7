"""Is this blocked there? One defensible answer, with everything needed to attack it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from gatewatch.model.errors import NoData
from gatewatch.model.outcome import CellState
from gatewatch.publish.onset import Since, since
from gatewatch.publish.reading import Asked, Reading, Scope, Window
from gatewatch.publish.standing import FILTERED, Standing
from gatewatch.publish.subject import Subject, nothing_known, stand

EVIDENCE_SHOWN = 20


class NetworkStanding(msgspec.Struct, frozen=True, kw_only=True):
    asn: int | None
    asn_name: str | None
    state: CellState
    p: float | None
    interval: tuple[float | None, float | None]
    measurements: int


class MechanismSeen(msgspec.Struct, frozen=True, kw_only=True):
    mechanism: str
    networks: int
    measurements: int


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """Another explanation that was looked at."""

    explanation: str
    "`site_down`, `outage` or `server_side`."
    excluded: bool
    "Does the data speak against it? False also when nothing was measured that could tell."
    words: str
    numbers: dict[str, int]


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    rules_version: str
    refdata_version: str
    "Versions that the verdicts behind the answer were made with, joined by a comma."
    as_of: dt.datetime | None
    "Newest measurement in the store, UTC: nothing later was known."


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    measurements: int
    reports: int
    networks: int
    networks_sufficient: int
    "Networks above the evidence floor."
    networks_blocked: int
    "Those of them that are blocked or likely blocked."


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One subject in one scope. `p` is the probability that a vote says blocked."""

    schema: str = "gatewatch.check/1"
    target: str
    scope: dict[str, Any]
    "probe_cc, probe_asn, asn_name; null is no restriction."
    window: Window
    state: CellState
    p: float | None
    interval: tuple[float | None, float | None]
    n: Counts
    since: Since | None
    mechanisms: list[MechanismSeen]
    alternatives: list[Alternative]
    networks: list[NetworkStanding]
    evidence: list[str]
    "Measurement ids, the ones that weigh most first, spread over networks."
    provenance: Provenance


def check(
    reading: Reading,
    subject: Subject,
    *,
    cc: str | None = None,
    asn: int | None = None,
    asked: Asked,
) -> Check:
    """How a subject stands in one country, on one network, or wherever it was measured.

    Raises:
        NoData: nothing was measured there; the message names the nearest that was.
    """
    scope = subject.scope(cc, asn)
    window = _settled(reading, subject, scope, asked)
    return _check(reading, subject, scope, window)


def check_each(
    reading: Reading,
    subject: Subject,
    codes: Sequence[str | None],
    *,
    asn: int | None = None,
    asked: Asked,
) -> tuple[list[Check], list[str]]:
    """How a subject stands in each of some countries, and a line for each without data.

    Raises:
        NoData: none of them has any.
    """
    found: list[Check] = []
    missing: list[NoData] = []
    for cc in codes:
        try:
            found.append(check(reading, subject, cc=cc, asn=asn, asked=asked))
        except NoData as error:
            missing.append(error)
    if not found:
        raise missing[0]
    return found, [str(error) for error in missing]


def check_countries(
    reading: Reading, subject: Subject, *, asn: int | None = None, asked: Asked
) -> list[Check]:
    """How a subject stands in every country that has data, by code, over one window.

    Raises:
        NoData: nothing was measured anywhere.
    """
    scope = subject.scope(asn=asn)
    window = _settled(reading, subject, scope, asked)
    condition, values = scope.where()
    found = reading.rows(
        f"""select distinct probe_cc from verdicts
where {condition} and day between $first and $last and probe_cc is not null order by probe_cc""",
        **values,
        first=window.first,
        last=window.last,
    )
    countries = [subject.scope(row["probe_cc"], asn) for row in found]
    if not countries:
        raise nothing_known(reading, subject, "")
    return [_check(reading, subject, country, window) for country in countries]


def _settled(reading: Reading, subject: Subject, scope: Scope, asked: Asked) -> Window:
    try:
        return reading.settle(asked, scope)
    except NoData:
        raise nothing_known(reading, subject, _place(scope)) from None


def _place(scope: Scope) -> str:
    return (f" in {scope.cc}" if scope.cc else "") + (f" on AS{scope.asn}" if scope.asn else "")


def _check(reading: Reading, subject: Subject, scope: Scope, window: Window) -> Check:
    whole = stand(reading, subject, scope, window, [])
    if () not in whole:
        raise nothing_known(reading, subject, _place(scope))
    standing = whole[()]
    by_network = {
        key[0]: s for key, s in stand(reading, subject, scope, window, ["probe_asn"]).items()
    }
    filtered = [asn for asn, s in by_network.items() if s.state in FILTERED]
    return Check(
        target=subject.id,
        scope={
            "probe_cc": scope.cc,
            "probe_asn": scope.asn,
            "asn_name": reading.network_name(scope.asn),
        },
        window=window,
        state=standing.state,
        p=standing.p,
        interval=(standing.low, standing.high),
        n=_counts(standing, by_network),
        since=_since(reading, scope, window, standing.state, filtered),
        mechanisms=mechanisms(reading, scope, window),
        alternatives=_alternatives(reading, subject, scope, window, standing),
        networks=[_network(reading, asn, s) for asn, s in by_network.items()],
        evidence=_evidence(reading, scope, window, standing.state),
        provenance=provenance(reading, scope, window),
    )


def _since(
    reading: Reading, scope: Scope, window: Window, state: CellState, filtered: list[int | None]
) -> Since | None:
    """Onset on the networks that filter; where only some do, the whole may be merely impaired."""
    if state in FILTERED or (state is CellState.IMPAIRED and filtered):
        return since(reading, scope, window.last, filtered)
    return None


def _counts(standing: Standing, by_network: dict[int | None, Standing]) -> Counts:
    known = [s.state for asn, s in by_network.items() if asn is not None]
    return Counts(
        measurements=standing.measurements,
        reports=standing.reports,
        networks=len(known),
        networks_sufficient=sum(state is not CellState.INSUFFICIENT for state in known),
        networks_blocked=sum(state in FILTERED for state in known),
    )


def _network(reading: Reading, asn: int | None, standing: Standing) -> NetworkStanding:
    return NetworkStanding(
        asn=asn,
        asn_name=reading.network_name(asn),
        state=standing.state,
        p=standing.p,
        interval=(standing.low, standing.high),
        measurements=standing.measurements,
    )


def mechanisms(reading: Reading, scope: Scope, window: Window) -> list[MechanismSeen]:
    """How blocking was done, seen on most networks first."""
    condition, values = scope.where()
    found = reading.rows(
        f"""select mechanism, count(distinct probe_asn) as networks, count(*) as measurements
from (select unnest(list_distinct(mechanisms)) as mechanism, probe_asn from verdicts
  where {condition} and outcome = 'blocked' and day between $first and $last)
group by mechanism order by networks desc, measurements desc, mechanism""",
        **values,
        first=window.first,
        last=window.last,
    )
    return [MechanismSeen(**row) for row in found]


def provenance(reading: Reading, scope: Scope, window: Window) -> Provenance:
    """What the verdicts of a scope were made with, and how late the store knows anything."""
    condition, values = scope.where()
    used = reading.one(
        f"""select string_agg(distinct rules_version, ',' order by rules_version) as rules,
  string_agg(distinct refdata_version, ',' order by refdata_version) as refdata
from verdicts where {condition} and day between $first and $last""",
        **values,
        first=window.first,
        last=window.last,
    )
    newest = reading.one("select max(measured_at) as at from verdicts")["at"]
    return Provenance(
        rules_version=used["rules"] or "",
        refdata_version=used["refdata"] or "",
        as_of=newest and newest.replace(tzinfo=dt.UTC),
    )


def _evidence(reading: Reading, scope: Scope, window: Window, state: CellState) -> list[str]:
    """The measurements that carry the state: round-robin over networks, surest first."""
    wanted = {CellState.OPEN: "open", CellState.DOWN: "down"}.get(state, "blocked")
    condition, values = scope.where()
    found = reading.rows(
        f"""select measurement_id from (
  select measurement_id, probe_asn, p_{wanted} as p, row_number() over (
    partition by probe_asn order by p_{wanted} desc, measured_at desc, measurement_id) as turn
  from verdicts where {condition} and outcome = '{wanted}' and day between $first and $last)
order by turn, p desc, measurement_id limit {EVIDENCE_SHOWN}""",
        **values,
        first=window.first,
        last=window.last,
    )
    return [row["measurement_id"] for row in found]


def _alternatives(
    reading: Reading, subject: Subject, scope: Scope, window: Window, standing: Standing
) -> list[Alternative]:
    """Could it be the site, an outage or the server itself? What the data says of each."""
    if standing.state not in FILTERED | {CellState.IMPAIRED}:
        return []
    return [
        _site_down(reading, subject, scope, window),
        _outage(reading, subject, scope, window),
        _server_side(reading, scope, window),
    ]


def _site_down(reading: Reading, subject: Subject, scope: Scope, window: Window) -> Alternative:
    elsewhere = {
        key[0]: s.state
        for key, s in stand(reading, subject, subject.scope(), window, ["probe_cc"]).items()
        if key[0] is not None and (scope.cc is None or key[0] != scope.cc)
    }
    reached = sum(state is CellState.OPEN for state in elsewhere.values())
    measured = len(elsewhere)
    if reached:
        words = f"site down (open in {reached} {'country' if reached == 1 else 'countries'})"
    elif measured:
        words = f"site down (measured in {measured} other countries, not shown open in any)"
    else:
        words = "site down (measured nowhere else)"
    numbers = {"countries_open": reached, "countries_measured": measured}
    return Alternative(explanation="site_down", excluded=reached > 0, words=words, numbers=numbers)


def _outage(reading: Reading, subject: Subject, scope: Scope, window: Window) -> Alternative:
    """Did the networks that block reach something else on the very days they blocked?"""
    condition, values = scope.where()
    others = (
        "service is distinct from $subject" if subject.kind == "service" else "target <> $subject"
    )
    found = reading.one(
        f"""with hit as (select distinct probe_cc, probe_asn, day from verdicts
  where {condition} and outcome = 'blocked' and day between $first and $last)
select count(distinct target) as reached from verdicts
join hit using (probe_cc, probe_asn, day) where outcome = 'open' and {others}""",
        **values,
        first=window.first,
        last=window.last,
        subject=subject.id,
    )
    reached = found["reached"]
    words = (
        f"outage ({reached:,} other {'target' if reached == 1 else 'targets'} open on the same "
        "networks and days)"
        if reached
        else "outage (no other target seen open on the same networks and days)"
    )
    return Alternative(
        explanation="outage", excluded=reached > 0, words=words, numbers={"targets_open": reached}
    )


def _server_side(reading: Reading, scope: Scope, window: Window) -> Alternative:
    condition, values = scope.where()
    found = reading.one(
        f"""select count(*) filter (outcome = 'server_side') as refusals from verdicts
where {condition} and day between $first and $last""",
        **values,
        first=window.first,
        last=window.last,
    )
    refusals = found["refusals"]
    seen = f"seen {refusals:,} {'time' if refusals == 1 else 'times'}" if refusals else "none seen"
    return Alternative(
        explanation="server_side",
        excluded=refusals == 0,
        words=f"server-side refusal ({seen})",
        numbers={"refusals": refusals},
    )
