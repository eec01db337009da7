"""Verdicts on measurements as they are made, before they are in any file."""

from __future__ import annotations

import msgspec

from gatewatch.archive.adapters import ooni
from gatewatch.archive.reader import RawRecord
from gatewatch.judge.verdict import judge
from gatewatch.model.verdict import Verdict
from gatewatch.observe.lens import RefDataLens
from gatewatch.probe.ooni import Json
from gatewatch.refdata.snapshot import RefData


class LiveJudge:
    """Judges each measurement by itself, under one state of the reference data."""

    def __init__(self, refdata: RefData) -> None:
        self._refdata, self._lens = refdata, RefDataLens(refdata)

    def verdict(self, measurement: Json) -> Verdict:
        data = msgspec.json.encode(measurement)
        raw = RawRecord("-", None, 1, 0, data)
        return judge(ooni.observe(raw, self._lens), self._refdata)
