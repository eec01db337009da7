"""The segment that submissions are written to: lines added whole, or taken back."""

from __future__ import annotations

import os
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any


class Segment:
    """One that is open."""

    def __init__(self, path: Path, handle: int, id: int, begun: datetime) -> None:
        self.path, self.handle, self.id, self.begun = path, handle, id, begun
        self.size = 0
        self.digest = sha256()

    def write(self, data: bytes) -> None:
        """Add lines, and have them on the disk."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.handle, view) :]
        os.fdatasync(self.handle)
        self.size += len(data)
        self.digest.update(data)

    def cut_to(self, size: int, digest: Any) -> bool:
        """Take back what a failed write may have left; False when that cannot be done.

        Args:
            size, digest: of the segment before.
        """
        self.size, self.digest = size, digest
        try:
            os.ftruncate(self.handle, size)
            os.fsync(self.handle)
        except OSError:
            os.close(self.handle)
            return False
        return True
