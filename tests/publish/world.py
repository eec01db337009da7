"""A small world with known truth, as rows of the tables; `known_world` says what is true in it.

Everything is synthetic: networks are from the range for documentation of RFC 5398.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import duckdb

from gatewatch.archive.arrow import schema_of, to_table
from gatewatch.cells.stage import cells as cells_of
from gatewatch.model.records import (
    Connect,
    Exchange,
    Finding,
    Handshake,
    Lookup,
    Measurement,
    SetAside,
)
from gatewatch.model.tables import TABLES
from gatewatch.model.target import Target, canonical_host, endpoint_of
from gatewatch.model.verdict import Cell, FiredRule, Verdict
from gatewatch.publish.reading import Reading

BIG, MOBILE, SMALL, ABROAD = 64496, 64497, 64498, 64510
RAW = b'{"synthetic": "record"}\n'
RAW_SHA256 = hashlib.sha256(RAW).hexdigest()
CHAT = SimpleNamespace(
    id="chat",
    name="Chat",
    kind="messenger",
    core=["signal.org", ".chat.example"],
    other=["help.example"],
    combine="any_core",
    source="made up",
)
SERVICES = {"chat": CHAT}


class Names:
    """Reference data of the small world."""

    version = "refdata-test"

    def network_name(self, asn: int) -> str | None:
        return {BIG: "Big Telecom", MOBILE: "Mobile One", ABROAD: "Far Net"}.get(asn)

    def target_of(self, given: str) -> Target | None:
        endpoint = endpoint_of(given)
        host = endpoint.host if endpoint else canonical_host(given)
        if host is None or "." not in host:
            return None
        in_chat = host in ("signal.org", "help.example") or host.endswith("chat.example")
        return Target(None, host, ".".join(host.split(".")[-2:]), "chat" if in_chat else None)

    def service(self, id: str) -> Any:
        return SERVICES[id]

    def services(self) -> list[Any]:
        return list(SERVICES.values())

    def datasets(self) -> list[Any]:
        return []

    def asn_of(self, address: str) -> int | None:
        return None

    def fingerprints(self) -> list[Any]:
        return []


_P = {"open": (0.97, 0.01, 0.01, 0.01), "down": (0.01, 0.97, 0.01, 0.01)}
_P |= {"blocked": (0.01, 0.01, 0.97, 0.01), "server_side": (0.01, 0.01, 0.01, 0.97)}
_P |= {"unclear": (0.3, 0.3, 0.3, 0.1)}


def verdict(
    target: str,
    cc: str | None,
    asn: int | None,
    day: dt.date,
    outcome: str,
    *,
    report: str,
    mechanisms: Iterable[str] = (),
    number: int = 0,
    **more: Any,
) -> Verdict:
    """A verdict; its ids follow from what it is about, so that they are the same in every run."""
    words = f"{target}/{cc}/{asn}/{day}/{report}/{number}"
    record = hashlib.blake2b(words.encode(), digest_size=16).hexdigest()
    found = Names().target_of(target)
    p = _P[outcome]
    fields: dict[str, Any] = {
        "record_id": record,
        "measurement_id": f"{day:%Y%m%d}_{cc}_{record[:8]}",
        "report_id": report,
        "test_name": "web_connectivity",
        "input": f"https://{target}/",
        "target": target,
        "domain": found.domain if found else None,
        "service": found.service if found else None,
        "probe_cc": cc,
        "probe_asn": asn,
        "probe_network": None,
        "resolver_asn": asn,
        "measured_at": dt.datetime.combine(day, dt.time(12, number)),
        "day": day,
        "outcome": outcome,
        "reason": "no_control" if outcome == "unclear" else None,
        "mechanisms": list(mechanisms),
        "p_open": p[0],
        "p_down": p[1],
        "p_blocked": p[2],
        "p_server_side": p[3],
        "rules": [_rule(outcome)] if outcome != "unclear" else [],
        "sentence": f"{target} was {outcome} here.",
        "wanted_controls": [],
        "pool_digest": "",
        "rules_version": "1",
        "refdata_version": "refdata-test",
    }
    return Verdict(**(fields | more))


def _rule(outcome: str) -> FiredRule:
    return FiredRule(
        id=f"test.{outcome}",
        layer="tls",
        control="reaches",
        evidence_for=outcome,
        weight=3.5,
        mechanism="tls.reset.sni" if outcome == "blocked" else None,
        words=f"what speaks for {outcome} was seen",
    )


def days(first: str, count: int) -> list[dt.date]:
    start = dt.date.fromisoformat(first)
    return [start + dt.timedelta(days=n) for n in range(count)]


def known_world() -> list[Verdict]:
    """signal.org: open in IR until 3 March, not measured on the 4th, reset from the 5th on the
    two large networks; always open on the small one and abroad. news.example: open everywhere.
    """
    rows: list[Verdict] = []
    for day in days("2026-03-01", 3):
        rows += [
            _seen("signal.org", "IR", asn, day, "open", n) for asn in (BIG, MOBILE) for n in (0, 1)
        ]
    for day in days("2026-03-05", 8):
        rows += [
            _seen("signal.org", "IR", asn, day, "blocked", n)
            for asn in (BIG, MOBILE)
            for n in (0, 1)
        ]
        rows.append(_seen("signal.org", "IR", SMALL, day, "open", 0))
        rows.append(_seen("news.example", "IR", BIG, day, "open", 0))
        rows.append(_seen("web.chat.example", "IR", BIG, day, "open", 0))
        rows.append(_seen("signal.org", "NL", ABROAD, day, "open", 0))
        rows.append(_seen("news.example", "NL", ABROAD, day, "open", 0))
    rows.append(_seen("rare.example", "IR", BIG, dt.date(2026, 3, 6), "blocked", 0))
    return rows


def _seen(target: str, cc: str, asn: int, day: dt.date, outcome: str, number: int) -> Verdict:
    how = ("tls.reset.sni",) if outcome == "blocked" else ()
    report = f"{day}_{cc}_{asn}_{number}"
    return verdict(target, cc, asn, day, outcome, report=report, mechanisms=how, number=number)


def measurement_of(row: Verdict) -> Measurement:
    """The measurement behind a verdict; all lie in the one raw file of this world."""
    same = {
        name: getattr(row, name) for name in Measurement.__struct_fields__ if hasattr(row, name)
    }
    return Measurement(
        **same,
        source_file=RAW_SHA256,
        source_member=None,
        source_line=1,
        source_offset=0,
        source_length=len(RAW) - 1,
        test_version="0.4.3",
        software="probe 1",
        resolver_ip=None,
        received_at=row.measured_at,
        control_failure=None,
        probe_failure=None,
        flaws=[],
    )


def steps_of(row: Verdict) -> dict[str, list[Any]]:
    """What probe and control saw of a blocked measurement: same answer, reset after the name."""
    common: dict[str, Any] = {
        "record_id": row.record_id,
        "hop": 0,
        "transaction_id": None,
        "elapsed_ms": 12.0,
        "failure_words": None,
    }
    there = {"address": "192.0.2.7", "port": 443}
    tables: dict[str, list[Any]] = {
        "lookups": [],
        "connects": [],
        "handshakes": [],
        "exchanges": [],
        "findings": [],
    }
    if row.outcome == "blocked" and row.target == "signal.org":
        tables["findings"].append(
            Finding(
                **common,
                vantage="probe",
                failure=None,
                experiment="sni_swap",
                layer="tls",
                host=row.target,
                answer="name",
                mechanism="tls.reset.sni",
                trigger="name",
                placement="in_path",
                hop_address="192.0.2.99",
                hop_ttl=4,
                residual_s=None,
                effect=None,
                effect_low=None,
                effect_high=None,
                trials=6,
                words="It is the name.",
            )
        )
    for vantage in ("probe", "control"):
        reset = "connection_reset" if vantage == "probe" and row.outcome == "blocked" else None
        fine = common | {"vantage": vantage, "failure": None}
        tables["lookups"].append(
            Lookup(
                **fine,
                hostname=row.target or "",
                query_type="A",
                resolver="system",
                transport="system",
                addresses=["192.0.2.7"],
                asns=[ABROAD],
                late_addresses=[],
            )
        )
        tables["connects"].append(Connect(**fine, **there))
        tables["handshakes"].append(
            Handshake(
                **(fine | {"failure": reset}),
                **there,
                transport="tcp",
                sni=row.target,
                tls_version=None if reset else "TLSv1.3",
                chain_state="absent" if reset else "valid",
                leaf_sha256=None,
                leaf_issuer=None,
            )
        )
        if not reset:
            tables["exchanges"].append(
                Exchange(
                    transport="tcp",
                    **fine,
                    **there,
                    url=row.input or "",
                    encrypted=True,
                    status=200,
                    location=None,
                    headers=None,
                    title="Hello",
                    body_length=5120,
                    body_complete=True,
                    body_sha256=None,
                    fingerprints=[],
                )
            )
    return tables


def tables_of(verdicts: list[Verdict], aside: Iterable[SetAside] = ()) -> dict[str, Any]:
    """Every table of the store as Arrow, cells included."""
    import narwhals as nw

    rows: dict[str, list[Any]] = {name: [] for name in TABLES}
    rows["verdicts"] = verdicts
    rows["measurements"] = [measurement_of(row) for row in verdicts]
    rows["set_aside"] = list(aside)
    for row in verdicts:
        for name, steps in steps_of(row).items():
            rows[name] += steps
    tables = {name: to_table(TABLES[name].noun, rows[name]) for name in TABLES if name != "cells"}
    relation = duckdb.connect().from_arrow(tables["verdicts"])
    tables["cells"] = cells_of(nw.from_native(relation).lazy(), schema_of(Cell))
    return tables


def reading_of(verdicts: list[Verdict], aside: Iterable[SetAside] = ()) -> Reading:
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    for name, table in tables_of(verdicts, aside).items():
        connection.register(name, table)
    return Reading(connection, Names())
