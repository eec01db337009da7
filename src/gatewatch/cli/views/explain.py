"""How an explanation is shown: sentence, rules, both sides, neighbours, bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from gatewatch.cli.human import grid, heading, lines, table_of, text
from gatewatch.cli.session import Session
from gatewatch.cli.sheet import sheet_of
from gatewatch.publish.explain import CellExplanation, Explanation, Found, WhereBytes
from gatewatch.publish.neighbours import Around, Nearby, Neighbours
from gatewatch.publish.words import count, network, probability

COLUMNS = (
    "measurement_id record_id measured_at input target probe_cc probe_asn asn_name outcome reason "
    "mechanisms sentence source.file source.member source.line source.offset source.length"
).split()


def show_explanations(session: Session, found: Sequence[Explanation]) -> None:
    """Every match, one below the other."""
    session.show(
        sheet_of(found, COLUMNS),
        document=found[0] if len(found) == 1 else list(found),
        view=lambda: _view(found),
    )


def show_cell(session: Session, cell: CellExplanation) -> None:
    """A cell: its own numbers, then the measurements in it."""
    columns = ["measurement_id", "measured_at", "outcome", "reason", "p_blocked", "sentence"]

    def view() -> Iterable[RenderableType]:
        facts = ["resolver_asn", "state", "measurements", "reports", "blocked_share", "votes"]
        yield table_of(sheet_of(cell.cells, facts))
        yield heading("Measurements")
        yield table_of(sheet_of(cell.measurements, columns))

    session.show(sheet_of(cell.measurements, columns), document=cell, view=view)


def _view(found: Sequence[Explanation]) -> Iterable[RenderableType]:
    if len(found) > 1:
        yield text(f"{len(found)} measurements have this id:")
    for explanation in found:
        yield from _one(explanation)


def _one(it: Explanation) -> Iterable[RenderableType]:
    yield text(it.sentence, "bold")
    when = (
        "at an unknown time" if it.measured_at is None else f"{it.measured_at:%Y-%m-%d %H:%M} UTC"
    )
    place = f"{it.probe_cc or 'unknown country'}, {network(it.probe_asn, it.asn_name)}"
    yield text(f"{it.measurement_id}  {it.test_name}  {place}  {when}")
    yield text(f"input: {it.input or 'none'}")
    if it.reason:
        yield text(f"unclear because: {it.reason}")
    yield heading("Probabilities")
    yield grid(
        ["outcome", ">evidence (nats)", ">P"],
        [(s.outcome, f"{s.nats:+.2f}", probability(s.p)) for s in it.scores],
    )
    yield heading("Rules that fired")
    columns = ["rule", "control", "speaks for", ">weight", "what was seen"]
    yield grid(columns, [_rule(rule) for rule in it.rules])
    yield heading("Probe against control")
    yield (
        grid(
            ["layer", "step", "probe", "control"],
            [
                (
                    s.layer,
                    s.what,
                    lines(s.probe or ["no attempt"]),
                    lines(s.control or ["no attempt"]),
                )
                for s in it.seen
            ],
        )
        if it.seen
        else text("no step was recorded")
    )
    if it.findings:
        yield heading("What the experiments found")
        yield grid(["experiment", "answer", "proves", "why"], [_found(one) for one in it.findings])
    if it.flaws:
        yield text(f"not as the format wants: {', '.join(it.flaws)}")
    yield from _neighbours(it.neighbours)
    yield from _bytes(it.source)
    yield text(f"rules {it.rules_version}, reference data {it.refdata_version}", "dim")


def _rule(rule: dict[str, Any]) -> list[Text | str]:
    speaks_for = [rule["evidence_for"], *([rule["mechanism"]] if rule["mechanism"] else [])]
    weight = f"{rule['weight']:+.2f}"
    return [rule["id"], rule["control"], lines(speaks_for), weight, rule["words"]]


def _found(one: Found) -> list[Text | str]:
    details = [
        one.answer,
        *([one.placement] if one.placement not in (None, "unknown") else []),
        *([] if one.hop_ttl is None else [f"hop {one.hop_ttl} {one.hop_address or ''}".strip()]),
        *([] if one.residual_s is None else [f"{one.residual_s:.0f} s residual"]),
        *([] if one.effect is None else [f"{one.effect:.2g} of the speed"]),
    ]
    return [one.experiment, lines(details), one.mechanism or "", one.words]


def _neighbours(around: Neighbours) -> Iterable[RenderableType]:
    if around.other_networks:
        total = count(around.other_networks_total, "other network")
        yield heading(f"Same target, {total}, day before to day after")
        yield _outcomes("network", [(network(n.asn, n.asn_name), n) for n in around.other_networks])
    if around.other_targets:
        total = count(around.other_targets_total, "other target")
        yield heading(f"Same network and day, {total}")
        yield _outcomes("target", [(n.target or "", n) for n in around.other_targets])
    if around.before or around.after:
        yield heading("Same target and network, before and after")
        rows = [("before", n) for n in around.before] + [("after", n) for n in around.after]
        yield grid(["", "time (UTC)", "outcome", "measurement"], [_nearby(*row) for row in rows])


def _outcomes(name: str, rows: list[tuple[str, Around]]) -> RenderableType:
    columns = [name, ">open", ">blocked", ">down", ">server side", ">unclear"]
    return grid(
        columns,
        [
            [label, *(str(n) for n in (a.open, a.blocked, a.down, a.server_side, a.unclear))]
            for label, a in rows
        ],
    )


def _nearby(side: str, near: Nearby) -> list[Text | str]:
    when = "" if near.measured_at is None else f"{near.measured_at:%Y-%m-%d %H:%M}"
    outcome = near.outcome + (f" ({near.reason})" if near.reason else "")
    return [side, when, outcome, near.measurement_id]


def _bytes(source: WhereBytes) -> Iterable[RenderableType]:
    yield heading("Bytes")
    yield text(f"file    {source.name or 'not in the store'}")
    yield text(f"sha256  {source.file}")
    if source.path:
        yield text(f"kept    {source.path}")
    if source.member:
        yield text(f"member  {source.member}")
    yield text(f"record  line {source.line}, byte {source.offset}, {source.length} bytes")
    yield text(f"print   {source.command}")
