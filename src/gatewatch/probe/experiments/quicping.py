"""quicping: does a server answer a QUIC packet of a version that nobody speaks?

RFC 9000, section 6, has every server answer with the versions that it does speak, without any
name having been sent: where this is answered and a handshake is not, the handshake's contents made
the difference. OONI's test `quicping`.
"""

from __future__ import annotations

import base64
import random

from gatewatch.probe.experiments.common.inputs import (
    Asked,
    InputTest,
    addresses_of,
    place_of,
    repeat,
)
from gatewatch.probe.experiments.common.pings import ping_keys
from gatewatch.probe.net import TIMEOUT, Datagrams, Failed
from gatewatch.probe.ooni import Json

RESERVED = 0xBABABABA
"A version of the form 0x?a?a?a?a, which is for this: RFC 9000, section 15."
LEAST = 1200
"Bytes of a client's first datagram: RFC 9000, section 14.1."
ID_BYTES = 16


async def work(asked: Asked) -> Json:
    at = place_of(asked.input, schemes={"https": 443, "quichandshake": 443})
    if at is None:
        return ping_keys(asked, [], unexpected_responses=[])
    addresses, failure = await addresses_of(asked.session, at.host)
    if not addresses:
        return ping_keys(asked, [], failure, unexpected_responses=[])
    unexpected: list[Json] = []

    async def ping(number: int) -> Json:
        return await _ping(asked, addresses[0], at.port, unexpected)

    pings = await repeat(asked.pace, ping)
    return ping_keys(
        asked, pings, domain=at.host, repetitions=len(pings), unexpected_responses=unexpected
    )


async def _ping(asked: Asked, address: str, port: int, unexpected: list[Json]) -> Json:
    session = asked.session
    vantage = session.vantage
    to, own = session.rng.randbytes(ID_BYTES), session.rng.randbytes(ID_BYTES)
    packet = probe_packet(to, own, session.rng)
    t0, failure, responses = vantage.now(), None, list[Json]()
    try:
        with await Datagrams.open(vantage, address, port) as datagrams:
            await datagrams.send(packet)
            while not responses:
                data = await datagrams.receive(t0 + asked.pace.timeout_s)
                versions = offered_versions(data, to, own)
                entry = {"response_data": _base64(data), "failure": None, "t": vantage.now()}
                if versions is None:
                    unexpected.append(entry)
                    if len(unexpected) > 64:
                        raise Failed(TIMEOUT)
                else:
                    responses.append({**entry, "supported_versions": versions})
    except Failed as failed:
        failure = failed.failure
    return {
        "conn_id_dst": to.hex(),
        "conn_id_src": own.hex(),
        "failure": failure,
        "request": _base64(packet),
        "t": round(t0, 6),
        "responses": responses,
    }


def _base64(data: bytes) -> Json:
    return {"data": base64.b64encode(data).decode("ascii"), "format": "base64"}


def probe_packet(to: bytes, own: bytes, rng: random.Random) -> bytes:
    """A long header with noise behind it, shaped like an Initial of version 1, as some servers
    read on before they look at the version: RFC 9000, section 17.2.2."""
    head = bytes([0xC0]) + RESERVED.to_bytes(4, "big")
    head += bytes([len(to)]) + to + bytes([len(own)]) + own
    left = LEAST - len(head) - 3
    head += b"\0" + (0x4000 | left).to_bytes(2, "big")  # no token; a length of two bytes
    return head + rng.randbytes(left)


def offered_versions(data: bytes, to: bytes, own: bytes) -> list[int] | None:
    """The versions of a negotiation that answers ours; None for anything else.

    Source: RFC 8999, section 6: version 0, and our connection ids the other way round.
    """
    head = bytes(4) + bytes([len(own)]) + own + bytes([len(to)]) + to
    if len(data) < 1 + len(head) or not data[0] & 0x80 or data[1 : 1 + len(head)] != head:
        return None
    rest = data[1 + len(head) :]
    return [int.from_bytes(rest[at : at + 4], "big") for at in range(0, len(rest) // 4 * 4, 4)]


EXPERIMENT = InputTest(
    name="quicping",
    version="0.1.0",
    question="Does a server answer QUIC at all, before any name is sent?",
    work=work,
    takes="url",
)
