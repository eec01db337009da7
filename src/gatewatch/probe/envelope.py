"""A whole measurement around the test keys of any experiment: OONI's data format, df-000."""

from __future__ import annotations

import platform
import random
import sys
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from gatewatch import __version__
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Control, Seat
from gatewatch.probe.visits import Visits
from gatewatch.probe.whoami import NOBODY

FORMAT = "0.2.0"
_EXTENSIONS = ("dnst", "httpt", "netevents", "tcpconnect", "tlshandshake", "tunnel")
_ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "i386": "386", "i686": "386",
    "armv6l": "arm", "armv7l": "arm",
}  # fmt: skip
_PLATFORMS = {"darwin": "macos", "win32": "windows"}


def envelope(
    seat: Seat,
    *,
    test_name: str,
    test_version: str,
    input: str | None,
    test_keys: Json,
    clock: datetime,
    runtime_s: float,
    visits: Visits,
    rng: random.Random,
    resolver: str | None = None,
    helpers: Json | None = None,
    uid: str | None = None,
    report_id: str = "",
) -> Json:
    """The measurement as a probe would submit it, without any of the seat's secrets.

    Args:
        clock: the true time at its zero, UTC; recorded as the seat's own clock would have it.
        resolver: under which address the system's resolver is seen by others, if that is known.
        helpers: `test_helpers`.
        uid, report_id: ids as the archive would give them.
    """
    skew = timedelta(days=seat.clock_skew_days)
    asn = (seat.asn_of(resolver) if resolver else None) or 0
    measurement: Json = {
        "annotations": {**machine_annotations(), **seat.annotations},
        "data_format_version": FORMAT,
        "extensions": dict.fromkeys(_EXTENSIONS, 0),
        "id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "input": input or None,
        "measurement_start_time": _written(clock + skew),
        **({} if uid is None else {"measurement_uid": uid}),
        "options": [option for option in visits.options if not option.startswith("Safe")],
        "probe_asn": f"AS{seat.asn}",
        "probe_cc": seat.country,
        "probe_ip": "127.0.0.1",
        "probe_network_name": seat.network,
        "report_id": report_id,
        "resolver_asn": f"AS{asn}",
        "resolver_ip": resolver or NOBODY,
        "resolver_network_name": seat.network if asn and asn == seat.asn else "",
        "software_name": seat.software,
        "software_version": seat.version or __version__,
        "test_helpers": helpers or {},
        "test_keys": test_keys,
        "test_name": test_name,
        "test_runtime": round(runtime_s, 6),
        "test_start_time": _written(visits.began + skew),
        "test_version": test_version,
    }
    return seat.scrubber.clean(measurement)


def machine_annotations() -> dict[str, str]:
    """What kind of machine this is, in OONI's words."""
    machine = platform.machine().lower()
    return {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "engine_name": "gatewatch",
        "engine_version": __version__,
        "platform": _PLATFORMS.get(sys.platform, sys.platform),
    }


def helpers_of(used: Control | None, controls: Iterable[Control]) -> Json:
    """`test_helpers` of web_connectivity: the one whose answer is recorded under OONI's name, and
    all that could have been asked."""
    every = [_helper(control) for control in controls]
    if not every:
        return {}
    return {"backend": _helper(used) if used else every[0], "x_backends": every}


def _helper(control: Control) -> Json:
    if control.front is not None:
        return {"address": control.url, "type": "cloudfront", "front": control.front}
    return {"address": control.url, "type": "https"}


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
