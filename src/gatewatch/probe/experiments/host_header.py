"""Is a request in clear interfered with for the Host that it names?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gatewatch.model.mechanism import Trigger
from gatewatch.probe.exchanges import target_of
from gatewatch.probe.experiments.attempts import (
    ENDING_WORDS,
    Attempt,
    Ending,
    ask_page,
    finding,
    invented,
)
from gatewatch.probe.experiments.mechanism import Bench, Experiment, Layer, Suspicion
from gatewatch.probe.experiments.sni_swap import unclear_words
from gatewatch.probe.experiments.swap import Swapped, here_words, lasting, swap
from gatewatch.probe.finding import Finding
from gatewatch.probe.seat import Anchor
from gatewatch.probe.steps import Exchange

PORT = 80
BLOCK_STATUS = frozenset({403, 451})
"Errors with which block pages come; any other is an error page and no more."

ENDED: dict[Ending, str] = {"timeout": "http.timeout", "eof": "http.eof", "reset": "http.reset"}


@dataclass(frozen=True, slots=True)
class HostArms:
    """Requests that differ in their Host, in their path, or in both."""

    bench: Bench
    suspicion: Suspicion
    host: str | None
    "The suspected one; None leaves the anchor's own."
    target: str
    "The path sent with it."

    async def innocent(self, anchor: Anchor, within_s: float) -> Attempt:
        bench = self.bench
        return await ask_page(
            bench, anchor.address, PORT, anchor.name, "/", "innocent_name", within_s
        )

    async def suspect(self, anchor: Anchor, within_s: float) -> Attempt:
        host = self.host or anchor.name
        return await ask_page(
            self.bench, anchor.address, PORT, host, self.target, "innocent_address", within_s
        )

    async def unknown(self, anchor: Anchor, within_s: float) -> Sequence[Attempt]:
        """Hosts that nobody has; where it is the path that is suspected, such paths."""
        noise = self.bench.rng.randbytes(6).hex()
        pairs = [(name, "/") for name in invented(self.bench)]
        if self.target != "/":
            pairs = [(anchor.name, f"/{noise}"), (anchor.name, f"/?q={noise}")]
        return await asyncio.gather(
            *(
                ask_page(self.bench, anchor.address, PORT, host, target, "unknown_name", within_s)
                for host, target in pairs
            )
        )

    async def again(self, within_s: float) -> Attempt | None:
        suspicion = self.suspicion
        if suspicion.kind != "failed" or suspicion.address is None:
            return None
        target = target_of(suspicion.url) if self.host is None else self.target
        return await ask_page(
            self.bench,
            suspicion.address,
            suspicion.port,
            suspicion.host,
            target,
            "suspect",
            within_s,
        )

    async def innocent_here(self, within_s: float) -> Attempt | None:
        suspicion = self.suspicion
        if suspicion.kind != "failed" or suspicion.address is None or not self.bench.seat.anchors:
            return None
        name = self.bench.seat.anchors[0].name
        return await ask_page(
            self.bench, suspicion.address, suspicion.port, name, "/", "innocent_here", within_s
        )


class HostHeader:
    """The Host alone, to an innocent address and with an innocent path."""

    name = "host_header"
    version = 1
    question = "Is a request in clear interfered with for the Host that it names?"
    layers: frozenset[Layer] = frozenset({"http"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        if suspicion.kind not in ("failed", "page") or not in_clear(suspicion):
            return None
        bench.tell(f"is it the Host {suspicion.host} in the request?")
        arms = HostArms(bench, suspicion, suspicion.host, "/")
        found = await swap(bench, arms, suspicion.address)
        return told(self, suspicion, found, "the Host", "name")


def in_clear(suspicion: Suspicion) -> bool:
    return suspicion.url.startswith("http:")


def told(
    experiment: Experiment,
    suspicion: Suspicion,
    found: Swapped,
    what: str,
    trigger: Trigger,
) -> Finding:
    """What a comparison of requests shows.

    Args:
        what: is suspected, in words.
    """
    mechanism, caused_by, words = None, None, ""
    answer: str = found.answer
    match found.answer:
        case "name":
            answer, caused_by = trigger, trigger
            if found.ending == "changed":
                mechanism = _page(found)
                words = (
                    f"At addresses of ours {what} {_named(suspicion, what)} is answered with"
                    f" what is not our page ({_shown(found)}): {found.counts}."
                )
            else:
                mechanism = _ended(found, trigger)
                words = (
                    f"Also at addresses of ours a request with {what} {_named(suspicion, what)}"
                    f" {ENDING_WORDS[found.ending]}: {found.counts}{lasting(found)}."
                )
        case "address":
            sure = suspicion.reached is True
            mechanism = ENDED.get(found.ending) if sure else None
            caused_by = "address"
            words = (
                f"At addresses of ours the same goes well; {here_words(found)}, in the same way."
            )
        case "name_here":
            mechanism = ENDED.get(found.ending) if suspicion.reached else None
            caused_by = "name"
            words = f"There was no address of ours to try it at; {here_words(found)}."
        case "here_only":
            words = (
                f"At addresses of ours {what} {_named(suspicion, what)} draws nothing;"
                f" {here_words(found)}."
            )
        case "not_repeated" if trigger == "name" and target_of(suspicion.url) != "/":
            answer = "not_name"
            words = (
                f"With the path / in place of its own a request for {suspicion.host} goes well, at"
                " addresses of ours and at the site's: it is not the Host alone."
            )
        case "not_repeated":
            words = "The request failed in the first pass, and went well when it was repeated."
        case "any_name":
            answer = "any_" + trigger
            words = (
                "Requests at addresses of ours fare so for what nobody has listed as well: the"
                " path does it to all, or takes them where their Host leads."
            )
        case "not_name":
            answer = "not_" + trigger
            words = (
                f"At addresses of ours {what} {_named(suspicion, what)} gets our page,"
                f" {len(found.suspect)} times: whatever makes the difference, it is not that."
            )
        case "everything":
            words = (
                "Innocent requests fail as well at addresses of ours:"
                f" {len(found.innocent_failed)} of {len(found.innocent)}."
            )
        case _:
            words = unclear_words(found)
    return finding(
        experiment,
        suspicion,
        answer,
        words,
        found.trials,
        mechanism=mechanism,
        trigger=caused_by,
    )


def _named(suspicion: Suspicion, what: str) -> str:
    return suspicion.host if what == "the Host" else target_of(suspicion.url)


def _ended(found: Swapped, trigger: Trigger) -> str | None:
    if found.ending == "reset":
        return f"http.reset.{'host' if trigger == 'name' else 'keyword'}"
    if found.ending == "other":
        return "http"
    return ENDED.get(found.ending)


def _page(found: Swapped) -> str | None:
    """What an answer is that came in the place of ours."""
    ours, theirs = found.changed[0][0].page, found.changed[0][1].page
    if ours is None or theirs is None:
        return None
    if _holds(theirs, ours):
        return "http.injection"
    if 300 <= (theirs.status or 0) < 400:
        return "http.redirect"
    refusal = (theirs.status or 0) >= 400 and theirs.status not in BLOCK_STATUS
    return "http.error" if refusal else "http.blockpage"


def _holds(theirs: Exchange, ours: Exchange) -> bool:
    """Is all of our page in it, in two pieces at most, and something more?

    A page that was added to begins and ends as ours does.
    """
    if theirs.status != ours.status or len(theirs.body) <= len(ours.body) or not ours.body:
        return False
    same = next(
        (at for at, (a, b) in enumerate(zip(ours.body, theirs.body, strict=False)) if a != b),
        len(ours.body),
    )
    rest = ours.body[same:]
    return theirs.body.endswith(rest)


def _shown(found: Swapped) -> str:
    page = found.changed[0][1].page
    if page is None or page.status is None:
        return "no status"
    return f"status {page.status}, {len(page.body)} bytes"


EXPERIMENT = HostHeader()
