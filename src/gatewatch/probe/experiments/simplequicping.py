"""simplequicping: do QUIC handshakes succeed, time after time? OONI's test `simplequicping`."""

from __future__ import annotations

from gatewatch.probe.experiments.common.inputs import Asked, InputTest, Place
from gatewatch.probe.experiments.common.pings import ping_place, sni_of
from gatewatch.probe.experiments.common.session import Session
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import quic_handshake


async def work(asked: Asked) -> Json:
    return await ping_place(asked, {"quichandshake": 443}, _ping)


async def _ping(session: Session, address: str, at: Place) -> Json:
    seat = session.seat
    found = await quic_handshake(
        session.vantage, address, at.port, sni_of(at), ca=seat.ca, timeout_s=seat.patience.quic_s
    )
    session.journal.quic(found, session.journal.thread("quic", []))
    return {
        "network_events": session.journal.events,
        "quic_handshake": session.journal.quic_handshakes[0],
    }


EXPERIMENT = InputTest(
    name="simplequicping",
    version="0.2.1",
    question="Do QUIC handshakes with a server succeed, time after time?",
    work=work,
    takes="url",
)
