"""Snapshots on disk: found, verified, installed so that a kill leaves the old one in force.

    <directory>/<dataset>/current                   names the snapshot in force
    <directory>/<dataset>/<date>-<sha8>/MANIFEST.json, files…

The snapshot in the package has one MANIFEST.json for all its datasets. What files contain is for
the readers of each dataset to say.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TypeVar

import msgspec

from gatewatch.model.errors import GatewatchError
from gatewatch.refdata.nouns import Dataset

EMBEDDED = Path(__file__).parent / "data"
MANIFEST = "MANIFEST.json"
POINTER = "current"
UNFINISHED = ".new-"

T = TypeVar("T")


class DamagedData(GatewatchError):
    """Reference data on disk that is not what its manifest says."""

    def __init__(self, where: Path | str, *, got: str, want: str) -> None:
        super().__init__(f"{where}: {got}; wanted {want}")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset as a manifest tells it."""

    name: str
    date: date
    source: str
    licence: str
    attribution: str = ""
    note: str = ""
    rows: int
    files: dict[str, str]
    "File name, relative to the manifest → SHA-256, hex."


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One dataset of one date, where it lies."""

    dataset: Dataset
    directory: Path
    files: dict[str, str]

    def read(self, name: str) -> bytes:
        """The content of a file of this dataset.

        Raises:
            DamagedData: when it is missing or is not the file the manifest was made for.
        """
        path = self.directory / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DamagedData(path, got=f"unreadable ({error})", want="a readable file") from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.files.get(name):
            raise DamagedData(
                path, got=f"SHA-256 {digest}", want=f"{self.files.get(name)}, as {MANIFEST} says"
            )
        return content


def digest_of(files: dict[str, str]) -> str:
    """SHA-256 of a set of files, from the SHA-256 of each.

    >>> digest_of({"a": "00"}) == hashlib.sha256(b"00  a\\n").hexdigest()
    True
    """
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def snapshot_of(entry: Entry, directory: Path, origin: str) -> Snapshot:
    """What a manifest's entry says lies in `directory`."""
    dataset = Dataset(
        name=entry.name,
        date=entry.date,
        source=entry.source,
        licence=entry.licence,
        attribution=entry.attribution,
        note=entry.note,
        sha256=digest_of(entry.files),
        rows=entry.rows,
        origin=origin,
    )
    return Snapshot(dataset=dataset, directory=directory, files=entry.files)


def embedded(directory: Path = EMBEDDED) -> dict[str, Snapshot]:
    """The snapshot in the package, by dataset.

    Raises:
        DamagedData: when its manifest cannot be read.
    """
    entries = _read_manifest(directory / MANIFEST, list[Entry])
    return {entry.name: snapshot_of(entry, directory, "embedded") for entry in entries}


def installed(directory: Path) -> dict[str, list[Snapshot]]:
    """Every snapshot installed in `directory`, oldest first, by dataset; the last is in force.

    Raises:
        DamagedData: when a pointer or a manifest cannot be followed.
    """
    found: dict[str, list[Snapshot]] = {}
    for pointer in sorted(directory.glob(f"*/{POINTER}")):
        found[pointer.parent.name] = history_of(directory, pointer.parent.name)
    return found


def history_of(directory: Path, name: str) -> list[Snapshot]:
    """Every snapshot of one dataset, oldest first; the last is in force.

    Raises:
        DamagedData: when its pointer or a manifest cannot be followed.
    """
    home = directory / name
    pointer = home / POINTER
    if not pointer.is_file():
        return []
    chosen = pointer.read_text(encoding="utf-8", errors="replace").strip()
    if not chosen or "/" in chosen or not (home / chosen / MANIFEST).is_file():
        raise DamagedData(pointer, got=repr(chosen[:80]), want="the name of a snapshot here")
    history = [_installed_one(path.parent) for path in home.glob(f"[!.]*/{MANIFEST}")]
    history.sort(key=lambda one: (one.directory.name == chosen, one.dataset.date))
    return history


def install(directory: Path, entry: Entry, contents: dict[str, bytes]) -> Snapshot:
    """Put a snapshot in force: write beside, rename, then move the pointer.

    Args:
        entry: its `files` are filled in here from `contents`.
        contents: file name → content.
    """
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    entry = msgspec.structs.replace(entry, files=files)
    home = directory / entry.name
    home.mkdir(parents=True, exist_ok=True)
    final = home / f"{entry.date}-{digest_of(files)[:8]}"
    fresh = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=home))
    try:
        for name, content in contents.items():
            _write(fresh / name, content)
        _write(fresh / MANIFEST, msgspec.json.format(msgspec.json.encode(entry)))
        if final.exists():
            # The same bytes were installed before; what lies there may have been damaged since.
            final.rename(fresh / "replaced")
        fresh.rename(final)
        shutil.rmtree(final / "replaced", ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _sync(home)
    _point(home, final.name)
    return snapshot_of(entry, final, "updated")


@contextmanager
def only_writer(directory: Path) -> Iterator[None]:
    """Hold `directory` for one update at a time, and clear what a killed one left.

    Raises:
        GatewatchError: when another update is under way.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise GatewatchError(f"{directory}: another update is under way") from error
        for leftover in directory.glob(f"*/{UNFINISHED}*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        yield


def _point(home: Path, name: str) -> None:
    beside = home / f"{UNFINISHED}pointer"
    _write(beside, name.encode() + b"\n")
    beside.replace(home / POINTER)
    _sync(home)


def _installed_one(directory: Path) -> Snapshot:
    return snapshot_of(_read_manifest(directory / MANIFEST, Entry), directory, "updated")


def _read_manifest(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise DamagedData(path, got=str(error), want="a readable manifest") from error


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
