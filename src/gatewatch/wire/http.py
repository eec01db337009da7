"""The head of an HTTP request in clear, read as generously as the boxes that look for hosts do.

A server must refuse what is malformed; a box on the way wants the name. So line ends may be bare,
names in any case, spaces anywhere, and only a head without its end is not read.
"""

from __future__ import annotations

import re

import msgspec

_MAX_HEAD = 2**16
"Our choice: eight times what servers take by default."
_HEAD_END = re.compile(rb"\r?\n[ \t]*\r?\n")
_METHOD = re.compile(rb"[\r\n]*[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?:[ \t]|\Z)")
"Tokens: RFC 9110, section 5.6.2; blank lines before a request: RFC 9112, section 2.2."


class RequestHead(msgspec.Struct, frozen=True, kw_only=True):
    """Request line and headers."""

    method: str
    target: str
    "As sent: a path, an absolute URL, or for CONNECT an authority."
    host: str | None
    "Whom the request is for: lower case, no port; the target's, if it names one."
    path: str
    "Path and query, without scheme and authority."
    headers: tuple[tuple[str, str], ...]
    "In order; names as sent."


def may_be_request(stream: bytes) -> bool:
    """Whether these bytes may begin an HTTP request.

    >>> may_be_request(b"GE"), may_be_request(b"GET /"), may_be_request(b"\\x16\\x03\\x01")
    (True, True, False)
    """
    return not stream.strip(b"\r\n") or bool(_METHOD.match(stream))


def request_head(stream: bytes) -> RequestHead | None:
    """The head of the first request in what a client sent.

    Returns:
        None if it is not complete, or is none.

    >>> request_head(b"GET /a HTTP/1.1\\nhOsT : Example.ORG:8080\\n\\n").host
    'example.org'
    """
    if not may_be_request(stream):
        return None
    stream = stream.lstrip(b"\r\n")
    end = _HEAD_END.search(stream, 0, _MAX_HEAD)
    if end is None:
        return None
    first, *lines = stream[: end.start()].decode("latin-1").split("\n")
    method, *words = first.split()
    if not words:
        return None
    target = words[0]
    headers = _headers(lines)
    authority, path = _split_target(method, target)
    if authority is None:
        authority = next((value for name, value in headers if name.lower() == "host"), None)
    return RequestHead(
        method=method,
        target=target,
        host=None if authority is None else _host(authority),
        path=path,
        headers=headers,
    )


def _headers(lines: list[str]) -> tuple[tuple[str, str], ...]:
    """Name and value of each line; a line that begins with a space goes on with the last one."""
    found: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and found:
            name, value = found.pop()
            found.append((name, f"{value} {line.strip()}".strip()))
            continue
        name, colon, value = line.partition(":")
        if colon:
            found.append((name.strip(), value.strip()))
    return tuple(found)


def _split_target(method: str, target: str) -> tuple[str | None, str]:
    """Authority, if the target has one, and path (RFC 9112, section 3.2).

    >>> _split_target("GET", "http://example.org?q")
    ('example.org', '/?q')
    """
    if method.upper() == "CONNECT":
        return target, ""
    scheme, mark, rest = target.partition("://")
    if not mark or not scheme.isalpha():
        return None, target
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest[len(authority) :]
    return authority, path if path.startswith("/") else "/" + path


def _host(authority: str) -> str:
    """
    >>> _host("user@EXAMPLE.org:80"), _host("[2001:DB8::1]:80"), _host("192.0.2.1")
    ('example.org', '2001:db8::1', '192.0.2.1')
    """
    authority = authority.rpartition("@")[2].strip().lower()
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]
