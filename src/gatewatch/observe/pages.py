"""A page's features: what is kept of a body when the body itself is left in the archive."""

from __future__ import annotations

import re
from hashlib import sha256
from html import unescape

from gatewatch.archive.adapters.lens import Page

_TITLE_OPENS = re.compile(r"<title[^>]{0,200}>", re.IGNORECASE)
_TITLE_CLOSES = re.compile(r"</title\s{0,20}>", re.IGNORECASE)
TITLE_LENGTH = 512
"As the test helper cuts titles, so that the two can be compared."

LONGEST_TITLE = 4000
"Characters looked at for a title's end; our choice, against pages made to be slow."


def title_of(text: str) -> str | None:
    """The first title of a page, entities resolved and white space folded.

    >>> title_of("<head><TITLE lang=en>Free &amp;\\n open</TITLE>"), title_of("no title")
    ('Free & open', None)
    """
    opens = _TITLE_OPENS.search(text)
    if opens is None:
        return None
    closes = _TITLE_CLOSES.search(text, opens.end(), opens.end() + LONGEST_TITLE)
    if closes is None:
        return None
    return " ".join(unescape(text[opens.end() : closes.start()]).split())[:TITLE_LENGTH] or None


def features_of(body: str | bytes | None, headers: list[tuple[str, str]], match) -> Page:
    """Args:
        body: as recorded, text or bytes; None when the record has none.
        headers: name and value, names in lower case.
        match: (text, headers, title) → ids of the fingerprints found.

    Returns:
        Length in bytes, hash, title, fingerprints; fingerprints in headers are found without
        a body too.
    """
    if body is None:
        return Page(None, None, None, match("", headers, None) if headers else [])
    if isinstance(body, str):
        text, data = body, body.encode("utf-8", "surrogatepass")
    else:
        text, data = body.decode("utf-8", "replace"), body
    title = title_of(text)
    found = match(text, headers, title) if (text or headers) else []
    return Page(title, len(data), sha256(data).hexdigest(), found)
