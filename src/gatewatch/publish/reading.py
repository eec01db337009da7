"""Asking the tables: a connection that remembers its questions, a scope and a window.

What the numbers mean is for `standing` and the modules named after the answers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from gatewatch.model.errors import NoData

if TYPE_CHECKING:
    import duckdb

    from gatewatch.model.target import Target

DEFAULT_DAYS = 30
"""Length of a window nobody asked for; our choice: long enough that most measured targets have
several submissions, short enough that a lifted block shows within the month."""


class ServiceRow(Protocol):
    """What an answer needs to know of a service."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def core(self) -> Sequence[str]: ...
    @property
    def other(self) -> Sequence[str]: ...
    @property
    def combine(self) -> str: ...


class Names(Protocol):
    """The part of the reference data that answers need: what things are called."""

    def network_name(self, asn: int) -> str | None: ...
    def target_of(self, given: str, /) -> Target | None: ...
    def service(self, id: str) -> ServiceRow: ...
    def services(self) -> Iterable[ServiceRow]: ...


class Window(msgspec.Struct, frozen=True):
    """UTC days, both included."""

    first: dt.date
    last: dt.date


class Asked(msgspec.Struct, frozen=True):
    """The window as a user asks for it; what is left out follows from the data."""

    first: dt.date | None = None
    last: dt.date | None = None
    days: int = DEFAULT_DAYS


class Scope(msgspec.Struct, frozen=True):
    """Which verdicts a question is about; None is no restriction."""

    hosts: tuple[str, ...] | None = None
    service: str | None = None
    cc: str | None = None
    asn: int | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """An SQL condition over `verdicts` or `cells`, and the values of its parameters."""
        tests: list[str] = []
        values: dict[str, Any] = {}
        if self.hosts is not None:
            tests.append("list_contains($hosts, target)")
            values["hosts"] = list(self.hosts)
        if self.service is not None:
            tests.append("service = $service")
            values["service"] = self.service
        if self.cc is not None:
            tests.append("probe_cc = $cc")
            values["cc"] = self.cc
        if self.asn is not None:
            tests.append("probe_asn = $asn")
            values["asn"] = self.asn
        return " and ".join(["target is not null", *tests]), values


class Reading:
    """One sitting at the tables. `queries` holds what was asked, ready to be run again."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, names: Names) -> None:
        self.connection = connection
        self.names = names
        self.queries: list[str] = []

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Run one query with named parameters; a row is a dict in column order."""
        self.queries.append(_inlined(sql, values))
        cursor = self.connection.execute(sql, values) if values else self.connection.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, sql: str, **values: Any) -> dict[str, Any]:
        """The only row of an aggregate query."""
        (row,) = self.rows(sql, **values)
        return row

    def network_name(self, asn: int | None) -> str | None:
        """Name of a network, as the reference data gives it."""
        return None if asn is None else self.names.network_name(asn)

    def settle(self, asked: Asked, scope: Scope) -> Window:
        """The window a question gets: as asked, or the last days of the scope that have data.

        Raises:
            NoData: nothing in the scope has a day, or nothing up to the last day asked for.
        """
        condition, values = scope.where()
        if asked.first is not None and asked.last is not None:
            return Window(asked.first, asked.last)
        until = ""
        if asked.last is not None:
            until, values["until"] = " and day <= $until", asked.last
        found = self.one(f"select max(day) as day from verdicts where {condition}{until}", **values)
        newest: dt.date | None = found["day"]
        if newest is None:
            raise NoData("the store holds no measurement of this; see `gatewatch status`")
        last = asked.last or newest
        return Window(asked.first or last - dt.timedelta(days=max(asked.days, 1) - 1), last)


def _inlined(sql: str, values: dict[str, Any]) -> str:
    """The query with its parameters written in, longest names first so that none eats another."""
    for name in sorted(values, key=len, reverse=True):
        sql = sql.replace(f"${name}", _literal(values[name]))
    return sql


def _literal(value: Any) -> str:
    """A value as DuckDB writes it.

    >>> _literal("it's"), _literal([1, None]), _literal(dt.date(2026, 1, 2))
    ("'it''s'", '[1, NULL]', "DATE '2026-01-02'")
    """
    if value is None:
        return "NULL"
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    if isinstance(value, dt.date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"
