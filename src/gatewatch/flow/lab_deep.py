"""The probe held against the lab: what its experiments say of how, where and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gatewatch.flow.lab import Comparison, Depth, Particular
from gatewatch.lab.particulars import Particulars
from gatewatch.model.outcome import Outcome

WITHIN = 0.2
"Share by which a residual time may be off."
HOPS_OFF = 1
"A box stands between two hops, and either is a fair name for the place."
THINGS = ("mechanism", "trigger", "placement", "hop", "residual")


class Found(Struct, frozen=True, kw_only=True):
    """One finding as it stands in a measurement; what else is in it is for others."""

    experiment: str
    answer: str
    layer: str = ""
    host: str = ""
    words: str = ""
    mechanism: str | None = None
    trigger: str | None = None
    placement: str | None = None
    hop_address: str | None = None
    hop_ttl: int | None = None
    residual_s: float | None = None
    residual_ends: str | None = None


class _Keys(Struct):
    x_experiments: list[dict[str, Any]] | None = None


class _Record(Struct):
    test_keys: _Keys


def findings_in(file: Path) -> list[Found]:
    """The findings of a measurement; none in a file without any."""
    if not file.is_file():
        return []
    record = msgspec.json.decode(file.read_bytes().splitlines()[0], type=_Record)
    return [msgspec.convert(one, Found) for one in record.test_keys.x_experiments or []]


def particulars(
    compared: Sequence[Comparison],
    truths: dict[str, Particulars],
    findings: dict[str, list[Found]],
) -> list[Particular]:
    """Everything there was to find out, blocked measurement by measurement.

    Args:
        truths, findings: by the id of the measurement.
    """
    return [
        Particular(
            scenario=one.scenario,
            network=one.network,
            url=one.url,
            measurement=one.measurement,
            thing=thing,
            true=true,
            said=said,
            good=good,
        )
        for one in compared
        if one.true_outcome == Outcome.BLOCKED
        for thing, true, said, good in _things(
            one, truths.get(one.measurement, Particulars()), findings.get(one.measurement, [])
        )
    ]


def depths(found: Sequence[Particular]) -> list[Depth]:
    def of(thing: str) -> Depth:
        own = [one for one in found if one.thing == thing]
        return Depth(
            thing=thing,
            measurements=len(own),
            good=sum(one.good for one in own),
            silent=sum(one.said is None for one in own),
        )

    return [of(thing) for thing in THINGS]


def _things(
    one: Comparison, true: Particulars, found: Sequence[Found]
) -> Iterator[tuple[str, str, str | None, bool]]:
    """Thing, truth, word and whether they agree."""
    found = [finding for finding in found if _is_about(finding, one)]
    if one.true_mechanisms:
        exact = any(mechanism in one.said_mechanisms for mechanism in one.true_mechanisms)
        said = _joined(one.said_mechanisms)
        # where nothing gets through to compare with, silence is right; a word must be so as well
        if said is not None or not true.everything:
            yield "mechanism", _joined(one.true_mechanisms) or "", said, exact
    if true.triggers:
        triggers = _said(finding.trigger for finding in found)
        agree = bool({*true.triggers} & {*triggers})
        yield "trigger", _joined(true.triggers) or "", _joined(triggers), agree
    if true.placements:
        placements = _said(f.placement for f in found if f.placement != "unknown")
        agree = bool(placements) and {*placements} <= {*true.placements}
        yield "placement", _joined(true.placements) or "", _joined(placements), agree
    if true.hop_ttls:
        hops = [f for f in found if f.hop_ttl is not None or f.hop_address is not None]
        said = _joined(_said(f"{f.hop_ttl} ({f.hop_address})" for f in hops))
        where = ", ".join(true.hop_addresses) or "silent"
        told = _joined([f"{ttl} ({where})" for ttl in true.hop_ttls]) or ""
        yield "hop", told, said, any(_near(f, true) for f in hops)
    if true.residuals:
        lasting = [f for f in found if f.residual_s is not None]
        said = _joined(_said(f"{f.residual_s:.0f} s {f.residual_ends}" for f in lasting))
        told = _joined([f"{seconds:.0f} s {ends}" for seconds, ends in true.residuals]) or ""
        close = any(
            f.residual_s is not None and abs(f.residual_s - seconds) <= WITHIN * seconds
            for f in lasting
            for seconds, _ in true.residuals
        )
        yield "residual", told, said, close


def _is_about(found: Found, one: Comparison) -> bool:
    """Is it of the layer at which the measurement is blocked? Another may be filtered as well."""
    layers = {mechanism.split(".")[0] for mechanism in one.true_mechanisms}
    layers |= {"tcp"} if "ip" in layers else set()
    layers |= {"http"} if "tls" in layers else set()  # what comes after the handshake
    return not layers or found.layer in layers


def _near(found: Found, true: Particulars) -> bool:
    if found.hop_address is not None and found.hop_address in true.hop_addresses:
        return True
    ttl = found.hop_ttl
    return ttl is not None and any(abs(ttl - one) <= HOPS_OFF for one in true.hop_ttls)


def _said(values: Iterator[str | None] | Sequence[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value is not None))


def _joined(values: Sequence[str]) -> str | None:
    return ", ".join(values) or None
