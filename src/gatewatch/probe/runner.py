"""Many measurements: some at a time, so many a second, within a budget, and interruptible.

Two inputs of one host are never measured at the same time: what a censor does to one of them
would show in the other.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from gatewatch.probe.ooni import Json


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement to make."""

    test: str
    input: str | None

    @property
    def host(self) -> str:
        """What it bears on; tests without an input bear on themselves."""
        try:
            host = urlsplit(self.input or "").hostname
        except ValueError:
            host = None
        return host or self.input or self.test


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How hard a run may work."""

    parallel: int = 16
    "Measurements at a time."
    rate: float = 5.0
    "Measurements begun in a second, at most."
    budget_s: float | None = None
    "After so long nothing more is begun."
    job_s: float = 1200.0
    """What one measurement may take before it is given up. Our choice: what its experiments may
    take (`Patience.experiment_s`), and as much as the rest ever does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One job has ended."""

    job: Job
    measurement: Json | None
    failure: str | None
    "Why there is no measurement; a fault of ours."


class Interrupted(Exception):
    """The run was told to stop; what had been finished was handed over."""


async def run_jobs(
    jobs: Sequence[Job],
    measure: Callable[[Job], Awaitable[Json]],
    done: Callable[[Done], None],
    *,
    limits: Limits,
    stop: asyncio.Event | None = None,
) -> int:
    """Measure every job; `done` is told of each as it ends.

    Args:
        stop: when set, nothing more is begun, and what is going on is cancelled.

    Returns:
        How many were begun.
    """
    loop = asyncio.get_running_loop()
    began_at, begun = loop.time(), 0
    waiting = list(jobs)
    going: dict[asyncio.Task[Json], Job] = {}
    stopping = asyncio.ensure_future((stop or asyncio.Event()).wait())
    next_start = began_at
    try:
        while waiting or going:
            spent = loop.time() - began_at
            if limits.budget_s is not None and spent >= limits.budget_s:
                waiting.clear()
            busy = {job.host for job in going.values()}
            at = next((n for n, job in enumerate(waiting) if job.host not in busy), None)
            free = at is not None and len(going) < limits.parallel
            if at is not None and free and loop.time() >= next_start:
                job = waiting.pop(at)
                task = asyncio.ensure_future(_within(measure(job), limits.job_s))
                going[task] = job
                begun += 1
                next_start = max(loop.time(), next_start + 1.0 / limits.rate)
                continue
            if not going and not free:
                break
            pause = max(next_start - loop.time(), 0.0) if free else None
            ended, _ = await asyncio.wait(
                {*going, stopping}, timeout=pause, return_when=asyncio.FIRST_COMPLETED
            )
            if stopping in ended:
                raise Interrupted
            for task in [one for one in going if one in ended]:
                _tell(going.pop(task), task, done)
    finally:
        stopping.cancel()
        await _give_up(going, done)
    return begun


def run_now(
    jobs: Sequence[Job],
    measure: Callable[[Job], Awaitable[Json]],
    done: Callable[[Done], None],
    *,
    limits: Limits,
) -> bool:
    """`run_jobs`, to its end or to an interruption by a signal; whether it was interrupted.

    The first SIGINT or SIGTERM ends the run in good order; a second one ends the program.
    """

    async def go() -> bool:
        stop = asyncio.Event()
        with _interrupts(stop.set):
            try:
                await run_jobs(jobs, measure, done, limits=limits, stop=stop)
            except Interrupted:
                return True
        return False

    return asyncio.run(go())


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def once(number: int) -> None:
        stop()
        loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, once, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _within(measuring: Awaitable[Json], seconds: float) -> Json:
    async with asyncio.timeout(seconds):
        return await measuring


async def _give_up(going: dict[asyncio.Task[Json], Job], done: Callable[[Done], None]) -> None:
    """Cancel what is going on; what comes home all the same is kept."""
    for task in going:
        task.cancel()
    if going:
        await asyncio.wait(going)
    for task, job in list(going.items()):
        del going[task]
        if not task.cancelled():
            _tell(job, task, done)


def _tell(job: Job, task: asyncio.Task[Json], done: Callable[[Done], None]) -> None:
    error = task.exception()
    if error is None:
        done(Done(job=job, measurement=task.result(), failure=None))
        return
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    words = (
        "took too long" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
    )
    done(Done(job=job, measurement=None, failure=words))
