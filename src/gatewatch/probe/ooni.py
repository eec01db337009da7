"""The shapes of OONI's records that all who write them share, as plain dictionaries."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gatewatch.model.target import is_address

Json = dict[str, Any]

BODY_LIMIT = 1 << 19
"Bytes of a body that the probe keeps."

RCODES = {"dns_servfail_error": 2, "dns_nxdomain_error": 3, "dns_refused_error": 5}
"""Response codes (RFC 1035, section 4.1.1) behind the failures of resolvers asked directly."""

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
ACCEPT_LANGUAGE = "en-US,en;q=0.9"
USER_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/122.0.0.0 Safari/537.3"
)

_ADDRESS = re.compile(
    rb"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
    rb"|\[[0-9a-fA-F:]{2,39}(?:\.\d{1,3}){0,3}\](?::\d+)?"
    rb"|(?<![\w:.])(?=[0-9a-fA-F]*:)[0-9a-fA-F:]{3,}(?:\.\d{1,3}){0,3}(?![\w:])"
)
"IPv4 and IPv6 addresses, with a port where one follows; the last alternative needs a closer look."
SCRUBBED = b"[scrubbed]"
LONGEST = 9
"Parts between the colons of an IPv6 address, the empty one before a leading `::` included."


def scrub_bytes(data: bytes) -> bytes:
    """Replace addresses in a body of whatever encoding that has ASCII in it.

    >>> scrub_bytes(b"\\xff you are 2001:db8::7, 192.0.2.7:99 at 12:34:56; p::after; ad:192.0.2.7")
    b'\\xff you are [scrubbed], [scrubbed] at 12:34:56; p::after; ad:[scrubbed]'
    """
    return _ADDRESS.sub(_replaced, data)


def _replaced(found: re.Match[bytes]) -> bytes:
    """A time of day, or a name with colons, is no address; one may be glued to it."""
    text = found[0]
    if text[:1] == b"[" or b":" not in text or text[: text.index(b":")].count(b".") == 3:
        return SCRUBBED
    groups = text.split(b":")
    for start in range(max(len(groups) - LONGEST, 0), len(groups)):
        tail = b":".join(groups[start:])
        if tail != b"::" and is_address(tail.decode("ascii")):
            return b":".join([*groups[:start], SCRUBBED])
    return text


@lru_cache(256)
def scrub(text: str) -> str:
    """Replace addresses, as the probe does in bodies and headers before it submits.

    >>> scrub('<iframe src="http://10.10.34.36:80">')
    '<iframe src="http://[scrubbed]">'
    """
    return scrub_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def binary(data: str | bytes, clean: Callable[[str], str]) -> str | Json:
    """Text, cleaned; other bytes as OONI's base64 object."""
    if isinstance(data, str):
        return clean(data)
    try:
        return clean(data.decode("utf-8"))
    except UnicodeDecodeError:
        return {"data": base64.b64encode(data).decode("ascii"), "format": "base64"}


def binary_body(data: bytes) -> str | Json:
    """A body as it is recorded, without addresses, whether or not it is text.

    >>> binary_body(b"you are 192.0.2.7"), binary_body(b"\\xff\\x00")
    ('you are [scrubbed]', {'data': '/wA=', 'format': 'base64'})
    """
    return binary(scrub_bytes(data), str)


def tcp_connect(
    ip: str,
    port: int,
    failure: str | None,
    span: tuple[float, float],
    tags: list[str],
    transaction: int,
) -> Json:
    return {
        "ip": ip,
        "port": port,
        "status": {"failure": failure, "success": failure is None},
        **timed(span),
        "tags": tags,
        "transaction_id": transaction,
    }


def timed(span: tuple[float, float]) -> Json:
    start, end = (round(t, 6) for t in span)
    return {"t0": start, "t": end} if start else {"t": end}
