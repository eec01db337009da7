"""Small rows for the store's tests."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from gatewatch.archive.arrow import to_table
from gatewatch.model.records import Connect, Measurement, SetAside
from gatewatch.model.tables import TABLES


def measurement(record_id: str, *, file: str = "f", offset: int = 0) -> Measurement:
    return Measurement(
        record_id=record_id,
        measurement_id=f"gw-{record_id}",
        source_file=file,
        source_member=None,
        source_line=1,
        source_offset=offset,
        source_length=10,
        test_name="web_connectivity",
        test_version=None,
        software=None,
        report_id="",
        input=None,
        target="example.org",
        domain=None,
        service=None,
        probe_cc="IR",
        probe_asn=64500,
        probe_network=None,
        resolver_asn=None,
        resolver_ip=None,
        measured_at=None,
        received_at=None,
        control_failure=None,
        probe_failure=None,
        flaws=[],
    )


def connect(record_id: str, port: int) -> Connect:
    return Connect(
        record_id=record_id,
        vantage="probe",
        hop=0,
        transaction_id=None,
        elapsed_ms=1.5,
        failure=None,
        failure_words=None,
        address="192.0.2.1",
        port=port,
    )


def aside(line: int) -> SetAside:
    return SetAside(
        source_file="f",
        source_member=None,
        source_line=line,
        source_offset=0,
        source_length=1,
        field="record",
        got="x",
        want="y",
    )


def tables(**rows: list[Any]) -> dict[str, pa.Table]:
    return {name: to_table(TABLES[name].noun, list(found)) for name, found in rows.items()}
