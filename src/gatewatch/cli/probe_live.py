"""A run of the probe as it happens: what is being done, and what was found so far."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from gatewatch.cli.clean import clean
from gatewatch.cli.session import ProgressStyle, Session
from gatewatch.model.outcome import Outcome

if TYPE_CHECKING:
    from rich.console import Group

SHOWN = 10
"Measurements that are shown while they run."
REFRESH_PER_S = 8
WIDTH = 60
"Of an input, in a line of progress."

STYLES = {
    Outcome.OPEN: "green",
    Outcome.BLOCKED: "bold red",
    Outcome.DOWN: "magenta",
    Outcome.SERVER_SIDE: "cyan",
    Outcome.UNCLEAR: "yellow",
}


class Seen(Struct, frozen=True, kw_only=True):
    """What one measurement came to, for a table."""

    test: str
    input: str | None
    outcome: str
    reason: str | None = None
    mechanisms: tuple[str, ...] = ()
    words: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return self.input or self.test

    @property
    def short(self) -> str:
        """The outcome, and how.

        >>> Seen(test="t", input=None, outcome="blocked", mechanisms=("dns.nxdomain",)).short
        'blocked: dns.nxdomain'
        """
        how = ", ".join(self.mechanisms) or self.reason or ""
        return f"{self.outcome}: {how}" if how else self.outcome


class Watcher(Protocol):
    """Whom a run tells of itself."""

    def doing(self, name: str, words: str) -> None: ...

    def done(self, seen: Seen) -> None: ...


class Quiet:
    def doing(self, name: str, words: str) -> None:
        return None

    def done(self, seen: Seen) -> None:
        return None


class Lines:
    """A line for each measurement that ends, for logs and pipes."""

    def __init__(self, total: int, say: Callable[[str], None], *, verbose: bool) -> None:
        self._total, self._say, self._verbose = total, say, verbose
        self._count = 0

    def doing(self, name: str, words: str) -> None:
        if self._verbose:
            self._say(f"{name}: {words}")

    def done(self, seen: Seen) -> None:
        self._count += 1
        self._say(
            f"{self._count} of {self._total}: {seen.name} {seen.short} ({seen.seconds:.1f} s)"
        )


class Screen:
    """A few lines that are redrawn in place, on a terminal."""

    def __init__(self, total: int) -> None:
        self._total, self._began = total, time.monotonic()
        self._going: dict[str, tuple[float, str]] = {}
        self._counts: Counter[str] = Counter()
        self._last: list[Seen] = []

    def doing(self, name: str, words: str) -> None:
        began = self._going.get(name, (time.monotonic(), ""))[0]
        self._going[name] = (began, words)

    def done(self, seen: Seen) -> None:
        self._going.pop(seen.name, None)
        self._counts[seen.outcome] += 1
        if seen.outcome == Outcome.BLOCKED:
            self._last = [*self._last, seen][-3:]

    def __rich__(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        return Group(*(Text(words, style) for words, style in self._lines()))

    def _lines(self) -> Iterator[tuple[str, str]]:
        done = sum(self._counts.values())
        elapsed = time.monotonic() - self._began
        head = f"{done} of {self._total} measured, {elapsed:.0f} s"
        if done and done < self._total:
            head += f", about {elapsed / done * (self._total - done):.0f} s left"
        found = ", ".join(f"{n} {outcome}" for outcome, n in self._counts.most_common())
        yield head, "bold"
        if found:
            yield f"  so far: {found}", ""
        for seen in self._last:
            yield f"  {clean(_cut(seen.name))}  {clean(seen.short)}", "red"
        now = time.monotonic()
        for name, (began, words) in list(self._going.items())[:SHOWN]:
            yield f"  {clean(_cut(name))}  {now - began:.0f} s  {clean(words)[:80]}", "dim"


def _cut(name: str) -> str:
    return name if len(name) <= WIDTH else name[: WIDTH - 1] + "…"


@contextmanager
def watching(session: Session, total: int) -> Iterator[Watcher]:
    """Whoever fits: a screen on a terminal, lines elsewhere, nobody where quiet is wanted."""
    style = session.progress_style
    if session.quiet or style is ProgressStyle.NONE:
        yield Quiet()
    elif style is ProgressStyle.AUTO and sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live

        screen = Screen(total)
        console = Console(stderr=True)
        with Live(screen, console=console, refresh_per_second=REFRESH_PER_S, transient=True):
            yield screen
    else:
        yield Lines(total, session.say, verbose=session.verbose)


def counted(found: Sequence[Seen]) -> str:
    """What came of it, in one line.

    >>> counted([Seen(test="t", input=None, outcome="open")] * 2)
    '2 open'
    """
    counts = Counter(seen.outcome for seen in found)
    return ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common()) or "nothing measured"
