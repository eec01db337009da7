"""What is tested, under one name: URL → host → registrable domain → service."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import idna

DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """A tested thing in its canonical names."""

    url: str | None
    "As asked, with a canonical host; None when only a host is named."
    host: str
    "Lower case, A-labels, no trailing dot; an IP literal without brackets."
    domain: str | None
    "Registrable domain under the public suffix list with private rules; None for an address."
    service: str | None


class Endpoint(NamedTuple):
    scheme: str
    host: str
    port: int


@lru_cache(maxsize=1 << 16)
def canonical_host(host: str) -> str | None:
    """A host name or address as all rooms spell it; None when it cannot be one.

    >>> canonical_host("Яндекс.рф."), canonical_host("[2001:DB8::1]"), canonical_host("a b")
    ('xn--d1acpjx3f.xn--p1ai', '2001:db8::1', None)
    """
    host = host.strip().rstrip(".")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if is_address(host):
        return str(ip_address(host))
    host = host.lower()
    if not host or len(host) > 1000:
        return None
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    allowed = all(c.isalnum() or c in "-_." for c in host)
    return host if allowed and len(host) <= 253 and ".." not in host else None


@lru_cache(maxsize=1 << 16)
def is_address(host: str) -> bool:
    """Is this an IP literal (without brackets)?

    >>> is_address("8.8.4.4"), is_address("2001:db8::1"), is_address("example.org")
    (True, True, False)
    """
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1 << 16)
def endpoint_of(url: str) -> Endpoint | None:
    """Scheme, canonical host and port that a web URL leads to; None when it is not one.

    >>> endpoint_of("https://Example.ORG:8443/x")
    Endpoint(scheme='https', host='example.org', port=8443)
    >>> endpoint_of("http://") is None
    True
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = parts.hostname
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS or not host:
        return None
    canonical = canonical_host(host)
    if canonical is None:
        return None
    return Endpoint(scheme, canonical, port or DEFAULT_PORTS[scheme])


def redirect_target(url: str, location: str) -> str | None:
    """Where a redirect leads; None when the location is no URL, as with scrubbed addresses.

    >>> redirect_target("http://a.example/x", "/y")
    'http://a.example/y'
    >>> redirect_target("http://a.example/", "http://[scrubbed]/") is None
    True
    """
    try:
        return urljoin(url, location)
    except ValueError:
        return None
