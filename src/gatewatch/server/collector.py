"""Takes in measurements: many at once, on the disk before any of them is acknowledged.

Whoever submits while the disk is busy shares the next write, so that fifty clients cost one wait
and not fifty. All work on the segments is done by one thread, off the loop that serves.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TypeVar

import msgspec

from gatewatch.archive.incoming import Incoming, Kept, Submission, Taken
from gatewatch.archive.store import Store
from gatewatch.model.errors import GatewatchError
from gatewatch.server.bodies import Refused

T = TypeVar("T")

BATCH_BYTES = 32 << 20
"Written with one sync; our choice."
BATCH_COUNT = 1_000
WAIT_S = 0.005
"""That a write waits for company. Our choice: a client that submits alone does not notice, and the
answers of the last write have time to bring the next submissions."""
SEAL_S = 300.0
"A segment is handed to the store when it is so old, seconds; our choice."
RETRY_S = 5.0
"Between tries to hand over while another process writes to the store."
TAKE_S = 3.0
"How long is waited for another process, such as an import, that has hold for a moment."


class CollectorLimits(msgspec.Struct, frozen=True, kw_only=True):
    queued_bytes: int = 128 << 20
    "Measurements that wait for the disk; beyond, clients are told to come again."
    free_bytes: int = 1 << 30
    "Room on the disk below which nothing more is taken."
    seal_s: float = SEAL_S


class Collector:
    """The one that keeps what is submitted to a store. Use it in `async with`."""

    def __init__(
        self,
        store: Store,
        *,
        limits: CollectorLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store, self._limits, self._now = store, limits or CollectorLimits(), now
        self.counts: Counter[str] = Counter()
        "What became of the submissions since the start."
        self._queue: list[tuple[Submission, asyncio.Future[Kept]]] = []
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="incoming")
        self._mover = ThreadPoolExecutor(1, thread_name_prefix="mover")
        self._full = self._stopping = False
        self.trouble: str | None = None
        "Why the disk does not take anything; None while it does."
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Collector:
        self._incoming = await self._open()
        self.counts["found after a crash"] = self._incoming.found
        self._look_at_disk()
        self._tasks = [
            asyncio.create_task(self._write_for_ever()),
            asyncio.create_task(self._seal_for_ever()),
        ]
        return self

    async def _open(self) -> Incoming:
        until = monotonic() + TAKE_S
        while True:
            try:
                return await self._by_the_thread(Incoming, self.store)
            except Taken:
                if monotonic() > until:
                    raise
            await asyncio.sleep(0.1)

    async def __aexit__(self, *_: object) -> None:
        """What was taken in is written, sealed, and handed over if nobody else is writing."""
        writing, sealing = self._tasks
        sealing.cancel()
        self._stopping = True
        self._wake.set()
        await asyncio.wait([writing, sealing])
        await self._by_the_thread(self._incoming.close, self._now())
        await self._hand_over()
        self._thread.shutdown()
        self._mover.shutdown()

    async def died(self) -> None:
        """Returns, or raises, when this cannot work any more; for whoever runs it to end too."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def keep(self, submission: Submission) -> Kept:
        """Keep a measurement; it is on the disk when this returns.

        Raises:
            Refused: 503, the disk does not take it now.
        """
        size = len(submission.content)
        if self._full:
            raise Refused(503, "the disk is nearly full; come again later", wait_s=600)
        if self._queued_bytes + size > self._limits.queued_bytes and self._queue:
            raise Refused(503, "too much is waiting for the disk; come again", wait_s=5)
        future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._queue.append((submission, future))
        self._queued_bytes += size
        self._wake.set()
        kept = await future
        self.counts["kept" if kept.new else "kept before"] += 1
        return kept

    async def _write_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            if not self._queue:
                if self._stopping:
                    return
                self._wake.clear()
                continue
            await asyncio.sleep(WAIT_S)
            batch = self._next_batch()
            try:
                kept = await self._by_the_thread(
                    self._incoming.append, [one for one, _ in batch], self._now()
                )
            except OSError as error:
                self._failed(error, batch)
            else:
                self.trouble = None
                for (_, future), one in zip(batch, kept, strict=True):
                    if not future.done():
                        future.set_result(one)

    def _next_batch(self) -> list[tuple[Submission, asyncio.Future[Kept]]]:
        size = count = 0
        for submission, _ in self._queue[:BATCH_COUNT]:
            size += len(submission.content)
            count += 1
            if size >= BATCH_BYTES:
                break
        batch, self._queue = self._queue[:count], self._queue[count:]
        self._queued_bytes -= size
        return batch

    def _failed(
        self, error: OSError, batch: Sequence[tuple[Submission, asyncio.Future[Kept]]]
    ) -> None:
        why = error.strerror or str(error)
        if self.trouble != why:
            print(f"gatewatch: submissions cannot be written: {why}", file=sys.stderr, flush=True)
        self.trouble = why
        for _, future in batch:
            if not future.done():
                future.set_exception(
                    Refused(503, "the measurement could not be stored; come again", wait_s=60)
                )

    async def _seal_for_ever(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._limits.seal_s))
            self._look_at_disk()
            waiting = self._incoming.waiting
            age = self._now() - waiting[1] if waiting else timedelta()
            if waiting and age.total_seconds() >= self._limits.seal_s:
                try:
                    await self._by_the_thread(self._incoming.seal, self._now())
                except OSError as error:
                    self.trouble = error.strerror or str(error)
            if not await self._hand_over():
                await asyncio.sleep(RETRY_S)

    async def _hand_over(self) -> bool:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._mover, self._incoming.hand_over)
        except (GatewatchError, OSError):
            return False  # they stay where they are, and the next writer of the store takes them
        return True

    def _look_at_disk(self) -> None:
        self._full = shutil.disk_usage(self.store.root).free < self._limits.free_bytes

    # What was kept.

    async def line_of(self, uid: str) -> bytes:
        """As `Incoming.line_of`."""
        return await self._by_the_thread(self._incoming.line_of, uid)

    async def times_measured(self, asked: Sequence[tuple[str, str]]) -> list[int]:
        """As `Incoming.counts`, up to now."""
        return await self._by_the_thread(self._incoming.counts, asked, self._now())

    @property
    def records(self) -> int:
        """How many measurements were ever kept here."""
        return self._incoming.records

    async def _by_the_thread(self, work: Callable[..., T], *given: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)
