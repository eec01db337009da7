"""tcpping: does a port accept connections, time after time? OONI's test `tcpping`."""

from __future__ import annotations

from gatewatch.probe.experiments.common.inputs import (
    Asked,
    InputTest,
    addresses_of,
    place_of,
    repeat,
)
from gatewatch.probe.experiments.common.pings import ping_keys
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import connect


async def work(asked: Asked) -> Json:
    at = place_of(asked.input, schemes={"tcpconnect": 0})
    if at is None or not at.port:
        return ping_keys(asked, [])
    addresses, failure = await addresses_of(asked.session, at.host)
    if not addresses:
        return ping_keys(asked, [], failure)
    address = addresses[0]

    async def ping(number: int) -> Json:
        session = asked.session.fork()
        thread = session.journal.thread("tcp", [])
        found = await connect(
            session.vantage, address, at.port, timeout_s=asked.session.seat.patience.connect_s
        )
        session.journal.connect(found, thread)
        if found.stream is not None:
            found.stream.close()
        return {"tcp_connect": session.journal.connects[0]}

    return ping_keys(asked, await repeat(asked.pace, ping))


EXPERIMENT = InputTest(
    name="tcpping",
    version="0.2.0",
    question="Does a port accept connections, time after time?",
    work=work,
    takes="url",
)
