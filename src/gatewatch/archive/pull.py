"""A stream of bytes as chunks, with a look ahead: what every container layer reads from.

It knows nothing of formats. Chunks are handed on as they are, so that a line inside one is
copied once, when it is cut out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

CHUNK_BYTES = 1 << 18
"""Our choice: larger chunks gained under 2 % when measured, and each layer holds one."""


class Limits(NamedTuple):
    """What one file may ask of us before it is set aside."""

    record_bytes: int = 64 << 20
    "A longer record is skipped in constant memory. The largest OONI records known are ~10 MB."
    file_bytes: int = 1 << 40
    "Decompressed bytes of one file, over all layers and members."
    ratio: int = 2_000
    "Decompressed to compressed bytes; gzip can reach 1,032 by itself, JSON stays under 100."
    ratio_from: int = 256 << 20
    "The ratio is looked at only beyond this many decompressed bytes."
    depth: int = 4
    "Containers inside each other: tar in gzip is two."
    members: int = 1_000_000
    "Members of one tar archive; their names are remembered, so that each is distinct."


class Trouble(NamedTuple):
    """Damage found in a container; the reader turns it into a SetAside where it surfaces."""

    field: str
    got: str
    want: str


class Book:
    """What is counted and noted while one file is read, shared by all its layers."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.read = 0
        self.expanded = 0
        self.stopped = False
        self._untold: list[Trouble] = []
        self.noted = 0
        "Troubles so far."

    def note(self, field: str, got: str, want: str) -> None:
        self._untold.append(Trouble(field, got, want))
        self.noted += 1

    def tell(self) -> list[Trouble]:
        """The troubles noted since this was asked last."""
        told, self._untold = self._untold, []
        return told

    @property
    def has_untold(self) -> bool:
        return bool(self._untold)

    def may_expand(self, size: int) -> bool:
        """Count decompressed bytes; False, noted once, when the file has become too large."""
        self.expanded += size
        limits = self.limits
        if self.stopped:
            return False
        if self.expanded > limits.file_bytes:
            self.note("size", f"{self.expanded} bytes", f"at most {limits.file_bytes} decompressed")
        elif self.expanded > limits.ratio_from and self.expanded > limits.ratio * self.read:
            self.note(
                "ratio",
                f"{self.expanded} bytes out of {self.read}",
                f"at most {limits.ratio} bytes out of one",
            )
        else:
            return True
        self.stopped = True
        return False


class Pull:
    """Bytes on request: chunks in order, and a look at what comes next."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._ahead = b""
        self.position = 0
        "Bytes handed out so far."

    def chunk(self) -> bytes:
        """The next bytes, as many as come in one piece; empty at the end."""
        data = self._ahead or next(self._chunks, b"")
        self._ahead = b""
        self.position += len(data)
        return data

    def unread(self, data: bytes) -> None:
        """Put back the end of what was handed out last."""
        self._ahead = data + self._ahead
        self.position -= len(data)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end, without taking them."""
        while len(self._ahead) < size:
            more = next(self._chunks, b"")
            if not more:
                break
            self._ahead += more
        return self._ahead[:size]

    def take(self, size: int) -> bytes:
        """Take `size` bytes, fewer only at the end; meant for headers, it holds them all."""
        data = self.peek(size)
        self._ahead = self._ahead[size:]
        self.position += len(data)
        return data

    def pieces(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes, piece by piece, in constant memory; fewer only at the end."""
        while size > 0:
            data = self.chunk()
            if not data:
                return
            if len(data) > size:
                self.unread(data[size:])
                data = data[:size]
            size -= len(data)
            yield data
