"""How far a long command is: a live line on a terminal, else a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from gatewatch.cli.clean import clean
from gatewatch.cli.session import ProgressStyle

PLAIN_EVERY_S = 10.0
LIVE_EVERY_S = 0.1


class Progress(Protocol):
    """What a stage tells of itself, as `flow.Progress` does."""

    @property
    def stage(self) -> str: ...
    @property
    def done_bytes(self) -> int: ...
    @property
    def total_bytes(self) -> int | None: ...
    @property
    def records(self) -> int: ...
    @property
    def set_aside(self) -> int: ...


@runtime_checkable
class Counted(Protocol):
    """What a stage tells of itself that counts pieces, as `flow.Counted` does."""

    @property
    def stage(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def words(self) -> str: ...


Meter = Callable[[Progress | Counted], None]


@contextmanager
def meter(style: ProgressStyle) -> Iterator[Meter]:
    """A function to hand progress to; what it writes goes to standard error."""
    if style is ProgressStyle.NONE:
        yield _ignore
    elif style is ProgressStyle.AUTO and sys.stderr.isatty():
        yield from _live()
    else:
        yield _plain(time.monotonic)


def _ignore(progress: Progress | Counted) -> None:
    return None


def _plain(clock: Callable[[], float]) -> Meter:
    started = last = clock()

    def tell(progress: Progress | Counted) -> None:
        nonlocal last
        now = clock()
        if now - last >= PLAIN_EVERY_S:
            last = now
            print(clean(line(progress, now - started)), file=sys.stderr, flush=True)

    return tell


def _live() -> Iterator[Meter]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24))
    started = time.monotonic()
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    with bar:
        tasks: dict[str, TaskID] = {}
        shown = 0.0

        def tell(progress: Progress | Counted) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown < LIVE_EVERY_S and progress.stage in tasks:
                return
            shown = now
            if progress.stage not in tasks:
                tasks[progress.stage] = bar.add_task(progress.stage, total=None)
            told: dict[str, Any] = {"description": clean(line(progress, now - started))}
            done, total = _share(progress)
            if total:
                told["total"] = total
            bar.update(tasks[progress.stage], completed=done, **told)

        yield tell


def _share(progress: Progress | Counted) -> tuple[int, int | None]:
    """How much is done, and of how much."""
    if isinstance(progress, Counted):
        return progress.done, progress.total
    return progress.done_bytes, progress.total_bytes


def line(progress: Progress | Counted, elapsed_s: float) -> str:
    """Progress in one line: done and total, rate, time left, records and faults.

    >>> from types import SimpleNamespace as Told
    >>> line(Told(stage="judge", done_bytes=5_000_000, total_bytes=20_000_000, records=1200,
    ...           set_aside=2), 10.0)
    'judge 5.0 of 20.0 MB (25 %), 0.5 MB/s, 1,200 records (120/s), 30 s left, 2 set aside'
    """
    if isinstance(progress, Counted):
        return f"{progress.stage} {progress.done} of {progress.total}: {progress.words}"
    done, total = progress.done_bytes, progress.total_bytes
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    parts = [f"{progress.stage} {done / 1e6:.1f} MB"]
    if total:
        parts = [f"{progress.stage} {done / 1e6:.1f} of {total / 1e6:.1f} MB ({done / total:.0%})"]
        parts[0] = parts[0].replace("%", " %")
    parts.append(f"{rate / 1e6:.1f} MB/s")
    per_s = progress.records / elapsed_s if elapsed_s > 0 else 0.0
    parts.append(f"{progress.records:,} records ({per_s:,.0f}/s)")
    if total and rate > 0 and done < total:
        parts.append(f"{_time((total - done) / rate)} left")
    if progress.set_aside:
        parts.append(f"{progress.set_aside:,} set aside")
    return ", ".join(parts)


def _time(seconds: float) -> str:
    """Seconds in the units people wait in.

    >>> _time(30), _time(150), _time(7300)
    ('30 s', '2 min 30 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
