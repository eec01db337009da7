"""Compressed streams, told by their first bytes: gzip, zstd, lz4, bzip2, xz; members, frames.

Everything that can be decompressed before a cut or a damaged place is handed on first; then the
damage is noted, with the byte at which it was met.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, cast

from gatewatch.archive.pull import CHUNK_BYTES, Book, Pull


class Decoder(Protocol):
    """One member or frame, as `bz2.BZ2Decompressor` and its relatives read it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class Codec(NamedTuple):
    name: str
    magics: tuple[bytes, ...]
    decoder: Callable[[], Decoder]

    def starts(self, head: bytes) -> bool:
        return head.startswith(self.magics)


class Damaged(Exception):
    """Bytes that are not what the format says they are."""


class GzipMember:
    """One gzip member (RFC 1952), its trailer checked only after its bytes are out.

    igzip's own check refuses the last stretch of data together with the bad trailer, and with
    it records that are whole.
    """

    def __init__(self) -> None:
        from isal import igzip_lib

        self._error = cast(type[Exception], igzip_lib.IsalError)
        self._inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP_NO_HDR)
        self._head: bytes | None = b""
        self._trailer = b""
        self._size = 0
        self.eof = False
        self.unused_data = b""

    @property
    def needs_input(self) -> bool:
        return self._head is not None or self._inflate.eof or self._inflate.needs_input

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        if self._head is not None:
            self._head += data
            start = _gzip_header_length(self._head)
            if start is None:
                return b""
            data, self._head = self._head[start:], None
        if not self._inflate.eof:
            try:
                out = self._inflate.decompress(data, max_length)
            except self._error as error:
                raise Damaged(str(error)) from error
            self._size += len(out)
            if not self._inflate.eof:
                return out
            self._finish(self._inflate.unused_data)
            return out
        self._finish(data)
        return b""

    def _finish(self, data: bytes) -> None:
        self._trailer += data
        if len(self._trailer) >= 8:
            self.eof, self.unused_data = True, self._trailer[8:]

    def check(self) -> None:
        """Raises Damaged when the trailer does not fit what was decompressed."""
        crc = int.from_bytes(self._trailer[:4], "little")
        size = int.from_bytes(self._trailer[4:8], "little")
        if crc != self._inflate.crc:
            raise Damaged(f"CRC-32 {self._inflate.crc:08x}, and the trailer says {crc:08x}")
        if size != self._size & 0xFFFFFFFF:
            raise Damaged(f"{self._size} bytes, and the trailer says {size}")


_LONGEST_GZIP_HEADER = 1 << 18


def _gzip_header_length(data: bytes) -> int | None:
    """Bytes before the deflate data; None when more bytes are needed to tell."""
    if len(data) > _LONGEST_GZIP_HEADER:
        raise Damaged("a gzip header without an end")
    if len(data) < 10:
        return None
    flags, at = data[3], 10
    if data[2] != 8 or flags & 0xE0:
        raise Damaged(f"gzip method {data[2]}, flags {flags:#x}")
    if flags & 4:
        if len(data) < at + 2:
            return None
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            at = data.find(b"\0", at) + 1
            if not at:
                return None
    if flags & 2:
        at += 2
    return at if at <= len(data) else None


class ZstdFrame:
    """One zstd frame, fed in small bites, since the library cannot bound what one gives.

    A block of 128 KiB can come out of four bytes (RFC 8878), so a bite gives 64 MiB at worst.
    """

    BITE_BYTES = 2048

    def __init__(self) -> None:
        import zstandard

        self._error: type[Exception] = zstandard.ZstdError
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._damage: Damaged | None = None
        self._input = b""
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return not self._input

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        if self._damage:
            raise self._damage
        self._input += data
        out, size, at = [], 0, 0
        while at < len(self._input) and not self.eof and (max_length < 0 or size < max_length):
            bite = self._input[at : at + self.BITE_BYTES]
            try:
                out.append(self._frame.decompress(bite))
            except self._error as error:
                # Raised with the next call: what came before the damaged bite is good.
                self._damage = Damaged(str(error))
                break
            at += len(bite)
            size += len(out[-1])
        self._input = self._input[at:]
        if self.eof:
            self.unused_data = self._frame.unused_data + self._input
        return b"".join(out)


def _lz4() -> Decoder:
    import lz4.frame

    return cast(Decoder, lz4.frame.LZ4FrameDecompressor())


def _xz() -> Decoder:
    return lzma.LZMADecompressor(memlimit=256 << 20)


_SKIPPABLE = tuple(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))

CODECS = (
    Codec("gzip", (b"\x1f\x8b",), GzipMember),
    Codec("zstd", (b"\x28\xb5\x2f\xfd", *_SKIPPABLE), ZstdFrame),
    Codec("lz4", (b"\x04\x22\x4d\x18", *_SKIPPABLE), _lz4),
    Codec("bzip2", (b"BZh",), bz2.BZ2Decompressor),
    Codec("xz", (b"\xfd7zXZ\0",), _xz),
)
"""Sources of the magics: RFC 1952, RFC 8878, the LZ4 frame format 1.6, bzip2, xz 1.2."""

LONGEST_MAGIC = 6

_DAMAGE = (Damaged, RuntimeError, OSError, ValueError, lzma.LZMAError)
"""What decoders raise: ours the first, lz4 the second, bz2 the third and fourth, xz the last."""


def codec_of(head: bytes) -> Codec | None:
    """The codec a stream starts with, by its first bytes.

    >>> codec_of(bytes.fromhex("1f8b08"))[0], codec_of(b'{"a":1}')
    ('gzip', None)
    """
    return next((codec for codec in CODECS if codec.starts(head)), None)


def expand(below: Pull, codec: Codec, book: Book) -> Iterator[bytes]:
    """Decompress every member of a stream, in chunks; damage is noted in `book`."""
    while True:
        if not (yield from _expand_one(below, codec, book)):
            return
        head = below.peek(LONGEST_MAGIC)
        while head.startswith(b"\0"):
            # Padding, as tapes and gzip itself allow.
            below.take(len(head) - len(head.lstrip(b"\0")))
            head = below.peek(LONGEST_MAGIC)
        if not head:
            return
        if not codec.starts(head):
            at = below.position
            book.note(codec.name, f"{head!r} at compressed byte {at}", "another member or the end")
            return


def _expand_one(below: Pull, codec: Codec, book: Book) -> Iterator[bytes]:
    """One member; returns whether another may follow."""
    decoder, inner = codec.decoder(), 0
    while not decoder.eof:
        data = below.chunk() if decoder.needs_input else b""
        if decoder.needs_input and not data:
            book.note(
                codec.name,
                f"the end at compressed byte {below.position}, {inner} bytes into a member",
                "the rest of the member",
            )
            return False
        try:
            out = decoder.decompress(data, CHUNK_BYTES)
        except _DAMAGE as damage:
            _note_damage(codec, below, book, damage)
            return False
        if out:
            inner += len(out)
            if not book.may_expand(len(out)):
                return False
            yield out
    if decoder.unused_data:
        below.unread(decoder.unused_data)
    if isinstance(decoder, GzipMember):
        try:
            decoder.check()
        except Damaged as damage:
            _note_damage(codec, below, book, damage)
    return not book.stopped


def _note_damage(codec: Codec, below: Pull, book: Book, damage: Exception) -> None:
    got = f"{damage} by compressed byte {below.position}"
    book.note(codec.name, got, f"an undamaged {codec.name} stream")
