"""Asking control servers what the URL looks like from where they stand.

The protocol is that of OONI's test helper, so that a foreign one serves as well: it answers what
it knows of the question and leaves out the rest.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from gatewatch.model.target import is_address
from gatewatch.probe.ooni import ACCEPT, ACCEPT_LANGUAGE, USER_AGENT, Json
from gatewatch.probe.seat import Control, Seat
from gatewatch.probe.steps import (
    Channel,
    Exchange,
    Request,
    Vantage,
    connect,
    exchange,
    handshake,
    lookup_https,
    lookup_system,
)
from gatewatch.wire.address import endpoint, is_bogon, is_loopback

ANSWER_LIMIT = 1 << 22
OVERLAP = 0.5
"""Share of the patience after which the next one is asked as well; OONI's: 15 of 30 seconds."""
MOST_ADDRESSES = 4
"Of one control server; our choice, so that a name with many dead ones does not take all the time."
NO_CONTROL = "unknown_failure: no available helpers"
"OONI's words."
MALFORMED = "json_parse_error"
BAD_STATUS = "http_request_failed"


@dataclass(slots=True, kw_only=True)
class Said:
    """What became of asking one control server."""

    control: Control
    answer: Json | None = None
    failure: str | None = None

    def entry(self) -> Json:
        """As in `x_controls`."""
        return {"url": self.control.url, "answer": self.answer, "failure": self.failure}


@dataclass(slots=True, kw_only=True)
class Answers:
    """What the control servers said."""

    first: Said | None = None
    "The one that counts: whole, or the first failure. None when there is none to ask."
    others: list[Said] = field(default_factory=list)

    @property
    def answer(self) -> Json | None:
        return self.first.answer if self.first else None

    @property
    def failure(self) -> str | None:
        """OONI's `control_failure`."""
        return self.first.failure if self.first else NO_CONTROL


