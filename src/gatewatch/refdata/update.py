"""Fetch newer reference data, check the whole of it, and put it in force set by set.

A set that cannot be had or is not sound leaves the old one in force and is reported; the rest goes
on. Nothing is deleted: earlier snapshots stay, so that a past day can be judged by what was then
known.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import partial
from pathlib import Path

import msgspec

from gatewatch.model.errors import GatewatchError, NotFound
from gatewatch.refdata.fetch import fetch as fetch_address
from gatewatch.refdata.nouns import Dataset
from gatewatch.refdata.recipes import RECIPES, Made
from gatewatch.refdata.store import (
    EMBEDDED,
    DamagedData,
    Entry,
    Snapshot,
    digest_of,
    embedded,
    history_of,
    install,
    only_writer,
)
from gatewatch.refdata.suffixes import bundled

ASIDE_SHARE_MAX = 0.05
"Our choice: with more than one row in twenty unsound, the file is taken to be broken."
SHRINK_SHARE_MIN = 0.5
"Our choice: a set half as long as the one in force is taken to be cut off."


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a dataset comes from."""

    address: str
    licence: str
    attribution: str
    rows_min: int
    note: str = ""


class UpdateResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one dataset."""

    dataset: str
    state: str
    "`updated`, `unchanged`, or `failed`: then the old one is still in force."
    words: str
    old: Dataset | None
    "In force before; None when there was none."
    new: Dataset | None
    "In force now."
    set_aside: list[str]
    "Rows of the file that were left out, and why."


def read_sources(path: Path = EMBEDDED / "sources.toml") -> dict[str, Source]:
    """The sources in a file of the form of `data/sources.toml`, by dataset.

    Raises:
        GatewatchError: when it is not of that form, or names a dataset there is no recipe for.
    """
    try:
        sources = msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, Source])
    except (OSError, ValueError) as error:
        raise GatewatchError(f"{path}: {error}; wanted [dataset] tables of sources") from error
    _known(sources)
    return sources


def update(
    directory: Path,
    sources: dict[str, str] | None = None,
    *,
    fetch: Callable[[str], bytes] | None = None,
    now: datetime,
    progress: Callable[[str], None] = lambda words: None,
    only: Iterable[str] | None = None,
) -> list[UpdateResult]:
    """Bring the datasets in `directory` up to date.

    Args:
        directory: made when it is not there; what `snapshot.load` is given.
        sources: dataset → address, in place of the address in `data/sources.toml`.
        fetch: gets the bytes at one https or file address; the network by default.
        now: dates sets that do not date themselves.
        progress: told in words what is being done.
        only: datasets to bring up to date; all by default.

    Returns:
        One result for each dataset, in the order of `data/sources.toml`.

    Raises:
        NotFound: when `sources` or `only` names a dataset there is none of.
        GatewatchError: when another update of the directory is under way.
    """
    configured = read_sources()
    addresses = {name: source.address for name, source in configured.items()} | (sources or {})
    wanted = list(configured) if only is None else list(only)
    _known([*addresses, *wanted])
    results: list[UpdateResult] = []
    with only_writer(directory):
        for name in configured:
            if name not in wanted:
                continue
            source = msgspec.structs.replace(configured[name], address=addresses[name])
            old = _sound(directory, name)
            progress(f"{name}: fetching {source.address}")
            try:
                result = _update_one(directory, name, source, old, fetch, now.date())
            except GatewatchError as error:
                result = _result(name, "failed", str(error), old, old, [])
            progress(f"{name}: {result.state}: {result.words}")
            results.append(result)
    return results


def in_force(directory: Path, name: str) -> Snapshot | None:
    """The snapshot of a dataset that holds now: the one installed, else the one in the package."""
    history = history_of(directory, name)
    if history:
        return history[-1]
    return bundled() if name == "suffixes" else embedded().get(name)


def _sound(directory: Path, name: str) -> Snapshot | None:
    """What is in force, if its files are whole; None otherwise, so that it is fetched anew."""
    try:
        snapshot = in_force(directory, name)
        if snapshot is not None:
            for file in snapshot.files:
                snapshot.read(file)
    except DamagedData:
        return None
    return snapshot


def _update_one(
    directory: Path,
    name: str,
    source: Source,
    old: Snapshot | None,
    fetch: Callable[[str], bytes] | None,
    today: date,
) -> UpdateResult:
    result = partial(_result, name, old=old)
    fetched = fetch_address(source.address, fetch)
    made = RECIPES[name](fetched.content, fetched.address)
    fault = _fault_of(made, source, old)
    if fault is not None:
        return result("failed", f"{fetched.address}: {fault}", new=old, aside=made.set_aside)
    entry = Entry(
        name=name,
        date=made.date or today,
        source=fetched.address,
        licence=source.licence,
        attribution=source.attribution,
        note="; ".join(filter(None, (made.note, source.note))),
        rows=made.rows,
        files={},
    )
    new = install(directory, entry, made.files) if _differs(made, old) else old
    assert new is not None
    words = f"{new.dataset.rows} rows of {new.dataset.date}"
    state = "unchanged" if new is old else "updated"
    return result(state, words, new=new, aside=made.set_aside)


def _fault_of(made: Made, source: Source, old: Snapshot | None) -> str | None:
    """Why what was fetched is not put in force; None when it is sound."""
    aside = len(made.set_aside)
    if aside > ASIDE_SHARE_MAX * (made.rows + aside):
        return f"{aside} of {made.rows + aside} rows are unsound, first: {made.set_aside[0]}"
    if made.rows < source.rows_min:
        return f"holds {made.rows} rows; wanted at least {source.rows_min}"
    if old is not None and made.rows < SHRINK_SHARE_MIN * old.dataset.rows:
        return f"holds {made.rows} rows, and what is in force {old.dataset.rows}"
    return None


def _differs(made: Made, old: Snapshot | None) -> bool:
    if old is None:
        return True
    # The files in the package lie in a folder of the dataset's name; those installed do not.
    before = {name.rpartition("/")[2]: digest for name, digest in old.files.items()}
    now = {name: hashlib.sha256(content).hexdigest() for name, content in made.files.items()}
    return digest_of(before) != digest_of(now)


def _result(
    name: str, state: str, words: str, old: Snapshot | None, new: Snapshot | None, aside: list[str]
) -> UpdateResult:
    return UpdateResult(
        dataset=name,
        state=state,
        words=words,
        old=old.dataset if old else None,
        new=new.dataset if new else None,
        set_aside=aside,
    )


def _known(names: Iterable[str]) -> None:
    for name in names:
        if name not in RECIPES:
            raise NotFound(f"no dataset {name!r} to update; there are: {', '.join(RECIPES)}")
