"""A request written to the letter, and what a server says of it that tells which headers came.

OONI's helper `http-return-json-headers` answers with `headers_dict` and `request_line`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import h11

from gatewatch.probe.exchanges import Exchange, Request
from gatewatch.probe.experiments.common.session import Session
from gatewatch.probe.http1 import read_answer
from gatewatch.probe.net import EOF, Failed, Stream
from gatewatch.probe.steps import connect
from gatewatch.wire.address import endpoint

MOST = 1 << 17


@dataclass(slots=True, kw_only=True)
class Echoed:
    """What came back."""

    answer: Exchange
    line: str | None = None
    "The request line as the server got it; None when it did not say."
    headers: list[tuple[str, str]] = field(default_factory=list)
    "As the server got them, in their case; a header that came twice is here twice."

    @property
    def told(self) -> bool:
        return self.line is not None


async def ask_echo(
    session: Session,
    place: tuple[str, int],
    url: str,
    line: str,
    headers: list[tuple[str, str]],
) -> Echoed:
    """Send a request letter by letter and read what the server says it got."""
    address, port = place
    method = line.split(" ")[0]
    plain = tuple(pair for pair in headers if pair[0].lower() != "host")
    found = Exchange(
        request=Request(url=url, method=method, headers=plain), t0=session.vantage.now()
    )
    thread = session.journal.thread("tcp", [])
    reached = await connect(
        session.vantage, address, port, timeout_s=session.seat.patience.connect_s
    )
    session.journal.connect(reached, thread)
    if reached.stream is None:
        found.failure = reached.failure or EOF
    else:
        head = "".join(f"{text}\r\n" for text in (line, *(f"{k}: {v}" for k, v in headers), ""))
        try:
            await _read(session, reached.stream, head.encode("latin-1"), found)
        except Failed as failed:
            found.failure = failed.failure
        finally:
            reached.stream.close()
    found.t = session.vantage.now()
    session.journal.traffic(reached.events, thread)
    session.journal.request(endpoint(address, port), "", found, thread)
    return _told(found)


async def _read(session: Session, stream: Stream, head: bytes, found: Exchange) -> None:
    deadline = session.vantage.now() + session.seat.patience.http_s
    await stream.write(head, deadline)
    reader = h11.Connection(h11.CLIENT)
    # The reader is told of a request alike in kind, so that it knows how the answer ends.
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    reader.send(h11.EndOfMessage())
    await read_answer(reader, stream, found, deadline, MOST)


def _told(found: Exchange) -> Echoed:
    echoed = Echoed(answer=found)
    if found.failure is not None or found.status != 200:
        return echoed
    try:
        said = json.loads(found.body)
    except (ValueError, RecursionError):
        return echoed
    if not isinstance(said, dict):
        return echoed
    line, headers = said.get("request_line"), said.get("headers_dict")
    if isinstance(line, str) and isinstance(headers, dict):
        echoed.line = line
        echoed.headers = [
            (str(name), str(value))
            for name, values in headers.items()
            for value in (values if isinstance(values, list) else [values])
        ]
    return echoed
