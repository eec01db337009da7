"""ClientHellos made by hand, for what a TLS library would not send, and what answers them.

The messages are whole and valid, so that any server of TLS 1.3 answers, and look much as a
browser's do; the handshake is never finished. What of them may vary is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from gatewatch.model.target import is_address
from gatewatch.probe.net import EOF, Failed, Stream
from gatewatch.wire.tls import ServerAnswer, server_answer

HELLO_S = 10.0
MOST_READ = 1 << 15
"Bytes of an answer that are read before it is given up as no ServerHello: two records."
MOST_RECORD = 1 << 14

_CIPHERS = (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8,
            0xC013, 0xC014, 0x009C, 0x009D, 0x002F, 0x0035)  # fmt: skip
"In Chrome's order: those of TLS 1.3, then of 1.2 with and without forward secrecy."
_SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
_GROUPS = (0x001D, 0x0017, 0x0018)
_X25519 = 0x001D

SERVER_NAME, STATUS_REQUEST, SUPPORTED_GROUPS, POINT_FORMATS = 0, 5, 10, 11
SIGNATURE_ALGORITHMS, ALPN, TIMESTAMPS, PADDING, MASTER_SECRET = 13, 16, 18, 21, 23
SESSION_TICKET, VERSIONS, PSK_MODES, KEY_SHARE, RENEGOTIATION = 35, 43, 45, 51, 0xFF01
ECH, ESNI = 0xFE0D, 0xFFCE
"Extension types of the IANA registry; ESNI of draft-ietf-tls-esni-01 to -06."


def client_hello(
    sni: str | None,
    *,
    ech: bytes | None = None,
    esni: bool = False,
    alpn: Sequence[str] = ("h2", "http/1.1"),
    random: Random,
    pad_to: int = 0,
    versions: Sequence[int] = (0x0304, 0x0303),
    extra: Iterable[tuple[int, bytes]] = (),
) -> bytes:
    """A ClientHello in one record.

    Args:
        sni: the name in clear; None leaves the extension out. It is written as it is.
        ech: the content of an encrypted_client_hello extension, as of `ech_extension`.
        esni: add an encrypted_server_name of random content, as of a key nobody has.
        alpn: protocols; none leaves the extension out.
        random: where all that is random comes from.
        pad_to: bytes that the message is to have at least, by a padding extension.
        versions: to offer; without 0x0304 it is a hello of the newest of them.
        extra: more extensions, type and content, at the end.
    """
    with_13 = 0x0304 in versions
    found: list[tuple[int, bytes]] = []
    if sni is not None:
        found.append((SERVER_NAME, server_name(sni)))
    found += [
        (MASTER_SECRET, b""),
        (RENEGOTIATION, b"\0"),
        (SUPPORTED_GROUPS, _vector(2, _words(_GROUPS))),
        (POINT_FORMATS, b"\1\0"),
        (SESSION_TICKET, b""),
    ]
    if alpn:
        names = b"".join(_vector(1, name.encode("latin-1")) for name in alpn)
        found.append((ALPN, _vector(2, names)))
    found += [
        (STATUS_REQUEST, b"\1\0\0\0\0"),
        (SIGNATURE_ALGORITHMS, _vector(2, _words(_SIGNATURES))),
        (TIMESTAMPS, b""),
    ]
    if with_13:
        found += [
            (KEY_SHARE, _vector(2, _words([_X25519]) + _vector(2, random.randbytes(32)))),
            (PSK_MODES, b"\1\1"),
            (VERSIONS, _vector(1, _words(versions))),
        ]
    if ech is not None:
        found.append((ECH, ech))
    if esni:
        found.append((ESNI, esni_extension(random)))
    legacy = min(max(versions), 0x0303)
    message = _message(legacy, [*found, *extra], random)
    if len(message) < pad_to:
        room = max(pad_to - len(message) - 4, 0)
        # Session and random are drawn anew: the message is another one, of the same length.
        message = _message(legacy, [*found, *extra, (PADDING, bytes(room))], random)
    return records(message)


def _message(legacy: int, extensions: Iterable[tuple[int, bytes]], random: Random) -> bytes:
    """RFC 8446, section 4.1.2, with a session id as for middleboxes (appendix D.4)."""
    body = _words([legacy]) + random.randbytes(32) + _vector(1, random.randbytes(32))
    body += _vector(2, _words(_CIPHERS)) + b"\1\0"
    body += _vector(2, b"".join(_words([kind]) + _vector(2, data) for kind, data in extensions))
    return b"\1" + _vector(3, body)


def server_name(name: str) -> bytes:
    """RFC 6066, section 3."""
    return _vector(2, b"\0" + _vector(2, name.encode("utf-8")))


def ech_extension(
    random: Random,
    *,
    config_id: int | None = None,
    enc: bytes | None = None,
    payload_length: int = 208,
) -> bytes:
    """An outer encrypted_client_hello (RFC 9849, section 5) that nobody can open.

    Args:
        config_id, enc: of a server's configuration; None is random, as in GREASE (section 6.2).
        payload_length: bytes; an inner hello of a short name has about these.
    """
    identity = random.randrange(256) if config_id is None else config_id
    key = random.randbytes(32) if enc is None else enc
    suite = _words([0x0001, 0x0001])  # HKDF-SHA256 and AES-128-GCM
    payload = random.randbytes(payload_length)
    return b"\0" + suite + bytes((identity,)) + _vector(2, key) + _vector(2, payload)


def esni_extension(random: Random) -> bytes:
    """An encrypted_server_name as clients sent it (draft-ietf-tls-esni-02, section 5)."""
    return (
        _words([0x1301, _X25519])
        + _vector(2, random.randbytes(32))
        + _vector(2, random.randbytes(32))  # digest of a record of keys that nobody has
        + _vector(2, random.randbytes(292))
    )


def records(message: bytes) -> bytes:
    """A handshake message in as few records as may be.

    >>> records(bytes(5)).hex(" ")
    '16 03 01 00 05 00 00 00 00 00'
    """
    chunks = (message[at : at + MOST_RECORD] for at in range(0, len(message), MOST_RECORD))
    return b"".join(b"\x16\x03\x01" + _vector(2, chunk) for chunk in chunks)


@dataclass(slots=True, kw_only=True)
class Hello:
    """One ClientHello and what answered it; times in seconds since the measurement began."""

    t0: float
    t: float
    failure: str | None
    "None when anything at all answered; `eof_error` for an end in place of an answer."
    answered: Literal["server_hello", "alert", "other"] | None = None
    "None when nothing did."
    answer: ServerAnswer | None = None
    data: bytes = b""
    "What came, up to `MOST_READ`."

    @property
    def alert(self) -> int | None:
        """Description of the alert that answered."""
        return None if self.answer is None else self.answer.alert


async def say_hello(stream: Stream, hello: bytes, timeout_s: float = HELLO_S) -> Hello:
    """Send a ClientHello, or whatever else, and read the first message of the answer."""
    vantage = stream.vantage
    found = Hello(t0=vantage.now(), t=0.0, failure=None)
    deadline = found.t0 + timeout_s
    stream.mark("tls_handshake_start")
    try:
        await stream.write(hello, deadline)
        await _read(stream, found, deadline)
    except Failed as failed:
        # A reset in the middle of an answer says more than the half of it that came.
        found.failure = failed.failure
        found.answer = server_answer(found.data, ended=True)
    found.answered = None if found.answer is None else found.answer.kind
    stream.mark("tls_handshake_done", found.failure)
    found.t = vantage.now()
    return found


async def _read(stream: Stream, found: Hello, deadline: float) -> None:
    while found.answer is None:
        data = await stream.read(deadline)
        found.data = (found.data + data)[:MOST_READ]
        ended = not data or len(found.data) == MOST_READ
        found.answer = server_answer(found.data, ended=ended)
        if not found.data:
            raise Failed(EOF)


def name_to_send(host: str) -> str | None:
    """The server name for a host: none for an address.

    >>> name_to_send("example.org"), name_to_send("192.0.2.1")
    ('example.org', None)
    """
    return None if is_address(host) else host


def _vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def _words(values: Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)
