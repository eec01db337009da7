"""How far a run has come, told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Progress(msgspec.Struct, frozen=True):
    stage: str
    done_bytes: int
    total_bytes: int | None
    records: int
    set_aside: int


class Counted(msgspec.Struct, frozen=True):
    """Progress of what is counted in pieces, not in bytes."""

    stage: str
    done: int
    total: int
    words: str
    "What happened last."


ProgressTo = Callable[[Progress | Counted], None]


def silent(progress: Progress | Counted) -> None:
    """Nobody is watching."""
    del progress
