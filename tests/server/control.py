"""A control vantage in process, asked as a server would ask it, over a store in a folder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatewatch.archive.reader import RawRecord, read_records
from gatewatch.archive.store import Store
from gatewatch.refdata.snapshot import RefData
from gatewatch.refdata.testlists import Listed
from gatewatch.server.app import Control, Settings
from gatewatch.server.bodies import Receive, Scope, Send, say
from gatewatch.server.collector import CollectorLimits
from tests.server.helped import Answer, call

NOW = datetime(2026, 3, 11, 12, 0, 0, 123456, tzinfo=UTC)
ROOMY = CollectorLimits(free_bytes=0)
"For machines with little disk."
CLIENT = ("77.75.74.1", 4000)
"As `call` has it."

ABOUT: dict[str, Any] = {
    "data_format_version": "0.2.0",
    "probe_asn": "AS30722",
    "probe_cc": "IT",
    "software_name": "ooniprobe-cli",
    "software_version": "3.24.0",
    "test_name": "web_connectivity",
    "test_start_time": "2026-03-11 11:59:00",
    "test_version": "0.5.28",
}
"What a client says when it opens a report, and again in each measurement."
LISTED = [
    Listed("global", "https://www.example.com/", "NEWS"),
    Listed("global", "https://gambling.example/", "GMB"),
    Listed("it", "https://giornale.example/", "NEWS"),
    Listed("ru", "https://gazeta.example/", "NEWS"),
]


class Known(RefData):
    """The package's reference data, and a few test lists."""

    rows: Iterable[Listed] = LISTED

    def listed(self) -> list[Listed]:
        return list(self.rows)


async def greeting(scope: Scope, receive: Receive, send: Send) -> None:
    """In place of a test helper."""
    await say(send, {"message": "hello"})


def with_control(
    folder: Path,
    talk: Callable[[Control], Awaitable[Any]],
    settings: Settings | None = None,
    *,
    refdata: RefData | None = None,
    now: Callable[[], datetime] = lambda: NOW,
) -> Any:
    """Lets somebody talk with a control vantage; gives back what they say of it."""

    async def run() -> Any:
        store = Store.open(folder / "store", create=True)
        given = settings or Settings(intake=ROOMY)
        async with Control(store, refdata or Known(), greeting, given, now=now) as control:
            return await talk(control)

    return asyncio.run(run())


async def post(
    control: Control, path: str, given: object = None, headers: Mapping[str, str] | None = None
) -> Answer:
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    return await call(
        control, body, path=path, headers={"Host": "control.example", **(headers or {})}
    )


async def get(control: Control, path: str) -> Answer:
    path, _, query = path.partition("?")
    headers = {"Host": "control.example"}
    return await call(control, method="GET", path=path, query=query.encode(), headers=headers)


def measurement(number: int = 1, **more: Any) -> dict[str, Any]:
    """One as a client submits it."""
    return {
        **ABOUT,
        "input": f"https://site{number}.example/",
        "measurement_start_time": "2026-03-11 11:59:30",
        "test_keys": {"accessible": True, "queries": [], "x": 1.00000000000000001},
        **more,
    }


def stored(folder: Path) -> list[dict[str, Any]]:
    """Every measurement that the store has now."""
    store = Store.open(folder / "store")
    found: list[dict[str, Any]] = []
    for raw in store.raw_files():
        for record in read_records(store.raw_path(raw.sha256), file=raw.sha256):
            assert isinstance(record, RawRecord)
            found.append(json.loads(record.data))
    return found
