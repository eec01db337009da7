"""From the JSON of a measurement to its verdict, under the reference data in force."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from gatewatch.archive.adapters import ooni
from gatewatch.archive.frames import RawRecord
from gatewatch.judge.pool import NO_POOL, Pool
from gatewatch.judge.verdict import judge
from gatewatch.model.mechanism import under
from gatewatch.model.records import Observed
from gatewatch.model.verdict import Verdict
from gatewatch.observe.lens import RefDataLens
from gatewatch.refdata.snapshot import RefData, load


@cache
def refdata() -> RefData:
    return load()


@cache
def lens() -> RefDataLens:
    return RefDataLens(refdata())


def raw(document: object) -> RawRecord:
    """A record as it stands in a file: bytes as they are, anything else as JSON."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return RawRecord("here.jsonl", None, 1, 0, data)


def observe(document: object) -> Observed:
    return ooni.observe(raw(document), lens())


def read(document: Any, pool: Pool = NO_POOL) -> Verdict:
    return judge(observe(document), refdata(), pool)


def agrees(verdict: Verdict, outcomes: tuple[str, ...], mechanisms: tuple[str, ...]) -> bool:
    """Is this one of the accepted outcomes, with a mechanism at or under an accepted one?

    No accepted mechanism means that none may be claimed.
    """
    if verdict.outcome not in outcomes:
        return False
    if not mechanisms:
        return not verdict.mechanisms
    return any(under(mine, wanted) for mine in verdict.mechanisms for wanted in mechanisms)
