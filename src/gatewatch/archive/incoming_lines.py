"""One line of a segment of submissions: a measurement, and the uid that proves it whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha512
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UID = re.compile(r"(\d{14})\.(\d{6})_([A-Z0-9]{2})_([a-z0-9]{1,40})_([0-9a-f]{16})")
_END = re.compile(rb',"measurement_uid":"([0-9A-Za-z._]{1,120})"\}$')


class Submission(NamedTuple):
    """One measurement to keep."""

    content: bytes
    "A JSON object with at least one member, in one line, without `measurement_uid`."
    cc: str
    test: str
    "The test's name without underscores."
    input: str | None


class Line(NamedTuple):
    """What is read of a line again."""

    key: bytes
    "The first 16 bytes of the SHA-512 of its content."
    at: int
    "Microseconds since 1970 UTC."
    cc: str
    input: str | None


class _Asked(msgspec.Struct):
    input: Any = None


def line_with(content: bytes, uid: str) -> bytes:
    """A content as it stands in a segment, with its line end."""
    return content[:-1] + b',"measurement_uid":"' + uid.encode() + b'"}\n'


def uid_of(at: int, one: Submission, digest: bytes) -> str:
    """The public id of a measurement, as OONI's collector forms it.

    Args:
        at: when it came, microseconds since 1970 UTC.
        digest: SHA-512 of its content.
    """
    time = EPOCH + timedelta(microseconds=at)
    return f"{time:%Y%m%d%H%M%S.%f}_{one.cc}_{one.test}_{digest[:8].hex()}"


def read_line(line: bytes) -> Line | None:
    """A line, if it is whole and its own uid vouches for it."""
    end = _END.search(line[:-1]) if line.endswith(b"\n") else None
    uid = UID.fullmatch(end[1].decode()) if end else None
    if end is None or uid is None:
        return None
    content = line[: end.start()] + b"}"
    digest = sha512(content).digest()
    if digest[:8].hex() != uid[5]:
        return None
    try:
        time = datetime.strptime(uid[1] + uid[2], "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return None
    try:
        given = msgspec.json.decode(content, type=_Asked).input
    except (msgspec.DecodeError, RecursionError):
        given = None  # it was taken once, so it counts, however hard it is to read now
    return Line(digest[:16], microseconds(time), uid[3], given if isinstance(given, str) else None)


def lines_in(path: Path) -> Iterator[tuple[int, bytes]]:
    """Every line with its line end and where it starts; the last may lack its end."""
    offset = 0
    with open(path, "rb") as file:
        for line in file:
            yield offset, line
            offset += len(line)


def what(cc: str, given: str) -> bytes:
    """Under which a country and an input are counted."""
    return blake2b(f"{cc} {given}".encode("utf-8", "surrogatepass"), digest_size=8).digest()


def microseconds(time: datetime) -> int:
    """Since 1970 UTC."""
    return (time - EPOCH) // timedelta(microseconds=1)
