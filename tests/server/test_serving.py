"""`gatewatch control serve` as a process, and clients that mean it harm or are only slow."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import zstandard

from benchmarks.speed.submit import Client, Server, stored_in
from gatewatch.lab.certificates import Office
from tests.server.control import ABOUT, measurement

HEADER_S = BODY_S = 0.6
PLACES = 20
OPTIONS = (
    *("--header-time", str(HEADER_S), "--body-time", str(BODY_S)),
    *("--max-connections", str(PLACES), "--max-body", "1", "--seal-after", "0.3"),
)
SAID = re.compile(r"(control|anchor) at \S+|nothing was submitted|[a-z, ]+: \d+(; [a-z, ]+: \d+)*")
"All that a server has to say."
END_S = 10.0
"A bound on everything here; nothing comes near."


class Wire:
    """A connection on which a test writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.port: int = writer.get_extra_info("sockname")[1]

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext | None = None) -> Wire:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, data: bytes, every_s: float) -> None:
        """Send byte by byte, until the other end has had enough."""
        try:
            for byte in data:
                await self.send(bytes([byte]))
                await asyncio.sleep(every_s)
        except OSError:
            pass

    async def answer(self) -> tuple[int, Any]:
        """Status and JSON of an answer; 0 when the connection just ends."""
        async with asyncio.timeout(END_S):
            try:
                head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            except (OSError, EOFError):
                return 0, None
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            return int(head.split()[1]), json.loads(await self.reader.readexactly(length))

    async def ended(self) -> bool:
        """Has the server closed it, or does it so soon?"""
        async with asyncio.timeout(END_S):
            try:
                return not await self.reader.read(1 << 16)
            except OSError:
                return True


Talk = Callable[[Server, list[Wire]], Awaitable[None]]


def with_server(folder: Path, talk: Talk, *options: str) -> Server:
    """Lets somebody talk with a server, which must serve on afterwards and end in order."""

    async def go() -> Server:
        server, wires = Server(folder / "store", *(options or OPTIONS)), list[Wire]()
        await server.start()
        try:
            await talk(server, wires)
            if not options:
                assert await submitted(server)
            for wire in wires:
                wire.writer.close()
            assert server.runs
            assert await server.stop() == 0, server.said.decode()
        finally:
            if server.runs:
                await server.kill()
        told = server.said.decode().splitlines()
        assert [line for line in told if not SAID.fullmatch(line)] == []
        ports = {str(wire.port) for wire in wires}
        assert not ports & {*re.findall(r"\d+", server.said.decode())}
        return server

    return asyncio.run(go())


async def submitted(server: Server, number: int = 1) -> str:
    """Submits a measurement in the ordinary way; its uid."""
    client = Client(server)
    _, report = await client.post("/report", json.dumps(ABOUT).encode())
    content = measurement(number, annotations={"name": str(number)})
    body = json.dumps({"content": content}).encode()
    status, told = await client.post(f"/report/{report['report_id']}", body)
    client.close()
    assert status == 200, told
    return told["measurement_uid"]


HEAD = b"POST /report HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"", 408, id="nothing at all"),
        pytest.param(b"P", 408, id="a letter"),
        pytest.param(HEAD + b"X-Slow: " + b"y" * 200, 408, id="headers without an end"),
        pytest.param(HEAD + b"Content-Length: 100\r\n\r\n" + b" " * 90, 408, id="half a body"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 50, 408, id="chunks"
        ),
    ],
)
def test_who_is_slow_is_told_so_and_shown_out(tmp_path, sent, status):
    async def talk(server, wires):
        wires.append(wire := await Wire.open(server.port))
        began = monotonic()
        dripping = asyncio.create_task(wire.drip(sent, every_s=0.05))
        told, answer = await wire.answer()
        assert told == status
        assert "not complete" in answer["error"]
        assert HEADER_S - 0.1 < monotonic() - began < 6.5
        assert await wire.ended()
        await dripping

    with_server(tmp_path, talk)


