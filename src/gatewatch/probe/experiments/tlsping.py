"""tlsping: do handshakes with a port succeed, time after time? OONI's test `tlsping`."""

from __future__ import annotations

from urllib.parse import parse_qs

from gatewatch.probe.experiments.common.inputs import (
    Asked,
    InputTest,
    addresses_of,
    place_of,
    repeat,
)
from gatewatch.probe.experiments.common.pings import ping_keys
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import connect, handshake


async def work(asked: Asked) -> Json:
    """The input may say the server name to send: `tlshandshake://192.0.2.1:443?sni=example.org`."""
    at = place_of(asked.input, schemes={"tlshandshake": 443})
    if at is None:
        return ping_keys(asked, [])
    addresses, failure = await addresses_of(asked.session, at.host)
    if not addresses:
        return ping_keys(asked, [], failure)
    address, name = addresses[0], sni_of(at.path) or at.host
    patience = asked.session.seat.patience

    async def ping(number: int) -> Json:
        session = asked.session.fork()
        thread = session.journal.thread("tls", [])
        found = await connect(session.vantage, address, at.port, timeout_s=patience.connect_s)
        session.journal.connect(found, thread)
        if found.stream is not None:
            shaken = await handshake(
                found.stream,
                name,
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

    return ping_keys(asked, await repeat(asked.pace, ping))


def sni_of(query: str) -> str | None:
    """
    >>> sni_of("?sni=example.org"), sni_of("")
    ('example.org', None)
    """
    return parse_qs(query.partition("?")[2]).get("sni", [None])[0]


EXPERIMENT = InputTest(
    name="tlsping",
    version="0.2.1",
    question="Do TLS handshakes with a server succeed, time after time?",
    work=work,
    takes="url",
)
