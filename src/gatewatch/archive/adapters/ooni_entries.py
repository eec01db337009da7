"""How the fields of an entry are written in OONI's records, whichever step it is about."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address

from gatewatch.archive.adapters.lenient import Fields, binary_data
from gatewatch.archive.adapters.ooni_failures import failure_of

_TRANSPORTS = {"udp", "tcp", "dot", "doh", "doh3"}
_DEPTH = re.compile(r"depth=(\d{1,3})$")
_PORT_IN_ADDRESS = re.compile(r"^\[?([0-9A-Fa-f.:%]+?)\]?:(\d{1,5})$")
MOST_HEADERS = 200
HEADER_LENGTH = 2048
"Our choice: longer headers are cut; none that matters to a verdict is near it."


def depth_of(entry: Fields) -> int | None:
    tags = entry.raw("tags")
    if not isinstance(tags, list):
        return None
    for tag in tags:
        found = _DEPTH.match(tag) if isinstance(tag, str) else None
        if found:
            return int(found[1])
    return None


def transport_of(engine: str | None, resolver: str) -> str:
    if engine in _TRANSPORTS:
        return "doh" if engine == "doh3" else engine or "unknown"
    if resolver.startswith("https:"):
        return "doh"
    return "udp" if resolver else "unknown"


@lru_cache(maxsize=1 << 16)
def address_of(text: str | None) -> str | None:
    """An IP address in its canonical spelling; None for a name, which some fields also hold."""
    if not text:
        return None
    try:
        return str(ip_address(text.strip().strip("[]")))
    except ValueError:
        return None


@lru_cache(maxsize=1 << 16)
def place_of(endpoint: str | None) -> tuple[str | None, int | None]:
    """`address:port` in two.

    >>> place_of("[2001:db8::1]:443"), place_of("192.0.2.7:80"), place_of("name:80"), place_of(None)
    (('2001:db8::1', 443), ('192.0.2.7', 80), (None, None), (None, None))
    """
    found = _PORT_IN_ADDRESS.match(endpoint) if endpoint else None
    if found is None:
        return None, None
    address, port = address_of(found[1]), int(found[2])
    return (address, port) if address and 0 < port < 65536 else (None, None)


def status_of(answer: Fields, key: str) -> int | None:
    """An HTTP status; the 0 and -1 that stand for no answer are none."""
    status = answer.integer(key)
    return status if status is not None and 100 <= status <= 999 else None


def control_failure(entry: Fields) -> tuple[str | None, str | None]:
    failure, words = failure_of(entry.raw("failure"))
    if failure is None and entry.raw("status") is False:
        return "unknown_error", "status is false and no failure is named"
    return failure, words


def listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def headers_of(response: Fields) -> list[tuple[str, str]]:
    """Header pairs, names in lower case; from the list where there is one, else from the map."""
    pairs: list[tuple[str, str]] = []
    for pair in listed(response.raw("headers_list")):
        if isinstance(pair, list) and len(pair) == 2:
            name, value = _text(pair[0]), _text(pair[1])
            if name is not None and value is not None:
                pairs.append((name.lower(), value[:HEADER_LENGTH]))
    if not pairs:
        pairs = response.items_of_text("headers")
    return [(name.lower(), value[:HEADER_LENGTH]) for name, value in pairs[:MOST_HEADERS]]


def header_lines(pairs: list[tuple[str, str]]) -> list[str]:
    return [f"{name.lower()}: {value[:HEADER_LENGTH]}" for name, value in pairs[:MOST_HEADERS]]


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    data = binary_data(value)
    return None if data is None else data.decode("utf-8", "replace")
