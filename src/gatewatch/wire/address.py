"""IP addresses as text: endpoints, and addresses that no public host can have."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

_BOGONS = [
    ipaddress.ip_network(prefix)
    for prefix in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 "
        "192.0.0.0/24 192.0.2.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 "
        "224.0.0.0/4 240.0.0.0/4 ::/96 100::/64 2001::/40 2001:db8::/32 fc00::/7 fe80::/10 ff00::/8"
    ).split()
]


@lru_cache(4096)
def is_bogon(address: str) -> bool:
    """Is this address outside of the public Internet (the list that the test helper uses)?

    >>> is_bogon("10.10.34.36"), is_bogon("93.184.216.34")
    (True, False)
    """
    ip = ipaddress.ip_address(address)
    return any(ip.version == net.version and ip in net for net in _BOGONS)


@lru_cache(4096)
def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def endpoint(address: str, port: int) -> str:
    """
    >>> endpoint("2606:4700::1", 443)
    '[2606:4700::1]:443'
    """
    return f"{in_url(address)}:{port}"


def parted(endpoint: str | None) -> tuple[str, int]:
    """What `endpoint` wrote, in two; an empty address and port 0 where it is not of that form.

    >>> parted("[2606:4700::1]:443"), parted("192.0.2.1:80"), parted(None)
    (('2606:4700::1', 443), ('192.0.2.1', 80), ('', 0))
    """
    address, _, port = (endpoint or "").rpartition(":")
    return (address.strip("[]"), int(port)) if port.isdecimal() else ("", 0)


def in_url(host: str) -> str:
    """A host as it stands in a URL.

    >>> in_url("2001:db8::1"), in_url("a.example")
    ('[2001:db8::1]', 'a.example')
    """
    return f"[{host}]" if ":" in host else host
