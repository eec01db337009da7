"""An append-only store of raw files, with Parquet tables beside them that can be made again.

    gatewatch-store.json               what this folder is, and the version of its layout
    raw/<ab>/<sha256>                  raw files, byte for byte, named by their content
    raw/<ab>/<sha256>.json             what is known of each: size, and the name it came under
    tables/<table>/<stage>/<key>.<generation>-<part>.parquet
    commits/<stage>/<key>.json         which of those files count, and facts about the commit
    pending/<stage>.<key>              a commit was begun, and leftovers may lie about

A table file counts only once a commit names it, and a commit is replaced at one instant; so a
reader sees all of a commit or none, and whatever a killed writer leaves is never seen, and is
cleared away by the next one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import msgspec

from gatewatch.archive import durable
from gatewatch.archive.lock import WriterLock
from gatewatch.model.errors import GatewatchError, NotFound
from gatewatch.model.tables import TABLES

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from gatewatch.archive.parts import PartWriter

LAYOUT = 2
"2: exchanges say their transport, and there are findings."
_MARK = "gatewatch-store.json"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_COPY_BYTES = 1 << 20


class RawFile(NamedTuple):
    """One raw file of the store."""

    sha256: str
    bytes: int
    name: str
    "The name it first came under."
    new: bool
    "Was it put in by this call? False in a listing."


class Part(msgspec.Struct, frozen=True):
    """One Parquet file of a commit."""

    file: str
    rows: int


class Commit(msgspec.Struct, frozen=True):
    """What counts of one stage and key."""

    generation: int
    tables: dict[str, list[Part]]
    facts: dict[str, Any]


class _Mark(msgspec.Struct):
    layout: int


class _RawFacts(msgspec.Struct):
    bytes: int
    name: str


class Store:
    """A store in a folder; any number of readers, one writer at a time."""

    def __init__(self, root: Path) -> None:
        """Use `Store.open`, which looks at what is there first."""
        self.root = root
        self._lock = WriterLock(root, prepare=self._clear_leftovers)

    @classmethod
    def open(cls, root: Path, *, create: bool = False) -> Store:
        """Open the store in a folder.

        Args:
            create: make one when the folder is absent or empty.

        Raises:
            GatewatchError: no store is there, or a newer gatewatch made it.
        """
        mark = root / _MARK
        if create and not mark.exists():
            _create(root)
        try:
            layout = msgspec.json.decode(mark.read_bytes(), type=_Mark).layout
        except FileNotFoundError:
            there = "not a gatewatch store" if root.exists() else "no such folder"
            raise GatewatchError(f"{root}: {there}; wanted a folder with {_MARK}") from None
        except (OSError, msgspec.DecodeError) as error:
            raise GatewatchError(f"{mark}: {error}; wanted a JSON object with `layout`") from error
        if layout > LAYOUT:
            raise GatewatchError(
                f"{root}: layout {layout}; this gatewatch reads up to {LAYOUT}, a newer one made it"
            )
        if layout < LAYOUT:
            raise GatewatchError(
                f"{root}: layout {layout}, which an older gatewatch made; its raw files can be read"
                f" again: gatewatch init NEW && gatewatch import {root}/raw --store NEW"
            )
        return cls(root)

    def lock(self) -> AbstractContextManager[None]:
        """Be the one writer. Every method that writes does so by itself for its own duration;
        hold it around many writes to take it once. Processes started meanwhile write under it.

        Raises:
            GatewatchError: another process is writing; its pid is named.
        """
        return self._lock()

    # Raw files.

    def add_raw(self, source: Path | BinaryIO, *, name: str) -> RawFile:
        """Keep the bytes of a file as they are; nothing happens when they are here already.

        Args:
            name: what the file is called where it comes from; the first name is kept.

        Raises:
            OSError: the source cannot be read, or the disk is full.
        """
        with self.lock():
            folder = self.root / "pending"
            temporary = folder / f"raw.{os.getpid()}.tmp"
            if isinstance(source, Path):
                with open(source, "rb", buffering=0) as file:
                    sha256, size = _copy(file, temporary)
            else:
                sha256, size = _copy(source, temporary)
            place = self.raw_path(sha256)
            durable.make_folder(place.parent)
            if place.exists():
                temporary.unlink()
            else:
                durable.sync_file(temporary)
                os.replace(temporary, place)
                durable.sync_folder(place.parent)
            facts = place.with_name(f"{sha256}.json")
            if facts.exists():
                return self._raw_file(facts)
            durable.write(facts, msgspec.json.encode(_RawFacts(size, name)))
            return RawFile(sha256, size, name, True)

    def raw_path(self, sha256: str) -> Path:
        """Where the bytes with this SHA-256, in hex, are or would be."""
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise NotFound(f"{sha256!r} is not a SHA-256 in hex")
        return self.root / "raw" / sha256[:2] / sha256

    def raw_files(self) -> list[RawFile]:
        """Every raw file, sorted by SHA-256."""
        found = sorted((self.root / "raw").glob("[0-9a-f][0-9a-f]/[0-9a-f]*.json"))
        return [self._raw_file(path) for path in found]

    def _raw_file(self, path: Path) -> RawFile:
        facts = msgspec.json.decode(path.read_bytes(), type=_RawFacts)
        return RawFile(path.stem, facts.bytes, facts.name, False)

    # Tables.

    def commit(
        self, stage: str, key: str, tables: dict[str, pa.Table], facts: dict[str, Any]
    ) -> None:
        """Make these tables, and no others, the content of (stage, key), at one instant.

        Args:
            tables: by names of `model.tables.TABLES`.
            facts: whatever the stage wants to know again; plain JSON values.
        """
        with self.writer(stage, key) as writer:
            for name, table in tables.items():
                writer.write(name, table)
            writer.commit(facts)

    @contextmanager
    def writer(self, stage: str, key: str) -> Iterator[PartWriter]:
        """Write the tables of (stage, key) in parts; nothing counts until `commit(facts)`.

        Left without it, by an error or on purpose, everything is as before.
        """
        from gatewatch.archive.parts import PartWriter

        with self.lock():
            writer = PartWriter(self, _checked(stage), _checked(key))
            try:
                yield writer
            finally:
                writer.close()

    def facts(self, stage: str, key: str) -> dict[str, Any] | None:
        """The facts of a commit; None when there is no such commit."""
        commit = self.committed(stage, key)
        return None if commit is None else commit.facts

    def committed(self, stage: str, key: str) -> Commit | None:
        """What counts of (stage, key) now; None when nothing has been committed."""
        path = self.commit_path(stage, key)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Commit)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise GatewatchError(f"{path}: {error}; wanted a commit of this store") from error

    def commit_path(self, stage: str, key: str) -> Path:
        return self.root / "commits" / _checked(stage) / f"{_checked(key)}.json"

    def table_folder(self, table: str, stage: str) -> Path:
        if table not in TABLES:
            raise NotFound(f"no table {table!r}; there are {', '.join(TABLES)}")
        return self.root / "tables" / table / stage

    def stages(self) -> list[str]:
        """Every stage with a commit, sorted."""
        folders = (self.root / "commits").iterdir()
        return sorted(folder.name for folder in folders if self.keys(folder.name))

    def keys(self, stage: str) -> list[str]:
        """Every committed key of a stage, sorted."""
        folder = self.root / "commits" / stage
        return sorted(p.stem for p in folder.glob("*.json") if not p.name.startswith("."))

    def read(self, stage: str, key: str, table: str) -> pa.Table:
        """One table of a commit; without rows when it has none there.

        Raises:
            NotFound: (stage, key) was never committed.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        from gatewatch.archive.arrow import schema_of

        folder = self.table_folder(table, stage)
        schema = schema_of(TABLES[table].noun)
        seen: Commit | None = None
        while True:
            commit = self.committed(stage, key)
            if commit is None:
                raise NotFound(f"{self.root} has nothing committed for {stage} {key}")
            names = [part.file for part in commit.tables.get(table, [])]
            try:
                # Not `read_table`, to which a `=` in the path would be another column.
                parts = [pq.ParquetFile(folder / name).read() for name in names]
                # Parquet adds its field ids to the metadata; the schema is ours again after this.
                parts = [pa.Table.from_arrays(part.columns, schema=schema) for part in parts]
                return pa.concat_tables(parts) if parts else schema.empty_table()
            except FileNotFoundError:
                # Replaced between the two readings: the newer commit is whole. If it is the
                # same one that lacks its file, the store is damaged.
                if seen == commit:
                    raise
                seen = commit

    def files(self, table: str) -> list[Path]:
        """The committed Parquet files of a table, over all stages, in a fixed order."""
        return [
            self.table_folder(table, stage) / part.file
            for stage in self.stages()
            for key in self.keys(stage)
            if (commit := self.committed(stage, key)) is not None
            for part in commit.tables.get(table, [])
        ]

    def database(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with one view a table over what is committed now, in UTC.

        A measurement whose bytes were imported more than once counts once, everywhere.
        """
        from gatewatch.archive.views import connect

        return connect(self)

    def logical_digest(self) -> str:
        """SHA-256, in hex, of what the store holds: raw files, and the rows that its views show.

        Independent of file names, of how raw files are grouped into commits, of row groups, of
        the order of imports and of rows, and of times.
        """
        from gatewatch.archive.parts import rows_digest

        whole = hashlib.sha256()
        for raw in self.raw_files():
            whole.update(f"raw {raw.sha256} {raw.bytes}\n".encode())
        database = self.database()
        for table in TABLES:
            rows = database.execute(f"SELECT * FROM {table}").to_arrow_reader(4096)
            whole.update(f"{table} {rows_digest(rows)}\n".encode())
        return whole.hexdigest()

    def _clear_leftovers(self) -> None:
        """Remove what killed writers began and what later commits have replaced."""
        pending = sorted((self.root / "pending").iterdir())
        begun = {tuple(p.name.split(".")) for p in pending if p.suffix != ".tmp"}
        for folder in (self.root / "tables").glob("*/*") if begun else ():
            counted: dict[str, set[str]] = {}
            for key in (key for stage, key in begun if stage == folder.name):
                commit = self.committed(folder.name, key)
                parts = commit.tables.get(folder.parent.name, []) if commit else []
                counted[key] = {part.file for part in parts}
            for path in folder.iterdir() if counted else ():
                key = path.name.split(".")[0]
                if key in counted and path.name not in counted[key]:
                    path.unlink()
        for path in pending:
            path.unlink()


def _create(root: Path) -> None:
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        begun = root.is_dir() and {p.name for p in root.iterdir()} <= _FIRST_NAMES
        if not begun:
            raise GatewatchError(f"{root}: there is something else here; wanted an empty folder")
    for name in ("raw", "tables", "commits", "pending"):
        durable.make_folder(root / name)
    durable.write(root / _MARK, msgspec.json.encode(_Mark(LAYOUT)))


_FIRST_NAMES = {"raw", "tables", "commits", "pending", f".{_MARK}.tmp"}
"""What a killed creation may leave, and the next one takes over."""


def _copy(source: Any, target: Path) -> tuple[str, int]:
    """Copy a stream to a file; its SHA-256 and size."""
    digest, size = hashlib.sha256(), 0
    with open(target, "wb") as file:
        while data := source.read(_COPY_BYTES):
            digest.update(data)
            size += len(data)
            file.write(data)
    return digest.hexdigest(), size


def _checked(name: str) -> str:
    assert _NAME.fullmatch(name), f"{name!r} cannot name a stage or key"
    return name
