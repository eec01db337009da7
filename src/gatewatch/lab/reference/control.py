"""Asking the control server what the URL looks like from where it stands."""

from __future__ import annotations

import json

from gatewatch.lab.reference.seat import Seat
from gatewatch.lab.reference.steps import Request, Vantage, connect, exchange, handshake
from gatewatch.simulate.ooni import Json

CONTROL_S = 11.0
"As long as the control itself may need for a site that is silent. OONI waits 30."
ANSWER_LIMIT = 1 << 22
PORT = 443


async def ask_control(
    vantage: Vantage, seat: Seat, question: Json
) -> tuple[Json | None, str | None]:
    """The control's answer, or the failure in its place.

    Args:
        question: as of OONI's test helper protocol.
    """
    if seat.control is None:
        return None, "unknown_failure: no control server"
    name, address = seat.control
    deadline = vantage.now() + CONTROL_S
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
