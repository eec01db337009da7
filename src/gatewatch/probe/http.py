"""One HTTP request over a channel, and what came back, whole or in part."""

from __future__ import annotations

from gatewatch.probe import http1, http2
from gatewatch.probe.exchanges import HTTP_S, MALFORMED, Exchange, Request
from gatewatch.probe.net import Channel, Failed, Vantage
from gatewatch.probe.ooni import BODY_LIMIT

__all__ = ["HTTP_S", "MALFORMED", "Exchange", "Request", "exchange"]


async def exchange(
    vantage: Vantage,
    channel: Channel,
    request: Request,
    *,
    alpn: str = "",
    timeout_s: float = HTTP_S,
    most: int = BODY_LIMIT,
) -> Exchange:
    """Send a request and read its answer, up to `most` bytes of body.

    Args:
        alpn: what the handshake agreed on: "h2" is HTTP/2, and anything else HTTP/1.1.

    An answer that fails on its way keeps what had come of it.
    """
    found = Exchange(request=request, t0=vantage.now())
    fetch = http2.fetch if alpn == "h2" else http1.fetch
    try:
        await fetch(channel, found, found.t0 + timeout_s, most)
    except Failed as failed:
        found.failure = failed.failure
    found.t = vantage.now()
    return found
