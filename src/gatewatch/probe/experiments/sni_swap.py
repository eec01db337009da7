"""Is a handshake interfered with for the name in it, or for the address it goes to?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from gatewatch.model.mechanism import Trigger
from gatewatch.model.target import is_address
from gatewatch.probe.experiments.attempts import (
    ENDING_WORDS,
    HEADERS,
    NOISE,
    Attempt,
    Ending,
    finding,
    invented,
    say_name,
)
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.swap import Swapped, here_words, lasting, swap
from gatewatch.probe.finding import Finding
from gatewatch.probe.seat import Anchor
from gatewatch.probe.steps import Request

PORT = 443

BY_NAME: dict[str, dict[Ending, str]] = {
    "tls": {
        "reset": "tls.reset.sni",
        "timeout": "tls.timeout",
        "eof": "tls.eof",
        "tls_error": "tls.error",
        "other": "tls.error",
    },
    "http": {"reset": "http.reset", "timeout": "http.timeout", "eof": "http.eof"},
}
"Step that failed → how it ended → what that is where a name in the handshake causes it."
BY_ADDRESS: dict[str, dict[Ending, str]] = {
    **BY_NAME,
    "tls": {**BY_NAME["tls"], "reset": "tls.reset"},
}


@dataclass(frozen=True, slots=True)
class SniArms:
    """Names in TLS handshakes, and where it is the answer that fails, a long answer after them."""

    bench: Bench
    suspicion: Suspicion

    async def innocent(self, anchor: Anchor, within_s: float) -> Attempt:
        return await self._say(anchor, anchor.name, "innocent_name", within_s)

    async def suspect(self, anchor: Anchor, within_s: float) -> Attempt:
        return await self._say(anchor, self.suspicion.host, "innocent_address", within_s)

    async def unknown(self, anchor: Anchor, within_s: float) -> Sequence[Attempt]:
        names = invented(self.bench)
        return await asyncio.gather(
            *(self._say(anchor, name, "unknown_name", within_s) for name in names)
        )

    async def _say(self, anchor: Anchor, name: str, arm: str, within_s: float) -> Attempt:
        then = None
        if self.suspicion.layer == "http":
            then = Request(url=f"https://{anchor.name}{NOISE}", headers=HEADERS)
        return await say_name(self.bench, anchor.address, PORT, name, arm, within_s, then=then)

    async def again(self, within_s: float) -> Attempt | None:
        suspicion = self.suspicion
        if suspicion.address is None or suspicion.kind != "failed" or _is_mitm(suspicion):
            return None
        then = Request(url=suspicion.url, headers=HEADERS) if suspicion.layer == "http" else None
        return await say_name(
            self.bench,
            suspicion.address,
            suspicion.port,
            suspicion.host,
            "suspect",
            within_s,
            then=then,
        )

    async def innocent_here(self, within_s: float) -> Attempt | None:
        suspicion = self.suspicion
        if suspicion.address is None or not self.bench.seat.anchors or _is_mitm(suspicion):
            return None
        name, then = self.bench.seat.anchors[0].name, None
        if suspicion.layer == "http":
            then = Request(url=suspicion.url, headers=HEADERS)
        return await say_name(
            self.bench,
            suspicion.address,
            suspicion.port,
            name,
            "innocent_here",
            within_s,
            then=then,
        )


class SniSwap:
    """The blocked name to an innocent address, and an innocent name to the blocked address."""

    name = "sni_swap"
    version = 1
    question = "Is the handshake interfered with for the name in it, or for the address it goes to?"
    layers: frozenset[Layer] = frozenset({"tls", "http"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        if suspicion.kind != "failed" or is_address(suspicion.host):
            return None
        if suspicion.layer == "http" and not suspicion.url.startswith("https:"):
            return None
        bench.tell(f"is it the name {suspicion.host} in the handshake?")
        found = await swap(bench, SniArms(bench, suspicion), suspicion.address)
        mechanism, trigger, words = _read(found, suspicion)
        return finding(
            self,
            suspicion,
            found.answer,
            words,
            found.trials,
            mechanism=mechanism,
            trigger=trigger,
        )


def _is_mitm(suspicion: Suspicion) -> bool:
    return (suspicion.failure or "").startswith("ssl_") and suspicion.failure not in (
        "ssl_failed_handshake",
        "ssl_error",
    )


def _read(found: Swapped, suspicion: Suspicion) -> tuple[str | None, Trigger | None, str]:
    """Mechanism, trigger and words of an answer."""
    at_ours = f"At addresses of ours a handshake for {suspicion.host}"
    sure = suspicion.reached is True
    match found.answer:
        case "name" if found.ending == "changed":
            words = (
                f"{at_ours} is answered with a certificate that is not ours ({found.counts}):"
                " somebody reads the name and steps between."
            )
            return _interception(found), "name", words
        case "name":
            words = (
                f"{at_ours} {ENDING_WORDS[found.ending]} as well, though they have nothing to do"
                f" with the site: {found.counts}{lasting(found)}. It is the name."
            )
            return BY_NAME[commonest_step(found)].get(found.ending), "name", words
        case "name_here":
            words = (
                f"There was no address of ours to try the name at; {here_words(found)}."
                " The server itself may mind the name."
            )
            mechanism = BY_NAME[commonest_step(found)].get(found.ending) or ""
            return mechanism.removesuffix(".sni") or None if sure else None, "name", words
        case "address":
            doubt = "." if sure else ", or the server itself: no control got through to it."
            words = (
                f"{at_ours} goes well; {here_words(found)}, and in the same way. It is the"
                f" address{doubt}"
            )
            mechanism = BY_ADDRESS[suspicion.layer].get(found.ending)
            return mechanism if sure else None, "address", words
        case "here_only":
            words = (
                f"{at_ours} goes well; {here_words(found)}. It takes this name at this address,"
                " and the server may do it itself."
            )
        case "not_repeated":
            words = (
                f"The handshake for {suspicion.host} failed in the first pass and went well when"
                " it was repeated, as it did at addresses of ours."
            )
        case "not_name":
            words = f"{at_ours} shows our certificate, {len(found.suspect)} times: not the name."
        case "any_name":
            words = (
                f"{at_ours} {ENDING_WORDS[found.ending]}, and so does one for names that nobody"
                f" has: it is every name, or every one but ours."
            )
        case "everything":
            failed = f"{len(found.innocent_failed)} of {len(found.innocent)}"
            words = f"Innocent names fail as well at addresses of ours, {failed} times."
        case _:
            words = unclear_words(found)
    return None, None, words


def commonest_step(found: Swapped) -> str:
    """The step at which most of what is suspected failed."""
    bad = found.failed or [one for one in found.again if not one.ok]
    steps = [one.trial.step for one in bad if one.ending == found.ending] or ["tls"]
    return max(sorted(set(steps)), key=steps.count)


def unclear_words(found: Swapped) -> str:
    """Why nothing can be said, in words."""
    if not found.suspect and not found.again:
        return "There was no address of ours to compare with that no trigger was sent to before."
    if found.failed:
        failed = f"{len(found.failed)} of {len(found.suspect)}"
        return f"The name failed {failed} times at addresses of ours: too few to tell from chance."
    return (
        "At addresses of ours the name goes well; at the site's own address nothing is certain,"
        " where whatever is tried may still fail because of the attempts before it."
    )


def _interception(found: Swapped) -> str:
    """Who vouches for the false certificate: itself, or an authority."""
    leaf = x509.load_der_x509_certificate(found.changed[0][1].chain[0])
    alone = leaf.issuer == leaf.subject
    return "tls.mitm.self_signed" if alone else "tls.mitm.ca_signed"


EXPERIMENT = SniSwap()
