"""Talking to a backend: check in, hand in measurements. The protocol is OONI's.

Only what the user asked to be sent is sent. Failures come back as values: a backend that cannot
be reached is a fact about the network like any other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import zstandard

from gatewatch.model.errors import GatewatchError
from gatewatch.model.target import is_address
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.steps import (
    Channel,
    Request,
    Vantage,
    connect,
    exchange,
    handshake,
    lookup_system,
)

ANSWER_LIMIT = 1 << 24
TRIES = 3
"A lost connection is tried again; what was received twice is stored once."
PAUSE_S = 0.5
"Before the second try, and twice that before the third, for a server that is started anew."
Kind = tuple[str | None, ...]
"What all measurements of a report have in common: the `KIND` of them."
KIND = ("probe_asn", "probe_cc", "test_name", "test_version", "test_start_time")


class Refused(GatewatchError):
    """A backend that did not take what it was given."""

    def __init__(self, where: str, words: str) -> None:
        super().__init__(f"{where}: {words}")


class Unwanted(Refused):
    """A backend that answered, and wants no such thing."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend's base URL, seen from a seat."""

    url: str
    seat: Seat
    vantage: Vantage

    async def check_in(self) -> Json:
        """What the backend would have measured, by whom it takes us for.

        Raises:
            Refused: it cannot be reached, or does not answer as a backend does.
        """
        seat = self.seat
        question = {
            "charging": True,
            "on_wifi": True,
            "platform": "linux",
            "probe_asn": f"AS{seat.asn}",
            "probe_cc": seat.country,
            "run_type": "manual",
            "software_name": seat.software,
            "software_version": seat.version,
            "web_connectivity": {"category_codes": []},
        }
        return await self._asked("POST", "/api/v1/check-in", question)

    async def open_report(self, measurement: Json) -> str:
        """A report for measurements like this one; its id.

        Raises:
            Refused: as for `check_in`.
        """
        names = ("data_format_version", "probe_asn", "probe_cc", "software_name",
                 "software_version", "test_name", "test_start_time", "test_version")  # fmt: skip
        template = {"format": "json", **{name: measurement.get(name) for name in names}}
        answer = await self._asked("POST", "/report", template)
        report_id = answer.get("report_id")
        if not isinstance(report_id, str) or not report_id:
            raise Refused(self.url, f"no report id in {str(answer)[:200]}")
        return report_id

    async def submit(self, report_id: str, measurement: Json) -> str:
        """Hand in one measurement; its id in the backend, empty where it was not kept.

        Raises:
            Refused: it did not take it.
        """
        content = {**measurement, "report_id": report_id}
        body = {"format": "json", "content": content}
        answer = await self._asked("POST", f"/report/{report_id}", body)
        uid = answer.get("measurement_uid")
        return uid if isinstance(uid, str) else ""

    async def close_report(self, report_id: str) -> None:
        """
        Raises:
            Refused: as for `check_in`.
        """
        await self._asked("POST", f"/report/{report_id}/close", {})

    async def _asked(self, method: str, path: str, body: Json) -> Json:
        url = self.url.rstrip("/") + path
        failure = ""
        for number in range(TRIES):
            await asyncio.sleep(PAUSE_S * number)
            status, data, failure = await self._call(method, url, body)
            if failure is None and status < 500:
                return _read(url, status, data)
            failure = failure or f"status {status}: {data[:200].decode('utf-8', 'replace')}"
        raise Refused(url, failure)

    async def _call(self, method: str, url: str, body: Json) -> tuple[int, bytes, str | None]:
        """Status and body of an answer, or the failure in their place."""
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        addresses = (host,)
        if not is_address(host):
            found = await lookup_system(
                self.vantage, self.seat.resolver, host, late_s=0.0, system=self.seat.system
            )
            addresses = found.addresses
            if not addresses:
                return 0, b"", found.failure or "dns_no_answer"
        failure: str | None = None
        for address in addresses:
            reached = await connect(self.vantage, address, parts.port or (443 if secure else 80))
            if reached.stream is None:
                failure = reached.failure
                continue
            try:
                channel: Channel = reached.stream
                if secure:
                    shaken = await handshake(reached.stream, host, ca=self.seat.ca)
                    if shaken.channel is None:
                        failure = shaken.failure
                        continue
                    channel = shaken.channel
                answer = await exchange(
                    self.vantage, channel, self._request(method, url, body),
                    timeout_s=self.seat.patience.control_s, most=ANSWER_LIMIT,
                )  # fmt: skip
                if answer.failure is None:
                    return answer.status or 0, answer.body, None
                failure = answer.failure
            finally:
                reached.stream.close()
        return 0, b"", failure or "unknown_failure"

    def _request(self, method: str, url: str, body: Json) -> Request:
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("User-Agent", f"{self.seat.software}/{self.seat.version}"),
        ]
        if len(data) > 1024:
            data = zstandard.compress(data)
            headers.append(("Content-Encoding", "zstd"))
        return Request(url=url, method=method, headers=tuple(headers), body=data)


def _read(url: str, status: int, data: bytes) -> Json:
    try:
        answer: Any = json.loads(data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        shown = data[:80].decode("utf-8", "replace")
        raise Refused(url, f"status {status}, and no JSON object: {shown!r}")
    if status >= 400:
        words = answer.get("error") or answer.get("detail") or answer
        raise Unwanted(url, f"status {status}: {str(words)[:300]}")
    return answer


def kind_of(measurement: Json) -> Kind:
    """Under which report a measurement belongs."""
    found = (measurement.get(name) for name in KIND)
    return tuple(None if value is None else str(value) for value in found)


@dataclass(slots=True, kw_only=True)
class Handing:
    """Measurements on their way to a backend, so that a second attempt goes on where one broke.

    A measurement that is handed in twice under the same report is stored once: so reports are
    kept before anything is handed in under them.
    """

    reports: dict[Kind, str] = field(default_factory=dict)
    "Those that an earlier attempt opened."
    opened: Callable[[Kind, str], object]
    "Told of each report as it is opened."
    taken: Callable[[int, str, str], object]
    "Told of each measurement as it is taken: its number, the report, the backend's id for it."


def submit_now(
    url: str, seat: Seat, measurements: Iterable[tuple[int, Json]], handing: Handing
) -> None:
    """`submit_all`, to its end."""

    async def go() -> None:
        vantage = Vantage.of(seat.reach, seat.addresses)
        await submit_all(Backend(url, seat, vantage), measurements, handing)

    asyncio.run(go())


async def submit_all(
    backend: Backend, measurements: Iterable[tuple[int, Json]], handing: Handing
) -> None:
    """Hand in measurements, a report for each kind of them, and close the reports.

    Raises:
        Refused: one was not taken; `handing` has been told of those before it.
    """
    reports, old = handing.reports, {*handing.reports}
    used: dict[str, None] = {}

    async def report_for(measurement: Json) -> str:
        kind = kind_of(measurement)
        if kind not in reports:
            reports[kind] = await backend.open_report(measurement)
            handing.opened(kind, reports[kind])
        return reports[kind]

    for number, measurement in measurements:
        kind = kind_of(measurement)
        report_id = await report_for(measurement)
        try:
            uid = await backend.submit(report_id, measurement)
        except Unwanted:
            if kind not in old:
                raise
            old.discard(kind)  # the backend has forgotten it
            del reports[kind]
            report_id = await report_for(measurement)
            uid = await backend.submit(report_id, measurement)
        used[report_id] = None
        handing.taken(number, report_id, uid)
    for report_id in used:
        await backend.close_report(report_id)
