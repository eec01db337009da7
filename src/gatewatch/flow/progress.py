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


ProgressTo = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Nobody is watching."""
    del progress
