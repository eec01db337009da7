"""Name or address? The comparison that several experiments make, each over its own protocol.

What is suspected is sent to addresses of ours that answer to any name, between innocent attempts
at the same addresses; only when that shows nothing is the site's own address tried with an
innocent name. In this order, because the first pass has already sent the name to the site's
address: what fails there now may fail because of that, and not because of what is sent now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Literal, Protocol

from gatewatch.probe.experiments.attempts import (
    ENDING_WORDS,
    SILENT_S,
    Attempt,
    Ending,
    commonest,
    of,
    patience_s,
)
from gatewatch.probe.experiments.mechanism import Bench
from gatewatch.probe.finding import Trial
from gatewatch.probe.seat import Anchor

ROUNDS = 3
AT_ONCE, INNOCENT = 2, 3
"""Anchors a round, and innocent attempts at each before anything else is sent there. Our choice:
two of two against none of six are beyond chance, and no more anchors need be spent."""
CHANCE = 0.05
"An outcome as likely as this by chance alone proves nothing. The customary level."
FIRST_S = 5.0
"Patience with the first innocent attempts, of which it is not known how long they take."

Answer = Literal[
    "name", "any_name", "not_name", "address", "here_only", "not_repeated", "everything",
    "name_here", "unclear",
]  # fmt: skip


class Arms(Protocol):
    """The attempts that are compared; times are how long to wait for an answer."""

    async def innocent(self, anchor: Anchor, within_s: float) -> Attempt: ...

    async def suspect(self, anchor: Anchor, within_s: float) -> Attempt: ...

    async def unknown(self, anchor: Anchor, within_s: float) -> Sequence[Attempt]:
        """The like of what is suspected, which nobody can have listed; none where there is no
        such."""
        ...

    async def again(self, within_s: float) -> Attempt | None:
        """What is suspected, at the site's own address; None where it has none."""
        ...

    async def innocent_here(self, within_s: float) -> Attempt | None:
        """Something innocent at the site's own address; None where that would say nothing."""
        ...


@dataclass(slots=True, kw_only=True)
class Swapped:
    """What came of it."""

    answer: Answer = "unclear"
    innocent: list[Attempt] = field(default_factory=list)
    "At anchors, before anything suspected was sent there, or after it went well."
    suspect: list[Attempt] = field(default_factory=list)
    "At anchors."
    again: list[Attempt] = field(default_factory=list)
    unknown: list[Attempt] = field(default_factory=list)
    "At an anchor, with what nobody can have listed."
    here: list[Attempt] = field(default_factory=list)
    "Innocent ones at the site's own address."
    after: list[Attempt] = field(default_factory=list)
    "Innocent ones that failed at an anchor after something suspected was sent there."
    changed: list[tuple[Attempt, Attempt]] = field(default_factory=list)
    "Answers that are not the anchor's, each beside what the anchor shows."

    @property
    def trials(self) -> list[Trial]:
        every = (
            self.innocent, self.suspect, self.again, self.unknown, self.here, self.after,
        )  # fmt: skip
        return [one.trial for attempts in every for one in attempts]

    @property
    def failed(self) -> list[Attempt]:
        """The suspected attempts at anchors that did not go as innocent ones do."""
        changed = {id(suspect) for _, suspect in self.changed}
        return [one for one in self.suspect if not one.ok or id(one) in changed]

    @property
    def ending(self) -> Ending:
        """How most of what is suspected ended, silence only where nothing else was met.

        Forged packets are sent once, and get lost; and after a trigger silence may follow.
        """
        if self.changed:
            return "changed"
        bad = [one for one in (*self.suspect, *self.again) if not one.ok and one.told]
        return commonest([one for one in bad if one.ending != "timeout"] or bad)

    @property
    def innocent_failed(self) -> list[Attempt]:
        return [one for one in self.innocent if not one.ok]

    @property
    def chance(self) -> float:
        """How likely the difference at the anchors is if names made none."""
        repeated = [one for one in self.again if one.told]
        failed = len(self.failed) + sum(not one.ok for one in repeated)
        tried = len(self.suspect) + len(repeated)
        return fisher(failed, tried, len(self.innocent_failed), len(self.innocent))

    @property
    def counts(self) -> str:
        """The numbers, in words."""
        repeated = [one for one in self.again if one.told]
        failed = len(self.failed) + sum(not one.ok for one in repeated)
        tried = len(self.suspect) + len(repeated)
        innocent = of(len(self.innocent_failed), len(self.innocent))
        words = f"{of(failed, tried)} times against {innocent} innocent ones"
        return f"{words}, which is chance once in {1 / self.chance:.0f} times"


async def swap(bench: Bench, arms: Arms, like: str | None) -> Swapped:
    """Compare, in as many rounds as it takes to be sure.

    Args:
        like: the site's address, whose IP version the anchors' should be.
    """
    found = Swapped()
    for number in range(ROUNDS):
        await bench.turn(like, AT_ONCE)
        with bench.lend(AT_ONCE, like, tainted=True) as anchors:
            if anchors:
                await _round(bench, arms, anchors, found, first=number == 0)
        drawn = len(found.suspect) >= AT_ONCE and not found.failed
        if _at_anchors(found) != "unclear" or drawn or not anchors:
            break
    found.answer = _at_anchors(found)
    if found.answer == "name" and await _is_any(bench, arms, like, found):
        found.answer = "any_name"
    if found.answer == "unclear" and not found.failed:
        await _at_site(arms, found)
        if found.answer == "unclear" and not found.again and len(found.suspect) >= AT_ONCE:
            found.answer = "not_name"
    return found


