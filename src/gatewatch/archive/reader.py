"""Raw records out of any file, and the same bytes again later.

Formats are told by their bytes, never by a name. Whatever is damaged, hostile or foreign becomes
a SetAside that says where, what and what was wanted; every record that is whole is still given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gatewatch.archive.containers import streams
from gatewatch.archive.frames import Framer, RawRecord, split_record
from gatewatch.archive.inputs import find_inputs
from gatewatch.archive.pull import Book, Limits
from gatewatch.model.errors import NotFound
from gatewatch.model.records import SetAside

__all__ = [
    "Limits",
    "RawRecord",
    "SetAside",
    "find_inputs",
    "read_one",
    "read_records",
    "split_record",
]


def read_records(
    stream_or_path: BinaryIO | Path | str, *, file: str, limits: Limits | None = None
) -> Iterator[RawRecord | SetAside]:
    """Every record of a file, in order, with constant memory, and what had to be set aside.

    Args:
        stream_or_path: a binary stream, read to its end and left open, or a path.
        file: how the records name their file.
        limits: what a file may ask of us; the defaults suit any honest file.
    """
    source = Path(stream_or_path) if isinstance(stream_or_path, str) else stream_or_path
    book = Book(limits or Limits())
    for member, pull in streams(source, book):
        yield from Framer(pull, book, file=file, member=member).records()
    for trouble in book.tell():
        yield SetAside(
            source_file=file,
            source_member=None,
            source_line=1,
            source_offset=0,
            source_length=0,
            field=trouble.field,
            got=trouble.got,
            want=trouble.want,
        )


def read_one(path: Path, *, member: str | None, offset: int, length: int) -> bytes:
    """The very bytes of a record again.

    Raises:
        NotFound: the file, the member or those bytes are not there.
    """
    book = Book(Limits())
    for name, pull in streams(path, book, only=member):
        if name == member:
            for _ in pull.pieces(offset):
                pass
            data = b"".join(pull.pieces(length))
            if len(data) == length:
                return data
            break
    where = f"{path}!{member}" if member else str(path)
    why = "".join(f"; {trouble.got}" for trouble in book.tell())
    raise NotFound(f"{where} has no {length} bytes from byte {offset} on{why}")
