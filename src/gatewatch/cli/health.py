"""Is everything fit to work? Each check says what it found and what to do about it."""

from __future__ import annotations

import datetime as dt
import platform
import shutil
import sys
from collections.abc import Callable, Iterable
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gatewatch.model.errors import GatewatchError

if TYPE_CHECKING:
    from gatewatch.archive.store import Store

LIBRARIES = ("duckdb", "hyperscan", "isal", "msgspec", "numpy", "pyarrow", "scipy", "zstandard")
REFDATA_OLD_DAYS = 180
"Our choice: networks change hands slowly, block pages faster; half a year misleads."
DISK_LOW_BYTES = 2 << 30
"Our choice: room for a day of one large country's raw files and its tables."
HASHED_BYTES = 64 << 20
"Raw files are read again up to so many bytes, so that the check ends within a second."


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    level: str
    "`ok`, `warn` or `fail`."
    check: str
    found: str
    remedy: str = ""


def examine(store: Path, *, now: dt.datetime) -> list[Finding]:
    """Every check, in a fixed order. A check that breaks is a finding and stops no other."""
    checks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("python", _python),
        ("libraries", _libraries),
        ("reference data", lambda: _refdata(now)),
        ("store", lambda: _store(store)),
        ("disk", lambda: _disk(store)),
        ("clock", lambda: _clock(store, now)),
        ("lab", _lab),
    )
    found: list[Finding] = []
    for name, check in checks:
        try:
            found += check()
        except (GatewatchError, OSError) as error:
            found.append(Finding(level="fail", check=name, found=str(error)))
    return found


def _python() -> Iterable[Finding]:
    fit = sys.version_info >= (3, 11)
    yield Finding(
        level="ok" if fit else "fail",
        check="python",
        found=f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        remedy="" if fit else "install Python 3.11 or newer",
    )


def _libraries() -> Iterable[Finding]:
    missing: list[str] = []
    present: list[str] = []
    for name in LIBRARIES:
        try:
            present.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        remedy = "install gatewatch again with its dependencies"
        words = "missing: " + ", ".join(missing)
        yield Finding(level="fail", check="libraries", found=words, remedy=remedy)
    else:
        yield Finding(level="ok", check="libraries", found=", ".join(present))


def _refdata(now: dt.datetime) -> Iterable[Finding]:
    from gatewatch.cli.session import refdata_directory
    from gatewatch.refdata.snapshot import load

    refdata = load(refdata_directory())
    datasets = refdata.datasets()
    whole = f"version {refdata.version}, {len(datasets)} sets"
    yield Finding(level="ok", check="reference data", found=whole)
    for dataset in datasets:
        age = (now.date() - dataset.date).days
        old = age > REFDATA_OLD_DAYS and dataset.name in ("networks", "countries", "fingerprints")
        if old:
            yield Finding(
                level="warn",
                check=f"reference data: {dataset.name}",
                found=f"of {dataset.date}, {age} days old",
                remedy="gatewatch refdata update, then gatewatch analyze",
            )
    refdata.asn_of("192.0.2.1")
    refdata.network_name(64496)
    refdata.fingerprints()
    yield Finding(level="ok", check="reference data: hashes", found="what was read is sound")


def _store(root: Path) -> Iterable[Finding]:
    from gatewatch.archive.store import Store

    if not root.exists():
        remedy = "gatewatch init, or gatewatch import FILE"
        yield Finding(level="warn", check="store", found=f"{root}: none yet", remedy=remedy)
        return
    store = Store.open(root)
    files = store.raw_files()
    wrong: list[str] = []
    hashed = left = 0
    for file in files:
        path = store.raw_path(file.sha256)
        if not path.exists() or path.stat().st_size != file.bytes:
            wrong.append(file.sha256)
        elif left + file.bytes <= HASHED_BYTES:
            left += file.bytes
            hashed += 1
            if sha256(path.read_bytes()).hexdigest() != file.sha256:
                wrong.append(file.sha256)
    yield Finding(
        level="fail" if wrong else "ok",
        check="store: raw files",
        found=f"{len(wrong)} of {len(files)} missing or changed: {wrong[0]}"
        if wrong
        else f"{len(files)} present, {hashed} hashed",
        remedy="import the originals again" if wrong else "",
    )
    yield from _tables(store)


def _tables(store: Store) -> Iterable[Finding]:
    connection = store.database()
    rows = connection.execute(
        """select (select count(*) from measurements),
  (select count(*) from measurements anti join verdicts using (record_id)),
  (select count(*) from verdicts anti join measurements using (record_id)),
  (select count(*) from cells)"""
    ).fetchone()
    assert rows is not None, "a query without groups has one row"
    measurements, unjudged, orphans, cells = rows
    faults = [
        words
        for words, bad in (
            (f"{unjudged:,} measurements without a verdict", unjudged),
            (f"{orphans:,} verdicts without a measurement", orphans),
            ("no cells", measurements and not cells),
        )
        if bad
    ]
    yield Finding(
        level="warn" if faults else "ok",
        check="store: tables",
        found="; ".join(faults) or f"{measurements:,} measurements, each with its verdict",
        remedy="gatewatch analyze" if faults else "",
    )


def _disk(root: Path) -> Iterable[Finding]:
    place = next(path for path in (root, *root.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    low = free < DISK_LOW_BYTES
    yield Finding(
        level="warn" if low else "ok",
        check="disk",
        found=f"{free / 1e9:,.1f} GB free at {place}",
        remedy="free some space, or set GATEWATCH_STORE elsewhere" if low else "",
    )


def _clock(root: Path, now: dt.datetime) -> Iterable[Finding]:
    """The clock is wrong for sure when data was received after now."""
    newest = None
    if root.exists():
        from gatewatch.archive.store import Store

        query = "select max(received_at) from measurements"
        (newest,) = Store.open(root).database().execute(query).fetchone() or (None,)
    ahead = newest is not None and newest > now.replace(tzinfo=None)
    yield Finding(
        level="warn" if ahead else "ok",
        check="clock",
        found=f"{now:%Y-%m-%d %H:%M} UTC"
        + (f", yet data was received at {newest:%Y-%m-%d %H:%M}" if ahead else ""),
        remedy="set this machine's clock" if ahead else "",
    )


def _lab() -> Iterable[Finding]:
    from gatewatch.lab.trial import why_not

    lacking = why_not()
    yield Finding(
        level="warn" if lacking else "ok",
        check="lab",
        found=lacking or "namespaces and packets: the full lab runs here",
        remedy="only the reduced lab runs; be root, or open user namespaces and /dev/net/tun"
        if lacking
        else "",
    )
