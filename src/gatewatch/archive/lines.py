"""Lines of a stream, cut out of its chunks with one copy each; too long ones only measured."""

from __future__ import annotations

from collections.abc import Iterator

from gatewatch.archive.pull import Pull


class Lines:
    """Iterate for `(offset, line)`, without the line end; the line is None where it is too long.

    What follows the last line end is not given as a line: it is `tail` once the stream is over,
    since only the caller can say whether it is a record or half of one.
    """

    def __init__(self, pull: Pull, limit: int) -> None:
        self._pull, self._limit = pull, limit
        self.length = 0
        "Bytes of the too long line given last."
        self.tail_offset = 0
        self.tail: bytes | None = b""
        "None where it is too long, and then `length` is its length."

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        pull, limit = self._pull, self._limit
        offset, held, size = pull.position, [], 0
        while chunk := pull.chunk():
            end = chunk.find(b"\n")
            if end < 0:
                size += len(chunk)
                if size > limit:
                    held = []
                else:
                    held.append(chunk)
                continue
            if size:
                size += end
                if size > limit:
                    self.length = size
                    yield offset, None
                else:
                    held.append(chunk[:end])
                    yield offset, b"".join(held)
                offset += size + 1
                start = end + 1
                end = chunk.find(b"\n", start)
            else:
                start = 0
            while end >= 0:
                if end - start > limit:
                    self.length = end - start
                    yield offset, None
                else:
                    yield offset, chunk[start:end]
                offset += end + 1 - start
                start = end + 1
                end = chunk.find(b"\n", start)
            size = len(chunk) - start
            held = [chunk[start:]] if 0 < size <= limit else []
        self.tail_offset, self.length = offset, size
        self.tail = b"".join(held) if size <= limit else None


SEGMENT_BYTES = 1 << 12


class Segments:
    """The stream in pieces that never cross a line end, which each keeps; True starts a line.

    A piece that starts a line holds the whole line or at least `SEGMENT_BYTES` of it.
    """

    def __init__(self, pull: Pull) -> None:
        self._pull, self._data, self._at = pull, b"", 0

    def __iter__(self) -> Iterator[tuple[bool, bytes]]:
        starts, held = True, b""
        while chunk := self._pull.chunk():
            data, held = held + chunk, b""
            at, self._data = 0, data
            while at < len(data):
                end = data.find(b"\n", at) + 1
                if not end and starts and len(data) - at < SEGMENT_BYTES:
                    held = data[at:]
                    break
                piece = data[at : end or len(data)]
                at = self._at = at + len(piece)
                yield starts, piece
                starts = bool(end)
        self._data, self._at = b"", 0
        if held:
            yield starts, held

    def stop(self, rest: bytes) -> None:
        """Leave `rest` of the last piece, and all that follows it, in the stream."""
        self._pull.unread(rest + self._data[self._at :])
