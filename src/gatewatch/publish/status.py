"""What a store holds, and whether its verdicts are those of the rules in force."""

from __future__ import annotations

import datetime as dt

import msgspec

from gatewatch.publish.reading import Reading


class Group(msgspec.Struct, frozen=True):
    """Rows under one heading."""

    name: str
    count: int


class Version(msgspec.Struct, frozen=True):
    """What verdicts were made with."""

    rules_version: str
    refdata_version: str
    verdicts: int
    in_force: bool


class Status(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = "gatewatch.status/1"
    store: str
    files: int
    bytes: int
    measurements: int
    verdicts: int
    set_aside: int
    countries: int
    networks: int
    targets: int
    first: dt.date | None
    last: dt.date | None
    days: int
    tests: list[Group]
    outcomes: list[Group]
    by_country: list[Group]
    set_aside_by_cause: list[Group]
    "Field and what the format wants of it."
    versions: list[Version]
    rules_version: str
    "In force now."
    refdata_version: str


def status(
    reading: Reading,
    *,
    store: str,
    files: int,
    bytes: int,
    rules_version: str,
    refdata_version: str,
) -> Status:
    """What the tables hold.

    Args:
        store, files, bytes: where the store is, and its raw files, as the archive counts them.
        rules_version, refdata_version: those in force.
    """
    held = reading.one(
        """select count(*) as verdicts, count(distinct probe_cc) as countries,
  count(distinct probe_asn) as networks, count(distinct target) as targets,
  min(day) as first, max(day) as last, count(distinct day) as days from verdicts"""
    )
    versions = reading.rows(
        """select rules_version, refdata_version, count(*) as verdicts from verdicts
group by rules_version, refdata_version order by rules_version, refdata_version"""
    )
    return Status(
        store=store,
        files=files,
        bytes=bytes,
        measurements=reading.one("select count(*) as n from measurements")["n"],
        set_aside=reading.one("select count(*) as n from set_aside")["n"],
        tests=_groups(reading, "test_name", "measurements"),
        outcomes=_groups(
            reading,
            "outcome || case when reason is null then '' else ': ' || reason end",
            "verdicts",
        ),
        by_country=_groups(reading, "coalesce(probe_cc, 'unknown')", "measurements"),
        set_aside_by_cause=_groups(reading, "field || ': wanted ' || want", "set_aside"),
        versions=[
            Version(
                **row,
                in_force=(row["rules_version"], row["refdata_version"])
                == (rules_version, refdata_version),
            )
            for row in versions
        ],
        rules_version=rules_version,
        refdata_version=refdata_version,
        **held,
    )


def _groups(reading: Reading, name: str, table: str) -> list[Group]:
    found = reading.rows(
        f"select {name} as name, count(*) as count from {table} group by 1 order by 2 desc, 1"
    )
    return [Group(**row) for row in found]
