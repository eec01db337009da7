"""Probe against control: are these answers the same place, are these pages the same page?"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from gatewatch.model.records import Exchange, Lookup


class Answers(StrEnum):
    """How a set of answered addresses relates to the control's."""

    SHARED = "shared"
    "At least one address in common."
    SAME_NETWORK = "same_network"
    "None in common, and at least one in a network of the control's."
    DIFFER = "differ"
    UNKNOWN = "unknown"
    "One of the two has no answer to compare."


def compare_answers(mine: list[Lookup], control: Lookup | None) -> Answers:
    """More answers only make agreement likelier: one address in common is agreement."""
    here = {a: n for o in mine for a, n in zip(o.addresses, o.asns, strict=True)}
    if not here or control is None or not control.addresses:
        return Answers.UNKNOWN
    if here.keys() & set(control.addresses):
        return Answers.SHARED
    networks = {n for n in here.values() if n} & {n for n in control.asns if n}
    return Answers.SAME_NETWORK if networks else Answers.DIFFER


COMMON_HEADERS = frozenset(
    "accept-ranges age alt-svc cache-control cf-ray connection content-encoding content-language"
    " content-length content-type date etag expires keep-alive last-modified link location p3p"
    " pragma proxy-connection server set-cookie strict-transport-security transfer-encoding"
    " upgrade vary via x-content-type-options x-frame-options x-powered-by x-varnish"
    " x-xss-protection".split()
)
"""Names that say nothing about who answered: any server and any block page may send them.
The test helper's own list lacks content-length, connection, alt-svc and transfer-encoding,
which makes it take block pages for the page itself."""

_WORD = re.compile(r"\w{3,}")


class Likeness(NamedTuple):
    """How alike two pages are: positive for the same page, negative for another."""

    score: float
    reasons: list[str]


def header_names(exchange: Exchange) -> set[str]:
    return {line.partition(":")[0] for line in exchange.headers or []}


def header(exchange: Exchange, name: str) -> str | None:
    """The value of a header, by its lower-case name."""
    prefix = name + ":"
    for line in exchange.headers or []:
        if line.startswith(prefix):
            return line[len(prefix) :].strip()
    return None


def shared_identity(probe: Exchange, control: Exchange) -> list[str]:
    """Uncommon header names both sides carry: the mark of one and the same server."""
    return sorted((header_names(probe) & header_names(control)) - COMMON_HEADERS)


def compare_pages(probe: Exchange, control: Exchange) -> Likeness:
    """Likeness of two answers over several features; each may be missing.

    Score: status, title, length, uncommon headers, server and content type add or take away
    a little each, so that no single one decides. Points are our choice, to be fitted.
    """
    points: list[tuple[float, str]] = []
    if probe.status == control.status:
        points.append((0.5, "same status"))
    else:
        points.append((-0.5, f"status {probe.status} against {control.status}"))
    points += _title_points(probe.title, control.title)
    points += _length_points(probe, control)
    identity = shared_identity(probe, control)
    if identity:
        points.append((min(2.5, 1.0 + 0.5 * len(identity)), f"share {', '.join(identity[:4])}"))
    mine, theirs = header(probe, "server"), header(control, "server")
    if mine and theirs:
        same = mine.lower() == theirs.lower()
        points.append((0.5, "same server") if same else (-0.5, f"server {mine} against {theirs}"))
    points += _type_points(header(probe, "content-type"), header(control, "content-type"))
    return Likeness(sum(p for p, _ in points), [why for _, why in points])


def _title_points(mine: str | None, theirs: str | None) -> list[tuple[float, str]]:
    if not mine or not theirs:
        return []
    if mine == theirs:
        return [(2.5, "same title")]
    a, b = set(_WORD.findall(mine.lower())), set(_WORD.findall(theirs.lower()))
    if not a or not b:
        return []
    overlap = len(a & b) / min(len(a), len(b))
    if overlap >= 0.5:
        return [(1.5, "titles alike")]
    return [(-1.5, "another title")] if overlap == 0 else []


def _length_points(probe: Exchange, control: Exchange) -> list[tuple[float, str]]:
    """A body recorded in part can only show that it is long enough, never that it is short."""
    mine, theirs = probe.body_length, control.body_length
    if mine is None or not theirs or not probe.body_complete or mine == 0:
        return []
    ratio = min(mine, theirs) / max(mine, theirs)
    if ratio > 0.7:
        return [(1.5, "same length")]
    return [(-1.5, f"length {mine} against {theirs}")] if ratio < 0.3 else []


def _type_points(mine: str | None, theirs: str | None) -> list[tuple[float, str]]:
    if not mine or not theirs:
        return []
    a, b = (t.partition(";")[0].strip().lower() for t in (mine, theirs))
    if a != b:
        return [(-1.0, f"content type {a} against {b}")]
    return [(0.25, "same type")] if a == "text/html" else [(1.5, f"same type {a}")]
