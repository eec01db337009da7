"""Where one JSON value ends: brackets counted, strings stepped over, in one pass over any chunks.

Nothing is parsed; a value that balances may still be broken inside, which its adapter will say.
"""

from __future__ import annotations

import re

_OUTSIDE = re.compile(rb'[][{}"]')
_INSIDE = re.compile(rb'["\\\n]')
_CLOSES = {ord("}"): ord("{"), ord("]"): ord("[")}
_QUOTE, _BACKSLASH, _NEWLINE = ord('"'), ord("\\"), ord("\n")

DEEPEST = 10_000
"""Our choice: far beyond what any JSON reader follows, and it bounds the memory held here."""


class Balance:
    """Feed it a value from its first bracket on, piece by piece, until `done` or `broken`."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._in_string = False
        self._escaped = False
        self.done = False
        self.broken = False
        "Brackets of two kinds crossed, or a line end in a string: no JSON value begins so."

    def feed(self, data: bytes, start: int = 0) -> int:
        """Go on through `data[start:]`; the index just behind the value, or len(data).

        >>> Balance().feed(b'{"a": [1, "}"]} {')
        15
        """
        at, end = start, len(data)
        while at < end:
            if self._escaped:
                self._escaped = False
                at += 1
                if data[at - 1] == _NEWLINE:
                    self.broken = True
                    return at
                continue
            match = (_INSIDE if self._in_string else _OUTSIDE).search(data, at)
            if match is None:
                return end
            at = match.end()
            if self._step(data[at - 1]):
                return at
        return end

    def _step(self, byte: int) -> bool:
        """Take in one telling byte; True when nothing more is to be read."""
        if self._in_string:
            self._in_string = byte != _QUOTE
            self._escaped = byte == _BACKSLASH
            self.broken = byte == _NEWLINE
        elif byte == _QUOTE:
            self._in_string = True
        elif byte in _CLOSES:
            self.broken = not self._open or self._open.pop() != _CLOSES[byte]
            self.done = not self._open and not self.broken
        else:
            self._open.append(byte)
            self.broken = len(self._open) > DEEPEST
        return self.done or self.broken


def is_whole(data: bytes) -> bool:
    """Does this hold exactly one balanced value?

    >>> is_whole(b'{"a": 1}'), is_whole(b'{"a": '), is_whole(b'{}{}')
    (True, False, False)
    """
    balance = Balance()
    return balance.feed(data) == len(data) and balance.done
