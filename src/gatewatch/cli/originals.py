"""Raw files of the store, opened again to show where a record's bytes are."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gatewatch.model.errors import NotFound
from gatewatch.publish.explain import RawPlace, WhereBytes

if TYPE_CHECKING:
    from gatewatch.archive.store import RawFile, Store


class Originals:
    def __init__(self, store: Store) -> None:
        self.store = store

    @cached_property
    def _files(self) -> dict[str, RawFile]:
        return {file.sha256: file for file in self.store.raw_files()}

    def locate(self, sha256: str) -> RawPlace | None:
        """Where a raw file is kept and what it was called; None when the store has none such."""
        file = self._files.get(sha256)
        if file is None:
            return None
        return RawPlace(path=str(self.store.raw_path(sha256)), name=file.name)

    def bytes_of(self, source: WhereBytes) -> bytes:
        """The bytes of a record, read from the raw file again.

        Raises:
            NotFound: the raw file, or that place in it, is gone.
        """
        from gatewatch.archive.reader import read_one

        if source.path is None:
            raise NotFound(f"the store has no raw file {source.file}")
        return read_one(
            Path(source.path), member=source.member, offset=source.offset, length=source.length
        )
