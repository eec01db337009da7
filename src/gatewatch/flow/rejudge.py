"""Verdicts made again from observations, with the controls that other measurements lend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatewatch.archive.store import Store
from gatewatch.flow.batches import verdict_facts
from gatewatch.judge.pool import Pool, Voice
from gatewatch.judge.rules import RULES_VERSION
from gatewatch.judge.verdict import judge
from gatewatch.model.records import Observed
from gatewatch.model.verdict import Verdict
from gatewatch.refdata.snapshot import RefData

ATTEMPTS = ("lookups", "connects", "handshakes", "exchanges", "findings")


def judge_again(store: Store, key: str, refdata: RefData, pool: Pool) -> int:
    """Judge what a change bears on: all of a batch under new rules, else who asked the pool."""
    from gatewatch.archive.arrow import from_table, to_table

    facts = store.facts("verdicts", key)
    verdicts: dict[str, Verdict] = {}
    asked: set[str] | None = None
    if facts and (facts["rules"], facts["refdata"]) == (RULES_VERSION, refdata.version):
        old: list[Verdict] = from_table(Verdict, store.read("verdicts", key, "verdicts"))
        verdicts = {verdict.record_id: verdict for verdict in old}
        asked = {verdict.record_id for verdict in old if verdict.wanted_controls}
    again = [judge(observed, refdata, pool) for observed in observed_in(store, key, asked)]
    verdicts.update((verdict.record_id, verdict) for verdict in again)
    wanted = {one for verdict in verdicts.values() for one in verdict.wanted_controls}
    table = to_table(Verdict, list(verdicts.values()))
    store.commit("verdicts", key, {"verdicts": table}, verdict_facts(refdata, wanted, pool))
    return len(again)


def observed_in(store: Store, key: str, only: set[str] | None = None) -> Iterator[Observed]:
    """The observations of one batch, back as nouns; of all records, or of `only` these."""
    from gatewatch.archive.arrow import from_table
    from gatewatch.archive.keyed import rows_with
    from gatewatch.model.tables import TABLES

    def rows(name: str) -> list[Any]:
        table = store.read("observations", key, name)
        return from_table(
            TABLES[name].noun, table if only is None else rows_with(table, "record_id", only)
        )

    runs = {name: _runs(rows(name)) for name in ATTEMPTS}
    for measurement in rows("measurements"):
        yield Observed(
            measurement=measurement,
            **{name: found.get(measurement.record_id, []) for name, found in runs.items()},
        )


def _runs(rows: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.record_id, []).append(row)
    return found


def pool_of(store: Store) -> Pool:
    """The controls of all measurements, for the hosts that some verdict wants them for."""
    hosts = {
        wanted.rpartition("@")[0]
        for key in store.keys("verdicts")
        for wanted in (store.facts("verdicts", key) or {}).get("wanted", ())
    }
    if not hosts:
        return Pool()
    rows = store.database().execute(_VOICES, [sorted(hosts)]).fetchall()
    return Pool(Voice(*row) for row in rows)


_VOICES = """
with wanted as (select unnest(?::varchar[]) as host),
     spoken as (
       select m.target as host, m.report_id as report, m.probe_asn as network,
         (select bool_or(l.failure is null and len(l.addresses) > 0) from lookups l
          where l.record_id = m.record_id and l.vantage = 'control') as resolves,
         (select bool_or(e.failure is null) from exchanges e
          where e.record_id = m.record_id and e.vantage = 'control'
            and (e.status is not null or e.failure is not null)) as reaches, v.day
       from measurements m join wanted w on m.target = w.host join verdicts v using (record_id)
       where m.test_name = 'web_connectivity')
select host, report, network, resolves, reaches, day from spoken
where resolves is not null or reaches is not null
order by all
"""
"""`judge.pool.voice_of` for every measurement of the wanted hosts at once."""
