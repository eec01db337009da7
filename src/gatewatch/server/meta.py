"""What is known of one measurement: as it was submitted, and what the store says of it since."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from gatewatch.archive.reader import read_one
from gatewatch.archive.store import Store
from gatewatch.model.errors import NotFound
from gatewatch.refdata.snapshot import RefData
from gatewatch.server.bodies import Refused
from gatewatch.server.collector import Collector

if TYPE_CHECKING:
    import duckdb

KEPT_S = 60.0
"How long a view over the store's tables is used; our choice. An import is seen a minute later."
COLUMNS = (
    "measurement_id, record_id, m.report_id, m.input, m.test_name, m.probe_cc, m.probe_asn,"
    " m.measured_at, source_file, source_member, source_offset, source_length,"
    " outcome, sentence, mechanisms, p_open, p_down, p_blocked, p_server_side"
)


class _Head(msgspec.Struct):
    """What is read of a stored record."""

    test_name: Any = None
    probe_cc: Any = None
    probe_asn: Any = None
    report_id: Any = None
    input: Any = None
    measurement_start_time: Any = None
    test_start_time: Any = None
    measurement_uid: Any = None


class Metas:
    """Looks measurements up: in the store's tables, and in what is not imported yet."""

    def __init__(self, collector: Collector, refdata: RefData) -> None:
        self._collector, self._store, self._refdata = collector, collector.store, refdata
        self._one = asyncio.Lock()
        "One question at a time: it may read many files."
        self._database: duckdb.DuckDBPyConnection | None = None
        self._made = 0.0

    async def of_uid(self, uid: str, *, full: bool) -> dict[str, Any]:
        """Of the measurement with this uid; empty if there is none."""
        judged = await self._judged("measurement_id = ?", [uid])
        try:
            line = await self._collector.line_of(uid)
        except NotFound:
            if judged is None:
                return {}
            line = await asyncio.to_thread(_line, self._store, judged)
        return self._said(line, judged, full=full)

    async def of_report(self, report_id: str, given: str | None, *, full: bool) -> dict[str, Any]:
        """Of the newest measurement of an input in a report, once it is imported; else empty."""
        judged = await self._judged(
            "m.report_id = ? AND m.input IS NOT DISTINCT FROM ?", [report_id, given or None]
        )
        if judged is None:
            return {}
        line = await asyncio.to_thread(_line, self._store, judged)
        return self._said(line, judged, full=full)

    async def _judged(self, where: str, values: list[str | None]) -> dict[str, Any] | None:
        if self._one.locked():
            raise Refused(503, "another question to the store is being answered", wait_s=1)
        async with self._one:
            return await asyncio.to_thread(self._ask, where, values)

    def _ask(self, where: str, values: list[str | None]) -> dict[str, Any] | None:
        if self._database is None or monotonic() - self._made > KEPT_S:
            self._database, self._made = self._store.database(), monotonic()
        found = self._database.execute(
            f"SELECT {COLUMNS} FROM measurements AS m LEFT JOIN verdicts USING (record_id,"
            f" measurement_id) WHERE {where} ORDER BY received_at DESC NULLS LAST LIMIT 1",
            values,
        )
        row = found.fetchone()
        return (
            None if row is None else dict(zip([c[0] for c in found.description], row, strict=True))
        )

    def _said(self, line: bytes, judged: dict[str, Any] | None, *, full: bool) -> dict[str, Any]:
        try:
            head = msgspec.json.decode(line, type=_Head)
        except (msgspec.MsgspecError, RecursionError):
            head = _Head()
        outcome = judged["outcome"] if judged else None
        asn = head.probe_asn.removeprefix("AS") if isinstance(head.probe_asn, str) else ""
        said: dict[str, Any] = {
            "measurement_uid": head.measurement_uid,
            "report_id": head.report_id,
            "test_name": head.test_name,
            "input": head.input,
            "probe_cc": head.probe_cc,
            "probe_asn": int(asn) if asn.isdigit() else None,
            "measurement_start_time": head.measurement_start_time,
            "test_start_time": head.test_start_time,
            "category_code": (
                self._refdata.category_of(head.input) if isinstance(head.input, str) else None
            ),
            # Null until `gatewatch analyze` has judged it: not known is not "no".
            "anomaly": None if outcome is None else outcome == "blocked",
            "confirmed": None,
            "failure": None if outcome is None else outcome == "unclear",
            "scores": "{}",
        }
        if judged is not None and outcome is not None:
            said["x_verdict"] = {
                key: judged[key]
                for key in ("outcome", "sentence", "mechanisms", "p_open", "p_down", "p_blocked",
                            "p_server_side")
            }  # fmt: skip
        if full:
            said["raw_measurement"] = line.decode("utf-8", "replace")
        return said


def _line(store: Store, judged: dict[str, Any]) -> bytes:
    try:
        return read_one(
            store.raw_path(judged["source_file"]),
            member=judged["source_member"],
            offset=judged["source_offset"],
            length=judged["source_length"],
        )
    except NotFound:
        return b"{}"
