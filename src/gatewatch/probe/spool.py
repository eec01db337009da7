"""What was measured, kept on this machine until its owner says otherwise.

    SPOOL/RUN/run.json              what the run is, and how it ended
    SPOOL/RUN/measurements.jsonl    one measurement a line, appended and made durable one by one
    SPOOL/RUN/reports.jsonl         the reports opened for them at collectors
    SPOOL/RUN/submitted.jsonl       which of them were submitted, to whom, and under which id

A run that was killed is a run like any other: what it had finished is there, and a line that was
being written is cut off when the run is next opened. Nothing here is ever sent by itself.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gatewatch.archive import durable
from gatewatch.model.errors import NotFound

L = TypeVar("L", bound=Struct)
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_RUN, _MEASUREMENTS = "run.json", "measurements.jsonl"
_REPORTS, _SUBMITTED = "reports.jsonl", "submitted.jsonl"


class RunFacts(Struct, frozen=True, kw_only=True):
    """What a run is."""

    id: str
    began: datetime
    planned: int
    "Measurements that it set out to make."
    tests: tuple[str, ...]
    country: str
    asn: int
    ended: datetime | None = None
    "None: it is going on, or was killed."
    interrupted: bool = False
    described: bool = True
    "False: its description is lost; only what its folder's name says is known."


class Submitted(Struct, frozen=True, kw_only=True):
    """One measurement has been accepted by a collector."""

    line: int
    "Of `measurements.jsonl`, from 1."
    collector: str
    report_id: str
    measurement_uid: str
    at: datetime


class Opened(Struct, frozen=True, kw_only=True):
    """A report that a collector opened. What is handed in again under the same one is the same."""

    collector: str
    kind: tuple[str | None, ...]
    "What the measurements in it have in common (`backend.kind_of`)."
    report_id: str


class RunListed(Struct, frozen=True, kw_only=True):
    """A run, counted."""

    facts: RunFacts
    measurements: int
    submitted: int


class Spool:
    """All runs in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(
        self, *, planned: int, tests: tuple[str, ...], country: str, asn: int, now: datetime
    ) -> Run:
        """A new run, its folder made."""
        name = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        facts = RunFacts(id=name, began=now, planned=planned, tests=tests, country=country, asn=asn)
        folder = self.root / name
        folder.mkdir(parents=True, mode=0o700)
        run = Run(folder, facts)
        run.save()
        return run

    def runs(self) -> list[RunListed]:
        """Every run, the oldest first."""
        runs = [self.run(name) for name in self._names()]
        return [
            RunListed(
                facts=run.facts,
                measurements=sum(1 for _ in run.lines()),
                submitted=len({one.line for one in run.submissions()}),
            )
            for run in runs
        ]

    def run(self, id: str) -> Run:
        """A run by its id, `last`, or the beginning of an id that only one has.

        Raises:
            NotFound: none or several are called so.
        """
        known = self._names()
        fits = known[-1:] if id == "last" else [name for name in known if name.startswith(id)]
        if len(fits) != 1 or not id:
            many = f"{len(fits)} runs begin with" if fits else "no run is called"
            raise NotFound(f"{many} {id!r}; `gatewatch probe list` shows them")
        run = Run(self.root / fits[0], _facts_of(self.root / fits[0]))
        run.mend()
        return run

    def _names(self) -> list[str]:
        names = sorted(path.name for path in self.root.iterdir()) if self.root.is_dir() else []
        return [name for name in names if _began(name) is not None]


class Run:
    """One run's folder."""

    def __init__(self, folder: Path, facts: RunFacts) -> None:
        self.folder, self.facts = folder, facts

    @property
    def file(self) -> Path:
        return self.folder / _MEASUREMENTS

    def append(self, measurement: dict[str, Any]) -> None:
        """Keep a measurement; it is on the disk when this returns."""
        _append(self.file, msgspec.json.encode(measurement))

    def finish(self, now: datetime, *, interrupted: bool) -> None:
        self.facts = msgspec.structs.replace(self.facts, ended=now, interrupted=interrupted)
        self.save()

    def lines(self) -> Iterator[bytes]:
        """The measurements as written, without their line ends."""
        if self.file.exists():
            with self.file.open("rb") as file:
                yield from (line.rstrip(b"\n") for line in file if line.endswith(b"\n"))

    def submissions(self) -> list[Submitted]:
        return _whole(self.folder / _SUBMITTED, Submitted)

    def mark(self, submitted: Submitted) -> None:
        _append(self.folder / _SUBMITTED, msgspec.json.encode(submitted))

    def reports(self) -> list[Opened]:
        return _whole(self.folder / _REPORTS, Opened)

    def opened(self, report: Opened) -> None:
        _append(self.folder / _REPORTS, msgspec.json.encode(report))

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def save(self) -> None:
        durable.write(self.folder / _RUN, msgspec.json.encode(self.facts))

    def mend(self) -> None:
        """Cut what a kill left of a line; a run that goes on in another process is let be."""
        unended = (_MEASUREMENTS,) if self.facts.ended is None else ()
        for name in (*unended, _REPORTS, _SUBMITTED):
            path = self.folder / name
            torn = _torn_bytes(path) if path.exists() else 0
            if torn:
                self._cut(path, torn)

    def _cut(self, path: Path, torn: int) -> None:
        with path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            os.ftruncate(file.fileno(), path.stat().st_size - torn)


def _facts_of(folder: Path) -> RunFacts:
    """A run's description; what its name tells where a kill or a full disk has left none."""
    try:
        return msgspec.json.decode((folder / _RUN).read_bytes(), type=RunFacts)
    except (OSError, msgspec.MsgspecError):
        return RunFacts(
            id=folder.name,
            began=_began(folder.name) or datetime.fromtimestamp(0, UTC),
            planned=0,
            tests=(),
            country="ZZ",
            asn=0,
            described=False,
        )


def _began(name: str) -> datetime | None:
    """When a run of that name began; None where it is no run's name."""
    if _ID.fullmatch(name) is None:
        return None
    try:
        return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _whole(path: Path, kind: type[L]) -> list[L]:
    """Every line of a file that was written to its end."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [msgspec.json.decode(line, type=kind) for line in lines if line.endswith(b"\n")]


def _append(path: Path, line: bytes) -> None:
    """Add a line, all of it or nothing.

    Raises:
        OSError: it cannot be kept; the file is named, and as it was.
    """
    with path.open("ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = os.fstat(file.fileno()).st_size
        rest = memoryview(line + b"\n")
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError as error:
            os.ftruncate(file.fileno(), before)
            raise OSError(error.errno, error.strerror, str(path)) from error


def _torn_bytes(path: Path) -> int:
    """Bytes behind the last line end."""
    size, chunk = path.stat().st_size, 1 << 16
    with path.open("rb") as file:
        end = size
        while end > 0:
            start = max(end - chunk, 0)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                return size - (start + at + 1)
            end = start
    return size
