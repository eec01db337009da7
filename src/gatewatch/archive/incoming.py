"""Measurements as they are submitted: on the disk before they are acknowledged, each once.

    incoming/<time>.jsonl           the segment that is written to
    incoming/sealed/<time>.jsonl    whole segments on their way into `raw/`
    incoming/index.sqlite           what has been kept; can be made again
    incoming/lock                   held by the process that writes

A segment is plain JSON lines, so it becomes a raw file of the store as it is. A line ends with the
`measurement_uid` that was given out for it, which names when it came and the hash of all before
it: so each line proves itself, and after a kill or a power cut the torn end of a segment is found
and cut. What was acknowledged stands before that, always: it was synced first.

The store's own lock is needed only for the instant in which a whole segment is handed over, so
whoever imports or judges is not kept waiting by a server that runs for months.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha512
from pathlib import Path
from typing import NamedTuple

import msgspec

from gatewatch.archive import durable
from gatewatch.archive.incoming_index import Entry, Index
from gatewatch.archive.incoming_lines import (
    UID,
    Submission,
    line_with,
    lines_in,
    microseconds,
    read_line,
    uid_of,
    what,
)
from gatewatch.archive.incoming_segment import Segment
from gatewatch.archive.reader import read_one
from gatewatch.archive.store import Store
from gatewatch.model.errors import GatewatchError, NotFound

SEGMENT_BYTES = 64 << 20
"""A segment is sealed at this size. Our choice: larger ones are read again longer after a crash,
smaller ones make more files in the store."""
RAW_NAME = "incoming/"
"How raw files that were segments are called in the store, with their name behind it."


class Kept(NamedTuple):
    """A measurement that is on the disk."""

    uid: str
    new: bool
    "False when the same content had been kept before, under the same uid."


class Taken(GatewatchError):
    """Another process takes submissions into the store."""


class Incoming:
    """What is submitted to one store, held by one process; its methods by one thread at a time."""

    def __init__(self, store: Store, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Take hold and put in order what a killed process has left.

        Raises:
            Taken: another process has hold.
            OSError: the disk fails.
        """
        self.root = store.root / "incoming"
        self._store, self._segment_bytes = store, segment_bytes
        durable.make_folder(self.root / "sealed")
        self._lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Taken(f"{self.root}: another process takes submissions into this store") from None
        self._segment: Segment | None = None
        self.cut = 0
        "Bytes cut off or set aside because a kill or a power cut had torn them."
        self.found = 0
        "Records found in what a killed process had left."
        self.records = 0
        "Measurements ever kept."
        try:
            self._index = self._open_index()
            for path in sorted(self.root.glob("*.jsonl")):
                self._recover(path)
            self.records = self._index.records()
        except BaseException:
            os.close(self._lock)
            raise

    def append(self, batch: Sequence[Submission], now: datetime) -> list[Kept]:
        """Keep measurements; when this returns they are on the disk, each content once.

        Raises:
            OSError: the disk is full or fails. None of the batch is kept then.
        """
        at = microseconds(now)
        new: dict[bytes, tuple[int, bytes, Submission]] = {}
        kept: list[Kept] = []
        for one in batch:
            digest = sha512(one.content).digest()
            key = digest[:16]
            known = self._find(key) if key not in new else None
            uid = uid_of(known.at if known else at, one, digest)
            is_new = known is None and key not in new
            if is_new:
                new[key] = at, line_with(one.content, uid), one
            kept.append(Kept(uid, is_new))
        if new:
            self._write(new, now)
            self.records += len(new)
        return kept

    def _find(self, key: bytes) -> Entry | None:
        try:
            return self._index.find(key)
        except sqlite3.Error as error:
            raise OSError(f"{self.root / 'index.sqlite'}: {error}") from error

    def _write(self, new: dict[bytes, tuple[int, bytes, Submission]], now: datetime) -> None:
        segment = self._segment or self._begin(now)
        start = offset = segment.size
        digest = segment.digest.copy()
        entries, measured = list[Entry](), list[tuple[int, bytes]]()
        for key, (at, line, one) in new.items():
            entries.append(Entry(key, at, segment.id, offset, len(line) - 1))
            if one.input:
                measured.append((at, what(one.cc, one.input)))
            offset += len(line)
        try:
            segment.write(b"".join(line for _, line, _ in new.values()))
            self._index.add(entries, measured, segment.id, offset)
        except (OSError, sqlite3.Error) as error:
            # Nobody was told of these lines, so they may go. If that fails too, the segment is
            # left to the next recovery, which finds in it whatever did reach the disk.
            self._segment = segment if segment.cut_to(start, digest) else None
            if isinstance(error, sqlite3.Error):
                raise OSError(f"{self.root / 'index.sqlite'}: {error}") from error
            raise
        if segment.size >= self._segment_bytes:
            self.seal(now)

    def _begin(self, now: datetime) -> Segment:
        while True:
            name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%f}Z.jsonl"
            if not (self.root / "sealed" / name).exists():
                try:
                    handle = os.open(
                        self.root / name,
                        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC,
                        0o644,
                    )
                    break
                except FileExistsError:
                    pass
            now += timedelta(microseconds=1)
        durable.sync_folder(self.root)
        self._segment = Segment(self.root / name, handle, self._index.segment(name), now)
        return self._segment

    @property
    def waiting(self) -> tuple[int, datetime] | None:
        """Bytes in the segment that is written to, and since when; None without one."""
        segment = self._segment  # it may be asked for while another thread writes
        return None if segment is None else (segment.size, segment.begun)

    def seal(self, now: datetime) -> None:
        """Make what was kept so far a whole segment, ready for the store.

        Raises:
            OSError: the disk fails; nothing is lost, the next recovery does it.
        """
        if self._segment is None:
            return
        segment, self._segment = self._segment, None
        os.close(segment.handle)
        self._put_aside(segment.path, segment.id, segment.digest.hexdigest(), now)

    def _put_aside(self, path: Path, id: int, digest: str, now: datetime) -> None:
        """Only what the index knows durably may leave: later copies must still be recognised."""
        if not path.stat().st_size:
            path.unlink()
            return
        self._index.sealed(id, digest, microseconds(now))
        os.replace(path, self.root / "sealed" / path.name)
        durable.sync_folder(self.root / "sealed")
        durable.sync_folder(self.root)

    def hand_over(self) -> int:
        """Move the whole segments into the store; how many there were.

        Raises:
            GatewatchError: another process is writing to the store; they wait for the next time.
        """
        return _hand_over(self._store, self.root)

    def line_of(self, uid: str) -> bytes:
        """The record that was given this uid, as it is stored, also before it is imported.

        Raises:
            NotFound: it was not given here.
        """
        found = UID.fullmatch(uid)
        for place in self._index.places(bytes.fromhex(found[5])) if found else ():
            homes = [self.root / place.name, self.root / "sealed" / place.name]
            if place.sha256:
                homes.append(self._store.raw_path(place.sha256))
            for home in homes:
                if not home.exists():
                    continue
                try:
                    line = read_one(home, member=None, offset=place.offset, length=place.length)
                except NotFound:  # moved on in this instant
                    continue
                if f'"{uid}"'.encode() in line[-150:]:
                    return line
        raise NotFound(f"{self.root} has kept no measurement {uid}")

    def counts(self, asked: Sequence[tuple[str, str]], now: datetime) -> list[int]:
        """How often each pair of country and input came in this week and the last."""
        keys = [what(cc, given) for cc, given in asked]
        found = self._index.counts(keys, microseconds(now))
        return [found.get(key, 0) for key in keys]

    def close(self, now: datetime) -> None:
        """Seal, and let go."""
        try:
            self.seal(now)
        finally:
            self._index.close()
            os.close(self._lock)

    # After a kill.

    def _open_index(self) -> Index:
        """The index; made again from the segments when it is not there or damaged."""
        path = self.root / "index.sqlite"
        fresh = not path.exists()
        try:
            index = Index(path)
            index.records()
        except sqlite3.DatabaseError:
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                (self.root / name).unlink(missing_ok=True)
            index, fresh = Index(path), True
        if fresh:
            homes = [
                (Path(raw.name).name, self._store.raw_path(raw.sha256), raw.sha256)
                for raw in self._store.raw_files()
                if raw.name.startswith(RAW_NAME)
            ]
            homes += [(one.name, one, "") for one in sorted(self.root.glob("sealed/*.jsonl"))]
            for name, home, digest in homes:
                number = index.segment(name)
                _read_into(index, number, home)
                digest = digest or sha256(home.read_bytes()).hexdigest()
                index.sealed(number, digest, microseconds(datetime.now(UTC)))
        return index

    def _recover(self, path: Path) -> None:
        """Cut what is torn, learn what is not known yet, and seal a segment left by another."""
        durable.sync_file(path)  # what was written and never synced may count only from now on
        number, known = self._index.segment(path.name), self._index.read_to(path.name)
        whole, bad, seen = bytearray(), bytearray(), set[bytes]()
        size = 0
        for offset, line in lines_in(path):
            size = offset + len(line)
            read = read_line(line)
            entry = self._index.find(read.key) if read else None
            if read is None:
                bad += line
            elif read.key not in seen and (entry is None or entry.segment == number):
                self.found += offset >= known
                seen.add(read.key)
                whole += line
            # Else the same content was kept elsewhere, and this copy never acknowledged.
        if size > len(whole):
            self.cut += len(bad)
            if b"\n" in bad:  # not simply a line that was never finished
                durable.write(path.with_suffix(".damaged"), bytes(bad))
            moved = not path.read_bytes().startswith(whole)
            durable.write(path, bytes(whole))
            if moved:
                self._index.forget(number)
        _read_into(self._index, number, path)
        self._put_aside(path, number, sha256(whole).hexdigest(), datetime.now(UTC))


