"""Test lists: which URLs the community tests, and under what category."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from gatewatch.model.errors import MalformedRecord
from gatewatch.model.target import canonical_host

CODE = re.compile(r"[A-Z]{2,8}")
"Category codes of the lists: ALDR, NEWS, ANON…"


class Listed(NamedTuple):
    list: str
    "`global` or a country, lower case, as the list's file is named."
    url: str
    category: str


class TestLists:
    """The category of a URL or a host."""

    __test__ = False
    "Not a test case, whatever its name tells pytest."

    def __init__(self, rows: Iterable[Listed]) -> None:
        by_url: dict[str, Counter[str]] = {}
        by_host: dict[str, Counter[str]] = {}
        # Of equally frequent categories the one counted first wins: the global list's.
        for row in sorted(rows, key=lambda row: (row.list != "global", row.list)):
            host, page = _keys_of(row.url)
            if host is None:
                continue
            by_url.setdefault(page, Counter())[row.category] += 1
            by_host.setdefault(_without_www(host), Counter())[row.category] += 1
        self._by_url = {page: count.most_common(1)[0][0] for page, count in by_url.items()}
        self._by_host = {host: count.most_common(1)[0][0] for host, count in by_host.items()}

    def category_of(self, url_or_host: str) -> str | None:
        """The category most lists give: of this very page, else of its host with or without www."""
        host, page = _keys_of(url_or_host)
        if host is None:
            return None
        return self._by_url.get(page) or self._by_host.get(_without_www(host))


def read_list(content: bytes, name: str, where: str) -> tuple[list[Listed], list[str]]:
    """Rows of one list's CSV, and what was set aside, in words.

    Raises:
        MalformedRecord: when it is no CSV with the columns `url` and `category_code`.
    """
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = reader.fieldnames or []
        missing = {"url", "category_code"} - set(header)
        if missing:
            raise MalformedRecord(where, "header", got=header, want="url and category_code")
        kept: list[Listed] = []
        aside: list[str] = []
        for row in reader:
            url, code = row["url"] or "", row["category_code"] or ""
            if _keys_of(url)[0] is None or any(ord(c) < 32 for c in url):
                aside.append(f"{where}:{reader.line_num}: url is {url[:80]!r}")
            elif not CODE.fullmatch(code):
                aside.append(f"{where}:{reader.line_num}: category_code is {code[:80]!r}")
            else:
                kept.append(Listed(name, url, code))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedRecord(where, "text", got=str(error), want="CSV in UTF-8") from error
    return kept, aside


def write_lists(rows: Iterable[Listed]) -> bytes:
    """All lists as one file: `list`, `url`, `category`, tab-separated, no header."""
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def read_lists(content: bytes) -> list[Listed]:
    """What `write_lists` wrote."""
    return [Listed(*line.split("\t")) for line in content.decode().splitlines()]


def _keys_of(url_or_host: str) -> tuple[str | None, str]:
    """Canonical host, and host with path and query: what names one page whatever the scheme."""
    text = url_or_host.strip()
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host = canonical_host(parts.hostname or "")
    except ValueError:
        return None, ""
    query = f"?{parts.query}" if parts.query else ""
    return host, f"{host}{parts.path.rstrip('/')}{query}"


def _without_www(host: str) -> str:
    return host.removeprefix("www.")
