"""What one field of a scenario may hold, beyond its type: a table, and the walk that applies it.

How fields must agree with each other is in `lab.flaws`. Where a bound is not a format's own, it is
our choice: wide enough for any network that was ever described, and narrow enough that a slip of
the pen is seen before a world is built on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from gatewatch.lab import spelling
from gatewatch.lab.pages import PAGES, SITE
from gatewatch.lab.rules import (
    Alert,
    BlockPage,
    Censor,
    CloseQuic,
    Divert,
    Drop,
    ForgeDns,
    Redirect,
    Reset,
    Residual,
    Schedule,
    Throttle,
    Trigger,
)
from gatewatch.lab.scenario import (
    Answer,
    Expectation,
    Host,
    Link,
    Middlebox,
    Network,
    Resolver,
    Route,
    Scenario,
    Web,
)
from gatewatch.model.mechanism import ALL


class Flaw(NamedTuple):
    """One thing that is wrong with a scenario."""

    where: str
    found: object
    wanted: str


class Bound(NamedTuple):
    """What a value must be like."""

    wanted: str
    holds: Callable[[Any], object]


def between(low: int, high: int, unit: str = "") -> Bound:
    """From the one to the other, both included; never NaN, which is between nothing."""
    return Bound(f"{low} to {high}{unit}", lambda number: low <= number <= high)


def above(low: int, high: int, unit: str = "") -> Bound:
    return Bound(f"more than {low}, at most {high}{unit}", lambda number: low < number <= high)


def text(wanted: str, holds: Callable[[str], object], *, size: int = 1_000) -> Bound:
    """Words of at most so many characters."""
    return Bound(wanted, lambda words: len(words) <= size and holds(words))


def _is_page(name: str) -> bool:
    return name in PAGES or name == SITE or name.startswith("<")


PACKET_KB = 1.5
"A packet of 1,500 bytes, Ethernet's: what holds less lets nothing through."
SEGMENT = 1_400
"Payload bytes that a packet surely has room for."
HTML_SIZE = 100_000
DAY_S, YEARS_DAYS = 86_400, 36_500

WAIT_MS = between(0, 60_000, " ms")
SHARE = between(0, 1)
RATE_KBPS = above(0, 10**8, " kbit/s")
PASSED_KB = between(0, 10**6, " kB")
TTL_S = between(0, 2**31 - 1, " s")  # RFC 2181, section 8
STATUS = between(100, 599)
FINAL_STATUS = between(200, 599)  # a server's answer; what is below only announces one
PORT = between(1, 65_535)

LINE = text("one line of printable text", spelling.is_line)
SOME_LINE = text("one line of printable text, not empty", lambda w: w and spelling.is_line(w))
PROSE = text("printable text", spelling.is_prose, size=10_000)
BYTES = text("some text, at most 1000 characters", bool)
SPOKEN = text(
    f"at most {SEGMENT} bytes", lambda words: len(words.encode()) <= SEGMENT, size=SEGMENT
)
LABEL = text("a name of a-z, 0-9 and -, at most 63 characters", spelling.is_label)
FILE_NAME = text("the name of a .toml file, or its way from here", spelling.is_file)
ADDRESS = text("an IP address, written as usual", spelling.address)
ADDRESS_4 = text("an IPv4 address", lambda words: spelling.is_address(words, 4))
ADDRESS_6 = text("an IPv6 address, written as usual", lambda words: spelling.is_address(words, 6))
PREFIX = text("an IP address or prefix without host bits", spelling.prefix)
USABLE = text(
    "an IP prefix without host bits, of public or access-network address space",
    spelling.is_usable,
)
NAME = text("a host name, in lower case and ASCII", spelling.is_name)
PATTERN = text("`name`, `.name` or a glob, in lower case and ASCII", spelling.is_pattern, size=253)
URL = text("an http or https URL", spelling.is_web, size=2_000)
COUNTRY = text("two capital letters", spelling.is_country)
HTML = text("HTML, or nothing", lambda words: "\0" not in words, size=HTML_SIZE)
A_PAGE = "a page of lab.pages, or HTML that begins with `<`"
PAGE = text(A_PAGE, _is_page, size=HTML_SIZE)
PAGE_IF_ANY = text(A_PAGE, lambda name: not name or _is_page(name), size=HTML_SIZE)
HEADER = text("a header's name (RFC 9110, section 5.1)", spelling.is_token)
HEADER_VALUE = text("a header's value: one line of ASCII", spelling.is_header_value, size=8_000)
MECHANISM = text("nodes of the mechanism taxonomy", ALL.__contains__)

BOUNDS: Mapping[type[Struct], Mapping[str, Bound]] = {
    Scenario: {
        "title": LINE,
        "words": PROSE,
        "source": LINE,
        "extends": FILE_NAME,
        "clock": text("an ISO time of 1990 to 2099 with its zone", spelling.is_moment),
        "clock_skew_days": between(-YEARS_DAYS, YEARS_DAYS, " days"),
        "rebind_every_s": above(0, DAY_S, " s"),
        "id": LINE,
    },
    Network: {
        "asn": Bound("the number of an autonomous system", lambda asn: 0 < asn < 2**32),
        "name": LINE,
        "country": COUNTRY,
        "prefixes": USABLE,
        "hops": ADDRESS,
        "via": LABEL,
        "probe": ADDRESS,
        "resolver": ADDRESS,
    },
    Link: {
        "delay_ms": WAIT_MS,
        "jitter_ms": WAIT_MS,
        "loss": SHARE,
        "rate_kbps": RATE_KBPS,
        "queue_kb": above(0, 10**6, " kB"),
    },
    Answer: {
        "addresses": ADDRESS,
        "by_country": ADDRESS,
        "rotate": between(0, 64),
        "cname": NAME,
        "ttl_s": TTL_S,
    },
    Host: {"addresses": ADDRESS, "names": NAME},
    Web: {"certificate_names": NAME, "page": PAGE},
    Route: {
        "path": SOME_LINE,
        "host": SOME_LINE,
        "countries": COUNTRY,
        "networks": LABEL,
        "status": FINAL_STATUS,
        "page": PAGE,
        "headers": HEADER_VALUE,
        "location": HEADER_VALUE,
        "size": between(0, 256 * 2**20, " bytes"),
        "delay_ms": WAIT_MS,
    },
    Resolver: {"upstream": ADDRESS, "delay_ms": WAIT_MS},
    Middlebox: {
        "names": PATTERN,
        "script": HTML,
        "page": PAGE_IF_ANY,
        "status": FINAL_STATUS,
        "headers": HEADER_VALUE,
    },
    Expectation: {
        "url": URL,
        "networks": LABEL,
        "mechanisms": MECHANISM,
        "by": LABEL,
        "words": LINE,
    },
    Censor: {
        "id": LABEL,
        "at": text("a network, or one of its hops as `network/1`", spelling.is_hop),
        "react_ms": WAIT_MS,
        "mechanism": MECHANISM,
    },
    Trigger: {
        "dns": PATTERN,
        "dns_types": text("a record type in capitals, such as AAAA", spelling.is_record_type),
        "ip": PREFIX,
        "endpoint": text("`192.0.2.1:443` or `[2001:db8::1]:443/tcp`", spelling.is_endpoint),
        "port": PORT,
        "host": PATTERN,
        "url": BYTES,
        "keyword": BYTES,
        "answer_keyword": BYTES,
        "sni": PATTERN,
        "quic_sni": PATTERN,
        "networks": LABEL,
        "probability": Bound("a share above 0, at most 1", lambda share: 0 < share <= 1),
    },
    Schedule: {
        "after_s": between(0, DAY_S, " s"),
        "until_s": above(0, DAY_S, " s"),
        "hours": text("a part of the day, such as `20:00-06:00`", spelling.is_hours),
    },
    Residual: {"seconds": above(0, DAY_S, " s")},
    Drop: {"after_packets": between(0, 10**6), "after_kb": PASSED_KB},
    Reset: {
        "offsets": between(1 - 2**31, 2**31 - 1),
        "ttls": between(1, 255),
        "windows": between(0, 65_535),
        "payload": text(f"hexadecimal, at most {SEGMENT} bytes", spelling.is_hexadecimal,
                        size=2 * SEGMENT),
    },
    ForgeDns: {
        "a": ADDRESS_4,
        "aaaa": ADDRESS_6,
        "cname": NAME,
        "ttl_s": TTL_S,
        "copies": between(1, 64),
        "spacing_ms": between(0, 10_000, " ms"),
    },
    BlockPage: {"page": PAGE, "status": STATUS, "headers": HEADER_VALUE},
    Redirect: {"location": URL, "status": between(300, 399)},
    Alert: {"description": between(0, 255), "garbage": SPOKEN},
    CloseQuic: {"error": between(0, 2**62 - 1)},  # a QUIC integer: RFC 9000, section 16
    Divert: {"to": LABEL},
    Throttle: {
        "rate_kbps": RATE_KBPS,
        "burst_kb": Bound(
            f"{PACKET_KB} kB, which is a packet, to a million",
            lambda kb: PACKET_KB <= kb <= 10**6,
        ),
        "delay_ms": WAIT_MS,
        "loss": Bound("a share below 1; `drop` is for all", lambda share: 0 <= share < 1),
        "after_kb": PASSED_KB,
    },
}  # fmt: skip
"What each number and text must be like, in lists and tables too."

KEYS: Mapping[type[Struct], Mapping[str, Bound]] = {
    Scenario: {
        "networks": text(
            "a name of a-z, 0-9 and -, at most 63 characters, and not `world`",
            lambda name: spelling.is_label(name) and name != "world",
        ),  # `world.pcapng` holds what all hosts saw
        "hosts": LABEL,
        "names": PATTERN,
    },
    Answer: {"by_country": COUNTRY},
    Host: {"tcp": text("a port number, without zeros before it", spelling.is_port)},
    Resolver: {"answers": PATTERN},
    Route: {"headers": HEADER},
    Middlebox: {"headers": HEADER},
    BlockPage: {"headers": HEADER},
}
"What the keys of a field that is a table must be like."

FILLED: Mapping[type[Struct], Mapping[str, str]] = {
    Network: {
        "prefixes": "at least one prefix",
        "hops": "at least one hop; [] within is a silent one",
    },
    Host: {"addresses": "at least one address"},
    Reset: {
        "offsets": "at least one offset",
        "ttls": "at least one TTL",
        "windows": "at least one window",
    },
}
"Fields that must not be empty."


def out_of_bounds(struct: Struct, where: str = "") -> Iterator[Flaw]:
    """Every value in it, at any depth, that its field may not hold."""
    kind = type(struct)
    bounds, keys, filled = BOUNDS.get(kind, {}), KEYS.get(kind, {}), FILLED.get(kind, {})
    for field in struct.__struct_fields__:
        value, place = getattr(struct, field), f"{where}.{field}".removeprefix(".")
        if field in filled and not value:
            yield Flaw(place, value, filled[field])
        if field in keys:
            wanted, holds = keys[field]
            yield from (Flaw(place, key, wanted) for key in value if not holds(key))
        yield from _unfit(value, place, bounds.get(field))


def _unfit(value: Any, place: str, bound: Bound | None) -> Iterator[Flaw]:
    if isinstance(value, Struct):
        yield from out_of_bounds(value, place)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _unfit(one, f"{place}.{key}", bound)
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from _unfit(one, _entry(place, number, one), bound)
    elif value is not None and bound is not None and not bound.holds(value):
        yield Flaw(place, value, bound.wanted)


def _entry(place: str, number: int, entry: object) -> str:
    """Where an entry of a list is: by its name if it has one; a plain value is of its field."""
    if isinstance(entry, Censor):
        return f"{place}.{entry.id}"
    if isinstance(entry, Expectation):
        return f"{place}[{number}] ({entry.url})"
    return f"{place}[{number}]" if isinstance(entry, Struct) else place
