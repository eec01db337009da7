"""blockdiff: the same list through two vantages, side by side, step by step.

The other vantage is a SOCKS5 or HTTP proxy, a seat of its own, or what a second machine measured
and wrote down. What fails at one and not at the other is tried there once more. Two vantages are
two opinions: a difference says where a step fails, and not whose doing it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast
from urllib.parse import urlsplit

import msgspec

from gatewatch.probe.exchanges import target_of
from gatewatch.probe.experiments.common.inputs import BAD_INPUT
from gatewatch.probe.experiments.common.reached import Reached
from gatewatch.probe.experiments.common.session import begin
from gatewatch.probe.experiments.nettest import Tell, say_nothing
from gatewatch.probe.likeness import SAME_LENGTH
from gatewatch.probe.ooni import Json, scrub_bytes
from gatewatch.probe.proxy import Proxy
from gatewatch.probe.scrub import Scrubber
from gatewatch.probe.seat import Seat
from gatewatch.probe.urls import leads_to, port_of, redirects, wire_url
from gatewatch.refdata.endpoints import Endpoint
from gatewatch.wire.html import title_of

Step = Literal["dns", "tcp", "tls", "http", "page"]
Verdict = Literal["same", "fails_here", "fails_there", "fails_at_both", "other_page", "unknown"]
STEPS: tuple[Step, ...] = ("dns", "tcp", "tls", "http", "page")
MOST_REDIRECTS = 5
NOT_MEASURED = "unknown_failure: not measured there"
_OPERATIONS: dict[str, Step] = {
    "resolve": "dns",
    "connect": "tcp",
    "tls_handshake": "tls",
    "http_round_trip": "http",
}


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """How one URL went at one vantage."""

    failed: Step | None
    "The first step that failed; None when there is a page."
    failure: str | None
    url: str
    "The last that was asked for, after redirects."
    addresses: tuple[str, ...] = ()
    status: int | None = None
    title: str | None = None
    body_length: int | None = None
    body_sha256: str | None = None
    measured: bool = True


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One URL at both."""

    url: str
    here: Side
    there: Side
    differs: Step | None
    "The first step that is not alike; None where all are."
    verdict: Verdict
    words: str


class There(Protocol):
    """A vantage that can be asked about one URL."""

    async def look(self, url: str, *, rng: random.Random) -> Side: ...


