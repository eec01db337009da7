"""Is an address one that no public host can have?"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from gatewatch.model.errors import MalformedRecord
from gatewatch.refdata.tables import TextTable, read_table

COLUMNS = ["network", "meaning", "source"]
SIX_TO_FOUR = 0x2002  # RFC 3056: the next 32 bits are the IPv4 address of the site
TEREDO = 0x20010000  # RFC 4380: the next 32 bits are the IPv4 address of the server


def read_bogons(content: bytes, where: str) -> tuple[TextTable, Bogons]:
    """The table and what it says.

    Raises:
        MalformedRecord: when a row names no network.
    """
    table = read_table(content, where, COLUMNS)
    return table, Bogons([row["network"] for row in table.rows], where)


class Bogons:
    """A set of networks, and the IPv6 forms that carry IPv4 addresses of them."""

    def __init__(self, networks: list[str], where: str = "bogons") -> None:
        self._v4: list[tuple[int, int]] = []
        self._v6: list[tuple[int, int]] = []
        for text in networks:
            try:
                network = ip_network(text)
            except ValueError as error:
                raise MalformedRecord(where, "network", got=text, want="a prefix") from error
            ends = int(network.network_address), int(network.broadcast_address)
            (self._v4 if network.version == 4 else self._v6).append(ends)
        self.holds = lru_cache(maxsize=1 << 16)(self._holds)

    def _holds(self, address: str) -> bool:
        parsed = _parse(address)
        if parsed is None:
            return True
        number = int(parsed)
        if isinstance(parsed, IPv4Address):
            return _within(number, self._v4)
        if number >> 112 == SIX_TO_FOUR and _within(number >> 80 & 0xFFFFFFFF, self._v4):
            return True
        if number >> 96 == TEREDO and _within(number >> 64 & 0xFFFFFFFF, self._v4):
            return True
        return _within(number, self._v6)


def is_loopback(address: str) -> bool:
    """Does the address lead back to the machine itself? False for what is no address.

    >>> is_loopback("127.3.2.1"), is_loopback("::1"), is_loopback("::ffff:127.0.0.1")
    (True, True, True)
    """
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed is not None and parsed.is_loopback


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None


def _within(number: int, ranges: list[tuple[int, int]]) -> bool:
    return any(first <= number <= last for first, last in ranges)
