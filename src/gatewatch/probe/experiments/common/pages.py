"""Whether an answer in clear is a page that is known to stand where something is blocked."""

from __future__ import annotations

import re
from functools import lru_cache

from gatewatch.probe.steps import Exchange
from gatewatch.refdata.snapshot import RefData, load

BLOCKING = frozenset({"nat", "isp", "prod"})
"Scopes of fingerprints that are of censors and of filtering products."
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
MOST = 1 << 16
"Characters that are looked at. Our choice: block pages are short."


def blocking_page(answer: Exchange | None) -> str | None:
    """Id of the fingerprint of a known block page; None where it shows none."""
    if answer is None or (not answer.body and not answer.headers):
        return None
    body = answer.body.decode("utf-8", "replace")[:MOST]
    title = _TITLE.search(body)
    known = _known()
    found = known.match_page(body, list(answer.headers), title[1].strip() if title else None)
    scopes = {one: known.fingerprint(one).scope for one in found}
    if "fp" in scopes.values():
        return None
    return next((one for one, scope in scopes.items() if scope in BLOCKING), None)


@lru_cache(1)
def _known() -> RefData:
    return load()
