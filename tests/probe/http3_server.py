"""An HTTP/3 server for the town."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, QuicEvent

from gatewatch.lab.certificates import Kind, Office
from tests.probe.town import HERE, Town

Answer = Callable[["Server", int, dict[str, str], bytes], None]


class Server(QuicConnectionProtocol):
    """Reads a whole request, and then answers as it was told."""

    answer: Answer

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self.h3 = H3Connection(self._quic)
            self.heard: dict[int, tuple[dict[str, str], bytearray]] = {}
        for one in self.h3.handle_event(event) if hasattr(self, "h3") else ():
            if isinstance(one, HeadersReceived):
                pairs = {name.decode(): value.decode() for name, value in one.headers}
                self.heard[one.stream_id] = pairs, bytearray()
            elif isinstance(one, DataReceived):
                self.heard[one.stream_id][1].extend(one.data)
            if isinstance(one, HeadersReceived | DataReceived) and one.stream_ended:
                headers, body = self.heard[one.stream_id]
                type(self).answer(self, one.stream_id, headers, bytes(body))
                self.transmit()

    def reset(self, stream: int, error: int) -> None:
        self._quic.reset_stream(stream, error)

    def leave(self, error: int) -> None:
        self._quic.close(error_code=error)

    def raw(self, stream: int, data: bytes) -> None:
        self._quic.send_stream_data(stream, data)


def serving(
    office: Office, answer: Answer, names: list[str], address: str, kind: Kind = "valid"
) -> Callable[[Town], Awaitable[None]]:
    """What puts a server with such a certificate at port 443 of an address."""

    class Here(Server):
        pass

    Here.answer = staticmethod(answer)

    async def furnish(town: Town) -> None:
        configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
        configuration.load_cert_chain(Path(office.file(kind, names)))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: QuicServer(configuration=configuration, create_protocol=Here),
            local_addr=(HERE, 0),
        )
        town.keep(address, 443, "udp", transport)

    return furnish


def page(body: bytes, status: int = 200) -> Answer:
    def answer(server: Server, stream: int, _: dict[str, str], __: bytes) -> None:
        headers = [(b":status", str(status).encode()), (b"server", b"lab")]
        server.h3.send_headers(stream, headers, end_stream=not body)
        if body:
            server.h3.send_data(stream, body, end_stream=True)

    return answer