async def _is_any(bench: Bench, arms: Arms, like: str | None, found: Swapped) -> bool:
    """Does what nobody can have listed fare as what is suspected?"""
    await bench.turn(like)
    with bench.lend(1, like, tainted=True) as anchors:
        for anchor in anchors:
            before = await arms.innocent(anchor, patience_s(found.innocent))
            if not before.ok:
                return False
            tries = await arms.unknown(anchor, patience_s(found.innocent))
            found.unknown += tries
            counted = [one for one in tries if one.told]
            if any(one.ok and one.shown == before.shown for one in counted):
                return False
            if counted:
                bench.taint(anchor.address)
                return True
    return False


def _at_anchors(found: Swapped) -> Answer:
    if found.innocent and not any(one.ok for one in found.innocent):
        return "everything"
    return "name" if found.failed and found.chance <= CHANCE else "unclear"


async def _round(
    bench: Bench, arms: Arms, anchors: list[Anchor], found: Swapped, *, first: bool
) -> None:
    before = await asyncio.gather(*(_innocent(arms, a) for a in anchors))
    for anchor, some in zip(anchors, before, strict=True):
        # Where a trigger was sent before, failing is no news.
        old = bench.is_tainted(anchor.address) and not all(one.ok for one in some)
        (found.after if old else found.innocent).extend(some)
    shown = {
        anchor.address: next(one for one in some if one.ok)
        for anchor, some in zip(anchors, before, strict=True)
        if any(one.ok for one in some)
        and (all(one.ok for one in some) or not bench.is_tainted(anchor.address))
    }
    good = [anchor for anchor in anchors if anchor.address in shown]
    if not good:
        return
    within = patience_s(found.innocent)
    earlier = {anchor.address: bench.taint(anchor.address) for anchor in good}
    suspects, repeated = await asyncio.gather(
        asyncio.gather(*(arms.suspect(anchor, within) for anchor in good)),
        arms.again(within) if first else _nothing(),
    )
    found.again += [repeated] if repeated is not None else []
    counted = [(a, one) for a, one in zip(good, suspects, strict=True) if one.told]
    found.suspect += [one for _, one in counted]
    found.changed += [
        (shown[anchor.address], one)
        for anchor, one in counted
        if one.ok and one.shown != shown[anchor.address].shown
    ]
    if not found.failed:
        for anchor in good:
            bench.clear(anchor.address, earlier[anchor.address])
        return
    clean = await asyncio.gather(*(_is_clean(arms, anchor, within, found) for anchor in good))
    failed = {id(one) for one in found.failed}
    by_anchor = {anchor.address: one for anchor, one in counted}
    for anchor, free in zip(good, clean, strict=True):
        one = by_anchor.get(anchor.address)
        if free:
            bench.clear(anchor.address, earlier[anchor.address])
        elif one is not None and id(one) not in failed:
            # It went well and something was set off all the same: what was forged got lost.
            found.suspect.remove(one)
            found.after.append(one)


async def _nothing() -> None:
    return None


async def _is_clean(arms: Arms, anchor: Anchor, within_s: float, found: Swapped) -> bool:
    """Does the anchor still answer innocent attempts, now that a trigger was sent to it?"""
    tries = await asyncio.gather(*(arms.innocent(anchor, within_s) for _ in range(2)))
    clean = any(one.ok for one in tries)
    (found.innocent if clean else found.after).extend(tries)
    return clean


async def _innocent(arms: Arms, anchor: Anchor) -> list[Attempt]:
    return list(await asyncio.gather(*(arms.innocent(anchor, FIRST_S) for _ in range(INNOCENT))))


async def _at_site(arms: Arms, found: Swapped) -> None:
    """The name alone sets nothing off: what of the address it is sent to?"""
    within = patience_s(found.innocent) if found.innocent else SILENT_S
    if not found.again or found.again[-1].ok:
        repeated = await arms.again(within)
        if repeated is None:
            return
        found.again.append(repeated)
        if repeated.ok:
            found.answer = "not_repeated"
            return
    tries = 2 if found.suspect else 3
    while len(found.again) < tries:
        repeated = await arms.again(within)
        found.again += [repeated] if repeated is not None else []
    here = await asyncio.gather(*(arms.innocent_here(within) for _ in range(tries)))
    found.here += [one for one in here if one is not None]
    if not found.here or any(one.ok for one in found.again):
        return
    if not all(one.told for one in (*found.again, *found.here)):
        return
    if all(one.ok for one in found.here):
        found.answer = "here_only" if found.suspect else "name_here"
    elif found.suspect and all(one.ending == found.again[-1].ending for one in found.here):
        found.answer = "address"


def fisher(failed: int, tried: int, other_failed: int, other_tried: int) -> float:
    """How likely so many failures or more fall to the first if both fail alike.

    Fisher's exact test, one-sided.

    >>> round(fisher(3, 3, 0, 4), 3), round(fisher(2, 2, 0, 4), 3), fisher(0, 3, 0, 3)
    (0.029, 0.067, 1.0)
    """
    failures, attempts = failed + other_failed, tried + other_tried
    ways = comb(attempts, failures)
    most = min(failures, tried)
    return (
        sum(
            comb(tried, k) * comb(other_tried, failures - k)
            for k in range(failed, most + 1)
            if failures - k <= other_tried
        )
        / ways
    )


def here_words(found: Swapped) -> str:
    """What the site's own address made of it, in words."""
    again = sum(not one.ok for one in found.again)
    here = sum(not one.ok for one in found.here)
    return f"at the site's own address the name failed {of(again, len(found.again))} times" + (
        f", an innocent name {of(here, len(found.here))}" if found.here else ""
    )


def lasting(found: Swapped) -> str:
    """What was left behind at the anchors, as a clause; empty when nothing was."""
    if not found.after:
        return ""
    how = ENDING_WORDS[found.after[-1].ending]
    return f"; after it innocent attempts there failed as well: the last {how}"
