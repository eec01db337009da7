"""Fingerprints found in a page: one hyperscan database for each place a pattern may be looked for.

Texts are matched as UTF-8, so that `.` is a character and not a byte. A pattern that hyperscan
cannot take, or would be slow to compile, is widened for it into a coarse filter, and what passes is
confirmed by Python's `re` on a short text; one that neither takes is left out and named in
`skipped`.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable
from typing import NamedTuple

from gatewatch.refdata.nouns import Fingerprint

CONFIRM_LENGTH_MAX = 65_536
"""Characters given to `re`, our choice: a hostile expression is slow with the length of its text,
and block pages are short."""

REPEAT = re.compile(r"(?<!\\)\{(\d+)(?:,(\d+))?\}")
REPEAT_MAX = 8
"""Longest counted repeat compiled as it is, our choice: `.{0,400}` costs hyperscan seconds, `.*`
nothing."""
CODE_POINT = re.compile(r"\\x\{([0-9a-fA-F]{1,6})\}")

CACHE_MAX = 4
_cache: dict[str, Matcher] = {}


class Skipped(NamedTuple):
    id: str
    why: str


class Matcher:
    """Which of a list of fingerprints a page shows."""

    def __init__(self, fingerprints: Iterable[Fingerprint]) -> None:
        rows = [one for one in fingerprints if one.location != "dns"]
        self.skipped: list[Skipped] = []
        self._order = {one.id: place for place, one in enumerate(rows)}
        groups: dict[str, dict[bool, list[Fingerprint]]] = {}
        for one in rows:
            # What holds only of short texts is kept apart, so that long ones are not searched
            # for it: the words of block pages are common words.
            short = one.within is not None
            groups.setdefault(one.location, {}).setdefault(short, []).append(one)
        self._databases = {
            location: [_Database(group, self.skipped) for group in by_length.values()]
            for location, by_length in groups.items()
        }

    def match(self, body: str, headers: list[tuple[str, str]], title: str | None) -> list[str]:
        """Ids of all fingerprints found, in the order of the list."""
        found: set[str] = set()
        self._scan("body", body, found)
        if title is not None:
            self._scan("title", title, found)
        for name, value in headers:
            self._scan(f"header.{name.lower()}", value, found)
        if "header" in self._databases:
            lines = "\n".join(f"{name.lower()}: {value}" for name, value in headers)
            self._scan("header", lines, found)
        return sorted(found, key=self._order.__getitem__) if found else []

    def _scan(self, location: str, text: str, found: set[str]) -> None:
        if text:
            for database in self._databases.get(location, ()):
                found.update(database.scan(text))


def matcher_for(key: str, fingerprints: list[Fingerprint]) -> Matcher:
    """The matcher of a list, compiled once a process.

    Args:
        key: names the list: the digest of the datasets it comes from.
    """
    if key not in _cache:
        while len(_cache) >= CACHE_MAX:
            _cache.pop(next(iter(_cache)), None)
        _cache[key] = Matcher(fingerprints)
    return _cache[key]


def expression_of(fingerprint: Fingerprint) -> str:
    r"""The pattern as one regular expression, whatever its type.

    >>> def shown(kind):
    ...     return expression_of(Fingerprint(id="x", scope="nat", location="body",
    ...         pattern_type=kind, pattern="a.é", countries=[], source=""))
    >>> print(shown("contains"), shown("prefix"), shown("full"), shown("regexp"))
    a\x2eé \Aa\x2eé \Aa\x2eé\z a.é
    """
    if fingerprint.pattern_type == "regexp":
        return fingerprint.pattern
    literal = "".join(
        c if c.isalnum() or ord(c) > 127 else f"\\x{ord(c):02x}" for c in fingerprint.pattern
    )
    anchors = {"contains": ("", ""), "prefix": (r"\A", ""), "full": (r"\A", r"\z")}
    before, after = anchors[fingerprint.pattern_type]
    return before + literal + after


def widened(pattern: str) -> str:
    r"""The pattern with long counted repeats made endless: matches all it matched, and more.

    >>> print(widened(r"a.{0,400}b[^<]{1,60}c{2}\{9,99}"))
    a.*b[^<]+c{2}\{9,99}
    """

    def endless(found: re.Match[str]) -> str:
        least, most = int(found[1]), int(found[2] or found[1])
        # Hyperscan takes `{0,0}` for something else than nothing.
        if 0 < most <= REPEAT_MAX:
            return found[0]
        return "+" if least else "*"

    return REPEAT.sub(endless, pattern)


class _Database:
    """The patterns of one location."""

    def __init__(self, group: list[Fingerprint], skipped: list[Skipped]) -> None:
        import hyperscan

        self._lock = threading.Lock()
        lengths = [one.within for one in group if one.within is not None]
        self._longest = max(lengths) if len(lengths) == len(group) else None
        prepared: list[_Prepared] = []
        for one in map(_prepared, group):
            if isinstance(one, Skipped):
                skipped.append(one)
            else:
                prepared.append(one)
        try:
            self._database = _compile(prepared)
        except hyperscan.error:
            prepared = _acceptable(prepared, skipped)
            self._database = _compile(prepared)
        self._patterns = prepared

    def scan(self, text: str) -> list[str]:
        if self._database is None or (self._longest is not None and len(text) > self._longest):
            return []
        places: list[int] = []

        def note(place: int, start: int, end: int, flags: int, context: object) -> None:
            places.append(place)

        # One scratch space serves the database; two threads may not use it at once.
        with self._lock:
            self._database.scan(_utf8(text), match_event_handler=note)
        return [one.id for one in map(self._patterns.__getitem__, places) if one.holds(text)]


class _Prepared(NamedTuple):
    """A pattern as hyperscan is given it, and what is left to check when it is found."""

    id: str
    pattern: str
    expression: str
    prefilter: bool
    confirm: re.Pattern[str] | None
    within: int | None

    def holds(self, text: str) -> bool:
        if self.within is not None and len(text) > self.within:
            return False
        return self.confirm is None or bool(self.confirm.search(text[:CONFIRM_LENGTH_MAX]))


def _prepared(one: Fingerprint) -> _Prepared | Skipped:
    expression = expression_of(one)
    confirm: re.Pattern[str] | None = None
    if one.pattern_type == "regexp" and widened(expression) != expression:
        expression = widened(expression)
        confirm = _python_pattern(one.pattern)
        if confirm is None:
            return Skipped(one.id, "not an expression, or one that the empty text matches")
    return _Prepared(one.id, one.pattern, expression, False, confirm, one.within)


def _acceptable(prepared: list[_Prepared], skipped: list[Skipped]) -> list[_Prepared]:
    """The patterns hyperscan takes, as they are or as filters; the others are noted as skipped."""
    kept: list[_Prepared] = []
    for one in prepared:
        why = _refusal(one)
        if why is not None:
            confirm = one.confirm or _python_pattern(one.pattern)
            one = one._replace(prefilter=True, confirm=confirm)
            if confirm is None or _refusal(one) is not None:
                skipped.append(Skipped(one.id, why))
                continue
        kept.append(one)
    return kept


def _compile(prepared: list[_Prepared]):
    """A database of the patterns, each under its place in the list; None of none."""
    import hyperscan

    if not prepared:
        return None
    plain = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_SINGLEMATCH
    filtering = plain | hyperscan.HS_FLAG_PREFILTER
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[_utf8(one.expression) for one in prepared],
        ids=list(range(len(prepared))),
        elements=len(prepared),
        flags=[filtering if one.prefilter else plain for one in prepared],
    )
    return database


def _refusal(one: _Prepared) -> str | None:
    """Why hyperscan will not have the pattern; None when it will."""
    import hyperscan

    try:
        _compile([one])
    except hyperscan.error as error:
        return str(error)
    return None


def _python_pattern(pattern: str) -> re.Pattern[str] | None:
    """The PCRE pattern for `re`, which spells two things otherwise; None when it cannot be used."""
    pattern = pattern.replace(r"\z", r"\Z")
    pattern = CODE_POINT.sub(lambda found: rf"\U{int(found[1], 16):08x}", pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return None
    # What matches nothing at all matches every page.
    return None if compiled.search("") else compiled


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")
