"""Why a measurement was judged as it was: its rules, what was seen, its neighbours, its bytes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec

from gatewatch.model.errors import NotFound
from gatewatch.publish.neighbours import Neighbours, neighbours
from gatewatch.publish.reading import Reading
from gatewatch.publish.side_by_side import Seen, side_by_side

MATCHES_SHOWN = 20


class RawPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a raw file can be opened, as the archive knows it."""

    path: str
    name: str | None
    "Name it was imported under."


class WhereBytes(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bytes of the record are."""

    file: str
    "SHA-256 of the raw file as received, compressed; or its path, where it is not stored."
    path: str | None
    "Where the store keeps it; None when it is not there."
    name: str | None
    member: str | None
    line: int
    offset: int
    "Byte offset of the record after decompression."
    length: int
    command: str
    "Prints exactly these bytes."


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules add up to for one outcome."""

    outcome: str
    nats: float
    p: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one experiment of the probe found out; a row of the table `findings`."""

    experiment: str
    layer: str
    host: str
    answer: str
    mechanism: str | None
    "What it proves by itself, if anything."
    trigger: str | None
    placement: str | None
    hop_address: str | None
    hop_ttl: int | None
    residual_s: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    trials: int
    words: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = "gatewatch.explain/1"
    measurement_id: str
    record_id: str
    report_id: str
    test_name: str
    input: str | None
    target: str | None
    service: str | None
    probe_cc: str | None
    probe_asn: int | None
    asn_name: str | None
    resolver_asn: int | None
    measured_at: dt.datetime | None
    outcome: str
    reason: str | None
    mechanisms: list[str]
    sentence: str
    scores: list[Score]
    "Most probable first."
    rules: list[dict[str, Any]]
    seen: list[Seen]
    findings: list[Found] = []
    "Of the probe's own experiments, where it made any; in the order recorded."
    flaws: list[str]
    "Fields of the record that were not as the format wants."
    neighbours: Neighbours
    source: WhereBytes
    rules_version: str
    refdata_version: str


class CellExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """A cell and the measurements in it."""

    schema: str = "gatewatch.explain-cell/1"
    cells: list[dict[str, Any]]
    "Rows of the table `cells`: one per resolver network."
    measurements: list[dict[str, Any]]


def explain(
    reading: Reading, id: str, locate: Callable[[str], RawPlace | None]
) -> list[Explanation]:
    """Every measurement with that measurement id or record id, oldest first.

    Args:
        locate: SHA-256 of a raw file → where it is kept.

    Raises:
        NotFound: no measurement has that id.
    """
    found = reading.rows(
        f"""select v.*, m.source_file, m.source_member, m.source_line, m.source_offset,
  m.source_length, m.flaws
from verdicts v join measurements m using (record_id)
where v.measurement_id = $id or v.record_id = $id
order by v.measured_at, v.record_id limit {MATCHES_SHOWN}""",
        id=id,
    )
    if not found:
        raise NotFound(
            f"no measurement or record has the id {id!r}; ids are printed by `gatewatch check`, "
            "and a cell is asked for as target/CC/ASN/day"
        )
    return [_explanation(reading, row, locate) for row in found]


def explain_cell(reading: Reading, target: str, cc: str, asn: int, day: dt.date) -> CellExplanation:
    """What stands behind one target on one network on one day.

    Raises:
        NotFound: nothing was measured there.
    """
    key = {"target": target, "cc": cc, "asn": asn, "day": day}
    same = "target = $target and probe_cc = $cc and probe_asn = $asn and day = $day"
    cells = reading.rows(f"select * from cells where {same} order by resolver_asn", **key)
    measurements = reading.rows(
        f"""select measurement_id, measured_at, report_id, resolver_asn, outcome, reason, p_blocked,
  mechanisms, sentence from verdicts where {same} order by measured_at, measurement_id""",
        **key,
    )
    if not measurements:
        raise NotFound(f"nothing was measured of {target} in {cc} on AS{asn} on {day}")
    return CellExplanation(cells=cells, measurements=measurements)


def _explanation(
    reading: Reading, row: dict[str, Any], locate: Callable[[str], RawPlace | None]
) -> Explanation:
    same = {name: row[name] for name in Explanation.__struct_fields__ if name in row}
    same["sentence"] = row["sentence"]
    return Explanation(
        **same,
        asn_name=reading.network_name(row["probe_asn"]) or row["probe_network"],
        scores=_scores(row),
        seen=side_by_side(reading, row["record_id"]),
        findings=_found(reading, row["record_id"]),
        neighbours=neighbours(reading, row),
        source=_where(row, locate(row["source_file"])),
    )


def _found(reading: Reading, record_id: str) -> list[Found]:
    names = Found.__struct_fields__
    rows = reading.rows(
        f"select {', '.join(names)} from findings where record_id = $id", id=record_id
    )
    return [Found(**row) for row in rows]


def _scores(row: dict[str, Any]) -> list[Score]:
    summed = dict.fromkeys(("open", "down", "blocked", "server_side"), 0.0)
    for rule in row["rules"]:
        if rule["evidence_for"] in summed:
            summed[rule["evidence_for"]] += rule["weight"]
    found = [Score(outcome=o, nats=nats, p=row[f"p_{o}"]) for o, nats in summed.items()]
    return sorted(found, key=lambda score: -score.p)


def _where(row: dict[str, Any], place: RawPlace | None) -> WhereBytes:
    return WhereBytes(
        file=row["source_file"],
        path=place.path if place else None,
        name=place.name if place else None,
        member=row["source_member"],
        line=row["source_line"],
        offset=row["source_offset"],
        length=row["source_length"],
        command=f"gatewatch explain {row['record_id']} --raw",
    )
