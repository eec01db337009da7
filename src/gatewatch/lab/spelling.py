"""How addresses, names, patterns and the like are written in a scenario."""

from __future__ import annotations

import re
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_GLOB = re.compile(r"[a-z0-9_.?-]*\*[a-z0-9_.*?-]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_ENDPOINT = re.compile(r"(?:([0-9.]+)|\[([0-9a-f:]+)\]):([0-9]{1,5})(?:/(?:tcp|udp))?")
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS = re.compile(rf"({_TIME})-({_TIME})")
_COUNTRY = re.compile(r"[A-Z]{2}")
_OWN_NAME = r"[a-z0-9][a-z0-9-]{0,62}"
"What the lab calls its networks, hosts and censors: names of files are made of it."
_HOP = re.compile(rf"{_OWN_NAME}(?:/[1-9][0-9]?)?")
_RECORD_TYPE = re.compile(r"[A-Z][A-Z0-9]{0,15}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?:[!-~](?:[ -~\t]*[!-~])?)?")
_FILE = re.compile(r"[A-Za-z0-9._/-]+\.toml")

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
    """The address written there in its one usual way, by which it can be compared; else None.

    >>> address("2001:500::1"), address("2001:0500::1"), address("fe80::1%eth0")
    (IPv6Address('2001:500::1'), None, None)
    """
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found if str(found) == text and "%" not in text else None


def is_address(text: str, version: int) -> bool:
    found = address(text)
    return found is not None and found.version == version


def prefix(text: str) -> Prefix | None:
    """The prefix written there, without host bits, or the single address; None if neither is."""
    try:
        found = ip_network(text)
    except ValueError:
        return None
    return found if "%" not in text else None


def is_usable(text: str) -> bool:
    """A prefix that a network of the lab may have."""
    found = prefix(text)
    return found is not None and may_be_used(found)


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


def is_label(text: str) -> bool:
    """What a network, host or censor of the lab may be called.

    >>> [is_label(name) for name in ("isp-2", "", "../etc", "a/b", "Isp")]
    [True, False, False, False, False]
    """
    return re.fullmatch(_OWN_NAME, text) is not None


def is_hop(text: str) -> bool:
    """A place as `lab.rules` names it: a network, or one of its hops."""
    return _HOP.fullmatch(text) is not None


def is_line(text: str) -> bool:
    return text.isprintable()


def is_prose(text: str) -> bool:
    """Printable text, of several lines or one."""
    return all(line.isprintable() for line in text.split("\n"))


def is_file(text: str) -> bool:
    """The name of a TOML file, or a way to it."""
    return _FILE.fullmatch(text) is not None


def is_port(text: str) -> bool:
    """A port in the one way that it is written.

    >>> [is_port(text) for text in ("80", "080", "0", "65536", "٨٠")]
    [True, False, False, False, False]
    """
    return _PORT.fullmatch(text) is not None and int(text) < 65536


def is_endpoint(text: str) -> bool:
    """An endpoint of `lab.rules`, such as `8.8.8.8:53/udp`."""
    found = _ENDPOINT.fullmatch(text)
    return found is not None and address(found[1] or found[2]) is not None and is_port(found[3])


def is_hours(text: str) -> bool:
    """A part of the day, such as `20:00-06:00`; one that ends as it begins is none."""
    found = _HOURS.fullmatch(text)
    return found is not None and found[1] != found[2]


def is_moment(text: str) -> bool:
    """An ISO time with its zone, in years that calendars and certificates can reckon with.

    >>> [is_moment(t) for t in ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00", "9999-12-31T23Z")]
    [True, False, False]
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return False
    return found.tzinfo is not None and 1990 <= found.year < 2100


def is_country(text: str) -> bool:
    return _COUNTRY.fullmatch(text) is not None


def is_record_type(text: str) -> bool:
    return _RECORD_TYPE.fullmatch(text) is not None


def is_hexadecimal(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True


def is_token(text: str) -> bool:
    """The name of a header: RFC 9110, section 5.6.2."""
    return _TOKEN.fullmatch(text) is not None


def is_header_value(text: str) -> bool:
    """The value of a header, in ASCII: no line ends in it, no blanks around it."""
    return _HEADER_VALUE.fullmatch(text) is not None


def is_web(url: str) -> bool:
    """An http or https URL with a host, without blanks or control characters.

    >>> is_web("https://www.example.org/"), is_web("http://"), is_web("dns://example.org")
    (True, False, False)
    >>> is_web("http://example.org/a b"), is_web("http://example.org/\\r\\nSet-Cookie:x")
    (False, False)
    """
    if " " in url or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
