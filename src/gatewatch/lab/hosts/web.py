"""Web servers of the lab: hypercorn's HTTP/1.1, 2 and 3 behind the lab's own sockets.

hypercorn's `serve` would bring its own sockets, signals and way to end; a world has those
already. So its servers of single connections are used, one level below.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.udp_server import UDPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed
from hypercorn.typing import ASGIFramework
from hypercorn.utils import wrap_app

from gatewatch.lab.hosts.site import App, Receive, Send
from gatewatch.lab.hosts.tcp import Listening

HTTP_PORT, HTTPS_PORT = 80, 443
KEEP_ALIVE_S = 5.0
"hypercorn keeps connections so long also after their client has closed."


class WebServer:
    """An application, served.

    Args:
        certificate: PEM file of certificate and key, for QUIC.
    """

    def __init__(self, app: App, certificate: Path) -> None:
        self._config = Config()
        self._config.loglevel = "ERROR"
        self._config.include_server_header = self._config.include_date_header = False
        self._config.keep_alive_timeout = KEEP_ALIVE_S
        self._config.certfile = self._config.keyfile = str(certificate)
        self._app = wrap_app(requests_only(app), self._config.wsgi_max_body_size, "asgi")
        self._context = WorkerContext(None)

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """HTTP/1.1, or what TLS has agreed upon."""
        loop = asyncio.get_running_loop()
        server = TCPServer(self._app, loop, self._config, self._context, {}, reader, writer)
        running = loop.create_task(_run(server, writer))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            await _called_off(server, running)
            raise

    async def quic(self, address: str, listening: Listening) -> None:
        """HTTP/3 on an address."""
        loop = asyncio.get_running_loop()
        server = UDPServer(self._app, loop, self._config, self._context, {})
        await listening.datagrams(address, HTTPS_PORT, lambda: server)
        listening.start(server.run())


async def _run(server: TCPServer, writer: asyncio.StreamWriter) -> None:
    """Serve a connection, unless it was reset before that could begin."""
    if writer.get_extra_info("socket") is not None:
        await server.run()


async def _called_off(server: TCPServer, running: asyncio.Task[None]) -> None:
    """End a connection with a request under way, which hypercorn over HTTP/2 would first wait to
    answer, for ever."""
    if hasattr(server, "protocol"):
        await server.protocol.handle(Closed())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def requests_only(app: App) -> ASGIFramework:
    """Spares an application WebSockets, which no client of the lab opens."""

    async def only(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await app(scope, receive, send)

    return only
