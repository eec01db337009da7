"""An event loop whose time is the sum of the waits: hours of them pass in no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class _Hourglass(selectors.DefaultSelector):
    """Where nothing is to be heard, waiting is all that a wait does."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("everybody waits, and nothing is to come")
        if not ready and timeout:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._hourglass = _Hourglass()
        super().__init__(self._hourglass)

    def time(self) -> float:
        return self._hourglass.now


def run(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` comes to, in time that passes as soon as all wait."""

    async def call() -> Any:
        return await work()

    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(call())


def now() -> float:
    return asyncio.get_running_loop().time()
