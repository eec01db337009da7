"""TLS as it shows in clear: the ClientHello of a stream, and the ServerHello or alert in answer.

A ClientHello may be spread over any number of records, and a record over any number of segments;
give the stream as far as it has come. The same message in QUIC has no records around it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

_ALERT, _HANDSHAKE = 21, 22
"Record types: RFC 8446, section 5.1."
_CLIENT_HELLO = 1
_SERVER_NAME, _ALPN = 0, 16
_ECH = 0xFE0D
"encrypted_client_hello: RFC 9849."
_ESNI = 0xFFCE
"encrypted_server_name: draft-ietf-tls-esni-01 to -06."
_MAX_RECORD = 2**14
_MAX_HELLO = 2**16
"Our choice: forty times what browsers send with post-quantum key shares."


class NotTls(ValueError):
    """Bytes that cannot be, or begin, a ClientHello."""


class ClientHello(msgspec.Struct, frozen=True, kw_only=True):
    """What a TLS client says in clear."""

    sni: str | None
    "The name in lower case; None when there is none. With `ech`, the public name."
    alpn: tuple[str, ...]
    ech: bool
    "Also where the extension is GREASE, which looks no different."
    esni: bool


def client_hello(stream: bytes) -> ClientHello | None:
    """The ClientHello at the beginning of what a client sent over TCP.

    Returns:
        None as long as it may be one, and is not complete.

    Raises:
        NotTls: it cannot become one any more, whatever follows.
    """
    message = b""
    at = 0
    while at < len(stream):
        header = stream[at : at + 5]
        if header[0] != _HANDSHAKE or header[1:2] not in (b"", b"\3"):
            raise NotTls(f"a record begins with {header.hex(' ')}")
        if len(header) < 5:
            return None
        length = int.from_bytes(header[3:5], "big")
        if not 0 < length <= _MAX_RECORD:
            raise NotTls(f"a handshake record of {length} bytes")
        message += stream[at + 5 : at + 5 + length]
        found = hello_message(message)
        if found:
            return found
        at += 5 + length
    return None


def hello_message(message: bytes) -> ClientHello | None:
    """The ClientHello from a stream of handshake messages, as it stands in QUIC CRYPTO frames.

    Returns:
        None as long as it is not complete.

    Raises:
        NotTls: the first message is another one, or its lengths contradict each other.
    """
    if message and message[0] != _CLIENT_HELLO:
        raise NotTls(f"handshake message type {message[0]}")
    if len(message) < 4:
        return None
    length = int.from_bytes(message[1:4], "big")
    if length > _MAX_HELLO:
        raise NotTls(f"a ClientHello of {length} bytes")
    if len(message) < 4 + length:
        return None
    return _hello(message[4 : 4 + length])


def _hello(body: bytes) -> ClientHello:
    """RFC 8446, section 4.1.2; a client before TLS 1.2 may have no extensions at all."""
    _, at = _vector(body, 34, 1)  # session, behind version and random
    _, at = _vector(body, at, 2)  # cipher suites
    _, at = _vector(body, at, 1)  # compression
    found = _extensions(_vector(body, at, 2)[0]) if at < len(body) else {}
    return ClientHello(
        sni=_server_name(found.get(_SERVER_NAME, b"")),
        alpn=_protocols(found.get(_ALPN, b"")),
        ech=_ECH in found,
        esni=_ESNI in found,
    )


def _vector(data: bytes, at: int, width: int) -> tuple[bytes, int]:
    """What follows a length of so many bytes, and where it ends."""
    begin = at + width
    end = begin + int.from_bytes(data[at:begin], "big")
    if end > len(data):
        raise NotTls(f"a vector that ends at {end} of {len(data)} bytes")
    return data[begin:end], end


def _extensions(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        value, end = _vector(data, at + 2, 2)
        found.setdefault(int.from_bytes(data[at : at + 2], "big"), value)
        at = end
    return found


def _server_name(extension: bytes) -> str | None:
    """The first name of type host_name: RFC 6066, section 3."""
    if not extension:
        return None
    names, _ = _vector(extension, 0, 2)
    at = 0
    while at < len(names):
        name, end = _vector(names, at + 1, 2)
        if names[at] == 0:
            return name.decode("latin-1").lower()
        at = end
    return None


def _protocols(extension: bytes) -> tuple[str, ...]:
    """RFC 7301, section 3.1; GREASE is no text, hence the encoding."""
    if not extension:
        return ()
    names, _ = _vector(extension, 0, 2)
    found = []
    at = 0
    while at < len(names):
        name, at = _vector(names, at, 1)
        found.append(name.decode("latin-1"))
    return tuple(found)


def alert(level: int, description: int) -> bytes:
    """A record with one alert in clear, as a server sends before it has keys (RFC 8446, section 6).

    Args:
        level: 1 warning, 2 fatal.

    >>> alert(2, 40).hex()
    '15030300020228'
    """
    return bytes([_ALERT, 3, 3, 0, 2, level, description])


class ServerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing a server says to a ClientHello."""

    kind: Literal["server_hello", "alert", "other"]
    "Other: a record of another type, another message, or no TLS at all."
    alert: int | None = None
    "Description of the alert."
    level: int | None = None
    "Of the alert: 1 warning, 2 fatal."
    version: int | None = None
    "That was chosen; 0x0304 is TLS 1.3."
    cipher_suite: int | None = None
    retry: bool = False
    "A HelloRetryRequest, which has the shape of a ServerHello."
    ech: bool = False
    "It accepts or refuses ECH by a confirmation of its own (only in a HelloRetryRequest)."