@dataclass(frozen=True, slots=True)
class Live:
    """A vantage that measures now: a seat, or from a seat through a proxy."""

    seat: Seat
    proxy: Proxy | None = None

    async def look(self, url: str, *, rng: random.Random) -> Side:
        asked, answer = wire_url(url), None
        if asked is None:
            return Side(failed="dns", failure=BAD_INPUT, url=url)
        for _ in range(MOST_REDIRECTS + 1):
            answer = await self._reach(asked, rng)
            page = answer.exchange
            target = leads_to(page) if page is not None and redirects(page) else None
            further = wire_url(target) if target else None
            if further is None:
                break
            asked = further
        assert answer is not None
        return _of_reached(asked, answer, self.seat.scrubber)

    async def _reach(self, url: str, rng: random.Random) -> Reached:
        session = begin(self.seat, rng, say_nothing, via=self.proxy)
        parts = urlsplit(url)
        target = Endpoint(
            service="blockdiff",
            kind=parts.scheme,
            protocol="https" if parts.scheme == "https" else "http",
            host=parts.hostname or "",
            port=port_of(url),
            path=target_of(url),
        )
        return await session.reach(target)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a second machine wrote down: web_connectivity measurements, the last of each URL."""

    by_url: dict[str, Json]

    @classmethod
    def read(cls, lines: Iterable[str | bytes]) -> Recorded:
        """JSON Lines; a line that is no measurement of a URL is passed over."""
        found: dict[str, Json] = {}
        for line in lines:
            try:
                one = json.loads(line)
            except (ValueError, RecursionError):
                continue
            keys = one.get("test_keys") if isinstance(one, dict) else None
            if isinstance(keys, dict) and isinstance(one.get("input"), str):
                found[wire_url(one["input"]) or one["input"]] = one
        return cls(found)

    async def look(self, url: str, *, rng: random.Random) -> Side:
        found = self.by_url.get(wire_url(url) or url)
        if found is None:
            return Side(failed=None, failure=NOT_MEASURED, url=url, measured=False)
        return side_of(url, found["test_keys"])


async def blockdiff(
    urls: Sequence[str],
    here: Seat,
    there: Proxy | Seat | Path | There,
    *,
    rng: random.Random | None = None,
    parallel: int = 4,
    tell: Tell = say_nothing,
) -> list[Row]:
    """One row for each URL, in order.

    Args:
        there: a path is that of a file of measurements, JSON Lines.
        parallel: URLs at a time.
    """
    chance = rng or random.Random()
    mine, other = Live(here), _vantage(here, there)
    gate = asyncio.Semaphore(parallel)

    async def one(url: str) -> Row:
        async with gate:
            tell(url)
            first = await asyncio.gather(mine.look(url, rng=chance), other.look(url, rng=chance))
            return row(url, *await _again(url, (mine, other), first, chance))

    rows = await asyncio.gather(*map(one, urls))
    seats = [here, *([there] if isinstance(there, Seat) else [])]
    return [_without_addresses(row, seats) for row in rows]


def diff_now(
    urls: Sequence[str],
    here: Seat,
    there: Proxy | Seat | Path | There,
    *,
    rng: random.Random,
    tell: Tell = say_nothing,
) -> list[Row]:
    """`blockdiff`, to its end."""
    return asyncio.run(blockdiff(urls, here, there, rng=rng, tell=tell))


def _without_addresses(row: Row, seats: Iterable[Seat]) -> Row:
    """The same without the addresses of those who measured."""
    plain = msgspec.to_builtins(row)
    for seat in seats:
        plain = seat.scrubber.clean(plain)
    return msgspec.convert(plain, Row)


async def _again(
    url: str, looking: tuple[There, There], sides: Sequence[Side], rng: random.Random
) -> tuple[Side, Side]:
    """What failed at one alone is looked at once more there: lines lose packets."""
    here, there = sides
    if here.failed and there.measured and not there.failed:
        here = await looking[0].look(url, rng=rng)
    elif there.failed and not here.failed:
        there = await looking[1].look(url, rng=rng)
    return here, there


def _vantage(here: Seat, there: Proxy | Seat | Path | There) -> There:
    if isinstance(there, Proxy):
        return Live(here, there)
    if isinstance(there, Seat):
        return Live(there)
    if isinstance(there, Path):
        with there.open("rb") as lines:
            return Recorded.read(lines)
    return there


def row(url: str, here: Side, there: Side) -> Row:
    """Two sides compared.

    >>> ok = Side(failed=None, failure=None, url="http://a/", status=200)
    >>> row("http://a/", Side(failed="tls", failure="connection_reset", url="http://a/"), ok).words
    'here connection_reset at tls; there 200'
    """
    verdict, differs = _compared(here, there)
    return Row(
        url=url,
        here=here,
        there=there,
        differs=differs,
        verdict=verdict,
        words=f"here {_words(here)}; there {_words(there)}",
    )


def _compared(here: Side, there: Side) -> tuple[Verdict, Step | None]:
    if not (here.measured and there.measured):
        return "unknown", None
    if "socks_error" in (here.failure, there.failure):
        return "unknown", None
    if here.failed and there.failed:
        first = STEPS[min(STEPS.index(here.failed), STEPS.index(there.failed))]
        return "fails_at_both", None if here.failed == there.failed else first
    if here.failed or there.failed:
        return ("fails_here", here.failed) if here.failed else ("fails_there", there.failed)
    return ("same", None) if alike(here, there) else ("other_page", "page")


def alike(here: Side, there: Side) -> bool:
    """Are these the same page? By its bytes, or else by status, and title or length."""
    if here.body_sha256 is not None and here.body_sha256 == there.body_sha256:
        return True
    if here.status != there.status:
        return False
    if here.title and here.title == there.title:
        return True
    lengths = sorted((here.body_length or 0, there.body_length or 0))
    near = lengths[1] == 0 or lengths[0] / lengths[1] > SAME_LENGTH
    return near and (here.title == there.title or not (here.title and there.title))


def _words(side: Side) -> str:
    if not side.measured:
        return "not measured"
    if side.failed:
        return f"{side.failure} at {side.failed}"
    return f"{side.status}" + (f" {side.title!r}" if side.title else "")


def _of_reached(url: str, one: Reached, scrubber: Scrubber) -> Side:
    if not one.well:
        failed = _OPERATIONS[one.operation or "resolve"]
        return Side(failed=failed, failure=one.failure, url=url, addresses=one.addresses)
    assert one.exchange is not None
    # A hash of a page that has the user's address in it would tell the address.
    body = scrubber.body(scrub_bytes(one.exchange.body))
    return Side(
        failed=None,
        failure=None,
        url=url,
        addresses=one.addresses,
        status=one.exchange.status,
        title=title_of(body.decode("utf-8", "replace")),
        body_length=len(body),
        body_sha256=hashlib.sha256(body).hexdigest(),
    )


def side_of(url: str, keys: Json) -> Side:
    """A web_connectivity measurement as a side: the newest request, or the step before it."""

    def entries(name: str) -> list[Json]:
        found = keys.get(name)
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    requests = [one for one in entries("requests") if one.get("network") != "udp"]
    newest = requests[0] if requests else {}
    answer = newest.get("response")
    if newest.get("failure") is None and isinstance(answer, dict):
        body = answer.get("body")
        text = body if isinstance(body, str) else ""
        return Side(
            failed=None,
            failure=None,
            url=str((newest.get("request") or {}).get("url", url)),
            status=answer.get("code") if isinstance(answer.get("code"), int) else None,
            title=title_of(text),
            body_length=len(text.encode("utf-8", "replace")) if text else None,
        )
    for step, failures in (
        ("tls", [e.get("failure") for e in entries("tls_handshakes")]),
        ("tcp", [(e.get("status") or {}).get("failure") for e in entries("tcp_connect")]),
        ("dns", [e.get("failure") for e in entries("queries")]),
    ):
        if not requests and failures and all(failures):
            return Side(failed=cast("Step", step), failure=str(failures[0]), url=url)
    if requests:
        return _of_request(url, str(newest.get("failure")), entries)
    return Side(failed=None, failure=NOT_MEASURED, url=url, measured=False)


def _of_request(url: str, failure: str, entries: Any) -> Side:
    """A request that failed: at the step that first failed with the same words, or itself."""
    for step, name in (("dns", "queries"), ("tls", "tls_handshakes")):
        if any(e.get("failure") == failure for e in entries(name)):
            return Side(failed=cast("Step", step), failure=failure, url=url)
    if any((e.get("status") or {}).get("failure") == failure for e in entries("tcp_connect")):
        return Side(failed="tcp", failure=failure, url=url)
    return Side(failed="http", failure=failure, url=url)
