"""One request and its answer: what all versions of HTTP have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

HTTP_S = 8.0
"OONI waits 10; our choice, as for the other steps."
MALFORMED = "unknown_failure: malformed HTTP response"
UNWRITABLE = "invalid_argument"
"Of a request that cannot be written; the fault is ours."
HEADER_LIMIT = 1 << 18
"Bytes of headers that are read, as in Chromium; an answer with more is malformed."
AROUND_LIMIT = 1 << 20
"""Bytes of an answer that are no body, and after which it is malformed. Our choice: four times the
headers. Without it a server could send empty frames until the deadline."""


def target_of(url: str) -> str:
    """Path and query of a URL.

    >>> target_of("http://a.example/b?c=d#e"), target_of("http://a.example?c")
    ('/b?c=d', '/?c')
    """
    parts = urlsplit(url)
    return parts._replace(scheme="", netloc="", fragment="", path=parts.path or "/").geturl()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    "Besides Host and Content-Length."
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query, as they stand in a request line."""
        return target_of(self.url)

    @property
    def authority(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def host(self) -> str:
        """Name or address, without port and brackets."""
        return urlsplit(self.url).hostname or ""

    def pseudo_headers(self) -> list[tuple[bytes, bytes]]:
        """The header list of HTTP/2 and 3: lower case, and without what is of one connection.

        Raises:
            UnicodeEncodeError: a header cannot be written.
        """
        pairs = [
            (":method", self.method),
            (":scheme", urlsplit(self.url).scheme),
            (":authority", self.authority),
            (":path", self.target),
            *((name.lower(), value) for name, value in self.headers if name.lower() not in _HOP),
        ]
        if self.body:
            pairs.append(("content-length", str(len(self.body))))
        return [(name.encode("ascii"), value.strip().encode("latin-1")) for name, value in pairs]


_HOP = {"connection", "host", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}
"RFC 9113, section 8.2.2; Host has become the authority."


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and its answer; times in seconds since the measurement began."""

    request: Request
    t0: float
    t: float = 0.0
    failure: str | None = None
    status: int | None = None
    "None when no answer began."
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    truncated: bool = False
    "There was, or may have been, more of it than we keep."

    def answered(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """Take status and headers from the header list of HTTP/2 or 3."""
        for name, value in pairs:
            if name == b":status" and value.isdigit():
                self.status = int(value)
            elif not name.startswith(b":"):
                self.headers.append((name.decode("latin-1"), value.decode("latin-1")))