_SERVER_HELLO = 2
_SUPPORTED_VERSIONS = 43
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"The random of a HelloRetryRequest: RFC 8446, section 4.1.3."


def server_answer(stream: bytes, *, ended: bool = False) -> ServerAnswer | None:
    """What the beginning of a server's stream says.

    Args:
        ended: nothing more will come.

    Returns:
        None as long as more of it must come to know; at the end, None only for nothing at all.
    """
    found = _server_answer(stream)
    return ServerAnswer(kind="other") if found is None and stream and ended else found


def _server_answer(stream: bytes) -> ServerAnswer | None:
    other = ServerAnswer(kind="other")
    if not stream:
        return None
    kind = stream[0]
    if kind not in (_ALERT, _HANDSHAKE) or stream[1:2] not in (b"", b"\3"):
        return other
    if len(stream) < 5:
        return None
    length = int.from_bytes(stream[3:5], "big")
    if kind == _ALERT:
        if length != 2:
            return other
        if len(stream) < 7:
            return None
        return ServerAnswer(kind="alert", level=stream[5], alert=stream[6])
    message, complete = _first_message(stream)
    if message[:1] not in (b"", bytes((_SERVER_HELLO,))):
        return other
    if not complete:
        return None
    try:
        return _server_hello(message[4:])
    except NotTls:
        return other


def _first_message(stream: bytes) -> tuple[bytes, bool]:
    """The first handshake message of as many records as it takes, and whether it is whole."""
    message = b""
    at = 0
    while at + 5 <= len(stream) and stream[at] == _HANDSHAKE:
        length = int.from_bytes(stream[at + 3 : at + 5], "big")
        if not 0 < length <= _MAX_RECORD:
            return b"\xff", True  # no message has this type
        message += stream[at + 5 : at + 5 + length]
        if len(message) >= 4:
            size = 4 + int.from_bytes(message[1:4], "big")
            if len(message) >= size:
                return message[:size], True
            if size > _MAX_HELLO:
                return b"\xff", True
        at += 5 + length
    return message, False


def _server_hello(body: bytes) -> ServerAnswer:
    """RFC 8446, section 4.1.3."""
    _, at = _vector(body, 34, 1)  # session
    if len(body) < at + 3:
        raise NotTls("a ServerHello without a cipher suite")
    cipher_suite = int.from_bytes(body[at : at + 2], "big")
    at += 3
    extensions = _extensions(_vector(body, at, 2)[0]) if at < len(body) else {}
    version = extensions.get(_SUPPORTED_VERSIONS, body[:2])
    return ServerAnswer(
        kind="server_hello",
        version=int.from_bytes(version, "big"),
        cipher_suite=cipher_suite,
        retry=body[2:34] == _RETRY,
        ech=_ECH in extensions,
    )
