"""One writer at a time, by the system's own file lock: it goes with the process that held it.

A writer may have helpers, processes that it started: while it holds the lock, they write for it.
A helper that outlives its writer is waited for, so that nothing is cleared away under its hands.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gatewatch.model.errors import GatewatchError


class WriterLock:
    """The lock of one store; entered again by its holder, it changes nothing."""

    def __init__(self, root: Path, *, prepare: Callable[[], None]) -> None:
        """
        Args:
            prepare: run by a writer, not by its helpers, when it has newly taken the lock.
        """
        self._root, self._prepare = root, prepare
        self._depth = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            GatewatchError: another process holds it; its pid is named.
        """
        if not self._depth:
            with _opened(self._root / "lock") as writer, _opened(self._root / "helpers") as helpers:
                self._take(writer, helpers)
                self._depth = 1
                try:
                    yield
                finally:
                    self._depth = 0
            return
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _take(self, writer: int, helpers: int) -> None:
        try:
            fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._help(writer, helpers)
            return
        os.ftruncate(writer, 0)
        os.pwrite(writer, f"{os.getpid()}\n".encode(), 0)
        fcntl.flock(helpers, fcntl.LOCK_EX)
        self._prepare()
        fcntl.flock(helpers, fcntl.LOCK_UN)

    def _help(self, writer: int, helpers: int) -> None:
        """Write for the process that holds the lock, if it is the one that started this one."""
        holder = _pid(writer)
        if holder == os.getppid():
            fcntl.flock(helpers, fcntl.LOCK_SH)
            # From here on no other writer clears anything; was it still ours when we came?
            if holder == os.getppid() and holder == _pid(writer):
                return
        raise GatewatchError(
            f"{self._root}: process {holder or 'unknown'} is writing to this store;"
            " wait for it to end"
        )


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield handle
    finally:
        # Closing gives up the lock.
        os.close(handle)


def _pid(handle: int) -> int:
    text = os.pread(handle, 32, 0).strip()
    return int(text) if text.isdigit() else 0
