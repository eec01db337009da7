"""The title of a page, read as a browser shows it."""

from __future__ import annotations

import re
from html import unescape

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
