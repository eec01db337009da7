"""One measurement of the world on its way into a file: its line, and its row of truth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from gatewatch.simulate import ooni, pages
from gatewatch.simulate.atlas import Site
from gatewatch.simulate.scene import Probe, Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A measurement with everything that decides its bytes."""

    received: datetime
    "When the collector took it; its uid says the same."
    started: datetime
    run_started: datetime
    report: str
    uid: str
    probe: Probe
    site: Site
    truth: Truth
    test_keys: str
    "As JSON; shared between measurements of the same scene."
    runtime: float

    def line(self) -> str:
        """The record as one line of JSON."""
        behind = timedelta(days=self.probe.clock_days_behind)
        about: dict[str, Any] = {}
        if self.probe.engine == "0.4":
            about["test_version"] = "0.4.3"
        record = ooni.envelope(
            self.probe.place,
            self.site.url,
            None,
            measurement_start_time=f"{self.started - behind:%Y-%m-%d %H:%M:%S}",
            test_start_time=f"{self.run_started - behind:%Y-%m-%d %H:%M:%S}",
            report_id=self.report,
            measurement_uid=self.uid,
            test_runtime=self.runtime,
            **about,
        )
        del record["test_keys"]
        date = f"{self.started:%a, %d %b %Y %H:%M:%S} GMT"
        keys = self.test_keys.replace(pages.DATE, date)
        return f'{compact(record)[:-1]},"test_keys":{keys}}}'

    def truth_row(self) -> dict[str, Any]:
        """What the record honestly shows, and whose it is."""
        return {
            "measurement_uid": self.uid,
            "situation": self.truth.situation,
            "outcomes": list(self.truth.outcomes),
            "mechanisms": list(self.truth.mechanisms),
            "filtered": self.truth.filtered,
            "input": self.site.url,
            "site": self.site.host,
            "cc": self.probe.place.cc,
            "asn": self.probe.place.asn,
            "day": f"{self.received:%Y-%m-%d}",
        }


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def uid(received: datetime, cc: str, rng: Random) -> str:
    """A measurement's public name, as the collector gives it."""
    return f"{received:%Y%m%d%H%M%S.%f}_{cc}_webconnectivity_{rng.getrandbits(64):016x}"


def report_id(run_started: datetime, cc: str, asn: int, rng: Random) -> str:
    """A report's name, as the collector gives it."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    tail = "".join(rng.choices(letters, k=16))
    return f"{run_started:%Y%m%dT%H%M%S}Z_webconnectivity_{cc}_{asn}_n1_{tail}"
