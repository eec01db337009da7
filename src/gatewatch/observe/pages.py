"""A page's features: what is kept of a body when the body itself is left in the archive."""

from __future__ import annotations

from hashlib import sha256

from gatewatch.archive.adapters.lens import Page
from gatewatch.wire.html import title_of


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
