"""Which URLs to measure: the community's lists, the least measured of what matters most first."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from time import monotonic
from typing import NamedTuple
from urllib.parse import urlsplit

from gatewatch.refdata.endpoints import Endpoints
from gatewatch.refdata.snapshot import RefData
from gatewatch.server.bodies import Refused

GLOBAL = "XX"
"How the global list's rows are marked, which are for every country."
MOST = 9999
"URLs in one answer, as OONI's."
SELDOM = 0.1
"Stands for no measurement at all, as OONI's."
KEPT_S = 60.0
"How long an order is good for; our choice. Counts move little in a minute."
CODE = re.compile(r"[A-Z0-9]{2,12}")

Counts = Callable[[Sequence[tuple[str, str]]], Awaitable[list[int]]]
"How often pairs of country and URL came in lately."


class Rule(NamedTuple):
    """Adds a priority to the URLs that it matches; `*` matches all."""

    priority: float
    category: str = "*"
    cc: str = "*"
    domain: str = "*"
    url: str = "*"


RULES = (
    Rule(100, category="NEWS"),
    Rule(100, category="POLR"),
    Rule(100, category="HUMR"),
    Rule(100, category="LGBT"),
    Rule(100, category="ANON"),
    Rule(100, category="GRP"),
    Rule(80, category="COMT"),
    Rule(80, category="MMED"),
    Rule(80, category="SRCH"),
    Rule(80, category="PUBH"),
    Rule(60, category="REL"),
    Rule(60, category="XED"),
    Rule(60, category="HOST"),
    Rule(60, category="ENV"),
    Rule(50, category="FILE"),
    Rule(50, category="CULTR"),
    Rule(40, category="IGO"),
    Rule(40, category="GOVT"),
    Rule(30, category="MILX"),
    Rule(30, category="HATE"),
    Rule(20),
)
"""Our choice: first what people need to know, to speak and to meet; a little for everything else.
All rules that match add up, and the weight is a quotient: of two URLs, the one with 120 is measured
six times as often as the one with 20."""


class Page(NamedTuple):
    """One row of an answer."""

    category_code: str
    country_code: str
    "Of the list it is on; XX for the global one."
    url: str


class Lists:
    """The lists of this server."""

    def __init__(self, refdata: RefData, counts: Counts, rules: Sequence[Rule] = RULES) -> None:
        self._refdata, self._counts, self._rules = refdata, counts, rules
        self._ordered: dict[str, tuple[float, list[Page]]] = {}
        self._pages: dict[str, list[Page]] | None = None

    @property
    def reason(self) -> str | None:
        """Why there is nothing to measure; None if there is."""
        if self._all():
            return None
        return "no test lists are installed here; `gatewatch refdata update test_lists` brings them"

    async def pages(self, cc: str, categories: Sequence[str] | None, limit: int) -> list[Page]:
        """What is to be measured in a country, most wanted first.

        Args:
            categories: only these; None or none is all.
        """
        now = monotonic()
        made, ordered = self._ordered.get(cc, (0.0, []))
        if not ordered or now - made > KEPT_S:
            ordered = await self._order(cc)
            if len(self._ordered) > 300:  # more than there are countries
                self._ordered.clear()
            self._ordered[cc] = now, ordered
        wanted = [page for page in ordered if not categories or page.category_code in categories]
        return wanted[: max(0, min(limit, MOST))]

    async def _order(self, cc: str) -> list[Page]:
        pages = self._all().get(GLOBAL, []) + (self._all().get(cc, []) if cc != GLOBAL else [])
        times = await self._counts([(cc, page.url) for page in pages])
        weighed = [
            (priority / max(SELDOM, count), page)
            for page, count in zip(pages, times, strict=True)
            if (priority := self._priority(page, cc)) > 0
        ]
        return [page for _, page in sorted(weighed, key=lambda one: -one[0])]

    def _priority(self, page: Page, cc: str) -> float:
        host = urlsplit(page.url).hostname or ""
        return sum(
            rule.priority
            for rule in self._rules
            if rule.category in ("*", page.category_code)
            and rule.cc in ("*", cc)
            and rule.domain in ("*", host)
            and rule.url in ("*", page.url)
        )

    def _all(self) -> dict[str, list[Page]]:
        if self._pages is None:
            pages: dict[str, list[Page]] = {}
            for name, url, category in self._refdata.listed():
                cc = GLOBAL if name == "global" else name.upper()
                pages.setdefault(cc, []).append(Page(category, cc, url))
            self._pages = pages
        return self._pages


def tor_targets(endpoints: Endpoints) -> dict[str, dict[str, str]]:
    """Relays and directories of Tor for clients of OONI, by an id of their place.

    Bridges are left out: a client needs their secrets, and would call them blocked without.
    """
    targets: dict[str, dict[str, str]] = {}
    for one in endpoints.of("tor"):
        if one.kind in TOR_PROTOCOLS:
            address = f"[{one.host}]:{one.port}" if ":" in one.host else f"{one.host}:{one.port}"
            id_ = sha256(f"{one.kind} {address}".encode()).hexdigest()
            targets[id_] = {"address": address, "name": one.host, "protocol": one.kind}
    return targets


TOR_PROTOCOLS = ("dir_port", "or_port", "or_port_dirauth")
"As OONI's test calls what it does with a target."


def country(text: str | None) -> str:
    """A country as asked for; ZZ and none are the global list.

    Raises:
        Refused: 400.
    """
    cc = (text or "ZZ").upper()
    if not re.fullmatch(r"[A-Z]{2}", cc):
        raise Refused(400, f"probe_cc is {text!r}; wanted are two letters")
    return GLOBAL if cc == "ZZ" else cc


def categories(codes: Sequence[str] | None) -> list[str]:
    """Category codes as asked for.

    Raises:
        Refused: 400.
    """
    wanted = [code.strip().upper() for code in codes or () if code.strip()]
    for code in wanted:
        if not CODE.fullmatch(code):
            raise Refused(400, f"category_codes has {code!r}; wanted are codes such as NEWS")
    return wanted
