"""Asking the control server what the URL looks like from where it stands."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from gatewatch.probe.ooni import ACCEPT, ACCEPT_LANGUAGE, USER_AGENT, Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.steps import Request, Vantage, connect, exchange, handshake
from gatewatch.wire.address import endpoint

ANSWER_LIMIT = 1 << 22
PORT = 443


async def ask_control(
    vantage: Vantage, seat: Seat, question: Json
) -> tuple[Json | None, str | None]:
    """The control's answer, or the failure in its place.

    Args:
        question: as of OONI's test helper protocol.
    """
    if not seat.controls:
        return None, "unknown_failure: no control server"
    name, address = seat.controls[0].name, seat.controls[0].address
    assert address is not None
    deadline = vantage.now() + seat.patience.control_s
    reached = await connect(vantage, address, PORT)
    if reached.stream is None:
        return None, reached.failure
    try:
        shaken = await handshake(reached.stream, name, ca=seat.ca)
        if shaken.channel is None:
            return None, shaken.failure
        request = Request(
            url=f"https://{name}/",
            method="POST",
            headers=(("Content-Type", "application/json"), ("User-Agent", seat.software)),
            body=json.dumps(question).encode(),
        )
        left = deadline - vantage.now()
        answer = await exchange(vantage, shaken.channel, request, timeout_s=left, most=ANSWER_LIMIT)
    finally:
        reached.stream.close()
    if answer.failure:
        return None, answer.failure
    if answer.status != 200:
        return None, "http_request_failed"
    return _read(answer.body)


def _read(body: bytes) -> tuple[Json | None, str | None]:
    try:
        control = json.loads(body)
    except ValueError:
        return None, "json_parse_error"
    whole = isinstance(control, dict) and {"dns", "http_request"} <= control.keys()
    return (control, None) if whole else (None, "json_parse_error")


def control_request(url: str, addresses: list[str]) -> Json:
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
