"""Foreign content in pages in clear: is something put in on the way that the server did not send?

A page that a server sends in clear and over TLS alike is fetched both ways, several times in turn:
nobody on the way can change the second. First a page of a server of ours, asked for in the site's
name, since we know what is on it; then the site's own, where only what is the same in every fetch
of one kind, and in none of the other, counts. That leaves out what changes from fetch to fetch:
tokens, advertisements, trials of new designs. Where a script is another one, other paths of the
same server tell whether it goes by the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from msgspec import structs

from gatewatch.probe.exchanges import target_of
from gatewatch.probe.experiments.attempts import CONNECT_S, HEADERS, finding
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.ooni import BODY_LIMIT, scrub
from gatewatch.probe.steps import Channel, Exchange, Request, connect, exchange, handshake
from gatewatch.refdata.snapshot import load
from gatewatch.wire.address import in_url

ROUNDS = (2, 4)
"""Fetches of each kind: the first number where all are alike, the second to be sure that they are
not. A page with two designs, chosen by lot, would fall into this pattern once in 128 times."""
FETCH_S = 8.0
HTTPS_PORT = 443
ALIKE = 0.9
"""Share of a page that must be the same in both for the rest to have been put in; below that it is
another page, which is for others to judge. Our choice."""
UNLIKE = 0.5
"""Scripts that have less than this in common are different ones. Our choice: the two forms of one
script, as for two schemes, differ in a few words."""
MOST_COMPARED, MOST_WORDS = 4_000, 2_000
"Bytes of scripts and words of pages that are compared: half a second at worst."

_SCRIPT = re.compile(rb"<(script|iframe|object|embed)\b([^>]{0,2000})>(.*?)(?:</\1\s*>|\Z)",
                     re.IGNORECASE | re.DOTALL)  # fmt: skip
_SOURCE = re.compile(rb"""\b(?:src|data)\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)

Change = Literal["same", "added", "swapped", "altered", "other"]
"Of a page in clear against the true one. `altered` is neither; `other`: not the same page at all."


# -- what differs ----------------------------------------------------------------------------


class Script(NamedTuple):
    """Something in a page that runs, or brings in what runs."""

    source: str
    "Address without scheme; empty for one that stands in the page."
    code: bytes

    def words(self) -> str:
        text = self.source or self.code[:80].decode("utf-8", "replace")
        return scrub(" ".join(text.split()))


def scripts(page: bytes) -> list[Script]:
    """
    >>> scripts(b'<p><script src="http://a.example/x.js"></script><script>go()</script>')
    [Script(source='//a.example/x.js', code=b''), Script(source='', code=b'go()')]
    """
    found: list[Script] = []
    for tag in _SCRIPT.finditer(page):
        source = _SOURCE.search(tag[2])
        address = source[1].decode("utf-8", "replace") if source else ""
        found.append(Script(re.sub(r"^https?:", "", address), b"" if source else tag[3].strip()))
    return found


def without_scripts(page: bytes) -> bytes:
    """What is to be read of a page."""
    return b" ".join(_SCRIPT.sub(b" ", page).split())


def change(clear: bytes, true: bytes, host: str | None) -> tuple[Change, list[Script]]:
    """What happened to a page on its way, and the scripts that it happened to.

    Args:
        clear: as it came in clear.
        true: as the server sent it.
        host: whose page it is, since a site may well send in clear what it does not send over
            TLS; None for a page of ours, with which it is the same.

    >>> page = b"<html><body>" + b"<p>words of a page" * 9 + b"</body></html>"
    >>> added = page.replace(b"</body>", b"<script src=//ads.example/a.js></script></body>")
    >>> change(added, page, "www.example.org")
    ('added', [Script(source='//ads.example/a.js', code=b'')])
    >>> change(page, page, None)[0], change(b"<p>blocked", page, None)[0]
    ('same', 'other')
    """
    if clear == true:
        return "same", []
    mine, theirs = scripts(clear), scripts(true)
    new = [one for one in mine if one not in theirs]
    gone = [one for one in theirs if one not in mine]
    rest, true_rest = without_scripts(clear), without_scripts(true)
    if not _alike(rest, true_rest):
        return "other", new
    if not new and not gone:
        return ("same" if rest == true_rest else "altered"), []
    foreign = [one for one in new if host is None or _is_foreign(one, host, true)]
    if foreign and not gone:
        return "added", foreign
    if host is None:
        return "swapped", new
    swapped = len(new) == len(gone) > 0 and rest == true_rest
    if swapped and all(_unlike(a, b) for a, b in zip(new, gone, strict=True)):
        at_home = any(_leads_home(one, host) for one in new)
        return ("altered" if at_home else "swapped"), new
    return "altered", new


