"""Compressed files from strangers, opened in memory and never beyond a limit."""

from __future__ import annotations

import io
import tarfile
import zlib

from gatewatch.model.errors import MalformedRecord

UNPACKED_MAX = 512 << 20
"Bytes; our choice, four times the largest set known, so that a zip bomb ends in an error."
GZIP_MAGIC = b"\x1f\x8b"


def gunzip(content: bytes, where: str, *, limit: int = UNPACKED_MAX) -> bytes:
    """The bytes in a gzip file of one or more members; content that is no gzip comes back as is.

    Raises:
        MalformedRecord: when it is broken, truncated, or holds more than `limit` bytes.
    """
    if not content.startswith(GZIP_MAGIC):
        return content
    parts: list[bytes] = []
    left = limit
    rest = content
    try:
        while rest.startswith(GZIP_MAGIC):
            inflate = zlib.decompressobj(wbits=31)
            part = inflate.decompress(rest, left + 1)
            left -= len(part)
            if left < 0:
                raise MalformedRecord(where, "gzip", got=f"> {limit}", want=f"<= {limit} bytes")
            if not inflate.eof:
                raise MalformedRecord(where, "gzip", got="its end missing", want="a whole file")
            parts.append(part)
            rest = inflate.unused_data
    except zlib.error as error:
        raise MalformedRecord(where, "gzip", got=str(error), want="a sound gzip file") from error
    return b"".join(parts)


def is_tar(content: bytes) -> bool:
    """Does it begin with a tar header of this century (ustar, pax or GNU)?"""
    return content[257:262] == b"ustar"


class Tar:
    """The regular files of a tar archive, by name; none is written anywhere."""

    def __init__(self, content: bytes, where: str) -> None:
        self.comment = ""
        "What the archive says of itself: for one made by git, the commit."
        self.newest = 0
        "Latest time of change of a member, seconds since 1970; 0 when none is stated."
        self._members: dict[str, bytes] = {}
        left = UNPACKED_MAX
        try:
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
                for member in archive:
                    if not member.isreg():
                        continue
                    left -= member.size
                    stream = archive.extractfile(member)
                    if left < 0 or stream is None:
                        raise MalformedRecord(
                            where, member.name, got=member.size, want=f"<= {UNPACKED_MAX} bytes"
                        )
                    self._members[member.name] = stream.read()
                    self.newest = max(self.newest, int(member.mtime))
                self.comment = archive.pax_headers.get("comment", "")
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise MalformedRecord(where, "tar", got=str(error), want="a sound archive") from error

    def names(self) -> list[str]:
        return list(self._members)

    def ending(self, suffix: str, where: str) -> bytes:
        """The one file whose name ends so.

        Raises:
            MalformedRecord: when there is none, or more than one.
        """
        names = [name for name in self._members if name.endswith(suffix)]
        if len(names) != 1:
            raise MalformedRecord(where, f"…{suffix}", got=names, want="one such file")
        return self._members[names[0]]

    def get(self, name: str) -> bytes:
        return self._members[name]
