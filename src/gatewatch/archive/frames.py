"""Where records begin and end in a stream of text: JSON lines, pretty documents, arrays of objects.

A record is cut out here and parsed elsewhere, so a broken one costs itself and no neighbour: a
line that starts with `{` at the left edge of the documents before it always starts a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import msgspec

from gatewatch.archive.balance import Balance, is_whole
from gatewatch.archive.lines import Lines, Segments
from gatewatch.archive.pull import Book, Pull
from gatewatch.model.records import SetAside


class RawRecord(NamedTuple):
    """The bytes of one record and where they are."""

    file: str
    "As given by the caller: the text of a path, or the SHA-256 of a stored file."
    member: str | None
    "Member of a tar archive."
    line: int
    "1-based line on which the record starts, in the decompressed file or member."
    offset: int
    "Byte offset of its first byte, likewise."
    data: bytes
    "Exactly its bytes, without a line end."


Found: TypeAlias = Iterator[RawRecord | SetAside]

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BLANK = b" \t\r\n"
_OPEN, _CLOSE = ord("{"), ord("}")
_ARRAY = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*\[[ \t\r\n]*[{\]]")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_RECORD_LATER = re.compile(rb"\n[ \t]*\{")
_GAP = re.compile(rb"[ \t\r\n,]*")
_HEAD_BYTES = 4096
_STRAYS = 8
"""Lines in a row, among records, that are no record and are still handed on one by one; our
choice. The rest of such a run is one SetAside, so that junk costs one row and not a million."""


class _Document:
    """A record being read over several lines or chunks."""

    def __init__(self, line: int, offset: int, indent: int | None, limit: int) -> None:
        self.line, self.offset, self.indent, self._limit = line, offset, indent, limit
        self.balance = Balance()
        self.size = 0
        self._pieces: list[bytes] = []

    def feed(self, data: bytes, at: int = 0) -> int:
        """Take in `data[at:]` up to the end of the record; the index behind what was taken."""
        end = len(data) if self.balance.broken else self.balance.feed(data, at)
        end = len(data) if self.balance.broken else end
        self.size += end - at
        if self.size > self._limit:
            self._pieces = []
        else:
            self._pieces.append(data[at:end])
        return end

    def skip(self, length: int) -> None:
        """A line too long to look at: what follows it is the document's until another starts."""
        self.size += length
        self._pieces = []
        self.balance.broken = True

    @property
    def too_long(self) -> bool:
        return self.size > self._limit

    def data(self) -> bytes:
        return b"".join(self._pieces).rstrip(_BLANK)

    def is_followed_by(self, line: bytes) -> bool:
        """Does this line start another record, the document being unfinished?"""
        indent = self.indent
        return (
            indent is not None
            and line[indent : indent + 1] == b"{"
            and not line[:indent].strip(_BLANK)
        )

    def is_over(self, line: bytes) -> bool:
        """Does the document end with this line, just taken in?

        A broken one goes on to the closing bracket at its left edge, if it has such an edge.
        """
        if not self.balance.broken:
            return self.balance.done
        if self.indent is None:
            return line.endswith(b"\n")
        return line.rstrip(b" \t\r\n,") == b" " * self.indent + b"}"


