"""Whether an answer in clear is a page that is known to stand where something is blocked."""

from __future__ import annotations

from collections.abc import Iterable

from gatewatch.refdata.snapshot import RefData, load
from gatewatch.wire.html import title_of

BLOCKING = ("nat", "isp", "prod")
"Scopes of fingerprints that are of censors and of filtering products."
MOST = 1 << 16
"Characters that are looked at. Our choice: block pages are short."


def scopes_of(
    body: bytes, headers: Iterable[tuple[str, str]], refdata: RefData | None = None
) -> dict[str, str]:
    """What an answer is known for: scope of a fingerprint → its id, the first of each.

    Args:
        headers: name and value, in any case.
        refdata: None is that in force.
    """
    known = refdata or load()
    text = body.decode("utf-8", "replace")[:MOST]
    lower = [(name.lower(), value) for name, value in headers]
    found: dict[str, str] = {}
    for one in known.match_page(text, lower, title_of(text)):
        found.setdefault(known.fingerprint(one).scope, one)
    return found


def blocking_page(
    body: bytes, headers: Iterable[tuple[str, str]], refdata: RefData | None = None
) -> str | None:
    """Id of the fingerprint of a block page; None without one, or where another disproves it."""
    scopes = scopes_of(body, headers, refdata)
    if "fp" in scopes:
        return None
    return next((scopes[one] for one in BLOCKING if one in scopes), None)