def _alike(one: bytes, other: bytes) -> bool:
    if one == other:
        return True
    words = one.split()[:MOST_WORDS], other.split()[:MOST_WORDS]
    return SequenceMatcher(None, *words, autojunk=False).ratio() >= ALIKE


def _is_foreign(script: Script, host: str, true: bytes) -> bool:
    """Is it from somewhere that the true page does not know?"""
    if not script.source.startswith("//"):
        return False  # in the page, or the site's own: a site may well write that in clear alone
    there = urlsplit(script.source).hostname or ""
    mine = _domain(there) == _domain(host)
    return bool(there) and not mine and there.encode() not in true


def _leads_home(script: Script, host: str) -> bool:
    """Does it send the visitor on, as a site does to whom it wants over TLS?"""
    known = (host.encode(), b"https:", b"location")
    return any(word in script.code for word in known)


@lru_cache(256)
def _domain(host: str) -> str | None:
    """Whose name it is; an address is its own."""
    target = load().target_of(host)
    return None if target is None else target.domain or target.host


def _unlike(one: Script, other: Script) -> bool:
    """Are they different scripts, and not two forms of one?

    Of scripts from elsewhere none is known to be: sites have had different servers, and different
    partners, for the two schemes.
    """
    if one.source or other.source:
        return False
    first, second = (re.sub(rb"https?://", b"", each.code)[:MOST_COMPARED] for each in (one, other))
    return SequenceMatcher(None, first, second, autojunk=False).ratio() < UNLIKE


# -- the experiment --------------------------------------------------------------------------


@dataclass(slots=True)
class _Fetched:
    """The same page both ways."""

    clear: list[Exchange] = field(default_factory=list)
    true: list[Exchange] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)

    @property
    def comparable(self) -> bool:
        """Did every fetch bring a whole page, all of one status?"""
        every = (*self.clear, *self.true)
        whole = all(one.failure is None and not one.truncated for one in every)
        status = {one.status for one in every}
        return bool(self.clear and self.true) and whole and len(status) == 1 and status <= _PAGES


_PAGES = frozenset({200, 203, 404, 410})
"Answers that bring a page of the server's."


