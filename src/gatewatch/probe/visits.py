"""What the measurements of one run share: when it began, and what need not be asked every time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

DOH_PAUSE_S = (20.0, 39.0)
"Between two measurements that ask over HTTPS; OONI's, so that no resolver is burdened."
WHOAMI_S = 45.0
"How long it is believed who a resolver is, as OONI does."


@dataclass(slots=True, kw_only=True)
class Visits:
    """The visits of one run. It may be shared by measurements made at the same time."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    "True time, UTC."
    rng: random.Random = field(default_factory=random.Random)
    "Which resolver is asked over HTTPS, and when again."
    options: tuple[str, ...] = ()
    "Of the command line, to be recorded with every measurement."
    doh_pause_s: tuple[float, float] = DOH_PAUSE_S
    "At least and at most; two zeros ask over HTTPS every time."
    _doh_from: float | None = None
    _whoami: dict[str, tuple[float, str]] = field(default_factory=dict)

    def doh(self, resolvers: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
        """The resolver to ask over HTTPS now; None while the last time is not long ago."""
        now = asyncio.get_running_loop().time()
        if not resolvers or (self._doh_from is not None and now < self._doh_from):
            return None
        self._doh_from = now + self.rng.uniform(*self.doh_pause_s)
        return self.rng.choice(resolvers)

    def who_is(self, resolver: str) -> str | None:
        """As whom a resolver was seen a moment ago."""
        until, address = self._whoami.get(resolver, (0.0, ""))
        return address if asyncio.get_running_loop().time() < until else None

    def remember(self, resolver: str, address: str) -> None:
        self._whoami[resolver] = (asyncio.get_running_loop().time() + WHOAMI_S, address)
