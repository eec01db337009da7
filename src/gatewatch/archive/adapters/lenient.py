"""Reading fields that may be missing, null or of another type, one at a time.

A field that cannot be read costs itself: it is read as null and named in `flaws`. The rest of
the record stands.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

MOST_FLAWS = 20
"Our choice: beyond this a record's list of flaws says nothing more."


class Fields:
    """A JSON object read leniently; `flaws` is shared with everything read from inside it."""

    __slots__ = ("_values", "flaws", "path")

    def __init__(self, values: object, path: str, flaws: list[str]) -> None:
        self.path, self.flaws = path, flaws
        if isinstance(values, Mapping):
            self._values: Mapping[str, Any] = values
            return
        self._values = {}
        if values is not None:
            self._flaw("", values, "an object")

    def _flaw(self, key: str, got: object, want: str) -> None:
        if len(self.flaws) < MOST_FLAWS:
            where = f"{self.path}.{key}".strip(".")
            self.flaws.append(f"{where}: {type(got).__name__} where {want} is wanted")

    def raw(self, key: str) -> Any:
        return self._values.get(key)

    def holds(self, key: str, kind: type) -> bool:
        """Is there a value of this kind? A value of another kind is named, and is not there."""
        value = self._values.get(key)
        if value is None or isinstance(value, kind):
            return value is not None
        self._flaw(key, value, "an object" if kind is dict else f"a {kind.__name__}")
        return False

    def text(self, key: str) -> str | None:
        """A string, also when written as binary data; undecodable bytes become U+FFFD."""
        value = self._values.get(key)
        if value is None or isinstance(value, str):
            return value
        data = binary_data(value)
        if data is not None:
            return data.decode("utf-8", "replace")
        self._flaw(key, value, "a string")
        return None

    def integer(self, key: str, least: int = -(2**63), most: int = 2**63 - 1) -> int | None:
        """A whole number, also when written as a string or a float without fraction."""
        value = self._values.get(key)
        if value is None:
            return None
        written = isinstance(value, str) and value.isascii() and value.isdigit()
        if (written and len(value) < 19) or (isinstance(value, float) and value.is_integer()):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self._flaw(key, value, "a whole number")
        elif least <= value <= most:
            return value
        else:
            self._flaw(key, value, f"a whole number from {least} to {most}")
        return None

    def number(self, key: str) -> float | None:
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value) if abs(value) < 1e15 else None
        self._flaw(key, value, "a number")
        return None

    def flag(self, key: str) -> bool | None:
        value = self._values.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._flaw(key, value, "true or false")
        return None

    def object(self, key: str) -> Fields:
        """A nested object; an empty one where it is missing."""
        return Fields(self._values.get(key), f"{self.path}.{key}", self.flaws)

    def objects(self, key: str) -> list[Fields]:
        """A list of objects; entries that are not objects are left out and named."""
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self._flaw(key, value, "a list")
            return []
        entries: list[Fields] = []
        for index, entry in enumerate(value):
            if isinstance(entry, Mapping):
                entries.append(Fields(entry, f"{self.path}.{key}[{index}]", self.flaws))
            elif entry is not None:
                self._flaw(f"{key}[{index}]", entry, "an object")
        return entries

    def texts(self, key: str) -> list[str]:
        """A list of strings; entries of another type are left out and named."""
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self._flaw(key, value, "a list")
            return []
        kept = [entry for entry in value if isinstance(entry, str)]
        if len(kept) < sum(entry is not None for entry in value):
            self._flaw(key, value, "a list of strings")
        return kept

    def size(self, key: str) -> int:
        """Entries of a list, those that cannot be read included."""
        value = self._values.get(key)
        return len(value) if isinstance(value, list) else 0

    def items(self, key: str) -> list[tuple[str, Fields]]:
        """The named objects inside an object."""
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, Mapping):
            self._flaw(key, value, "an object")
            return []
        return [
            (name, Fields(entry, f"{self.path}.{key}[{name}]", self.flaws))
            for name, entry in value.items()
            if isinstance(name, str)
        ]

    def items_of_text(self, key: str) -> list[tuple[str, str]]:
        """The named strings inside an object (binary ones decoded); others are left out."""
        value = self._values.get(key)
        if not isinstance(value, Mapping):
            if value is not None:
                self._flaw(key, value, "an object")
            return []
        inner = Fields(value, f"{self.path}.{key}", self.flaws)
        pairs = [(name, inner.text(name)) for name in value if isinstance(name, str)]
        return [(name, text) for name, text in pairs if text is not None]


def binary_data(value: object) -> bytes | None:
    """The bytes of `{"format": "base64", "data": …}`; None when it is not that.

    >>> binary_data({"format": "base64", "data": "AAE="}), binary_data("text")
    (b'\\x00\\x01', None)
    """
    if not isinstance(value, Mapping):
        return None
    data = value.get("data")
    if not isinstance(data, str) or value.get("format", "base64") != "base64":
        return None
    try:
        return base64.b64decode(data, validate=False)
    except (binascii.Error, ValueError):
        return None