def take_in(store: Store) -> int:
    """Bring what was submitted into the store; how many segments there were.

    Where a server runs, its whole segments; else whatever is there. Call it as the store's one
    writer, under `store.lock()`.
    """
    if not (store.root / "incoming").is_dir():
        return 0
    try:
        incoming = Incoming(store)
    except Taken:
        return _hand_over(store, store.root / "incoming")
    try:
        return incoming.hand_over()
    finally:
        incoming.close(datetime.now(UTC))


class IncomingState(msgspec.Struct, frozen=True, kw_only=True):
    """What was submitted and is not in the store yet."""

    served: bool
    "Does a process write to it at this moment?"
    segments: int
    "Whole ones, which wait for the store; the next import or analysis takes them."
    bytes: int
    "Of these."
    open_bytes: int
    "Of what is being written, or was left by a kill."


def state_of(store: Store) -> IncomingState:
    """How it stands with what is submitted to a store, without touching it."""
    root = store.root / "incoming"
    sealed = [path.stat().st_size for path in root.glob("sealed/*.jsonl")]
    left = [path.stat().st_size for path in root.glob("*.jsonl")]
    return IncomingState(
        served=_is_held(root / "lock"),
        segments=len(sealed),
        bytes=sum(sealed),
        open_bytes=sum(left),
    )


def _is_held(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _hand_over(store: Store, root: Path) -> int:
    moved = 0
    for path in sorted((root / "sealed").glob("*.jsonl")):
        with store.lock():
            if path.exists():  # else another process was faster
                store.add_raw(path, name=RAW_NAME + path.name)
                path.unlink()
                moved += 1
    return moved


def _read_into(index: Index, id: int, path: Path) -> None:
    """Tell the index of every line of a segment that it does not know."""
    entries, measured, size = list[Entry](), list[tuple[int, bytes]](), 0
    for offset, line in lines_in(path):
        size = offset + len(line)
        read = read_line(line)
        if read is not None and index.find(read.key) is None:
            entries.append(Entry(read.key, read.at, id, offset, len(line) - 1))
            if read.input:
                measured.append((read.at, what(read.cc, read.input)))
    index.add(entries, measured, id, size)
