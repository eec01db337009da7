"""tlsping: do handshakes with a port succeed, time after time? OONI's test `tlsping`."""

from __future__ import annotations

from gatewatch.probe.experiments.common.inputs import Asked, InputTest, Place
from gatewatch.probe.experiments.common.pings import ping_place, sni_of
from gatewatch.probe.experiments.common.session import Session
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import connect, handshake


async def work(asked: Asked) -> Json:
    return await ping_place(asked, {"tlshandshake": 443}, _ping)


async def _ping(session: Session, address: str, at: Place) -> Json:
    patience, thread = session.seat.patience, session.journal.thread("tls", [])
    found = await connect(session.vantage, address, at.port, timeout_s=patience.connect_s)
    session.journal.connect(found, thread)
    if found.stream is not None:
        shaken = await handshake(
            found.stream,
            sni_of(at),
            ca=session.seat.ca,
            clock=session.clock,
            timeout_s=patience.tls_s,
        )
        session.journal.handshake(address, at.port, shaken, thread)
        found.stream.close()
    session.journal.traffic(found.events, thread)
    return {
        "network_events": session.journal.events,
        "tcp_connect": session.journal.connects[0],
        "tls_handshake": next(iter(session.journal.handshakes), None),
    }


EXPERIMENT = InputTest(
    name="tlsping",
    version="0.2.1",
    question="Do TLS handshakes with a server succeed, time after time?",
    work=work,
    takes="url",
)
