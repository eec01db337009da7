"""Nothing measured reaches a terminal raw: measurements are other people's bytes.

A page title or a failure text may hold escape sequences that repaint a terminal, or characters
that turn the reading direction round; a spreadsheet runs a cell that starts like a formula.
"""

from __future__ import annotations

import re

_UNSAFE = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: terminal control
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"  # unseen, or turn direction
    "\ufeff\ufff9-\ufffb"  # the joiners U+200C and U+200D are part of how Persian is written
    "\ud800-\udfff"  # lone surrogates
    "\U000e0000-\U000e0fff"  # tags: invisible text
)
_TEXT = re.compile(f"[{_UNSAFE}]")
_FIELD = re.compile(rf"[{_UNSAFE}\\]")
_JSON = re.compile(f"(?![\x00-\x1f])[{_UNSAFE}]")
"JSON has escaped C0 already, and breaks its lines with them."

_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r", "\\": r"\\"}


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean(text: str) -> str:
    r"""Text for a terminal: what would act on it is written out.

    >>> clean("a\x1b[31mb"), clean("abc\u202edef"), clean("two\nlines")
    ('a\\x1b[31mb', 'abc\\u202edef', 'two\\nlines')
    """
    return _TEXT.sub(_escape, text)


def field(text: str) -> str:
    r"""Text for a TSV or CSV field; the backslash is written double, so that it can be undone.

    >>> field("a\tb"), field("a\\tb")
    ('a\\tb', 'a\\\\tb')
    """
    return _FIELD.sub(_escape, text)


def spreadsheet(text: str) -> str:
    """A CSV field that no spreadsheet takes for a formula.

    >>> spreadsheet("=1+1"), spreadsheet("-x.org"), spreadsheet("plain")
    ("'=1+1", "'-x.org", 'plain')
    """
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def json_bytes(encoded: bytes) -> bytes:
    r"""JSON with the characters that act on a terminal escaped; it means the same as before.

    >>> json_bytes('"\u202e"'.encode())
    b'"\\u202e"'
    """
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    return _JSON.sub(_json_escape, encoded.decode("utf-8")).encode("utf-8")


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
