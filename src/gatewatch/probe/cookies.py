"""Cookies along one chain of redirects, which some sites turn in a circle without.

A small part of RFC 6265: what one page needs, for as long as it lasts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from gatewatch.model.target import is_address

COOKIES_MAX = 50
"RFC 6265, section 6.1, wants that many per domain; our choice is that many in all."
COOKIE_MAX = 4096
"Characters of one, as browsers hold."
_ENDED = re.compile(r"-\d+|0+")
"Values of Max-Age with which a cookie is taken back. Dates are not looked at: a fetch is short."


class _Cookie(NamedTuple):
    value: str
    host_only: bool
    secure: bool


class Cookies:
    """A jar.

    Args:
        domain_of: the registrable domain of a host, so that none is set for all of `co.uk`.
    """

    def __init__(self, domain_of: Callable[[str], str | None]) -> None:
        self._domain_of = domain_of
        self._kept: dict[tuple[str, str, str], _Cookie] = {}

    def take(self, url: str, headers: Iterable[tuple[str, str]]) -> None:
        """What an answer sets."""
        for name, value in headers:
            if name.lower() == "set-cookie" and len(value) <= COOKIE_MAX:
                self._set(url, value)

    def header(self, url: str) -> tuple[tuple[str, str], ...]:
        """The `Cookie` header for a request, or none."""
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path or "/"
        sent = [
            f"{name}={cookie.value}"
            for (name, domain, within), cookie in self._kept.items()
            if (host == domain if cookie.host_only else _in_domain(host, domain))
            and _in_path(path, within)
            and (parts.scheme == "https" or not cookie.secure)
        ]
        return (("Cookie", "; ".join(sent)),) if sent else ()

    def _set(self, url: str, text: str) -> None:
        pair, *rest = text.split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not name or not _plain(name + value):
            return
        told = {k.strip().lower(): v.strip() for k, _, v in (a.partition("=") for a in rest)}
        parts = urlsplit(url)
        host = parts.hostname or ""
        domain = told.get("domain", "").lower().lstrip(".")
        shared = bool(domain) and not self._is_suffix(domain)
        if domain and domain != host and not (shared and _in_domain(host, domain)):
            return
        path = told.get("path", "")
        if not path.startswith("/"):
            path = parts.path.rpartition("/")[0] or "/"
        key = (name, domain or host, path)
        self._kept.pop(key, None)
        ended = _ENDED.fullmatch(told.get("max-age", "")) is not None
        if not ended and len(self._kept) < COOKIES_MAX:
            self._kept[key] = _Cookie(value, not shared, "secure" in told)

    def _is_suffix(self, domain: str) -> bool:
        """Can anybody have a name under it?"""
        return self._domain_of(f"x.{domain}") == f"x.{domain}"


def _in_domain(host: str, domain: str) -> bool:
    """RFC 6265, section 5.1.3."""
    return host == domain or (host.endswith(f".{domain}") and not is_address(host))


def _in_path(path: str, within: str) -> bool:
    """RFC 6265, section 5.1.4."""
    return path == within or path.startswith(within if within.endswith("/") else f"{within}/")


def _plain(text: str) -> bool:
    """Nothing that could end a header."""
    return all(0x20 < ord(c) < 0x7F or c == " " for c in text)
