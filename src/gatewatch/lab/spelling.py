"""How addresses, names, patterns and the like are written in a scenario."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_GLOB = re.compile(r"[a-z0-9_.?-]*\*[a-z0-9_.*?-]*")
_ENDPOINT = re.compile(r"(?:([0-9.]+)|\[([0-9a-f:]+)\]):(\d{1,5})(?:/(?:tcp|udp))?")
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_HOURS = re.compile(rf"{_TIME}-{_TIME}")
_COUNTRY = re.compile(r"[A-Z]{2}")

ACCESS = tuple(map(ip_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")))
"Inside of access networks: RFC 1918, and what carriers use behind their NAT (RFC 6598)."
SPECIAL = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
            *("::/16", "64:ff9b::/96", "2001:db8::/32", "fc00::/6", "fe80::/9", "ff00::/8"),
        ),
    )
)
"Not of the public Internet: IANA's special-purpose registries (RFC 6890), and multicast."


def address(text: str) -> Address | None:
    """The address written there; None if there is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def prefix(text: str) -> Prefix | None:
    """The prefix written there, without host bits; None if there is none."""
    try:
        return ip_network(text)
    except ValueError:
        return None


def may_be_used(found: Prefix) -> bool:
    """Is it space of the public Internet, or of an access network behind a NAT?

    >>> [may_be_used(ip_network(p)) for p in ("8.8.8.0/24", "10.10.34.0/24", "0.0.0.0/0")]
    [True, True, False]
    """
    if any(_within(found, access) for access in ACCESS):
        return True
    reserved = (*ACCESS, *SPECIAL)
    return not any(found.version == r.version and found.overlaps(r) for r in reserved)


def _within(inner: Prefix, outer: Prefix) -> bool:
    same = inner.version == outer.version
    return same and inner.prefixlen >= outer.prefixlen and inner.overlaps(outer)


def is_name(text: str) -> bool:
    """A host name in lower case and ASCII, without a final dot."""
    return _NAME.fullmatch(text) is not None and len(text) <= 253


def is_pattern(text: str) -> bool:
    """A name pattern of `lab.rules`.

    >>> [is_pattern(p) for p in ("example.org", ".example.org", "*keyword*", "Example", "a..b")]
    [True, True, True, False, False]
    """
    return is_name(text.removeprefix(".")) or _GLOB.fullmatch(text) is not None


def is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 65536


def is_endpoint(text: str) -> bool:
    """An endpoint of `lab.rules`, such as `8.8.8.8:53/udp`."""
    found = _ENDPOINT.fullmatch(text)
    return found is not None and address(found[1] or found[2]) is not None and is_port(found[3])


def is_hours(text: str) -> bool:
    """A part of the day, such as `20:00-06:00`."""
    return _HOURS.fullmatch(text) is not None


def is_country(text: str) -> bool:
    return _COUNTRY.fullmatch(text) is not None


def is_hexadecimal(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True


def is_web(url: str) -> bool:
    """An http or https URL with a host.

    >>> is_web("https://www.example.org/"), is_web("http://"), is_web("dns://example.org")
    (True, False, False)
    """
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
