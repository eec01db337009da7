"""What was measured, kept on this machine until its owner says otherwise.

    SPOOL/RUN/run.json              what the run is, and how it ended
    SPOOL/RUN/measurements.jsonl    one measurement a line, appended and made durable one by one
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
from typing import Any

import msgspec
from msgspec import Struct

from gatewatch.archive import durable
from gatewatch.model.errors import GatewatchError, NotFound

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_RUN, _MEASUREMENTS, _SUBMITTED = "run.json", "measurements.jsonl", "submitted.jsonl"


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


class Submitted(Struct, frozen=True, kw_only=True):
    """One measurement has been accepted by a collector."""

    line: int
    "Of `measurements.jsonl`, from 1."
    collector: str
    report_id: str
    measurement_uid: str
    at: datetime


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
        found = sorted(self.root.iterdir()) if self.root.is_dir() else []
        runs = [self.run(path.name) for path in found if _ID.fullmatch(path.name)]
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
            GatewatchError: its description cannot be read.
        """
        names = sorted(path.name for path in self.root.iterdir()) if self.root.is_dir() else []
        known = [name for name in names if _ID.fullmatch(name)]
        fits = known[-1:] if id == "last" else [name for name in known if name.startswith(id)]
        if len(fits) != 1 or not id:
            many = f"{len(fits)} runs begin with" if fits else "no run is called"
            raise NotFound(f"{many} {id!r}; `gatewatch probe list` shows them")
        path = self.root / fits[0] / _RUN
        try:
            facts = msgspec.json.decode(path.read_bytes(), type=RunFacts)
        except (OSError, msgspec.MsgspecError) as error:
            raise GatewatchError(f"{path}: {error}; wanted the description of a run") from error
        run = Run(self.root / fits[0], facts)
        run.mend()
        return run


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
        path = self.folder / _SUBMITTED
        if not path.exists():
            return []
        whole = [line for line in path.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"]
        return [msgspec.json.decode(line, type=Submitted) for line in whole]

    def mark(self, submitted: Submitted) -> None:
        _append(self.folder / _SUBMITTED, msgspec.json.encode(submitted))

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def save(self) -> None:
        durable.write(self.folder / _RUN, msgspec.json.encode(self.facts))

    def mend(self) -> None:
        """Cut what a kill left of a line; a run that goes on in another process is let be."""
        if self.facts.ended is not None:
            return
        for name in (_MEASUREMENTS, _SUBMITTED):
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


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


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
