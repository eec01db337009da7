"""What a probe asks the test helper, and what of it we measure.

The question is OONI's, unchanged; two fields of ours, which others do not send, ask for endpoints
without a page. What a question asks and we do not do is named with the reason, not dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from msgspec import Struct, structs

from gatewatch.model.target import is_address
from gatewatch.server.bodies import Refused, read_json
from gatewatch.server.dialect import COPIED
from gatewatch.server.guard import Guard, checked_host, checked_url, checked_value
from gatewatch.wire.address import endpoint

QUESTION_MAX = 1 << 18
"Bytes. Our choice: a question with every endpoint we would measure has some 4,000."
LISTED_MAX = 256
"Endpoints in a question; our choice. A probe has some ten, a list of Tor's relays some fifty."
ENDPOINTS_MAX = 64
"""Endpoints that we connect to for one question. Our choice: enough for every list of relays or
servers that a probe has, and too few to make us a scanner."""
ADDRESSES_MAX = 32
"Addresses at which the URL's own ports are tried; our choice."
PORTS_MAX = 4
"Ports of one address; our choice. Services offer two or three; more is a port scan."
VALUES_MAX = 4
"Values of one header."


class Question(Struct, frozen=True):
    """As it came, and, once checked, with its URL as the wire has it."""

    http_request: str
    http_request_headers: dict[str, list[str] | None] | None = None
    tcp_connect: list[str] | None = None
    x_quic_enabled: bool = False
    x_endpoints_only: bool = False
    "Ours: no page is fetched, and nothing but the endpoints in the question is connected to."
    x_tls: dict[str, str] | None = None
    "Ours: endpoint → the name with which TLS is started there as well, whatever its port."

    @property
    def host(self) -> str:
        return urlsplit(self.http_request).hostname or ""

    @property
    def ports(self) -> list[int]:
        """The URL's own port, or those that its scheme calls for."""
        parts = urlsplit(self.http_request)
        return [parts.port] if parts.port else [443] if parts.scheme == "https" else [443, 80]

    @property
    def copied(self) -> tuple[tuple[str, str], ...]:
        """The headers that go on to the site."""
        told = self.http_request_headers or {}
        return tuple((k, v) for k, values in told.items() for v in values or ())


def read_question(body: bytes) -> Question:
    """The question in a request's body.

    Raises:
        Refused: 400, with the place of the fault.
    """
    asked = read_json(body, Question)
    url = checked_url(asked.http_request)
    if urlsplit(url).port == 0:
        raise Refused(400, "http_request: port is 0")
    listed = [*(asked.tcp_connect or ()), *(asked.x_tls or ())]
    if len(listed) > LISTED_MAX:
        raise Refused(400, f"tcp_connect: {len(listed)} endpoints; at most {LISTED_MAX} are read")
    names = {
        place: checked_host(name, f"x_tls[{place!r}]") if name else ""
        for place, name in (asked.x_tls or {}).items()
    }
    return structs.replace(
        asked, http_request=url, http_request_headers=_copied(asked), x_tls=names
    )


def _copied(asked: Question) -> dict[str, list[str] | None]:
    found: dict[str, list[str] | None] = {}
    for name, values in (asked.http_request_headers or {}).items():
        if name.lower() in COPIED:
            where = f"http_request_headers.{name}"
            if len(values or ()) > VALUES_MAX:
                raise Refused(400, f"{where}: more than {VALUES_MAX} values")
            found[name] = [checked_value(value, where) for value in values or ()]
    return found


class Way(NamedTuple):
    """An endpoint to connect to."""

    address: str
    "As the probe spells it."
    port: int
    server_name: str | None
    "With which TLS is started, empty sends none; None: it is not."

    @property
    def place(self) -> str:
        return endpoint(self.address, self.port)


class Plan(NamedTuple):
    """What is measured for a question besides the page."""

    ways: list[Way]
    skipped: dict[str, str]
    "What is not measured, endpoint or address → why."
    told: list[str]
    "Addresses that the probe named."


def plan(asked: Question, resolved: Sequence[str], guard: Guard) -> Plan:
    """Every address at the URL's ports, as OONI's helper does; then the endpoints as they are
    written, whatever their port.

    >>> asked = Question(http_request="https://x.example/", tcp_connect=["9.9.9.9:5222", "?"])
    >>> [(way.place, way.server_name) for way in plan(asked, ["8.8.8.8"], Guard()).ways]
    [('9.9.9.9:443', 'x.example'), ('8.8.8.8:443', 'x.example'), ('9.9.9.9:5222', None)]
    """
    named = _endpoints(asked.x_tls or ())
    listed = {endpoint(*way): way for way in _endpoints(asked.tcp_connect or ()).values()}
    listed |= {endpoint(*way): way for way in named.values()}
    told = list(dict.fromkeys(address for address, _ in listed.values()))
    wanted: dict[str, tuple[str, int]] = {}
    if not asked.x_endpoints_only:
        addresses = list(dict.fromkeys((*told, *resolved)))[:ADDRESSES_MAX]
        wanted = {endpoint(a, port): (a, port) for a in addresses for port in asked.ports}
    wanted |= listed
    names = dict.fromkeys((p for p, (_, port) in wanted.items() if port == 443), asked.host)
    names |= {endpoint(*way): (asked.x_tls or {})[text] for text, way in named.items()}
    return Plan(*_within_bounds(wanted.values(), names, guard), told)


def _within_bounds(
    wanted: Iterable[tuple[str, int]], names: Mapping[str, str], guard: Guard
) -> tuple[list[Way], dict[str, str]]:
    ways: dict[str, Way] = {}
    skipped: dict[str, str] = {}
    ports: dict[str, int] = {}
    for address, port in wanted:
        place = endpoint(address, port)
        why = guard.endpoint(address, port)
        if why is None and ports.get(address, 0) >= PORTS_MAX:
            why = f"more than {PORTS_MAX} ports of one address"
        if why is None and len(ways) >= ENDPOINTS_MAX:
            why = f"more than {ENDPOINTS_MAX} endpoints"
        if why is not None:
            skipped[place] = why
        elif place not in ways:
            ports[address] = ports.get(address, 0) + 1
            ways[place] = Way(address, port, names.get(place))
    return list(ways.values()), skipped


def _endpoints(texts: Iterable[str]) -> dict[str, tuple[str, int]]:
    """The endpoints among texts by how they are written; a name, or no endpoint, is ignored, as
    OONI's helper does.

    >>> _endpoints(["192.0.2.1:443", "[2001:db8::1]:443", "x:1", ":", "192.0.2.1:99999"])
    {'192.0.2.1:443': ('192.0.2.1', 443), '[2001:db8::1]:443': ('2001:db8::1', 443)}
    """
    found: dict[str, tuple[str, int]] = {}
    for text in texts:
        host, _, port = text.rpartition(":")
        address = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
        if is_address(address) and 0 < number < 1 << 16 and "%" not in address:
            found[text] = (address, number)
    return found


def cost(asked: Question) -> float:
    """How much of a client's allowance a question takes, in pages.

    >>> cost(Question(http_request="https://x.example/", tcp_connect=["9.9.9.9:443"] * 32))
    2.0
    """
    listed = len(asked.tcp_connect or ()) + len(asked.x_tls or ())
    return 1.0 + max(0, listed - 16) / 16
