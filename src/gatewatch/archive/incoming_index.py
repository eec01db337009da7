"""What was taken in: which content, when it came, and in which segment it stands.

Everything here can be read again out of the segments, which carry it line by line; it is kept in
SQLite so that ten million records cost a file and not memory. A transaction that a power cut
takes back takes back the mark of how far a segment was read as well, so the two always agree.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

CACHE_KIB = 8 << 10
"Of SQLite's own pages held in memory; our choice. The system caches the file besides."
WEEK_US = 7 * 86_400 * 1_000_000
WEEKS_COUNTED = 2
"This week and the last: over these OONI counts how often a URL was measured."

_TABLES = """
CREATE TABLE IF NOT EXISTS record (
    key BLOB PRIMARY KEY, at INTEGER NOT NULL, segment INTEGER NOT NULL,
    offset INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segment (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    read INTEGER NOT NULL DEFAULT 0, sha256 TEXT
);
CREATE TABLE IF NOT EXISTS measured (
    week INTEGER NOT NULL, what BLOB NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (week, what)
) WITHOUT ROWID;
"""


class Entry(NamedTuple):
    """One kept record."""

    key: bytes
    "The first 16 bytes of the SHA-512 of its content."
    at: int
    "When it came, microseconds since 1970 UTC."
    segment: int
    offset: int
    length: int
    "Bytes of its line, without the line end."


class Place(NamedTuple):
    """Where a record's line is."""

    at: int
    name: str
    "Of its segment."
    sha256: str | None
    "Of the whole segment; None while it is still written to."
    offset: int
    length: int


class Index:
    """The index of one store's submissions; used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            sqlite3.DatabaseError: the file is damaged, or is no database.
        """
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            self._db.executescript(_TABLES)
        except sqlite3.DatabaseError:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    # What is known.

    def find(self, key: bytes) -> Entry | None:
        """The record with this content."""
        row = self._db.execute(
            "SELECT key, at, segment, offset, length FROM record WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else Entry(*row)

    def places(self, start: bytes) -> list[Place]:
        """Records whose key starts with these bytes; two contents may share a short start."""
        rows = self._db.execute(
            "SELECT at, name, sha256, offset, length FROM record JOIN segment ON segment = id"
            " WHERE key >= ? AND key <= ?",
            (start, start + b"\xff" * (16 - len(start))),
        )
        return [Place(*row) for row in rows]

    def counts(self, what: Iterable[bytes], at: int) -> dict[bytes, int]:
        """How often each was measured in the weeks up to then; those never measured are left out.

        Args:
            what: as given to `add`.
        """
        first = at // WEEK_US - WEEKS_COUNTED + 1
        found: dict[bytes, int] = {}
        for one in what:
            row = self._db.execute(
                f"SELECT sum(times) FROM measured WHERE what = ? AND week IN"
                f" ({','.join(str(first + number) for number in range(WEEKS_COUNTED))})",
                (one,),
            ).fetchone()
            if row[0]:
                found[one] = row[0]
        return found

    def records(self) -> int:
        return self._db.execute("SELECT count(*) FROM record").fetchone()[0]

    def segments(self) -> dict[str, str | None]:
        """Every segment ever begun, with its SHA-256 once it was sealed."""
        return dict(self._db.execute("SELECT name, sha256 FROM segment"))

    # What becomes known.

    def segment(self, name: str) -> int:
        """The number of a segment, newly given if need be."""
        self._db.execute("INSERT OR IGNORE INTO segment (name) VALUES (?)", (name,))
        return self._db.execute("SELECT id FROM segment WHERE name = ?", (name,)).fetchone()[0]

    def read_to(self, name: str) -> int:
        """How many bytes of a segment are known here."""
        row = self._db.execute("SELECT read FROM segment WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else row[0]

    def add(
        self, entries: Iterable[Entry], measured: Iterable[tuple[int, bytes]], segment: int, to: int
    ) -> None:
        """Records of a segment, all or none.

        Args:
            measured: when, and what, for each that is to be counted.
            to: bytes of the segment that are known with them.

        Raises:
            sqlite3.Error: the disk is full or fails; nothing was added.
        """
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany("INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?, ?)", entries)
            db.executemany(
                "INSERT INTO measured VALUES (?, ?, 1)"
                " ON CONFLICT (week, what) DO UPDATE SET times = times + 1",
                [(at // WEEK_US, what) for at, what in measured],
            )
            db.execute("UPDATE segment SET read = ? WHERE id = ?", (to, segment))
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def forget(self, segment: int) -> None:
        """A segment is to be read anew from its start."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM record WHERE segment = ?", (segment,))
        self._db.execute("UPDATE segment SET read = 0, sha256 = NULL WHERE id = ?", (segment,))
        self._db.execute("COMMIT")

    def sealed(self, segment: int, sha256: str, at: int) -> None:
        """A segment is whole. What is known so far is on the disk when this returns."""
        self._db.execute("UPDATE segment SET sha256 = ? WHERE id = ?", (sha256, segment))
        self._db.execute("DELETE FROM measured WHERE week <= ?", (at // WEEK_US - WEEKS_COUNTED,))
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
