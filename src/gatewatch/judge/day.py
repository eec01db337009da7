"""Which day a measurement counts for, when its probe's clock may be wrong."""

from __future__ import annotations

from datetime import date, timedelta

from gatewatch.model.records import Measurement

CLOCK_LEEWAY = timedelta(days=2)
LONGEST_DELAY = timedelta(days=400)
"""A probe may submit late, not early: a measured time after the archive's own receipt, or more
than a year before it, is the probe's clock. Our choice: probes do keep reports for months."""


def day_of(measurement: Measurement) -> date | None:
    """The UTC day a measurement counts for."""
    measured, received = measurement.measured_at, measurement.received_at
    if received is None:
        return measured.date() if measured else None
    if measured is None or not -CLOCK_LEEWAY <= received - measured <= LONGEST_DELAY:
        return received.date()
    return measured.date()
