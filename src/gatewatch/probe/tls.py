"""TLS handshakes over streams, each with how it ended and what the peer showed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography import x509

from gatewatch.model.target import is_address
from gatewatch.probe.certificates import (
    CERTIFICATE_FAILURES,
    chain_failure,
    leaf_name_failure,
    verify_failure,
)
from gatewatch.probe.net import EOF, Failed, Stream

TLS_S = 10.0
"As long as OONI waits."
NOT_TLS = "ssl_failed_handshake"
ALERT_SIZE = 7
"Bytes of a record with one alert in clear: RFC 8446, sections 5.1 and 6."
UNRECOGNIZED_NAME = 112

ALERTS = {
    "SSLV3_ALERT_CLOSE_NOTIFY": 0,
    "SSLV3_ALERT_UNEXPECTED_MESSAGE": 10,
    "SSLV3_ALERT_BAD_RECORD_MAC": 20,
    "TLSV1_ALERT_DECRYPTION_FAILED": 21,
    "TLSV1_ALERT_RECORD_OVERFLOW": 22,
    "SSLV3_ALERT_DECOMPRESSION_FAILURE": 30,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": 40,
    "SSLV3_ALERT_NO_CERTIFICATE": 41,
    "SSLV3_ALERT_BAD_CERTIFICATE": 42,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": 43,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": 44,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": 45,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": 46,
    "SSLV3_ALERT_ILLEGAL_PARAMETER": 47,
    "TLSV1_ALERT_UNKNOWN_CA": 48,
    "TLSV1_ALERT_ACCESS_DENIED": 49,
    "TLSV1_ALERT_DECODE_ERROR": 50,
    "TLSV1_ALERT_DECRYPT_ERROR": 51,
    "TLSV1_ALERT_EXPORT_RESTRICTION": 60,
    "TLSV1_ALERT_PROTOCOL_VERSION": 70,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": 71,
    "TLSV1_ALERT_INTERNAL_ERROR": 80,
    "TLSV1_ALERT_INAPPROPRIATE_FALLBACK": 86,
    "TLSV1_ALERT_USER_CANCELLED": 90,
    "TLSV1_ALERT_NO_RENEGOTIATION": 100,
    "TLSV13_ALERT_MISSING_EXTENSION": 109,
    "TLSV1_UNSUPPORTED_EXTENSION": 110,
    "TLSV1_CERTIFICATE_UNOBTAINABLE": 111,
    "TLSV1_UNRECOGNIZED_NAME": UNRECOGNIZED_NAME,
    "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE": 113,
    "TLSV1_BAD_CERTIFICATE_HASH_VALUE": 114,
    "TLSV1_ALERT_UNKNOWN_PSK_IDENTITY": 115,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": 116,
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": 120,
}
"OpenSSL's word for a received alert → its number in the registry of RFC 8446, section 6."

ALERT_FAILURES = {UNRECOGNIZED_NAME: "ssl_invalid_hostname"}
"""Failures of received alerts, all others being failed handshakes. OONI counts 112 as a wrong name;
what a server says of certificates is said of ours, which we have none."""


@dataclass(slots=True, kw_only=True)
class Handshake:
    """One attempt to start TLS; times in seconds since the measurement began."""

    server_name: str
    "The name that the peer is to prove."
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
    sni: str = ""
    "The name that was sent in clear; empty when none was."
    verified: bool = True
    "Whether a certificate that does not prove the name was to end the handshake."
    verify_failure: str | None = None
    "What is wrong with the certificate, also where that did not end the handshake."
    alert: int | None = None
    "The alert that the peer sent in place of a handshake."


class TlsStream:
    """TLS over a `Stream`, through memory, so that every raw read and write is on record."""

    def __init__(self, stream: Stream, context: ssl.SSLContext, sni: str | None) -> None:
        """
        Raises:
            ValueError: the name cannot be sent.
        """
        self.stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=sni)
        self.tail = b""
        "The last bytes that came, as long as an alert."

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
        try:
            self.tls.write(data)
        except ssl.SSLError as error:
            raise Failed(f"unknown_failure: {error.reason or 'ssl'}") from None
        await self._flush(deadline)

    def close(self) -> None:
        self.stream.close()

    async def _fill(self, deadline: float) -> None:
        data = await self.stream.read(deadline)
        self.tail = (self.tail + data)[-ALERT_SIZE:]
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
    sni: str | None = None,
    verify: bool = True,
) -> Handshake:
    """Start TLS with a server that is to prove a name, or an address.

    Args:
        ca: PEM file of the authorities to trust.
        alpn: protocols to offer; none offers nothing.
        clock: what the client believes the time to be; None is the system's own.
        sni: the name to send in clear; None is the server's own, "" sends none. An address is
            never sent.
        verify: False lets the handshake end well whatever the certificate.
    """
    vantage = stream.vantage
    t0 = vantage.now()
    sent = server_name if sni is None else sni
    found = Handshake(
        server_name=server_name, t0=t0, t=t0, failure=None, channel=None, verified=verify
    )
    stream.mark("tls_handshake_start")
    named = verify and sent == server_name
    try:
        channel = TlsStream(stream, _context(str(ca), alpn, verify, named), sent or None)
    except ValueError:  # a name that IDNA does not have
        found.failure = "invalid_argument"
    else:
        found.sni = "" if is_address(sent) else sent
        await _shake(channel, found, t0 + timeout_s)
        _check(found, ca=ca, named=named, clock=clock)
        _tell(found, channel)
    stream.mark("tls_handshake_done", found.failure)
    found.t = vantage.now()
    return found


async def _shake(channel: TlsStream, found: Handshake, deadline: float) -> None:
    try:
        await channel.shake(deadline)
    except Failed as failed:
        found.failure = failed.failure
    except ssl.SSLError as error:
        found.alert = alert_number(error, channel.tail)
        found.failure = ALERT_FAILURES.get(found.alert or 0) or tls_failure(error)
    found.chain = peer_chain(channel.tls)


def _check(found: Handshake, *, ca: Path, named: bool, clock: datetime | None) -> None:
    """What is wrong with the certificate, beyond what the handshake itself has found."""
    if found.failure is not None:
        faulty = found.failure in CERTIFICATE_FAILURES and found.alert is None
        found.verify_failure = found.failure if faulty else None
        return
    if not found.verified:
        found.verify_failure = chain_failure(found.chain, found.server_name, ca=ca)
    elif not named:
        found.verify_failure = leaf_name_failure(found.chain, found.server_name)
    found.verify_failure = found.verify_failure or _misdated(found.chain, clock)
    if found.verified:
        found.failure = found.verify_failure


def _tell(found: Handshake, channel: TlsStream) -> None:
    """What was agreed on, where anything was."""
    if found.failure is not None:
        return
    cipher = channel.tls.cipher()
    found.channel = channel
    found.tls_version = channel.tls.version() or ""
    found.cipher_suite = cipher[0] if cipher else ""
    found.alpn = channel.tls.selected_alpn_protocol() or ""


@lru_cache(64)
def _context(ca: str, alpn: tuple[str, ...], verify: bool, named: bool) -> ssl.SSLContext:
    """One context for all handshakes alike; making one costs tens of milliseconds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    context.hostname_checks_common_name = False  # as in browsers, and in OONI's probe
    context.check_hostname = named
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def tls_failure(error: ssl.SSLError) -> str:
    """The failure code of a refused certificate, of most alerts, or of bytes that are not TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return verify_failure(error.verify_code)
    if isinstance(error, ssl.SSLEOFError):
        return EOF
    return NOT_TLS


def alert_number(error: ssl.SSLError, tail: bytes) -> int | None:
    """The received alert that an error is about.

    Args:
        tail: the last bytes that came; not all numbers have a word that Python knows.
    """
    if isinstance(error, ssl.SSLCertVerificationError | ssl.SSLEOFError):
        return None
    known = ALERTS.get(error.reason or "")
    in_clear = len(tail) == ALERT_SIZE and tail[:2] == b"\x15\3" and tail[3:5] == b"\0\2"
    return tail[-1] if known is None and in_clear else known


def peer_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates the peer sent, also those that were refused.

    Public as `SSLObject.get_unverified_chain` from Python 3.13 on, which gives DER.
    """
    public: Any = getattr(tls, "get_unverified_chain", None)
    if public is not None:
        return tuple(public())
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
