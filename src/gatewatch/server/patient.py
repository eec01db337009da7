"""HTTP/1.1 connections with an end to the server's patience: uvicorn's protocol, and clocks.

uvicorn waits for ever for a request that has begun, and keeps a connection until its last answer
is taken. Here every stage of a connection has its time, and when all places are taken, whoever
has kept us waiting longest without a whole request makes room. So the slow, which is how one
machine stops a server, can take places and not keep them. What is refused before there is a
request to hand on is refused in JSON too.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import h11
import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds and places; our choice."""

    header_s: float = 10.0
    "From the connection, or the first byte of a further request, to the end of the headers."
    body_s: float = 300.0
    "For the longest body on a slow line; what an application reads has its own, shorter time."
    answer_s: float = 120.0
    "From the whole request to the last byte of its answer."
    closing_s: float = 10.0
    "For the client to take what is left."
    idle_s: int = 15
    "Between two requests on a connection."
    connections: int = 1024
    header_bytes: int = 16 << 10
    "Of a request line and its headers."


class Patient(H11Protocol):
    """One connection."""

    def __init__(self, *given: Any, patience: Patience, **named: Any) -> None:
        super().__init__(*given, **named)
        self._patience = patience
        self._stage = ""
        self._timer: asyncio.TimerHandle | None = None
        self._since = self.loop.time()

    # What happens to the connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._watch()
        if len(self.connections) > self._patience.connections:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_stage("")
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._set_stage("")  # the next stage has its whole time, also when it has the same name
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no request: `msg`, and if the parser knows better, what it says."""
        error = sys.exc_info()[1]
        status = 400
        if isinstance(error, h11.RemoteProtocolError):
            status, msg = error.error_status_hint, f"no HTTP request: {error}"
        if self.cycle is not None and not self.cycle.response_complete:
            started = self.cycle.response_started
            self.cycle.disconnected = True  # whoever answers it finds the client gone
            self.cycle.message_event.set()
            if started:
                self.transport.abort()
                return
        self._say_last(status, msg)

    # Clocks.

    def _watch(self) -> None:
        """See in which stage the connection is, and start its clock when that is a new one."""
        self._set_stage(self._stage_now())

    def _stage_now(self) -> str:
        if self.transport.is_closing():
            return "closing"
        if self.conn.their_state is h11.SEND_BODY:
            return "body"
        if self.cycle is not None and not self.cycle.response_complete:
            return "answer"
        idle = self.timeout_keep_alive_task is not None  # uvicorn's own clock runs
        return "" if idle else "header"

    def _set_stage(self, stage: str) -> None:
        if stage == self._stage:
            return
        self._stage, self._since = stage, self.loop.time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if stage:
            seconds: float = getattr(self._patience, f"{stage}_s")
            self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if self._stage == "header":
            self._say_last(408, f"headers: not complete after {self._patience.header_s:g} seconds")
        else:
            self.transport.abort()

    def _make_room(self) -> None:
        """End the connection that has kept us waiting longest; this one, if none waits."""
        waiting = [
            one
            for one in self.connections
            if isinstance(one, Patient) and one is not self and one._stage in ("header", "body")
        ]
        slowest = min(waiting, key=lambda one: one._since, default=self)
        if slowest is self or slowest._stage == "header":
            slowest._say_last(503, "all places are taken; come again")
        else:
            slowest.transport.abort()
            slowest._watch()  # so that the next to come finds another one

    def _say_last(self, status: int, error: str) -> None:
        """Answer without a request, and end."""
        body = msgspec.json.encode({"error": error})
        head = (
            f"HTTP/1.1 {status} {_PHRASES.get(status, 'Bad Request')}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        if not self.transport.is_closing():
            self.transport.write(head.encode("ascii") + body)
            self.transport.close()
        self._watch()


_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
}
