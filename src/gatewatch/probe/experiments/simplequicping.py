"""simplequicping: do QUIC handshakes succeed, time after time? OONI's test `simplequicping`."""

from __future__ import annotations

from gatewatch.probe.experiments.common.inputs import (
    Asked,
    InputTest,
    addresses_of,
    place_of,
    repeat,
)
from gatewatch.probe.experiments.common.pings import ping_keys
from gatewatch.probe.experiments.tlsping import sni_of
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import quic_handshake


async def work(asked: Asked) -> Json:
    at = place_of(asked.input, schemes={"quichandshake": 443})
    if at is None:
        return ping_keys(asked, [])
    addresses, failure = await addresses_of(asked.session, at.host)
    if not addresses:
        return ping_keys(asked, [], failure)
    address, name = addresses[0], sni_of(at.path) or at.host

    async def ping(number: int) -> Json:
        session = asked.session.fork()
        seat = session.seat
        found = await quic_handshake(
            session.vantage, address, at.port, name, ca=seat.ca, timeout_s=seat.patience.quic_s
        )
        session.journal.quic(found, session.journal.thread("quic", []))
        return {
            "network_events": session.journal.events,
            "quic_handshake": session.journal.quic_handshakes[0],
        }

    return ping_keys(asked, await repeat(asked.pace, ping))


EXPERIMENT = InputTest(
    name="simplequicping",
    version="0.2.1",
    question="Do QUIC handshakes with a server succeed, time after time?",
    work=work,
    takes="url",
)
