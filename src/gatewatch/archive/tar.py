"""Members of a tar archive as streams, in one pass; nothing is ever extracted.

The standard library's reader holds pax headers of any size in memory and stops at the first odd
thing; here a header has a limit, and only the damaged part is lost. Formats: POSIX.1-2001 ustar
and pax, GNU long names, v7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from gatewatch.archive.pull import Book, Pull

BLOCK = 512
_LONGEST_HEADER_DATA = 1 << 20
_REGULAR = b"0\0007"
_ODD = {
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"6": "fifo",
    b"S": "sparse file",
}


class _Header(NamedTuple):
    name: str
    size: int
    kind: bytes


def is_tar(head: bytes) -> bool:
    """Is this the start of a tar archive, judged by the header's own checksum?"""
    return len(head) >= BLOCK and head[0] != 0 and _header(head[:BLOCK]) is not None


def members(archive: Pull, book: Book) -> Iterator[tuple[str, Pull]]:
    """Each regular file of a tar archive, with its bytes; names repeated get `#2`, `#3`, …

    A member not read to its end is skipped when the next is asked for. Links, devices and other
    odd members are counted, and noted in `book` at the end.
    """
    tape = _Tape(archive, book)
    seen: Counter[str] = Counter()
    odd: Counter[str] = Counter()
    for header in _headers(tape):
        start = archive.position
        if header.kind not in _REGULAR:
            odd[_ODD.get(header.kind, f"type {header.kind!r}")] += 1
        elif len(seen) >= book.limits.members:
            book.note("tar", f"more than {len(seen)} members", f"at most {book.limits.members}")
            break
        else:
            seen[header.name] += 1
            repeat = seen[header.name]
            name = header.name if repeat == 1 else f"{header.name}#{repeat}"
            yield name, Pull(tape.body(header.size))
        tape.skip(start + header.size - archive.position)
        archive.take(-header.size % BLOCK)
        if tape.cut:
            break
    if odd:
        kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(odd.items()))
        book.note("tar", f"{kinds}, not read", "regular files only")


class _Tape:
    """The bytes of an archive, and whether they ended before their time."""

    def __init__(self, archive: Pull, book: Book) -> None:
        self.archive, self.book, self.cut = archive, book, False

    def body(self, size: int) -> Iterator[bytes]:
        noted = self.book.noted
        for piece in self.archive.pieces(size):
            size -= len(piece)
            yield piece
        if size > 0:
            self._cut_short(f"{size} more bytes of this member", noted)

    def skip(self, size: int) -> None:
        for _ in self.body(0 if self.cut else size):
            pass

    def block(self) -> bytes:
        noted = self.book.noted
        block = self.archive.take(BLOCK)
        if len(block) < BLOCK:
            self._cut_short("two empty blocks at the end", noted)
        return block

    def _cut_short(self, want: str, noted: int) -> None:
        self.cut = True
        # When the layer below has just noted damage, that is the cause, and this the effect.
        if self.book.noted == noted and not self.book.stopped:
            self.book.note("tar", f"the end at byte {self.archive.position}", want)


def _headers(tape: _Tape) -> Iterator[_Header]:
    """The headers of members with data, extended names applied, until the end or damage."""
    archive, book = tape.archive, tape.book
    name: str | None = None
    size: int | None = None
    while True:
        at = archive.position
        block = tape.block()
        while block and not block.strip(b"\0"):
            # The end, unless another archive follows, as after `cat a.tar b.tar`.
            block = archive.take(BLOCK)
            if not block:
                return
        if len(block) < BLOCK:
            return
        header = _header(block)
        if header is None:
            book.note("tar", f"no member header at byte {at}", "a header with a right checksum")
            return
        if header.kind in b"xgLK":
            if header.size > _LONGEST_HEADER_DATA:
                book.note("tar", f"a header of {header.size} bytes at byte {at}", "at most 1 MiB")
                return
            data = archive.take(header.size)
            archive.take(-header.size % BLOCK)
            if header.kind == b"L":
                name = _text(data)
            elif header.kind == b"x":
                records = _pax(data)
                name = records.get("path", name)
                length = records.get("size", "")
                size = int(length) if length.isascii() and length.isdigit() else size
            continue
        if size is not None:
            header = header._replace(size=size)
        if header.kind in b"12345" or header.name.endswith("/"):
            # Links, devices and directories have no data, whatever the size field says.
            header = header._replace(
                size=0, kind=b"5" if header.name.endswith("/") else header.kind
            )
        if header.kind != b"5":
            yield header._replace(name=name or header.name)
        name = size = None


def _header(block: bytes) -> _Header | None:
    """A header block read; None when its checksum or numbers are wrong."""
    stated = _number(block[148:156])
    blank = block[:148] + b" " * 8 + block[156:]
    size = _number(block[124:136])
    if len(block) < BLOCK or stated != sum(blank) or size is None:
        return None
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return _Header(f"{prefix}/{name}" if prefix else name, size, block[156:157])


def _number(field: bytes) -> int | None:
    """Octal digits, or the GNU base-256 form; None when it is neither."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip()
    if digits.strip(b"01234567"):
        return None
    return int(digits or b"0", 8)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _pax(data: bytes) -> dict[str, str]:
    """`length key=value` lines of a pax header; reading stops at the first that is broken."""
    found: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not (length.isdigit() and len(length) < 9 and len(length) < int(length) <= len(data)):
            break
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        found[_text(key)] = _text(value)
        data = data[int(length) :]
    return found
