"""How many submissions a control vantage keeps, and whether it keeps each once when it is killed.

    python -m benchmarks.speed.submit [--measurements N] [--clients N] [--kills N] [--bytes N]

A real server on loopback, clients that submit one measurement after the other and repeat what
they got no answer to, and a SIGKILL now and then. In the end the store is read, and held against
what the server has acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from gatewatch.archive.reader import RawRecord, read_records
from gatewatch.archive.store import Store

SERVE = [sys.executable, "-c", "from gatewatch.cli.app import main; main()", "control", "serve"]
ANSWER_S = 20.0
START_S = 60.0


@dataclass
class Outcome:
    """What happened, and what the store holds in the end."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    "Name of a measurement → the uid given for it."
    repeated: int = 0
    "Requests that had to be sent again."
    kills: int = 0
    seconds: float = 0.0
    "From the first request to the last answer, restarts included."
    latencies_s: list[float] = field(default_factory=list)
    "Of requests answered at the first try."
    stored: Counter[str] = field(default_factory=Counter)
    "Name of a measurement → how often the store has it."
    uids: dict[str, str] = field(default_factory=dict)
    "Name of a measurement → the uid that the store has for it."

    @property
    def lost(self) -> list[str]:
        """Acknowledged, and not in the store under the same uid."""
        return [name for name, uid in self.acknowledged.items() if self.uids.get(name) != uid]

    @property
    def twice(self) -> list[str]:
        return [name for name, times in self.stored.items() if times > 1]


class Server:
    """`gatewatch control serve` as a process that can be killed and started again."""

    def __init__(self, store: Path, *options: str) -> None:
        self.store, self.port = store, 0
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.said = b""
        "On standard error, since the first start."

    async def start(self) -> None:
        """Returns when it serves; on the port it had before, if it was started before."""
        command = [*SERVE, "--json", "--store", str(self.store), "--port", str(self.port)]
        command += ["--keep-free", "0", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._process.stdout
        line = await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), START_S)
        if not line:
            raise RuntimeError(f"no server: {self._ended().decode()}")
        self.listening: list[dict[str, Any]] = json.loads(line)["listening"]
        self.port = self.listening[0]["port"]

    async def kill(self) -> None:
        assert self._process
        self._process.kill()
        await asyncio.to_thread(self._ended)

    async def stop(self) -> int:
        """Ends it in order; its exit code."""
        self.signal(signal.SIGTERM)
        await asyncio.to_thread(self._ended)
        assert self._process
        return self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def _ended(self) -> bytes:
        assert self._process
        _, said = self._process.communicate(timeout=START_S)
        self.said += said
        return said

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None


class Client:
    """An HTTP client that keeps its connection, and knows only what is needed here."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and answer.

        Raises:
            OSError, EOFError, TimeoutError: nobody knows whether it was heard.
        """
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._post(path, body)
        except BaseException:
            self.close()
            raise

    async def _post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._server.port)
        reader, writer = self._streams
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Accept-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        answer = json.loads(await reader.readexactly(length))
        if "connection: close" in head:
            self.close()
        return int(head.split()[1]), answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def run(
    store: Path, *, measurements: int, clients: int, kills: int, size: int, seed: int = 1
) -> Outcome:
    """Submit, kill, submit on; then read the store."""
    server, outcome = Server(store), Outcome()
    await server.start()
    began = monotonic()
    share = [range(n, measurements, clients) for n in range(clients)]
    async with asyncio.TaskGroup() as group:
        for number, names in enumerate(share):
            group.create_task(_submit(server, outcome, number, names, size, seed))
        for kill in range(kills):
            due = measurements * (kill + 1) // (kills + 1)
            while len(outcome.acknowledged) < due:
                await asyncio.sleep(0.002)
            await server.kill()
            outcome.kills += 1
            await server.start()
    outcome.seconds = monotonic() - began
    assert await server.stop() == 0, server.said.decode()
    for line in stored_in(store):
        name = line["annotations"]["name"]
        outcome.stored[name] += 1
        outcome.uids[name] = line["measurement_uid"]
    return outcome


def stored_in(store: Path) -> Iterator[dict[str, Any]]:
    """Every measurement of the store's raw files."""
    opened = Store.open(store)
    for raw in opened.raw_files():
        for record in read_records(opened.raw_path(raw.sha256), file=raw.sha256):
            assert isinstance(record, RawRecord), record
            yield json.loads(record.data)


async def _submit(
    server: Server, outcome: Outcome, number: int, names: range, size: int, seed: int
) -> None:
    """One probe: it opens a report and submits, and repeats until it is heard."""
    client, rng = Client(server), random.Random(seed * 1000 + number)
    cc, asn = rng.choice(["IR", "RU", "TR", "IT"]), f"AS{rng.randint(1, 60000)}"
    about = {
        "probe_cc": cc,
        "probe_asn": asn,
        "test_name": "web_connectivity",
        "test_version": "0.5.28",
        "software_name": "ooniprobe-cli",
        "software_version": "3.23.0",
        "data_format_version": "0.2.0",
        "test_start_time": "2026-11-24 10:00:00",
    }
    opening = json.dumps({**about, "format": "json"}).encode()
    report_id = (await _heard(client, outcome, "/report", opening))["report_id"]
    for name in names:
        content = {
            **about,
            "report_id": report_id,
            "input": f"https://site{name}.example/",
            "measurement_start_time": "2026-11-24 10:00:01",
            "annotations": {"name": str(name)},
            "test_keys": {"requests": [{"response": {"body": rng.randbytes(size // 2).hex()}}]},
        }
        body = json.dumps({"format": "json", "content": content}).encode()
        answer = await _heard(client, outcome, f"/report/{report_id}", body)
        outcome.acknowledged[str(name)] = answer["measurement_uid"]
    await _heard(client, outcome, f"/report/{report_id}/close", b"")
    client.close()


async def _heard(client: Client, outcome: Outcome, path: str, body: bytes) -> dict[str, Any]:
    first = True
    while True:
        began = monotonic()
        try:
            status, answer = await client.post(path, body)
        except (OSError, EOFError, TimeoutError):
            status, answer = 0, {}
        if status == 200:
            if first:
                outcome.latencies_s.append(monotonic() - began)
            return answer
        assert status in (0, 503), answer
        first = False
        outcome.repeated += 1
        await asyncio.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measurements", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--bytes", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(
            run(
                Path(folder) / "store",
                measurements=options.measurements,
                clients=options.clients,
                kills=options.kills,
                size=options.bytes,
            )
        )
    waits = sorted(outcome.latencies_s)
    print(
        f"{len(outcome.acknowledged):,} measurements of {options.bytes:,} bytes acknowledged to"
        f" {options.clients} clients in {outcome.seconds:.1f} s,"
        f" {len(outcome.acknowledged) / outcome.seconds:,.0f} a second"
        f" with {outcome.kills} kills and restarts\n"
        f"answers: median {waits[len(waits) // 2] * 1e3:.0f} ms,"
        f" 99 % within {waits[len(waits) * 99 // 100] * 1e3:.0f} ms;"
        f" {outcome.repeated:,} requests repeated\n"
        f"lost: {len(outcome.lost)}; stored twice: {len(outcome.twice)};"
        f" in the store: {outcome.stored.total():,}"
    )
    sys.exit(bool(outcome.lost or outcome.twice))


if __name__ == "__main__":
    main()