async def ask_controls(
    vantage: Vantage, seat: Seat, question: Json, *, everyone: bool = False
) -> Answers:
    """Ask the seat's controls, one after the other until one answers.

    The next is asked when one fails, and when one is slow, beside it; the first whole answer
    counts.

    Args:
        question: of OONI's test helper protocol.
        everyone: all are asked at once and waited for; the first of them, in the seat's order,
            with a whole answer counts.
    """
    said: dict[int, Said] = {}
    deadline = vantage.now() + seat.patience.control_s
    waiting = list(enumerate(seat.controls))
    going: set[asyncio.Task[tuple[int, Said]]] = set()

    async def ask(number: int, control: Control) -> tuple[int, Said]:
        return number, await ask_one(vantage, seat, control, question, deadline)

    def begin() -> None:
        going.add(asyncio.ensure_future(ask(*waiting.pop(0))))

    try:
        while waiting or going:
            while waiting and (everyone or not going):
                begin()
            pause = seat.patience.control_s * OVERLAP if waiting else None
            done, going = await asyncio.wait(
                going, timeout=pause, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                number, one = task.result()
                said[number] = one
            if not everyone and any(one.answer is not None for one in said.values()):
                break
            if waiting:  # too slow, or failed
                begin()
    finally:
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
    in_order = [said[number] for number in sorted(said)]
    first = next((one for one in in_order if one.answer is not None), None)
    first = first or next(iter(in_order), None)
    return Answers(first=first, others=[one for one in in_order if one is not first])


async def ask_control(
    vantage: Vantage, seat: Seat, question: Json
) -> tuple[Json | None, str | None]:
    """The answer of the first control that gives one, or the failure in its place."""
    said = await ask_controls(vantage, seat, question)
    return said.answer, said.failure


async def ask_one(
    vantage: Vantage, seat: Seat, control: Control, question: Json, deadline: float
) -> Said:
    """Ask one control server, at each of its addresses until one answers.

    Args:
        deadline: seconds since the measurement began.
    """
    said = Said(control=control, failure="dns_no_answer")
    tried = set[str]()
    async for address, failure in _addresses(vantage, seat, control):
        if address is None:
            said.failure = said.failure if tried else failure
            continue
        if address in tried or len(tried) >= MOST_ADDRESSES:
            continue
        tried.add(address)
        said.answer, said.failure = await _ask_at(
            vantage, seat, control, address, question, deadline
        )
        if said.failure is None or vantage.now() >= deadline:
            break
    return said


async def _addresses(
    vantage: Vantage, seat: Seat, control: Control
) -> AsyncIterator[tuple[str | None, str | None]]:
    """Where the control may be, the system's resolver asked before others; or why there is
    nothing to say."""
    host = control.front or control.name
    given = control.address or (host if is_address(host) else None)
    if given is not None:
        yield given, None
        return
    found = await lookup_system(
        vantage, seat.resolver, host, total_s=seat.patience.dns_s, late_s=0.0
    )
    for address in found.addresses:
        if not is_loopback(address):
            yield address, None
    yield None, found.failure
    for name, address in seat.doh_resolvers:
        over = await lookup_https(
            vantage, name, address, host, "A", ca=seat.ca, total_s=seat.patience.dns_s
        )
        for told in over.addresses:
            if not is_bogon(told):
                yield told, None


async def _ask_at(
    vantage: Vantage, seat: Seat, control: Control, address: str, question: Json, deadline: float
) -> tuple[Json | None, str | None]:
    """An answer, or the failure in its place."""
    patience = seat.patience
    left = deadline - vantage.now()
    reached = await connect(vantage, address, control.port, timeout_s=min(patience.connect_s, left))
    if reached.stream is None:
        return None, reached.failure
    try:
        channel: Channel = reached.stream
        alpn = ""
        if control.scheme == "https":
            left = deadline - vantage.now()
            shaken = await handshake(
                reached.stream,
                control.front or control.name,
                ca=seat.ca,
                alpn=("h2", "http/1.1"),
                timeout_s=min(patience.tls_s, left),
            )
            if shaken.channel is None:
                return None, shaken.failure
            channel, alpn = shaken.channel, shaken.alpn
        request = Request(
            url=control.url,
            method="POST",
            headers=(
                ("Content-Type", "application/json"),
                ("User-Agent", f"{seat.software}/{seat.version}"),
            ),
            body=json.dumps(question).encode(),
        )
        left = deadline - vantage.now()
        answer = await exchange(
            vantage, channel, request, alpn=alpn, timeout_s=left, most=ANSWER_LIMIT
        )
    finally:
        reached.stream.close()
    return read_answer(answer)


class _Names(Struct):
    addrs: list[str] | None
    failure: str | None = None


class _Page(Struct):
    failure: str | None = None
    body_length: int = -1
    status_code: int = -1
    title: str | None = ""
    headers: dict[str, str] | None = None
    discovered_h3_endpoint: str | None = ""
    x_page: dict[str, Any] | None = None


class _Step(Struct):
    failure: str | None = None
    status: bool | None = None
    server_name: str | None = None


class _Address(Struct):
    asn: int | None = 0
    flags: int | None = 0


class _Answer(Struct):
    """As much of an answer as whoever reads it relies on."""

    dns: _Names
    http_request: _Page
    tcp_connect: dict[str, _Step] | None = None
    tls_handshake: dict[str, _Step] | None = None
    quic_handshake: dict[str, _Step] | None = None
    ip_info: dict[str, _Address | None] | None = None


def read_answer(answer: Exchange) -> tuple[Json | None, str | None]:
    """A control's answer as it is recorded, or the failure in its place."""
    if answer.failure:
        return None, answer.failure
    if answer.status != 200:
        return None, BAD_STATUS
    try:
        control = json.loads(answer.body)
        msgspec.convert(control, _Answer)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None, MALFORMED
    return control, None


def control_request(url: str, addresses: Sequence[str]) -> Json:
    """What the probe sends: the URL, and both ports of every address it has found."""
    parts = urlsplit(url)
    ports = [parts.port] if parts.port else [443, 80]
    return {
        "http_request": url,
        "http_request_headers": {
            "Accept": [ACCEPT],
            "Accept-Language": [ACCEPT_LANGUAGE],
            "User-Agent": [USER_AGENT],
        },
        "tcp_connect": [endpoint(a, p) for a in addresses for p in ports],
        "x_quic_enabled": False,
    }
