"""What the pings have in common: a list of attempts, and how many went well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from gatewatch.probe.experiments.common.inputs import (
    BAD_INPUT,
    Asked,
    Place,
    addresses_of,
    place_of,
    repeat,
)
from gatewatch.probe.experiments.common.session import Session
from gatewatch.probe.ooni import Json

Ping = Callable[[Session, str, Place], Awaitable[Json]]
"One attempt, with a record of its own: at an address, of what the input says."


async def ping_place(asked: Asked, schemes: dict[str, int], ping: Ping) -> Json:
    """Test keys of a ping of the port that the input names, at the first address of its host.

    Args:
        schemes: that the input may have, with their ports; 0 for one that must name its own.
    """
    at = place_of(asked.input, schemes=schemes)
    if at is None or not at.port:
        return ping_keys(asked, [])
    addresses, failure = await addresses_of(asked.session, at.host)
    if not addresses:
        return ping_keys(asked, [], failure)

    async def once(_: int) -> Json:
        return await ping(asked.session.fork(), addresses[0], at)

    return ping_keys(asked, await repeat(asked.pace, once))


def sni_of(at: Place) -> str:
    """The server name to send: what the input says, `tlshandshake://192.0.2.1?sni=example.org`.

    >>> sni_of(Place("tlshandshake", "192.0.2.1", 443, "?sni=a.example"))
    'a.example'
    """
    return parse_qs(at.path.partition("?")[2]).get("sni", [at.host])[0]


def ping_keys(asked: Asked, pings: list[Json], failure: str | None = None, **more: object) -> Json:
    """Test keys of a ping; `failure` is in place of all of them.

    An input that the test does not take has no attempts and says so.
    """
    answered = sum(_well(ping) for ping in pings)
    return {
        "pings": pings,
        **more,
        "failure": failure if pings else failure or BAD_INPUT,
        "x_answered": answered,
        "x_queries": asked.session.keys()["queries"],
    }


def _well(ping: Json) -> bool:
    """
    >>> _well({"tcp_connect": {"status": {"failure": None}}}), _well({"failure": "eof_error"})
    (True, False)
    """
    if "tls_handshake" in ping:
        return ping["tls_handshake"] is not None and ping["tls_handshake"]["failure"] is None
    if "tcp_connect" in ping:
        return ping["tcp_connect"]["status"]["failure"] is None
    for key in ("quic_handshake", "query"):
        if key in ping:
            return ping[key]["failure"] is None
    return ping.get("failure") is None
