"""One damaged field may silence a verdict; it never makes one, least of all an accusation.

Every field of complete measurements is replaced in turn by values of other types. Of the entries
of a list only the first and the last are, since the others have the same fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewatch.judge.verdict import judge
from gatewatch.model.errors import MalformedRecord
from gatewatch.model.records import Observed
from gatewatch.model.verdict import Verdict
from gatewatch.simulate.situations import SITUATIONS
from tests.judge.reading import observe, refdata

Path = tuple[str | int, ...]

NOT_BLOCKED = (
    "success_https",
    "site_down_timeout_https",
    "localhost_http",
    "geoblock_403_https",
    "cdn_rotation_across_networks_http",
    "no_helper_reset_http",
    "v04_open",
    "v01_open",
)
BLOCKED = ("dns_nxdomain", "http_reset", "india_page", "redirect_then_reset_https", "v04_tls_reset")

JUNK: tuple[Any, ...] = (None, False, 0, 1.5, "x", "\ud800", [], {})
"Values that stand where others should; `null` and `false` may also mean something there."

MORE_JUNK = (*JUNK, True, -1, float("nan"), 10**30, "", ["x"], [[[[]]]], {"a": 1}, [{}], 2**31)

UNREAD = frozenset({"annotations", "extensions", "network_events", "control_request"})
"Parts of a record that nothing is concluded from."


def paths(value: object, at: Path = ()) -> Iterator[Path]:
    if at:
        yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in UNREAD:
                yield from paths(inner, (*at, name))
    elif isinstance(value, list) and value:
        for index in sorted({0, len(value) - 1}):
            yield from paths(value[index], (*at, index))


@cache
def original(name: str) -> tuple[str, str, int]:
    """A situation's record as JSON, its outcome, and how many flaws it has as it is."""
    document = SITUATIONS[name].measurement()
    seen = observe(document)
    return json.dumps(document), judge(seen, refdata()).outcome, len(seen.measurement.flaws)


def judged(document: object) -> tuple[Observed, Verdict] | None:
    """None when the record is refused."""
    try:
        seen = observe(document)
    except MalformedRecord:
        return None
    return seen, judge(seen, refdata())


def damaged(name: str) -> Iterator[tuple[str, Observed, Verdict]]:
    """Every record that is one replaced field away, with what was replaced by what."""
    document = json.loads(original(name)[0])
    for path in paths(document):
        holder: Any = document
        for step in path[:-1]:
            holder = holder[step]
        kept = holder[path[-1]]
        for junk in JUNK:
            holder[path[-1]] = junk
            found = judged(document)
            if found:
                yield f"{'.'.join(map(str, path))} = {junk!r}", *found
        holder[path[-1]] = kept


@pytest.mark.parametrize("name", [*NOT_BLOCKED, *BLOCKED])
def test_a_damaged_field_may_silence_a_verdict_and_never_makes_one(name: str):
    """Never an accusation; and where the reader itself says that it could not read, the outcome
    stands or is unclear."""
    _, before, flaws = original(name)
    accused, turned = [], []
    for what, seen, verdict in damaged(name):
        if verdict.outcome == "blocked" != before:
            accused.append(what)
        elif len(seen.measurement.flaws) > flaws and verdict.outcome not in (before, "unclear"):
            turned.append(f"{what}: {verdict.outcome}")
    assert accused == []
    assert turned == []


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_no_two_damaged_fields_make_a_measurement_blocked(data: st.DataObject):
    name = data.draw(st.sampled_from(NOT_BLOCKED))
    document = json.loads(original(name)[0])
    for _ in range(2):
        path = data.draw(st.sampled_from(list(paths(document))))
        holder: Any = document
        for step in path[:-1]:
            holder = holder[step]
        # A copy: the second damage may fall inside the first.
        holder[path[-1]] = deepcopy(data.draw(st.sampled_from(MORE_JUNK)))
    found = judged(document)
    assert found is None or found[1].outcome != "blocked"


@pytest.mark.parametrize("name", NOT_BLOCKED)
@pytest.mark.parametrize(
    "part", ["queries", "tcp_connect", "tls_handshakes", "requests", "control"]
)
def test_a_part_that_was_lost_in_whole_accuses_nobody(name: str, part: str):
    document = json.loads(original(name)[0])
    for lost in ({part: None}, {part: []}, {part: {}}):
        found = judged({**document, "test_keys": {**document["test_keys"], **lost}})
        assert found is not None
        assert found[1].outcome != "blocked"


@pytest.mark.parametrize("name", NOT_BLOCKED)
def test_a_record_cut_anywhere_is_refused_and_not_guessed_at(name: str):
    data = original(name)[0].encode()
    for end in range(0, len(data), max(1, len(data) // 50)):
        assert judged(data[:end]) is None
