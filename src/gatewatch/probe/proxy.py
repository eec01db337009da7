"""Connections through a SOCKS5 or HTTP proxy, which also looks up the names.

A vantage with a `Proxy` as its `via` measures from where the proxy is: every step over TCP runs
unchanged, with a name in place of an address. That the proxy itself fails is no finding about
anybody else, and has a failure that nobody reads as one.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal
from urllib.parse import unquote, urlsplit

from gatewatch.model.errors import GatewatchError
from gatewatch.model.target import is_address
from gatewatch.probe.net import TCP_S, TIMEOUT, Connect, Failed, Stream, Vantage, connect
from gatewatch.wire.address import endpoint

PROXY_FAILURE = "socks_error"
"The proxy could not be reached, refused us, or does not speak its protocol: our own affair."
NO_REASON = "unknown_failure: the proxy could not connect"
MOST_HEAD = 1 << 14
"Bytes of an answer to CONNECT; our choice."

_SOCKS_FAILURES = {
    1: NO_REASON,
    2: PROXY_FAILURE,
    3: "network_unreachable",
    4: "host_unreachable",
    5: "connection_refused",
    6: TIMEOUT,
    7: PROXY_FAILURE,
    8: PROXY_FAILURE,
}
"Reply field: RFC 1928, section 6. 2 is the proxy's own rule; 7 and 8 are what it does not speak."
_CONNECT_FAILURES = {502: NO_REASON, 503: NO_REASON, 504: TIMEOUT}
"Status of an answer to CONNECT; all others are the proxy's own refusals."
DEFAULT_PORTS = {"socks5": 1080, "socks5h": 1080, "http": 8080}


class NotAProxy(GatewatchError):
    """A URL that names no proxy we can use."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"{url!r} is no proxy; want socks5://[USER:PASSWORD@]ADDRESS[:PORT] or http://..."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy as the `via` of a vantage."""

    scheme: Literal["socks5", "http"]
    address: str
    port: int
    user: str | None = None
    password: str = ""

    async def connect(
        self, vantage: Vantage, host: str, port: int, *, timeout_s: float = TCP_S
    ) -> Connect:
        """A connection to a name or address, as the proxy opens it."""
        t0 = vantage.now()
        deadline = t0 + timeout_s
        reached = await connect(
            replace(vantage, via=None), self.address, self.port, timeout_s=timeout_s
        )
        stream, failure = reached.stream, None
        if stream is None:
            failure = PROXY_FAILURE
        else:
            try:
                await _GREETINGS[self.scheme](self, _Reader(stream, deadline), host, port)
                stream.endpoint = endpoint(host, port)
            except Failed as failed:
                failure = failed.failure
                stream.close()
        return Connect(
            address=host,
            port=port,
            t0=t0,
            t=vantage.now(),
            failure=failure,
            stream=stream if failure is None else None,
            events=reached.events,
        )


def parse_proxy(url: str) -> Proxy:
    """
    Raises:
        NotAProxy: by its scheme, its address, or its port.

    >>> parse_proxy("socks5://127.0.0.1")
    Proxy(scheme='socks5', address='127.0.0.1', port=1080, user=None, password='')
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotAProxy(url) from None
    host = {"localhost": "127.0.0.1"}.get(parts.hostname or "", parts.hostname or "")
    if parts.scheme not in DEFAULT_PORTS or not is_address(host):
        raise NotAProxy(url)
    return Proxy(
        scheme="http" if parts.scheme == "http" else "socks5",
        address=host,
        port=DEFAULT_PORTS[parts.scheme] if port is None else port,
        user=None if parts.username is None else unquote(parts.username),
        password=unquote(parts.password or ""),
    )


class _Reader:
    """Exactly so many bytes of a stream, and not one too many."""

    def __init__(self, stream: Stream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline
        self._buffer = b""

    async def write(self, data: bytes) -> None:
        try:
            await self._stream.write(data, self._deadline)
        except Failed:
            raise Failed(PROXY_FAILURE) from None

    async def take(self, size: int, *, silence: str = PROXY_FAILURE) -> bytes:
        """
        Args:
            silence: failure of a proxy that has accepted the job and then says nothing.

        Raises:
            Failed: the proxy hung up, or said nothing.
        """
        while len(self._buffer) < size:
            await self._more(silence)
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    async def until(self, mark: bytes, *, silence: str) -> bytes:
        while mark not in self._buffer:
            if len(self._buffer) > MOST_HEAD:
                raise Failed(PROXY_FAILURE)
            await self._more(silence)
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def leave(self) -> None:
        """What came behind belongs to whoever reads next."""
        if self._buffer:
            self._stream.unread(self._buffer)

    async def _more(self, silence: str) -> None:
        try:
            data = await self._stream.read(self._deadline)
        except Failed as failed:
            raise Failed(silence if failed.failure == TIMEOUT else PROXY_FAILURE) from None
        if not data:
            raise Failed(PROXY_FAILURE)
        self._buffer += data


async def _socks5(proxy: Proxy, reader: _Reader, host: str, port: int) -> None:
    """RFC 1928, and RFC 1929 where there is a password."""
    await reader.write(b"\5\1\0" if proxy.user is None else b"\5\2\0\2")
    version, method = await reader.take(2)
    if version != 5 or method not in (0, 2):
        raise Failed(PROXY_FAILURE)
    if method == 2:
        user, password = (proxy.user or "").encode(), proxy.password.encode()
        await reader.write(b"\1" + _short(user) + _short(password))
        _, status = await reader.take(2)
        if status:
            raise Failed(PROXY_FAILURE)
    await reader.write(b"\5\1\0" + _socks_address(host) + port.to_bytes(2, "big"))
    version, reply, _, kind = await reader.take(4, silence=TIMEOUT)
    if version != 5:
        raise Failed(PROXY_FAILURE)
    if reply:
        raise Failed(_SOCKS_FAILURES.get(reply, PROXY_FAILURE))
    size = {1: 4, 4: 16}.get(kind)
    if size is None:
        size = (await reader.take(1))[0]
    await reader.take(size + 2)
    reader.leave()


def _socks_address(host: str) -> bytes:
    try:
        packed = ip_address(host).packed
    except ValueError:
        return b"\3" + _short(host.encode("utf-8"))
    return (b"\1" if len(packed) == 4 else b"\4") + packed


def _short(data: bytes) -> bytes:
    if len(data) > 255:
        raise Failed("invalid_argument")
    return bytes((len(data),)) + data


async def _connect(proxy: Proxy, reader: _Reader, host: str, port: int) -> None:
    """RFC 9110, section 9.3.6."""
    where = endpoint(host, port)
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if proxy.user is not None:
        secret = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode("ascii")
        lines.append(f"Proxy-Authorization: Basic {secret}")
    await reader.write("\r\n".join((*lines, "", "")).encode("utf-8"))
    head = await reader.until(b"\r\n\r\n", silence=TIMEOUT)
    parts = head.split(b"\r\n")[0].split(b" ")
    if not parts[0].startswith(b"HTTP/1.") or len(parts) < 2 or not parts[1].isdigit():
        raise Failed(PROXY_FAILURE)
    status = int(parts[1])
    if not 200 <= status < 300:
        raise Failed(_CONNECT_FAILURES.get(status, PROXY_FAILURE))
    reader.leave()


_GREETINGS: dict[str, Callable[[Proxy, _Reader, str, int], Awaitable[None]]] = {
    "socks5": _socks5,
    "http": _connect,
}
