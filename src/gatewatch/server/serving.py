"""Applications on ports: sockets, TLS, signals, and logs without the address of a client."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from uvicorn import Config, Server

from gatewatch.model.errors import GatewatchError
from gatewatch.server.patient import Patience, Patient
from gatewatch.wire.address import in_url

Application = Callable[..., Awaitable[None]]
BACKLOG = 2048
STOP_S = 20
"Seconds that requests have to end when the server is told to."


class Tls(NamedTuple):
    """Files in PEM."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 and newer, with the ciphers that Python and OpenSSL take by default.

        Raises:
            GatewatchError: a file cannot be read, or they do not belong together.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Read the files, now or again; connections from then on have the new certificate."""
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise GatewatchError(
                f"{self.certificate} and {self.key}: {why}; wanted are a certificate chain and"
                " its key, in PEM"
            ) from error


class Port(NamedTuple):
    """An application and where it listens."""

    app: Application
    sockets: list[socket.socket]
    tls: ssl.SSLContext | None


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to a host; with port 0, all to one that the system chose.

    Raises:
        GatewatchError: the address is not ours or is taken.
    """
    found: list[socket.socket] = []
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(places):
            bound = socket.socket(family, kind, protocol)
            found.append(bound)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if not port and len(found) > 1:
                address = (address[0], found[0].getsockname()[1], *address[2:])
            bound.bind(address)
            bound.setblocking(False)
    except OSError as error:
        for bound in found:
            bound.close()
        where = in_url(host)
        raise GatewatchError(f"{where}:{port}: {error.strerror or error}") from error
    return found


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port that sockets are bound to."""
    return sockets[0].getsockname()[1]


async def serve(
    ports: Sequence[Port],
    *,
    patience: Patience,
    stop: asyncio.Event,
    ready: Callable[[], None],
    died: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until `stop` is set; requests that have begun are answered first.

    Args:
        ready: called when all ports take connections.
        died: what the applications cannot do without; serving ends when it returns or raises.
    """
    servers = [_Quiet(_config(port, patience), patience.header_s) for port in ports]
    _raise_limits(patience)
    asyncio.get_running_loop().set_exception_handler(_complain)
    try:
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(server.serve(port.sockets))
                for server, port in zip(servers, ports, strict=True)
            ]
            for server in servers:
                await server.up.wait()
            ready()
            waits = [asyncio.ensure_future(stop.wait())]
            waits += [asyncio.ensure_future(died())] if died else []
            done, others = await asyncio.wait(
                [*waits, *running], return_when=asyncio.FIRST_COMPLETED
            )
            for server in servers:
                server.should_exit = True
            for other in others & {*waits}:
                other.cancel()
            for one in done:
                one.result()
    except* GatewatchError as errors:
        raise errors.exceptions[0] from None


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT end serving in order; a second SIGINT ends it at once.

    SIGPIPE, which ends a filter whose reader has left, is no reason for a server to end.
    """
    loop = asyncio.get_running_loop()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def interrupted() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)


def reload_on_hangup(tls: Tls, context: ssl.SSLContext) -> None:
    """SIGHUP reads the certificate again, as those who renew it want."""

    def renew() -> None:
        try:
            tls.load_into(context)
        except GatewatchError as error:
            print(f"gatewatch: {error}; the old certificate stays", file=sys.stderr, flush=True)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, renew)


class _Quiet(Server):
    """uvicorn's server without its own handling of signals: there may be several of them."""

    def __init__(self, config: Config, handshake_s: float) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self._handshake_s = handshake_s

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, with an end to TLS handshakes, for which it has no setting."""
        loop, config = asyncio.get_running_loop(), self.config
        await self.lifespan.startup()

        def protocol() -> asyncio.Protocol:
            made: Any = config.http_protocol_class
            return made(
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )

        self.servers = [
            await loop.create_server(
                protocol,
                sock=one,
                backlog=config.backlog,
                ssl=config.ssl,
                ssl_handshake_timeout=self._handshake_s if config.ssl else None,
            )
            for one in sockets or ()
        ]
        self.started = True
        self.up.set()


def _config(port: Port, patience: Patience) -> Config:
    protocol: Any = partial(Patient, patience=patience)  # uvicorn only calls it
    config = Config(
        port.app,
        http=protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=patience.idle_s,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=patience.header_bytes,
    )
    config.load()
    config.ssl = port.tls
    return config


def _raise_limits(patience: Patience) -> None:
    """Room for every connection, and for the sockets of measurements beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * patience.connections + 1024
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio has to say, without its details: they name connections."""
    error = context.get("exception")
    if isinstance(error, (ConnectionError, ssl.SSLError, TimeoutError)):
        return  # clients that leave, or do not speak TLS
    kind = f": {type(error).__name__}" if error is not None else ""
    print(f"gatewatch: {context.get('message')}{kind}", file=sys.stderr, flush=True)
