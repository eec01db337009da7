"""A whole measurement around what was recorded."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from gatewatch.probe.claims import claims
from gatewatch.probe.journal import Journal
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.whoami import NOBODY, Whoami

_EXTENSIONS = ("dnst", "httpt", "netevents", "tcpconnect", "tlshandshake", "tunnel")


class Controlled(NamedTuple):
    """What the control was asked, and its answer or the failure in its place."""

    question: Json | None
    answer: Json | None
    failure: str | None


def envelope(
    seat: Seat,
    url: str,
    journal: Journal,
    controlled: Controlled,
    whoami: Whoami,
    *,
    clock: datetime,
    runtime_s: float,
    uid: str | None,
    report_id: str,
) -> Json:
    """The measurement as a probe would submit it; it says of itself that it is the lab's.

    Args:
        clock: when it began, by the seat's own clock.
    """
    resolver = whoami.system
    began = clock.strftime("%Y-%m-%d %H:%M:%S")
    backend = {"address": seat.controls[0].url, "type": "https"} if seat.controls else None
    return {
        "annotations": {"engine_name": "gatewatch", "platform": "linux", **seat.annotations},
        "data_format_version": "0.2.0",
        "extensions": dict.fromkeys(_EXTENSIONS, 0),
        "input": url,
        "measurement_start_time": began,
        **({} if uid is None else {"measurement_uid": uid}),
        "probe_asn": f"AS{seat.asn}",
        "probe_cc": seat.country,
        "probe_ip": "127.0.0.1",
        "probe_network_name": seat.network,
        "report_id": report_id,
        "resolver_asn": f"AS{(seat.asn_of(resolver) if resolver else None) or 0}",
        "resolver_ip": resolver or NOBODY,
        "resolver_network_name": "",
        "software_name": seat.software,
        "software_version": seat.version,
        "test_helpers": {"backend": backend} if backend else {},
        "test_keys": _test_keys(journal, controlled, whoami),
        "test_name": "web_connectivity",
        "test_runtime": round(runtime_s, 6),
        "test_start_time": began,
        "test_version": "0.5.28",
    }


def _test_keys(journal: Journal, controlled: Controlled, whoami: Whoami) -> Json:
    keys: Json = {
        "agent": "redirect",
        "client_resolver": whoami.system or NOBODY,
        "retries": None,
        "socksproxy": None,
        "network_events": sorted(journal.events, key=_ended),
        "x_dns_whoami": whoami.entry(),
        "x_dns_duplicate_responses": sorted(journal.duplicates, key=_ended),
        "queries": sorted(journal.queries, key=_ended),
        "requests": journal.requests[::-1],
        "tcp_connect": sorted(journal.connects, key=_ended),
        "tls_handshakes": sorted(journal.handshakes, key=_ended),
        "quic_handshakes": sorted(journal.quic_handshakes, key=_ended),
        "x_control_request": controlled.question,
        "control": controlled.answer,
        "control_failure": controlled.failure,
    }
    return {**keys, **claims(keys)}


def _ended(entry: Json) -> float:
    return entry["t"]
