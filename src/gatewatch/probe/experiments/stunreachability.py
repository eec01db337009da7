"""STUN: does a server answer that helps calls through NATs? OONI's test `stunreachability`."""

from __future__ import annotations

from gatewatch.probe.experiments.common.inputs import (
    BAD_INPUT,
    Asked,
    InputTest,
    Pace,
    addresses_of,
    place_of,
)
from gatewatch.probe.net import TIMEOUT, Datagrams, Failed
from gatewatch.probe.ooni import Json
from gatewatch.wire.address import endpoint

COOKIE = 0x2112A442
BINDING, SUCCESS = 0x0001, 0x0101
"RFC 8489, sections 5 and 6."
AGAIN = Pace(times=4, gap_s=0.0, timeout_s=0.5)
"Sent again after 0.5, 1, 2 and 4 s: RFC 8489, section 6.2.1, cut after the fourth."


async def work(asked: Asked) -> Json:
    session = asked.session
    at = place_of(asked.input, schemes={"stun": 3478})
    failure: str | None = BAD_INPUT
    if at is not None:
        addresses, failure = await addresses_of(session, at.host)
        for address in addresses[:1]:
            failure = await _bind(asked, address, at.port)
    keys = session.keys()
    return {
        "endpoint": endpoint(at.host, at.port) if at else "",
        "failure": failure,
        "network_events": keys["network_events"],
        "queries": keys["queries"],
        "x_service": {
            "blocked": False if failure is None else None,
            "why": "answered"
            if failure is None
            else "no answer; a control does not speak STUN, so a dead server looks the same",
            "endpoints": [{"endpoint": asked.input, "failure": failure}],
        },
    }


async def _bind(asked: Asked, address: str, port: int) -> str | None:
    """One binding request, sent again until it is answered; the failure."""
    session = asked.session
    vantage = session.vantage
    transaction = session.rng.randbytes(12)
    thread = session.journal.thread("udp", [])
    try:
        with await Datagrams.open(vantage, address, port) as datagrams:
            try:
                for number in range(asked.pace.times):
                    await datagrams.send(binding_request(transaction))
                    try:
                        return await _answer(
                            datagrams, transaction, vantage.now() + asked.pace.timeout_s * 2**number
                        )
                    except Failed as failed:
                        if failed.failure != TIMEOUT:
                            raise
                return TIMEOUT
            finally:
                session.journal.traffic(datagrams.events, thread)
    except Failed as failed:
        return failed.failure


async def _answer(datagrams: Datagrams, transaction: bytes, deadline: float) -> str | None:
    """The failure that the first answer to our request tells; what is none is passed over."""
    while True:
        kind = answer_kind(await datagrams.receive(deadline), transaction)
        if kind is not None:
            return None if kind == SUCCESS else "unknown_failure: STUN error"


def binding_request(transaction: bytes) -> bytes:
    """RFC 8489, section 5: no attributes.

    >>> binding_request(bytes(12)).hex()
    '000100002112a442000000000000000000000000'
    """
    return BINDING.to_bytes(2, "big") + bytes(2) + COOKIE.to_bytes(4, "big") + transaction


def answer_kind(data: bytes, transaction: bytes) -> int | None:
    """The type of a message that answers ours; None for any other. What it says of our own
    address is not read."""
    ours = len(data) >= 20 and data[4:8] == COOKIE.to_bytes(4, "big") and data[8:20] == transaction
    whole = ours and len(data) >= 20 + int.from_bytes(data[2:4], "big")
    return int.from_bytes(data[:2], "big") if whole else None


EXPERIMENT = InputTest(
    name="stunreachability",
    version="0.4.0",
    question="Does a STUN server answer?",
    work=work,
    kinds=(("stun", "server"),),
    pace=AGAIN,
)
