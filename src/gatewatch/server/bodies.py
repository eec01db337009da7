"""Request bodies from strangers: read, unpacked and decoded, each within bounds.

What is refused is refused with a status and with words that say where the fault is and what would
have been right. What a body means is for those who asked for it.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
import zstandard

T = TypeVar("T")
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

BODY_S = 30.0
"""Seconds that a client has to send its body. Our choice: a megabyte at 300 kbit/s; who sends a
byte now and then holds one connection that long, and no longer."""
STEP = 256
"""Packed bytes that are unpacked at once. zstd makes up to 128 KiB of every four (RFC 8878,
section 3.1.1.2), so a bomb makes at most 8 MiB beyond the limit before it is seen."""
MEMBERS_MAX = 64
"Of a gzip or zstd stream; clients send one. Our choice: making a reader costs more than 20 bytes."
WINDOW_MAX = 1 << 23
"Bytes of zstd's window: what RFC 8878, section 3.1.1.1.2, recommends that decoders support."
WORDS_MAX = 300
"Characters of an error that go back to the client; our choice."


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        error: where it is wrong, and what was wanted.
        close: the connection ends with this answer, because more of the body may follow.
        wait_s: when to come again, seconds.
    """

    def __init__(
        self, status: int, error: str, *, close: bool = False, wait_s: int | None = None
    ) -> None:
        super().__init__(error)
        self.status, self.error = status, _shown(error)
        self.headers = {"Connection": "close"} if close else {}
        if wait_s is not None:
            self.headers["Retry-After"] = str(wait_s)


async def read_body(
    receive: Receive, limit: int, encoding: str = "", *, within_s: float = BODY_S
) -> bytes:
    """The body of a request, unpacked.

    Args:
        limit: bytes it may have, packed and unpacked.
        encoding: the Content-Encoding header; gzip, deflate, zstd, or none.

    Raises:
        Refused: 400 it cannot be unpacked, or the client has left; 408 it took too long;
            413 it is too long; 415 an unknown encoding.
    """
    coding = encoding.strip().lower()
    if coding not in _UNPACK:
        wanted = ", ".join(name for name in _UNPACK if name)
        raise Refused(
            415, f"Content-Encoding is {encoding!r}; wanted is one of {wanted}", close=True
        )
    try:
        async with asyncio.timeout(within_s):
            packed = await _all_of(receive, limit)
    except TimeoutError:
        raise Refused(408, f"body: not complete after {within_s:g} seconds", close=True) from None
    unpack = _UNPACK[coding]
    return packed if unpack is None else await asyncio.to_thread(unpack, packed, limit)


async def _all_of(receive: Receive, limit: int) -> bytes:
    pieces, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused(400, "body: the client left before its end", close=True)
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise Refused(413, f"body: longer than {limit} bytes", close=True)
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)


def _unpacked(packed: bytes, limit: int, member: Callable[[], Any]) -> bytes:
    """All members of a packed stream, each read by a `decompressobj` of its own."""
    pieces: list[bytes] = []
    size = at = members = 0
    reader = None
    while at < len(packed):
        if reader is None:
            reader, members = member(), members + 1
        step = packed[at : at + STEP]
        try:
            piece = reader.decompress(step)
        except (zlib.error, zstandard.ZstdError) as error:
            raise Refused(400, f"body: cannot be unpacked ({error})") from None
        pieces.append(piece)
        size, at = size + len(piece), at + len(step)
        if size > limit:
            raise Refused(413, f"body: longer than {limit} bytes when unpacked")
        if members > MEMBERS_MAX:
            raise Refused(400, f"body: more than {MEMBERS_MAX} packed members")
        if reader.eof:
            at -= len(reader.unused_data)
            reader = None
    if reader is not None:
        raise Refused(400, "body: the packed data ends too early")
    return b"".join(pieces)


def _gunzip(packed: bytes, limit: int) -> bytes:
    return _unpacked(packed, limit, lambda: zlib.decompressobj(zlib.MAX_WBITS | 16))


def _undeflate(packed: bytes, limit: int) -> bytes:
    """RFC 9110, section 8.4.1.2: a zlib stream; some send it without zlib's header."""
    header = len(packed) > 1 and packed[0] & 15 == 8 and not (packed[0] << 8 | packed[1]) % 31
    bits = zlib.MAX_WBITS if header else -zlib.MAX_WBITS
    return _unpacked(packed, limit, lambda: zlib.decompressobj(bits))


def _unzstd(packed: bytes, limit: int) -> bytes:
    """RFC 8878."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX)
    return _unpacked(packed, limit, unpacker.decompressobj)


_UNPACK: dict[str, Callable[[bytes, int], bytes] | None] = {
    "": None,
    "identity": None,
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "zstd": _unzstd,
}


def read_json(body: bytes, kind: type[T], *, where: str = "body") -> T:
    """A JSON body as what it should be.

    Stricter than most readers: no NaN, no lone surrogates, no bytes outside of UTF-8 even in
    fields that nobody reads, no nesting beyond what the interpreter's stack holds.

    Raises:
        Refused: 400, with the place of the fault.
    """
    try:
        body.decode("utf-8")
        return msgspec.json.decode(body, type=kind)
    except UnicodeDecodeError as error:
        raise Refused(400, f"{where}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise Refused(400, f"{where}: nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise Refused(400, f"{where}: {error}") from None


async def say(
    send: Send,
    said: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    old: bool = True,
) -> None:
    """Answers with JSON.

    Args:
        said: what `json` or `msgspec` can write.
        old: HTTP/1; later versions know header names in lower case only.
    """
    body = said if isinstance(said, bytes) else msgspec.json.encode(said)
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines.update(headers or {})
    await send_all(send, status, lines, [body], old=old)


async def refuse(send: Send, refused: Refused, *, old: bool = True) -> None:
    """Answers with the error, `{"error": …}`."""
    await say(
        send, {"error": refused.error}, status=refused.status, headers=refused.headers, old=old
    )


async def send_all(
    send: Send,
    status: int,
    headers: Mapping[str, str],
    body: Iterable[bytes],
    *,
    old: bool = True,
) -> None:
    """An answer, piece by piece."""
    lines = [
        ((name if old else name.lower()).encode("latin-1"), value.encode("latin-1"))
        for name, value in headers.items()
        if old or name != "Connection"
    ]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    for piece in body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def is_old(scope: Scope) -> bool:
    """Does the client speak HTTP/1?"""
    return scope.get("http_version", "1.1") in ("1.0", "1.1")


def header_of(scope: Scope, name: bytes) -> str:
    """The first value of a header, empty if there is none."""
    found = (value for key, value in scope.get("headers", ()) if key.lower() == name)
    return next(found, b"").decode("latin-1")


def _shown(error: str) -> str:
    """An error that is safe to print whatever was found: one line, ASCII, and short."""
    return json.dumps(error)[1:-1].replace('\\"', '"')[:WORDS_MAX]
