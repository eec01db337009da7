"""The test helper behind a real server: bytes in, bytes out, and still there after the rude."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from gatewatch.server.patient import Patience
from gatewatch.server.question import QUESTION_MAX
from gatewatch.server.serving import Port, listen, port_of, serve
from tests.server.helped import bare, with_helper
from tests.server.test_helper import FOREIGN, RECORDED

PATIENCE = Patience(header_s=0.5, body_s=1.0, answer_s=5.0, closing_s=1.0, idle_s=1)


def head(length: int, *lines: str) -> bytes:
    """As OONI's Go client writes it."""
    told = (
        "POST / HTTP/1.1",
        "Host: th.example",
        "User-Agent: ooniprobe-cli/3.24.0 ooniprobe-engine/3.24.0",
        f"Content-Length: {length}",
        "Content-Type: application/json",
        "Accept-Encoding: gzip",
        *lines,
        "",
        "",
    )
    return "\r\n".join(told).encode()


GOOD = head(len(FOREIGN)) + FOREIGN


async def said(port: int, *pieces: bytes) -> tuple[bytes, bytes]:
    """Head and body of the first answer to what is sent; empty where there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        told = await reader.readuntil(b"\r\n\r\n")
        length = int(told.lower().partition(b"content-length:")[2].split()[0])
        return told, await reader.readexactly(length)
    except (ConnectionError, asyncio.IncompleteReadError):
        return b"", b""
    finally:
        writer.close()


def served(folder: Path, *requests: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    """The answers to requests, one connection each, all at the same time; then to a good one."""

    async def talk(helper, _):
        sockets = listen("127.0.0.1", 0)
        stop, up = asyncio.Event(), asyncio.Event()
        serving = asyncio.ensure_future(
            serve([Port(helper, sockets, None)], patience=PATIENCE, stop=stop, ready=up.set)
        )
        await up.wait()
        port = port_of(sockets)
        try:
            told = await asyncio.gather(*(said(port, *pieces) for pieces in requests))
            return [*told, await said(port, GOOD)]
        finally:
            stop.set()
            await serving

    return with_helper(folder, talk)


def test_a_foreign_probe_is_answered_over_a_real_connection(tmp_path: Path):
    told, body = served(tmp_path)[0]
    assert told.startswith(b"HTTP/1.1 200 ")
    assert bare(json.loads(body)) == RECORDED


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        pytest.param((head(10)[:50],), b"408", id="headers that do not end"),
        pytest.param((head(QUESTION_MAX + 1), b"x" * (QUESTION_MAX + 1)), b"413", id="oversize"),
        pytest.param((head(1 << 40), b"{"), b"", id="a body that does not come"),
        pytest.param((head(4) + b"NaN ",), b"400", id="NaN"),
        pytest.param((b"\x16\x03\x01\x02\x00\x01",), b"400", id="TLS on a plain port"),
        pytest.param((b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 99_999,), b"4", id="a header"),
        pytest.param(
            (head(4, "Transfer-Encoding: chunked") + b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n",),
            b"400",
            id="two lengths, as smugglers send",
        ),
        pytest.param((head(4, "Content-Length: 5") + b"abcde",), b"400", id="two other lengths"),
        pytest.param((head(4, "Content-Encoding: zstd") + b"abcd",), b"400", id="no zstd"),
    ],
)
def test_the_rude_are_refused_and_others_served(tmp_path: Path, pieces, status: bytes):
    *rude, (told, body) = served(tmp_path, *[pieces] * 10)
    for line, words in rude:
        assert line[9:].startswith(status)
        assert not words or list(json.loads(words)) == ["error"]
    assert told.startswith(b"HTTP/1.1 200 ")
    assert bare(json.loads(body)) == RECORDED
