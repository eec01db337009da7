"""HTTP answers as injectors write them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

PHRASES = {status.value: status.phrase for status in HTTPStatus}


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """
    >>> head(403, {"Connection": "close"})
    b'HTTP/1.1 403 Forbidden\\r\\nConnection: close\\r\\n\\r\\n'
    """
    lines = [f"HTTP/1.1 {status} {PHRASES.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1", "replace")
