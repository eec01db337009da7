"""A submitted measurement, checked and made ready to be kept; its parts stay as they were sent.

Only the outer object is opened. What stands in it is copied byte for byte, so numbers keep their
digits, and whoever reads it later reads what the probe wrote.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from gatewatch.archive.incoming import Submission
from gatewatch.server.bodies import Refused
from gatewatch.server.report_ids import Report, ReportIds

Parts = dict[str, msgspec.Raw]
"The members of a measurement, each as it was sent."

CC = re.compile(r"[A-Z0-9]{2}")
ASN = re.compile(r"AS(0|[1-9]\d{0,9})")
TEST = re.compile(r"[a-z0-9_]{2,30}")
"What the measurements of OONI's archive have."
GIVEN_ID = "x_report_id_given"
"Where a report id stays that another collector gave out."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Where(NamedTuple):
    """What a measurement says of itself."""

    test: str
    cc: str
    asn: str
    "Digits."


def where_of(parts: Parts) -> Where:
    """
    Raises:
        Refused: 400, one of the three is missing or in another format.
    """
    wanted = {
        "test_name": (TEST, "2 to 30 lower-case letters, digits and underscores"),
        "probe_cc": (CC, "two upper-case letters or digits"),
        "probe_asn": (ASN, "AS and a number"),
    }
    found: list[str] = []
    for name, (pattern, words) in wanted.items():
        value = text_of(parts, name)
        if value is None or not pattern.fullmatch(value):
            shown = "missing" if name not in parts else repr(_value(parts[name]))[:80]
            raise Refused(400, f"Incorrect format: {name} is {shown}; wanted is {words}")
        found.append(value)
    if not found[0].replace("_", ""):
        raise Refused(400, f"Incorrect format: test_name is {found[0]!r}")
    return Where(found[0], found[1], found[2].removeprefix("AS"))


def in_report(parts: Parts, report: Report, ids: ReportIds) -> Submission:
    """A measurement that came under a report.

    Raises:
        Refused: 400, it is of another country, network or test than the report, or names
            another report of ours.
    """
    where = where_of(parts)
    pairs = {
        "probe_cc": (where.cc, report.cc),
        "probe_asn": (where.asn, report.asn),
        "test_name": (where.test.replace("_", ""), report.test),
    }
    for name, (said, opened) in pairs.items():
        if said != opened:
            raise Refused(
                400, f"Inconsistent measurement: {name} is {said!r}; the report's is {opened!r}"
            )
    given = text_of(parts, "report_id") or ""
    if given != report.id and ids.claims_us(given):
        raise Refused(400, "Inconsistent measurement: report_id is that of another report")
    return _ready(parts, where, report.id, given)


def alone(parts: Parts, ids: ReportIds) -> tuple[Submission, str, bool]:
    """A measurement that came by itself.

    Its report is the one it names, if that is ours; else it is given the id of its run, so that
    the measurements of a run stay together and one run has one voice.

    Returns:
        The measurement, its report id, and whether nobody knows where it was measured.

    Raises:
        Refused: 400.
    """
    given = text_of(parts, "report_id") or ""
    if ids.claims_us(given):
        report = ids.read(given)
        return in_report(parts, report, ids), report.id, report.is_nowhere
    where = where_of(parts)
    names = (
        "test_start_time",
        "software_name",
        "software_version",
        "probe_id",
        "probe_network_name",
    )
    run = " ".join(repr(text_of(parts, name)) for name in names)
    started = _time(text_of(parts, "test_start_time"))
    given_now = ids.of_run(where.test, where.cc, where.asn, started, run)
    nowhere = where.asn == "0" or where.cc == "ZZ"
    return _ready(parts, where, given_now, given), given_now, nowhere


def _ready(parts: Parts, where: Where, id: str, given: str) -> Submission:
    edited: dict[str, Any] = dict(parts)
    edited.pop("measurement_uid", None)  # it is ours to give
    edited["report_id"] = id
    if given not in ("", id):
        edited[GIVEN_ID] = given
    # Between values JSON may have line ends, inside of them never: one line, the same value.
    content = msgspec.json.encode(edited).replace(b"\n", b" ").replace(b"\r", b" ")
    return Submission(content, where.cc, where.test.replace("_", ""), text_of(parts, "input"))


def text_of(parts: Parts, name: str) -> str | None:
    """A member that is a text; None when it is missing or something else."""
    value = _value(parts[name]) if name in parts else None
    return value if isinstance(value, str) else None


def _value(raw: msgspec.Raw) -> Any:
    if len(memoryview(raw)) > 1 << 16:
        return "…"  # longer than any text that is looked at here
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _time(text: str | None) -> datetime:
    try:
        time = datetime.fromisoformat(text or "")
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        return max(time, _EPOCH)
    except (ValueError, OverflowError):
        return _EPOCH