def test_slow_connections_on_every_place_do_not_keep_others_out(tmp_path):
    patient = ("--max-connections", str(PLACES), "--header-time", "600", "--body-time", "280")

    async def talk(server, wires):
        for number in range(4 * PLACES):
            wires.append(wire := await Wire.open(server.port))
            await wire.send(HEAD + (b"Content-Length: 9\r\n\r\n" if number % 2 else b"X: "))
        for number in range(30):
            assert await submitted(server, number)
        # Whoever waited longest made room: all but the last few.
        waiting = {asyncio.create_task(shown_out(wire)) for wire in wires}
        async with asyncio.timeout(END_S):
            while len(waiting) > PLACES:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                assert {one.result() for one in done} <= {0, 503}
        for one in waiting:
            one.cancel()

    async def shown_out(wire):
        told, _ = await wire.answer()
        assert await wire.ended()
        return told

    with_server(tmp_path, talk, *patient)


BOMB = zstandard.compress(bytes(300 << 20))


def request(body: bytes, *lines: str, length: int | None = None, path: str = "/report") -> bytes:
    size = len(body) if length is None else length
    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {size}", *lines])
    return head.encode() + b"\r\n\r\n" + body


TWO_LENGTHS = b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n"
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")
CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        pytest.param(HEAD + b"X: " + b"y" * 40_000, 431, "no HTTP request", id="huge header"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400, "no HTTP", id="TLS"),
        pytest.param(b"GET http:// junk\r\n\r\n", 400, "no HTTP request", id="no request line"),
        pytest.param(HEAD + b"Content-Length: -5\r\n\r\n", 400, "no HTTP", id="negative length"),
        pytest.param(
            HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
            400,
            "no HTTP",
            id="two lengths",
        ),
        pytest.param(CHUNKED + b"zz\r\n", 400, "no HTTP", id="a chunk of no length"),
        pytest.param(request(b"x" * (3 << 20)), 413, "longer", id="three megabytes"),
        pytest.param(request(b"", length=1 << 40), 413, "longer", id="a terabyte, as they say"),
        pytest.param(CHUNKED + CHUNK * 40, 413, "longer", id="chunks for ever"),
        pytest.param(request(BOMB, "Content-Encoding: zstd"), 413, "unpacked", id="zstd bomb"),
        pytest.param(request(b"{"), 400, "body", id="half a JSON"),
        pytest.param(request(b"{}", path="/%00/..//x"), 404, "nothing here", id="odd path"),
        pytest.param(
            request(b"{}", "Upgrade: websocket", "Connection: Upgrade"),
            400,
            "test_name",
            id="upgrade",
        ),
    ],
)
def test_what_is_no_request_of_ours_is_refused_in_json(shared, sent, status, words):
    async def talk() -> None:
        wire = await Wire.open(shared.port)
        sending = asyncio.create_task(wire.send(sent))
        told, answer = await wire.answer()
        assert (told, list(answer)) == (status, ["error"])
        assert words in answer["error"]
        await asyncio.wait([sending])
        sending.exception()  # a connection that is closed on us is no news
        wire.writer.close()
        assert await submitted(shared)

    asyncio.run(talk())


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for all that must not harm it."""
    server = Server(tmp_path_factory.mktemp("shared") / "store", "--max-body", "1")
    asyncio.run(server.start())
    yield server
    assert server.runs
    assert asyncio.run(server.stop()) == 0
    assert "Traceback" not in server.said.decode()


def test_a_client_that_leaves_in_the_middle_is_nobodys_loss(tmp_path):
    async def talk(server, wires):
        for number in range(60):
            wires.append(wire := await Wire.open(server.port))
            await wire.send(request(b"{" * number, length=100 if number % 2 else number))
            if number % 3:
                wire.writer.transport.abort()
            else:
                wire.writer.close()

    with_server(tmp_path, talk)


def test_what_is_old_enough_is_in_the_store_while_the_server_runs_on(tmp_path):
    async def talk(server, wires):
        uid = await submitted(server, 7)
        async with asyncio.timeout(END_S):
            while not [one for one in stored_in(server.store) if one["measurement_uid"] == uid]:
                await asyncio.sleep(0.05)

    with_server(tmp_path, talk)


def test_told_to_end_it_answers_what_has_begun(tmp_path):
    async def go() -> None:
        server = Server(tmp_path / "store", "--body-time", "20")
        await server.start()
        client = Client(server)
        _, report = await client.post("/report", json.dumps(ABOUT).encode())
        client.close()
        wire = await Wire.open(server.port)
        body = json.dumps({"content": measurement()}).encode()
        sent = request(body, path=f"/report/{report['report_id']}")
        await wire.send(sent[:-1])
        stopping = asyncio.create_task(server.stop())
        async with asyncio.timeout(END_S):
            while True:  # until it takes no more connections
                try:
                    (await Wire.open(server.port)).writer.close()
                except OSError:
                    break
        await wire.send(sent[-1:])
        status, told = await wire.answer()
        assert status == 200
        assert await stopping == 0
        assert [one["measurement_uid"] for one in stored_in(server.store)] == [
            told["measurement_uid"]
        ]

    asyncio.run(go())


def test_it_speaks_tls_and_takes_a_renewed_certificate(tmp_path):
    office = Office(tmp_path)
    pem = tmp_path / "current.pem"
    pem.write_bytes(office.file("valid", ("127.0.0.1",)).read_bytes())
    context = ssl.create_default_context(cafile=office.ca_file)

    def serial(wire: Wire) -> str:
        return wire.writer.get_extra_info("peercert")["serialNumber"]

    async def talk(server, wires):
        wires.append(plain := await Wire.open(server.port))
        await plain.send(b"GET /health HTTP/1.1\r\n\r\n")
        assert await plain.ended()
        wires.append(silent := await Wire.open(server.port))
        assert await silent.ended()
        wires.append(wire := await Wire.open(server.port, context))
        await wire.send(b"GET /api/v1/test-helpers HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        status, told = await wire.answer()
        assert status == 200
        assert told["web-connectivity"] == [{"address": "https://127.0.0.1", "type": "https"}]

        (tmp_path / "new").mkdir()
        pem.write_bytes(Office(tmp_path / "new").file("valid", ("127.0.0.1",)).read_bytes())
        server.signal(signal.SIGHUP)
        renewed = ssl.create_default_context(cafile=tmp_path / "new" / "ca.pem")
        async with asyncio.timeout(END_S):
            while True:
                try:
                    wires.append(other := await Wire.open(server.port, renewed))
                    break
                except ssl.SSLCertVerificationError:
                    pass  # it has not come to it yet
        assert serial(other) != serial(wire)

    with_server(tmp_path, talk, "--tls-cert", str(pem), "--tls-key", str(pem), *OPTIONS)


def test_it_listens_for_any_name_at_the_anchor_and_says_where(tmp_path):
    async def talk(server, wires):
        anchor = next(one for one in server.listening if one["what"] == "anchor")
        wires.append(wire := await Wire.open(anchor["port"]))
        await wire.send(b"GET /x HTTP/1.1\r\nHost: blocked.example\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(END_S):
            page = await wire.reader.read()
        assert page.startswith(b"HTTP/1.1 200")
        assert b"answers to any name" in page

    with_server(tmp_path, talk, "--anchor-port", "0")


def test_a_second_server_on_the_same_store_is_refused(tmp_path):
    """They would both believe to know what was submitted. It waits a while, for an import."""

    async def talk(server, wires):
        second = Server(server.store)
        began = monotonic()
        with pytest.raises(RuntimeError, match="another process takes submissions"):
            await second.start()
        assert monotonic() - began > 3

    with_server(tmp_path, talk, "--seal-after", "60")
