"""The helper's page: one GET with its redirects, and the answers as its API words them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from gatewatch.model.target import redirect_target
from gatewatch.probe.cookies import Cookies
from gatewatch.probe.features import page_features
from gatewatch.probe.likeness import TITLE
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import (
    Channel,
    Connect,
    Exchange,
    Request,
    Vantage,
    connect,
    exchange,
    handshake,
)
from gatewatch.probe.urls import header
from gatewatch.server.bodies import Refused
from gatewatch.server.dialect import BODY_LIMIT, MAX_REDIRECTS, REDIRECTS, http_failure
from gatewatch.server.guard import REFUSED, checked_url
from gatewatch.server.stand import Names, Stand
from gatewatch.wire.address import endpoint

TRIED_MAX = 4
"Addresses of a host that are tried for its page, one after the other; our choice."
ALPN = ("h2", "http/1.1")
AT_ONCE = 1 << 18
"Bytes of a page above which it is read in a thread; our choice, some 5 ms of work."
LOCATION_MAX = 4096

_H3 = re.compile(r'\bh3="(\[[^"\]]*\]|[^":]*):(\d{1,5})"')


class H3(NamedTuple):
    """An endpoint of HTTP/3."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(slots=True)
class Page:
    """The end of a chain of redirects, and the chain."""

    answer: Exchange | None = None
    failure: str | None = None
    "In the probe's words."
    hops: list[Json] = field(default_factory=list)
    h3: H3 | None = None
    "What the first answer named."


class Fetch:
    """One page being fetched."""

    def __init__(self, stand: Stand, vantage: Vantage, names: Names) -> None:
        self._stand, self._vantage, self._names = stand, vantage, names
        self._cookies = Cookies(stand.domain_of)

    async def page(self, url: str, headers: tuple[tuple[str, str], ...]) -> Page:
        """The page at the end of the redirects."""
        page = Page()
        try:
            async with asyncio.timeout(self._stand.patience.http_s):
                await self._follow(page, url, headers)
        except TimeoutError:
            page.failure = "generic_timeout_error"
        if page.failure is not None:
            page.answer = None
        return page

    async def _follow(self, page: Page, url: str, headers: tuple[tuple[str, str], ...]) -> None:
        for _ in range(MAX_REDIRECTS + 1):
            cookies = self._cookies.header(url)
            request = Request(url=url, headers=headers + cookies)
            answer, page.failure = await self._get(page, request)
            if answer is None or page.failure:
                return
            if len(page.hops) == 1:
                page.h3 = offered_h3(answer)
            self._cookies.take(url, answer.headers)
            location = header(answer, "location")
            if answer.status not in REDIRECTS or location is None:
                page.answer = answer
                return
            target = redirect_target(url, location)
            try:
                url = checked_url(target or "", "location")
            except Refused as refused:
                page.failure = f"unknown_failure: {refused.error}"
                return
        page.failure = "unknown_failure: too many redirects"

    async def _get(self, page: Page, request: Request) -> tuple[Exchange | None, str | None]:
        """One answer, or the failure in its place; either is written down as a hop."""
        t0 = self._vantage.now()
        reached, answer, failure = await self._answer(request)
        page.hops.append(
            {
                "url": request.url,
                "address": reached and endpoint(reached.address, reached.port),
                "status_code": answer and answer.status,
                "location": (header(answer, "location") or "")[:LOCATION_MAX] if answer else None,
                "failure": failure,
                "t0": round(t0, 6),
                "t": round(self._vantage.now(), 6),
            }
        )
        return answer, failure

    async def _answer(self, request: Request) -> tuple[Connect | None, Exchange | None, str | None]:
        parts = urlsplit(request.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        addresses, failure = await self._names.addresses(host)
        if failure or not addresses:
            return None, None, failure or "dns_no_answer"
        allowed = [a for a in addresses if self._stand.guard.endpoint(a, port) is None]
        if not allowed:
            return None, None, REFUSED
        reached = await self._first(allowed[:TRIED_MAX], port)
        if reached.stream is None:
            return reached, None, reached.failure
        try:
            channel: Channel | None = reached.stream
            alpn = ""
            if secure:
                shaken = await handshake(
                    reached.stream,
                    host,
                    ca=self._stand.ca,
                    alpn=ALPN,
                    timeout_s=self._stand.patience.tls_s,
                )
                channel, alpn = shaken.channel, shaken.alpn
                if channel is None:
                    return reached, None, shaken.failure
            answer = await exchange(
                self._vantage,
                channel,
                request,
                alpn=alpn,
                timeout_s=self._stand.patience.http_s,
                most=BODY_LIMIT,
            )
            return reached, answer, answer.failure
        finally:
            reached.stream.close()

    async def _first(self, addresses: list[str], port: int) -> Connect:
        """The first connection that succeeds, tried in order; the first failure if none does."""
        failed: Connect | None = None
        for number, address in enumerate(addresses):
            left = len(addresses) - number
            wait_s = self._stand.patience.connect_s / min(left, 2)
            found = await connect(self._vantage, address, port, timeout_s=wait_s)
            if found.stream is not None:
                return found
            failed = failed or found
        assert failed is not None, "there is an address to try"
        return failed


async def http_request(page: Page) -> Json:
    """A fetch as the helper reports it, with our additions in `x_` fields."""
    found: Json = {
        "body_length": -1,
        "discovered_h3_endpoint": str(page.h3 or ""),
        "failure": http_failure(page.failure),
        "title": "",
        "headers": {},
        "status_code": -1,
    }
    answer = page.answer
    if answer is not None:
        found["body_length"] = len(answer.body)
        found["status_code"] = answer.status
        for name, value in answer.headers:
            found["headers"].setdefault(_canonical(name), value)
        if len(answer.body) > AT_ONCE:
            read = await asyncio.to_thread(_read, answer)
        else:
            read = _read(answer)
        found |= read
    elif page.failure:
        found["x_failure"] = page.failure
    if page.hops:
        found["x_redirects"] = page.hops
    return found


def _read(answer: Exchange) -> Json:
    title = TITLE.search(answer.body.decode("utf-8", "replace"))
    return {
        "title": title.group(1) if title else "",
        "x_page": page_features(answer.body, answer.headers),
    }


def _canonical(name: str) -> str:
    """A header's name as Go spells it.

    >>> _canonical("x-content2type-a")
    'X-Content2type-A'
    """
    return "-".join(part.capitalize() for part in name.split("-"))


def offered_h3(answer: Exchange) -> H3 | None:
    """The endpoint of HTTP/3 in an `Alt-Svc` header (RFC 7838), None if there is none."""
    found = _H3.search(header(answer, "alt-svc") or "")
    host = urlsplit(answer.request.url).hostname or ""
    return H3(found[1] or host, int(found[2])) if found else None
