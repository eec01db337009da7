"""tcpping: does a port accept connections, time after time? OONI's test `tcpping`."""

from __future__ import annotations

from gatewatch.probe.experiments.common.inputs import Asked, InputTest, Place
from gatewatch.probe.experiments.common.pings import ping_place
from gatewatch.probe.experiments.common.session import Session
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import connect


async def work(asked: Asked) -> Json:
    return await ping_place(asked, {"tcpconnect": 0}, _ping)


async def _ping(session: Session, address: str, at: Place) -> Json:
    thread = session.journal.thread("tcp", [])
    found = await connect(
        session.vantage, address, at.port, timeout_s=session.seat.patience.connect_s
    )
    session.journal.connect(found, thread)
    if found.stream is not None:
        found.stream.close()
    return {"tcp_connect": session.journal.connects[0]}


EXPERIMENT = InputTest(
    name="tcpping",
    version="0.2.0",
    question="Does a port accept connections, time after time?",
    work=work,
    takes="url",
)
