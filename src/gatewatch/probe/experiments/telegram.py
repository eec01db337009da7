"""Telegram: its data centres by address, and its page for browsers. OONI's test `telegram`."""

from __future__ import annotations

from gatewatch.probe.experiments.common.services import ByKind, ServiceTest, first_failure
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat


def read(reached: ByKind, seat: Seat) -> Json:
    """Both flags fall with the first data centre that answers; one that connects, and then fails,
    clears the flag of TCP."""
    centres = reached.get("data_center", [])
    answered = any(one.well for one in centres)
    connected = any(one.operation != "connect" for one in centres)
    failure, _ = first_failure(reached.get("web", []))
    return {
        "telegram_http_blocking": not answered,
        "telegram_tcp_blocking": not answered and not connected,
        "telegram_web_failure": failure,
        "telegram_web_status": "blocked" if failure else "ok",
    }


EXPERIMENT = ServiceTest(
    name="telegram",
    version="0.3.1",
    question="Can Telegram be used, by its apps and in a browser?",
    service="telegram",
    read=read,
)
