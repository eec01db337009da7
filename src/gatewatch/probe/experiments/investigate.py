"""After the first pass: what in it may be interference, and the experiments that tell how."""

from __future__ import annotations

import random
from collections.abc import Callable

from gatewatch.probe.experiments.mechanism import Suspicion
from gatewatch.probe.finding import Finding
from gatewatch.probe.net import Vantage
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat


def suspicions(url: str, keys: Json) -> list[Suspicion]:
    """What in the test keys of a web_connectivity measurement may be interference."""
    return []


async def investigate(
    url: str,
    keys: Json,
    seat: Seat,
    vantage: Vantage,
    *,
    deep: bool = False,
    rng: random.Random,
    tell: Callable[[str], None] = lambda words: None,
) -> list[Finding]:
    """Run what fits each suspicion, one experiment after the other.

    Args:
        keys: test keys of the first pass, complete.
        deep: also what takes minutes.
    """
    return []
