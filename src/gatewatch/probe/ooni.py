"""The shapes of OONI's records that all who write them share, as plain dictionaries."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

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

_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|\[[0-9a-fA-F:]{3,}\](?::\d+)?")


@lru_cache(256)
def scrub(text: str) -> str:
    """Replace addresses, as the probe does in bodies and headers before it submits.

    >>> scrub('<iframe src="http://10.10.34.36:80">')
    '<iframe src="http://[scrubbed]">'
    """
    return _ADDRESS.sub("[scrubbed]", text)


def binary(data: str | bytes, clean: Callable[[str], str]) -> str | Json:
    """Text, cleaned; other bytes as OONI's base64 object."""
    if isinstance(data, str):
        return clean(data)
    try:
        return clean(data.decode("utf-8"))
    except UnicodeDecodeError:
        return {"data": base64.b64encode(data).decode("ascii"), "format": "base64"}


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
