"""OONI measurements, whatever their test: one record in, what it shows out."""

from __future__ import annotations

from gatewatch.archive.adapters import ooni_envelope, ooni_web_connectivity
from gatewatch.archive.adapters.lens import Lens
from gatewatch.archive.reader import RawRecord
from gatewatch.model.records import Observed


def observe(raw: RawRecord, lens: Lens) -> Observed:
    """Read one record. A test without an adapter yet is kept as a measurement without attempts.

    Raises:
        MalformedRecord: the record is not a measurement at all.
    """
    envelope, flaws = ooni_envelope.decode(raw)
    measurement = ooni_envelope.measurement_of(raw, envelope, lens, flaws)
    if measurement.test_name == "web_connectivity" and envelope.test_keys is not None:
        return ooni_web_connectivity.observe(measurement, envelope.test_keys, lens, flaws)
    return Observed(measurement=measurement, lookups=[], connects=[], handshakes=[], exchanges=[])
