"""What the pings have in common: a list of attempts, and how many went well."""

from __future__ import annotations

from gatewatch.probe.experiments.common.inputs import BAD_INPUT, Asked
from gatewatch.probe.ooni import Json


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
