"""What reference data is made of: datasets, fingerprints and services."""

from __future__ import annotations

from datetime import date

import msgspec

SCOPES = {
    "nat": "block page or answer used across a country",
    "isp": "block page or answer of one provider",
    "prod": "page of a filtering product, whoever runs it",
    "inst": "a school's, company's or other institution's own filter",
    "vbw": "vague blocking words: weak evidence, never enough alone",
    "fp": "known false positive: where it matches, other matches on that page are disproved",
    "server": "the server itself, or its front, refuses or challenges the visitor",
    "portal": "captive portal or sign-in page of the visitor's own network",
}
PATTERN_TYPES = ("full", "prefix", "contains", "regexp")


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """One dated set of facts in force."""

    name: str
    date: date
    "What day it describes; the day it was fetched where the set does not say."
    source: str
    licence: str
    attribution: str = ""
    "What the licence asks to be shown with results."
    note: str = ""
    sha256: str
    "Of the lines `<sha256>  <name>` of its files, sorted by name, each ended by a newline."
    rows: int
    origin: str
    "`embedded` in the package or `updated` since."


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern by which a known page or answer is recognised."""

    id: str
    scope: str
    "A key of `SCOPES`."
    location: str
    "`body`, `title`, `header` (every `name: value` line), `header.<name>` or `dns`."
    pattern_type: str
    "`full` and `prefix` are anchored, `contains` is literal, `regexp` is PCRE; case counts."
    pattern: str
    countries: list[str]
    "Where it was seen, ISO 3166; empty when it may be met anywhere."
    source: str
    note: str = ""
    within: int | None = None
    "Matches only in texts of at most so many characters: a page that quotes it is longer."


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """Something people use, reached through several hosts."""

    id: str
    name: str
    kind: str
    core: list[str]
    "Hosts without which it does not work: `a.org` that host, `.a.org` it and all beneath."
    other: list[str]
    "Further hosts that belong to it; their state alone says nothing of the service."
    combine: str
    "`any_core`: blocked when any core host is; `all_core`: only when every one is."
    source: str