def _is_json(data: bytes) -> bool:
    """One whole JSON value? Many times faster than counting brackets, which broken ones need."""
    try:
        _skim(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


_skim = msgspec.json.Decoder(msgspec.Raw).decode


class Framer:
    """The records of one stream; make one for each member."""

    def __init__(self, pull: Pull, book: Book, *, file: str, member: str | None) -> None:
        self._pull, self._book, self._file, self._member = pull, book, file, member
        self._limit = book.limits.record_bytes
        self._line = 0
        self._seen = False
        self._trusting = False
        "Is a line `{…}` taken for one record without a look inside?"
        self._document: _Document | None = None
        self._strays = 0
        self._junk: tuple[int, int, int, bytes] | None = None

    def records(self) -> Found:
        """Records and what had to be set aside, in the order of the stream."""
        refusal = self._refusal(self._pull.peek(_HEAD_BYTES))
        if refusal:
            yield self._refused(*refusal)
        while _ARRAY.match(self._pull.peek(_HEAD_BYTES)):
            yield from self._array()
        yield from self._lines()

    # Whole streams that are not ours to read.

    def _refusal(self, head: bytes) -> tuple[str, str] | None:
        text = head.removeprefix(_BOM).lstrip(_BLANK)
        if head.startswith(_UTF16):
            return f"UTF-16: {head[:16]!r}", "JSON in UTF-8"
        if text.startswith((b"{", b"[")):
            return None
        a_record_follows = _RECORD_LATER.search(head)
        if text.startswith(b"---") or (text.startswith(b"#") and b"\n---" in text):
            return f"YAML: {text[:40]!r}", "JSON; the YAML reports of 2012 to 2016 are not read"
        if _CONTROL.search(head) and not a_record_follows:
            return f"binary data: {head[:16]!r}", "JSON in UTF-8, or a container known here"
        return None

    def _refused(self, got: str, want: str) -> SetAside:
        while self._pull.chunk():
            pass
        return self._set_aside(1, 0, self._pull.position, "file", got, want)

    # JSON lines, and documents over many lines.

    def _lines(self) -> Found:
        file, member = self._file, self._member
        lines = Lines(self._pull, self._limit)
        number = self._line
        for offset, line in lines:
            number += 1
            if (
                line
                and line[0] == _OPEN
                and line[-1] == _CLOSE
                and self._trusting
                and self._document is None
            ):
                if self._strays or self._junk:
                    yield from self._end_of_junk()
                yield RawRecord(file, member, number, offset, line)
            else:
                self._line = number
                yield from self._odd_line(offset, line, lines.length)
        self._line = number + 1
        yield from self._tail(lines)

    def _odd_line(self, offset: int, line: bytes | None, length: int) -> Found:
        """A line that is not simply a record: blank, part of a document, stray, too long."""
        document = self._document
        if line is None and document is not None:
            document.skip(length)
            return
        if line is None:
            yield from self._end_of_junk()
            yield self._too_long(self._line, offset, length)
            return
        if document is not None:
            if not document.is_followed_by(line):
                end = document.feed(line + b"\n")
                if document.is_over(line):
                    yield from self._end_of_document()
                    yield from self._text(offset + end, line[end:])
                return
            yield from self._end_of_document()
        yield from self._text(offset, line)

    def _text(self, offset: int, line: bytes) -> Found:
        """Text between records: the start of one or more, or nothing, or a stray."""
        while True:
            if line.startswith(_BOM):
                offset, line = offset + len(_BOM), line[len(_BOM) :]
            text = line.lstrip(_BLANK)
            indent = len(line) - len(text)
            offset += indent
            body = text.rstrip(_BLANK)
            if not body:
                return
            if body[0] != _OPEN:
                yield from self._stray(offset, body)
                return
            if body[-1] == _CLOSE and (self._trusting or _is_json(body)):
                yield from self._record(offset, body)
                return
            document = _Document(self._line, offset, indent, self._limit)
            end = document.feed(text + b"\n")
            if document.balance.broken:
                yield from self._record(offset, body)
                return
            if not document.balance.done:
                self._document = document
                return
            yield from self._record(offset, text[:end])
            offset, line = offset + end, text[end:]
            if line.strip(_BLANK) == b",":
                return

    def _record(self, offset: int, data: bytes) -> Found:
        yield from self._end_of_junk()
        self._seen = self._trusting = True
        yield RawRecord(self._file, self._member, self._line, offset, data)

    def _end_of_document(self) -> Found:
        """Hand on the open document, whole or broken: where it ends is clear either way."""
        document, self._document = self._document, None
        if document is None:
            return
        yield from self._end_of_junk()
        if document.too_long:
            yield self._too_long(document.line, document.offset, document.size)
        else:
            self._seen = self._trusting = True
            yield RawRecord(
                self._file, self._member, document.line, document.offset, document.data()
            )

    def _tail(self, lines: Lines) -> Found:
        """What follows the last line end; with a damaged container, perhaps half a record."""
        offset, tail = lines.tail_offset, lines.tail
        damaged = self._book.has_untold
        if tail is None or (tail and not (damaged and self._is_half(tail))):
            # Files without a last line end, put behind each other, are several records here.
            self._trusting = self._trusting and b"}{" not in (tail or b"")
            yield from self._odd_line(offset, tail, lines.length)
            offset += lines.length
        line, document = self._line, self._document
        if damaged and document is not None:
            line, offset, self._document = document.line, document.offset, None
        yield from self._end_of_document()
        yield from self._end_of_junk()
        yield from self._troubles(line, offset, self._pull.position - offset)

    def _is_half(self, tail: bytes) -> bool:
        if self._document is not None:
            return True
        return not is_whole(tail.strip(_BLANK))

    # An array of records.

    def _array(self) -> Found:
        """The objects of an array, over lines or all in one; ends behind its bracket."""
        pull = self._pull
        head = pull.peek(_HEAD_BYTES)
        before = head[: head.index(b"[") + 1]
        self._line += 1 + before.count(b"\n")
        pull.take(len(before))
        offset, pieces = pull.position, Segments(pull)
        self._line -= 1
        for starts, piece in pieces:
            self._line += starts
            document = self._document
            if document is not None and starts and document.is_followed_by(piece):
                yield from self._end_of_document()
            at = 0
            while at < len(piece):
                if self._document is None:
                    at = _match_end(_GAP, piece, at)
                    if piece[at : at + 1] == b"]":
                        pieces.stop(piece[at + 1 :])
                        yield from self._end_of_junk()
                        self._line -= 1
                        return
                    if piece[at : at + 1] != b"{":
                        yield from self._stray(offset + at, piece[at:].rstrip(_BLANK))
                        break
                    indent = at if starts and not piece[:at].strip(_BLANK) else None
                    self._document = _Document(self._line, offset + at, indent, self._limit)
                at = self._document.feed(piece, at)
                if self._document.is_over(piece):
                    yield from self._end_of_document()
            offset += len(piece)
        yield from self._unclosed_array(offset)

    def _unclosed_array(self, offset: int) -> Found:
        line, document = self._line, self._document
        if self._book.has_untold:
            if document is not None:
                line, offset, self._document = document.line, document.offset, None
            yield from self._end_of_junk()
            yield from self._troubles(line, offset, self._pull.position - offset)
            return
        yield from self._end_of_document()
        yield from self._end_of_junk()
        yield self._set_aside(line, offset, 0, "array", "the end of the file", "`]`")

    # What cannot be handed on.

    def _stray(self, offset: int, data: bytes) -> Found:
        """A line that is no record: handed on where it is among records, else gathered."""
        if not data:
            return
        self._strays += 1
        if self._seen and self._strays <= _STRAYS and not _CONTROL.search(data):
            yield RawRecord(self._file, self._member, self._line, offset, data)
        elif self._junk is None:
            self._junk = self._line, offset, offset + len(data), data[:80]
        else:
            line, start, _, shown = self._junk
            self._junk = line, start, offset + len(data), shown

    def _end_of_junk(self) -> Found:
        self._strays, junk, self._junk = 0, self._junk, None
        if junk:
            line, offset, end, shown = junk
            want = "a JSON object on a line, a document, or an array of objects"
            yield self._set_aside(line, offset, end - offset, "record", repr(shown), want)

    def _too_long(self, line: int, offset: int, length: int) -> SetAside:
        want = f"a record of at most {self._limit} bytes"
        return self._set_aside(line, offset, length, "record", f"{length} bytes", want)

    def _troubles(self, line: int, offset: int, length: int) -> Iterator[SetAside]:
        """The damage met in this stream's containers, with the half record it leaves."""
        for trouble in self._book.tell():
            yield self._set_aside(line, offset, length, *trouble)
            length = 0

    def _set_aside(
        self, line: int, offset: int, length: int, field: str, got: str, want: str
    ) -> SetAside:
        return SetAside(
            source_file=self._file,
            source_member=self._member,
            source_line=line,
            source_offset=offset,
            source_length=length,
            field=field,
            got=got,
            want=want,
        )


def split_record(record: RawRecord) -> list[RawRecord]:
    """The values of a line that holds several, `{…}{…}`; a line with one comes back as it is.

    For an adapter that finds text behind a JSON value: looking for it in every line would cost
    the common case half its speed.
    """
    data, found, at = record.data, [], 0
    while at < len(data):
        balance = Balance()
        end = balance.feed(data, at)
        if not balance.done or data[at] != _OPEN:
            break
        found.append(record._replace(offset=record.offset + at, data=data[at:end]))
        at = _match_end(_GAP, data, end)
    if not found:
        return [record]
    if at < len(data):
        found.append(record._replace(offset=record.offset + at, data=data[at:]))
    return found


def _match_end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    return match.end() if match else at
