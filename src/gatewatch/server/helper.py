"""The web_connectivity test helper as an ASGI application: the door before `visit`.

It bounds what it reads, whom it serves and how many at once; what it refuses it refuses in words.
No address of a client is kept or logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gatewatch.server.bodies import (
    Receive,
    Refused,
    Scope,
    Send,
    header_of,
    is_old,
    read_body,
    refuse,
    say,
)
from gatewatch.server.dialect import GREETING
from gatewatch.server.door import is_local
from gatewatch.server.limits import InFlight, Rates
from gatewatch.server.question import QUESTION_MAX, cost, read_question
from gatewatch.server.stand import Stand
from gatewatch.server.visit import answer

IN_FLIGHT, IN_FLIGHT_KNOWN = 25, 50
"As OONI's helper: strangers leave room for probes."
KNOWN = ("ooniprobe-", "gatewatch")
"How the User-Agent of a probe begins."
READING = 256
"Bodies that are read at once. Our choice; they may be slow, and are not in flight meanwhile."
QUESTION_S = 10.0
"Seconds for a question's body; our choice."
PER_S, BURST = 4.0, 300.0
"""Pages that one client may ask for. Our choice: a list of 200 at once, and then as many as the
fastest run of one probe asks for; a home or a campus behind one address shares it."""


@dataclass(kw_only=True)
class Helper:
    """The application.

    Args:
        rates: what each client may ask for; None does not count.
        headers: sent with every answer.
    """

    stand: Stand
    rates: Rates | None = field(default_factory=lambda: Rates(PER_S, BURST))
    headers: Mapping[str, str] = field(default_factory=dict)
    _reading: InFlight = field(default_factory=InFlight)
    _measuring: InFlight = field(default_factory=InFlight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        old = is_old(scope)
        try:
            said = GREETING
            if scope["method"] not in ("GET", "HEAD"):
                said = await self._answer(scope, receive)
        except Refused as refused:
            await refuse(send, refused, old=old)
        else:
            await say(send, said, headers=self.headers, old=old)

    async def _answer(self, scope: Scope, receive: Receive) -> object:
        if scope["method"] != "POST":
            raise Refused(400, f"method is {scope['method']}; wanted is GET or POST", close=True)
        with self._reading.one(READING):
            encoding = header_of(scope, b"content-encoding")
            body = await read_body(receive, QUESTION_MAX, encoding, within_s=QUESTION_S)
        asked = read_question(body)
        client = scope.get("client")
        if self.rates is not None and client is not None and not is_local(client[0]):
            self.rates.take(client[0], cost(asked))
        known = header_of(scope, b"user-agent").startswith(KNOWN)
        with self._measuring.one(IN_FLIGHT_KNOWN if known else IN_FLIGHT):
            return await answer(asked, self.stand)