class Experiment:
    name = "injection"
    version = 1
    question = "Is something put into pages in clear that their servers did not send?"
    layers: frozenset[Layer] = frozenset({"http"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        parts = urlsplit(suspicion.url)
        if parts.scheme != "http" or suspicion.kind not in ("page", "unasked"):
            return None
        trials: list[Trial] = []
        with bench.lend(1, suspicion.address) as anchors:
            for anchor in anchors:
                bench.taint(anchor.address)
                bench.tell(f"what is put into pages of {suspicion.host}")
                ours = _Pages(bench, suspicion, anchor.address, 80, anchor.name, "our page", None)
                here = await _fetch(ours, trials)
                found = _said(suspicion, here, trials, ours)
                if found.answer == "injected":
                    return found
        if suspicion.address is None:
            return None
        pages = _Pages(
            bench,
            suspicion,
            suspicion.address,
            suspicion.port,
            suspicion.host,
            "its page",
            suspicion.host,
        )
        found = _said(suspicion, await _fetch(pages, trials), trials, pages)
        if found.answer == "injected" and await _is_the_path(pages, trials):
            words = f"{found.words}; other paths of the same server bring the same page both ways"
            return structs.replace(found, words=words, trigger="keyword", trials=tuple(trials))
        return found


EXPERIMENT = Experiment()


@dataclass(frozen=True, slots=True)
class _Pages:
    """How to get one page in clear, and as it truly is."""

    bench: Bench
    suspicion: Suspicion
    address: str
    port: int
    proves: str
    "The name whose certificate the server has."
    arm: str
    owner: str | None
    "Whose page it is; None for one of ours."
    path: str | None = None
    "In place of the suspected one."

    async def get(self, secure: bool) -> tuple[Exchange | None, Trial]:
        bench, port = self.bench, HTTPS_PORT if secure else self.port
        reached = await connect(bench.vantage, self.address, port, timeout_s=CONNECT_S)
        step, failure, t, got = "tcp", reached.failure, reached.t, None
        if reached.stream is not None:
            channel: Channel | None = reached.stream
            if secure:
                step = "tls"
                shaken = await handshake(
                    reached.stream,
                    self.proves,
                    ca=bench.seat.ca,
                    alpn=("http/1.1",),
                    timeout_s=FETCH_S,
                )
                channel, failure, t = shaken.channel, shaken.failure, shaken.t
            if channel is not None:
                step = "http"
                got = await exchange(
                    bench.vantage, channel, self._request(secure), timeout_s=FETCH_S
                )
                failure, t = got.failure, got.t
            reached.stream.reset()
        trial = Trial(
            arm=f"{self.arm} {'over TLS' if secure else 'in clear'}",
            step=step,
            address=self.address,
            port=port,
            name=self.suspicion.host,
            failure=failure,
            t0=reached.t0,
            t=t,
            bytes=len(got.body) if got is not None else None,
        )
        return got, trial

    def _request(self, secure: bool) -> Request:
        target = self.path or target_of(self.suspicion.url)
        scheme = "https" if secure else "http"
        return Request(url=f"{scheme}://{in_url(self.suspicion.host)}{target}", headers=HEADERS)


async def _fetch(pages: _Pages, trials: list[Trial]) -> _Fetched:
    """Both ways in turn; more often where they differ."""
    found = _Fetched()
    while len(found.clear) < ROUNDS[-1]:
        if len(found.clear) >= ROUNDS[0] and _common(found, pages.owner) is None:
            break
        if pages.bench.left_s() < 2 * FETCH_S:
            break
        for secure in (False, True) if len(found.clear) % 2 == 0 else (True, False):
            got, trial = await pages.get(secure)
            trials.append(trial)
            if got is None:
                return _Fetched()
            (found.true if secure else found.clear).append(got)
        if not found.comparable:
            break
    return found


async def _is_the_path(pages: _Pages, trials: list[Trial]) -> bool:
    """Does every other path of the server bring a page that nobody touches?

    One that nobody has is asked for too: the answer to it is the server's own, and it is told
    from a box that answers for the whole server, or the whole name.
    """
    noise = pages.bench.rng.randbytes(6).hex()
    target = target_of(pages.suspicion.url)
    others = [path for path in ("/", f"/{noise}") if path != target]
    for path in others:
        found = await _fetch(replace(pages, path=path, arm="another path"), trials)
        if not found.comparable or len(found.clear) < ROUNDS[0]:
            return False
        pairs = zip(found.clear, found.true, strict=True)
        if any(clear.body != true.body for clear, true in pairs):
            return False
    return True


def _common(found: _Fetched, host: str | None) -> tuple[Change, list[Script]] | None:
    """What every page in clear has against every true one; None where it has nothing."""
    changes = [
        change(clear.body[:BODY_LIMIT], true.body[:BODY_LIMIT], host)
        for clear in found.clear
        for true in found.true
    ]
    return common(changes)


def common(changes: Sequence[tuple[Change, list[Script]]]) -> tuple[Change, list[Script]] | None:
    """What all comparisons found alike: one kind of change, to the same scripts.

    >>> ads = Script("//ads.example/a.js", b"")
    >>> common([("added", [ads]), ("added", [ads])])
    ('added', [Script(source='//ads.example/a.js', code=b'')])
    >>> common([("added", [ads]), ("same", [])]) is None
    True
    """
    kinds = {kind for kind, _ in changes}
    if len(kinds) != 1 or kinds <= {"same", "other"}:
        return None
    shared = [s for s in changes[0][1] if all(s in found for _, found in changes)]
    return (changes[0][0], shared) if shared else None


def _said(suspicion: Suspicion, found: _Fetched, trials: Iterable[Trial], pages: _Pages) -> Finding:
    what = "the page" if pages.owner else "a page of ours"
    if not found.comparable or len(found.clear) < ROUNDS[0]:
        words = f"{what} could not be had in clear and over TLS alike"
        return finding(EXPERIMENT, suspicion, "inconclusive", words, trials)
    shared = _common(found, pages.owner)
    times = f"{len(found.clear)} of {len(found.clear)} fetches in clear"
    if shared is None or len(found.clear) < ROUNDS[-1]:
        words = f"{what} comes in clear as it does over TLS, or changes from fetch to fetch"
        return finding(EXPERIMENT, suspicion, "none", words, trials)
    kind, which = shared
    names = ", ".join(script.words() for script in which[:3])
    # What only the site's own two versions tell apart may be the site's own doing, as where a
    # partner has no TLS. That a control's copy in clear has it not speaks against that.
    if kind == "swapped" or (kind == "added" and (pages.owner is None or suspicion.kind == "page")):
        verb = "added" if kind == "added" else "put in the place of another"
        words = f"in {times} of {what}, and in none over TLS, a script was {verb}: {names}"
        return finding(
            EXPERIMENT,
            suspicion,
            "injected",
            words,
            trials,
            mechanism="http.injection",
        )
    words = f"{what} differs in clear from what it is over TLS, in its scripts too: {names}"
    return finding(EXPERIMENT, suspicion, "altered", words, trials)
