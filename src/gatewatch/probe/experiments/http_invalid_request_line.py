"""http_invalid_request_line: does whatever is on the way answer lines that are no HTTP?

An echo server sends back what it gets. A proxy on the way that takes the lines for HTTP answers
itself, or changes them. OONI's test of that name.
"""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass

from gatewatch.probe.experiments.common.inputs import Asked, InputTest, locate
from gatewatch.probe.experiments.common.opinions import ask
from gatewatch.probe.experiments.common.reached import Reached
from gatewatch.probe.net import EOF, TIMEOUT, Failed
from gatewatch.probe.ooni import Json, scrub
from gatewatch.probe.steps import connect
from gatewatch.refdata.endpoints import Endpoint

LISTEN_S = 5.0
"As long as OONI listens to what comes back."
MOST_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Echo:
    sent: str
    received: bytes
    failure: str | None
    "Of the connection; one that was made and then ended is no failure, it is an answer."

    @property
    def tampered(self) -> bool:
        return self.failure is None and self.received != self.sent.encode()


def lines(rng: random.Random) -> list[str]:
    """The five lines that OONI sends."""

    def caps(count: int) -> str:
        return "".join(rng.choices(string.ascii_uppercase, k=count))

    return [
        f"{caps(4)} / HTTP/1.1\n\r",
        f"{' '.join(caps(5) for _ in range(4))}\n\r",
        f"{caps(1024)} / HTTP/1.1\n\r",
        f"GET / HTTP/{caps(3)}\n\r",
        "GET cache_object://localhost/ HTTP/1.0\n\r",
    ]


async def work(asked: Asked) -> Json:
    found, failure = await locate(asked, schemes={"tcpconnect": 80})
    if found is None:
        return {**keys([]), "failure_list": [failure], "x_control": {}}
    at, addresses = found.place, found.addresses
    sent = lines(asked.session.rng)
    echoes = await asyncio.gather(*(_echo(asked, addresses[0], at.port, line) for line in sent))
    target = Endpoint(
        service="helpers", kind="tcp_echo", protocol="tcp", host=at.host, port=at.port
    )
    unheard = all(echo.failure for echo in echoes)
    about = [Reached(endpoint=target, addresses=addresses)] if unheard else []
    heard = await ask(asked.session, about)
    return {**keys(echoes), "x_control": heard.connects}


async def _echo(asked: Asked, address: str, port: int, line: str) -> Echo:
    """Send a line and read until as much came back, the end, or the time is over."""
    vantage = asked.session.vantage
    reached = await connect(vantage, address, port, timeout_s=asked.session.seat.patience.connect_s)
    if reached.stream is None:
        return Echo(line, b"", reached.failure or EOF)
    received = b""
    deadline = vantage.now() + min(LISTEN_S, asked.pace.timeout_s)
    try:
        await reached.stream.write(line.encode(), deadline)
        while len(received) < MOST_READ:
            data = await reached.stream.read(deadline)
            received += data
            if not data or received == line.encode():
                break
    except Failed as failed:
        # Silence to the end says as much as what came; a reset is somebody's act.
        if failed.failure != TIMEOUT and not received:
            return Echo(line, received, failed.failure)
    finally:
        reached.stream.close()
    return Echo(line, received, None)


def keys(echoes: Sequence[Echo]) -> Json:
    """OONI's keys. What comes back may hold our address, as a proxy's page does."""
    return {
        "failure_list": [echo.failure for echo in echoes],
        "received": [scrub(echo.received.decode("utf-8", "replace")) for echo in echoes],
        "sent": [echo.sent for echo in echoes],
        "tampering_list": [echo.tampered for echo in echoes],
        "tampering": any(echo.tampered for echo in echoes),
    }


EXPERIMENT = InputTest(
    name="http_invalid_request_line",
    version="0.2.1",
    question="Does a proxy on the way answer, or change, lines that are no HTTP?",
    work=work,
    kinds=(("helpers", "tcp_echo"),),
    helper=True,
)
