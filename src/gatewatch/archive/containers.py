"""From a file to the streams of plain bytes in it, through any containers, told by their bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gatewatch.archive.codecs import LONGEST_MAGIC, codec_of, expand
from gatewatch.archive.pull import CHUNK_BYTES, Book, Pull
from gatewatch.archive.tar import BLOCK, is_tar, members


def streams(
    source: Path | BinaryIO, book: Book, *, only: str | None = None
) -> Iterator[tuple[str | None, Pull]]:
    """Every plain stream in a file, with the name of its tar member; None outside of tar.

    Members of a tar in a tar are named `outer!inner`. Damage is noted in `book` when it is met,
    and ends the stream in which it is; the streams must be read in turn.

    Args:
        only: open containers only on the way to this member.
    """
    if not isinstance(source, Path):
        yield from _peel(Pull(_chunks(source, book)), book, None, 0, only)
        return
    try:
        file = open(source, "rb", buffering=0)  # noqa: SIM115 -- only opening may fail here
    except OSError as error:
        _note_unreadable(book, error)
        return
    with file:
        yield from _peel(Pull(_chunks(file, book)), book, None, 0, only)


def _chunks(file: BinaryIO | io.RawIOBase, book: Book) -> Iterator[bytes]:
    """The bytes of the file itself; reading ends, noted, at an error of the system."""
    read = getattr(file, "read1", file.read)
    while True:
        try:
            data = read(CHUNK_BYTES)
        except OSError as error:
            _note_unreadable(book, error)
            return
        if not data:
            return
        book.read += len(data)
        yield data


def _note_unreadable(book: Book, error: OSError) -> None:
    book.note("file", f"{error.strerror or error} after {book.read} bytes", "a readable file")


def _peel(
    pull: Pull, book: Book, name: str | None, depth: int, only: str | None
) -> Iterator[tuple[str | None, Pull]]:
    while True:
        codec = codec_of(pull.peek(LONGEST_MAGIC))
        tar = codec is None and is_tar(pull.peek(BLOCK))
        if codec is None and not tar:
            yield name, pull
            return
        depth += 1
        if depth > book.limits.depth:
            got = f"{depth} containers in each other" + (f" at member {name}" if name else "")
            book.note("depth", got, f"at most {book.limits.depth}")
            return
        if codec is None:
            break
        pull = Pull(expand(pull, codec, book))
    for inner, body in members(pull, book):
        path = inner if name is None else f"{name}!{inner}"
        if only is None or only == path or only.startswith(path + "!"):
            yield from _peel(body, book, path, depth, only)
        if book.stopped:
            return
