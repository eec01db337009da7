"""Plain TCP services."""

from __future__ import annotations

import asyncio
import json

from gatewatch.lab.scenario import Host
from tests.lab.hosts.running import SITE, Running, meet, world

SERVICES = Host(
    addresses=(SITE,),
    tcp={
        "7": "echo",
        "9": "discard",
        "10": "silent",
        "11": "close",
        "80": "headers",
        "5222": "messenger",
    },
)


async def said(running: Running, port: int, words: bytes) -> bytes:
    """What a service answers until it or we have ended."""
    reader, writer = await running.stream(SITE, port)
    writer.write(words)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5.0)
    writer.close()
    return answer


def test_each_service_answers_in_its_way():
    async def visit(running: Running) -> None:
        assert await said(running, 7, b"\0\xffwords") == b"\0\xffwords"
        assert await said(running, 9, b"words") == b""
        assert await said(running, 10, b"words") == b""
        assert await said(running, 11, b"") == b""
        opaque = await said(running, 5222, b"hello")
        assert len(opaque) >= 64
        assert opaque == await said(running, 5222, b"hello")

    meet(world({"services": SERVICES}), visit)


def test_the_header_echo_keeps_the_request_to_the_letter():
    request = b"GeT /x HTTP/1.1\r\nhOsT: Some.Example\r\nX-a:1\r\nX-a: 2\r\n\r\n"

    async def visit(running: Running) -> None:
        head, _, body = (await said(running, 80, request)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body) == {
            "request_line": "GeT /x HTTP/1.1",
            "request_headers": [["hOsT", "Some.Example"], ["X-a", "1"], ["X-a", "2"]],
            "headers_dict": {"hOsT": ["Some.Example"], "X-a": ["1", "2"]},
        }

    meet(world({"services": SERVICES}), visit)


def test_a_request_that_breaks_off_is_not_echoed():
    async def visit(running: Running) -> None:
        assert await said(running, 80, b"GET / HTTP/1.1\r\nHost: a") == b""

    meet(world({"services": SERVICES}), visit)
