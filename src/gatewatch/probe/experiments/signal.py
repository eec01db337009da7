"""Signal: its servers, whose certificates Signal signs itself. OONI's test `signal`."""

from __future__ import annotations

from gatewatch.probe.experiments.common.services import ByKind, ServiceTest, first_failure
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat


def read(reached: ByKind, seat: Seat) -> Json:
    """One server that fails blocks the app; whatever status a server answers with will do."""
    failure, _ = first_failure(reached.get("backend", []))
    return {
        "signal_backend_failure": failure,
        "signal_backend_status": "blocked" if failure else "ok",
    }


EXPERIMENT = ServiceTest(
    name="signal",
    version="0.2.5",
    question="Can Signal be used?",
    service="signal",
    read=read,
)
