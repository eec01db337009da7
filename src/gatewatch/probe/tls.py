"""TLS handshakes over streams, each with how it ended and what the peer showed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509

from gatewatch.probe.net import EOF, Failed, Stream

TLS_S = 10.0
"As long as OONI waits."

_UNTRUSTED = {18, 19, 20, 21}
"X509_V_ERR_*: self-signed leaf or root, issuer not found, leaf signature not verified."
_MISNAMED = {62, 64}
"X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH."
_NAME_UNKNOWN = "TLSV1_UNRECOGNIZED_NAME"
"Alert 112, which OONI counts as a wrong name."


@dataclass(slots=True, kw_only=True)
class Handshake:
    """One attempt to start TLS; times in seconds since the measurement began."""

    server_name: str
    t0: float
    t: float
    failure: str | None
    channel: TlsStream | None
    "None when it failed."
    tls_version: str = ""
    cipher_suite: str = ""
    alpn: str = ""
    chain: tuple[bytes, ...] = ()
    "As the peer sent it, leaf first, DER; also when it was refused."


class TlsStream:
    """TLS over a `Stream`, through memory, so that every raw read and write is on record."""

    def __init__(self, stream: Stream, context: ssl.SSLContext, server_name: str) -> None:
        self.stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    async def shake(self, deadline: float) -> None:
        """
        Raises:
            Failed: on the way.
            ssl.SSLError: in the protocol, or about a certificate.
        """
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush(deadline)
                await self._fill(deadline)
                if self._incoming.eof:
                    raise Failed(EOF) from None
            except ssl.SSLError:
                await self._say_goodbye(deadline)
                raise
        await self._flush(deadline)

    async def read(self, deadline: float) -> bytes:
        while True:
            try:
                return self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                await self._fill(deadline)
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise Failed(f"unknown_failure: {error.reason or 'ssl'}") from None

    async def write(self, data: bytes, deadline: float) -> None:
        self.tls.write(data)
        await self._flush(deadline)

    def close(self) -> None:
        self.stream.close()

    async def _fill(self, deadline: float) -> None:
        data = await self.stream.read(deadline)
        self._incoming.write(data) if data else self._incoming.write_eof()

    async def _flush(self, deadline: float) -> None:
        data = self._outgoing.read()
        if data:
            await self.stream.write(data, deadline)

    async def _say_goodbye(self, deadline: float) -> None:
        """The alert that tells the server why; nobody may be there to hear it."""
        try:
            await self._flush(deadline)
        except Failed:
            return


async def handshake(
    stream: Stream,
    server_name: str,
    *,
    ca: Path,
    alpn: tuple[str, ...] = ("http/1.1",),
    clock: datetime | None = None,
    timeout_s: float = TLS_S,
) -> Handshake:
    """Start TLS with a server name (an address is checked, and not sent).

    Args:
        ca: PEM file of the authorities to trust.
        clock: what the client believes the time to be; None is the system's own.
    """
    vantage = stream.vantage
    t0 = vantage.now()
    stream.mark("tls_handshake_start")
    channel = TlsStream(stream, _context(str(ca), alpn), server_name)
    try:
        await channel.shake(t0 + timeout_s)
        failure = _misdated(peer_chain(channel.tls), clock)
    except Failed as failed:
        failure = failed.failure
    except ssl.SSLError as error:
        failure = tls_failure(error)
    stream.mark("tls_handshake_done", failure)
    cipher = channel.tls.cipher() if failure is None else None
    return Handshake(
        server_name=server_name,
        t0=t0,
        t=vantage.now(),
        failure=failure,
        channel=channel if failure is None else None,
        tls_version=(channel.tls.version() or "") if failure is None else "",
        cipher_suite=cipher[0] if cipher else "",
        alpn=(channel.tls.selected_alpn_protocol() or "") if failure is None else "",
        chain=peer_chain(channel.tls),
    )


@lru_cache(64)
def _context(ca: str, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """One context for all handshakes alike; making one costs tens of milliseconds."""
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(list(alpn))
    return context


def tls_failure(error: ssl.SSLError) -> str:
    """The failure code of a refused certificate, an alert, or bytes that are not TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _MISNAMED:
            return "ssl_invalid_hostname"
        untrusted = error.verify_code in _UNTRUSTED
        return "ssl_unknown_authority" if untrusted else "ssl_invalid_certificate"
    if isinstance(error, ssl.SSLEOFError):
        return EOF
    return "ssl_invalid_hostname" if error.reason == _NAME_UNKNOWN else "ssl_failed_handshake"


def peer_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates the peer sent, also those that were refused.

    Public as `SSLObject.get_unverified_chain` from Python 3.13 on.
    """
    inner: Any = getattr(tls, "_sslobj", tls)
    sent = inner.get_unverified_chain() or ()
    return tuple(ssl.PEM_cert_to_DER_cert(c.public_bytes()) for c in sent)


def _misdated(chain: tuple[bytes, ...], clock: datetime | None) -> str | None:
    """What a client whose clock is wrong says of dates that the system finds right."""
    if clock is None or not chain:
        return None
    leaf = x509.load_der_x509_certificate(chain[0])
    dated = leaf.not_valid_before_utc <= clock <= leaf.not_valid_after_utc
    return None if dated else "ssl_invalid_certificate"
