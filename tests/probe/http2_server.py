"""An HTTP/2 server for the town."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from tests.probe.town import Stream

Answer = Callable[[H2Connection, int, dict[str, str], bytes], None]


def serving(answer: Answer, *, drip: bool = False) -> Stream:
    """A server that reads a whole request, and then answers.

    Args:
        drip: one byte at a time.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        h2.initiate_connection()
        headers: dict[str, str] = {}
        body = b""
        while True:
            data = h2.data_to_send()
            for piece in [data[n : n + 1] for n in range(len(data))] if drip else [data]:
                writer.write(piece)
                await writer.drain()
            data = await reader.read(65_536)
            if not data:
                return
            for event in h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    headers = {str(name): str(value) for name, value in event.headers or ()}
                elif isinstance(event, DataReceived):
                    body += event.data
                    h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    answer(h2, event.stream_id, headers, body)

    return serve


def page(body: bytes, *headers: tuple[str, str], status: int = 200) -> Answer:
    def answer(h2: H2Connection, stream: int, _: dict[str, str], __: bytes) -> None:
        h2.send_headers(stream, [(":status", str(status)), *headers], end_stream=not body)
        for at in range(0, len(body), 16_384):
            h2.send_data(stream, body[at : at + 16_384], end_stream=at + 16_384 >= len(body))

    return answer
