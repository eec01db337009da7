"""Endpoints: whom the probe's tests of messengers, circumvention and middleboxes talk to."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from gatewatch.model.errors import MalformedRecord
from gatewatch.model.target import canonical_host, is_address
from gatewatch.refdata.dated import read_dated

Protocol = Literal[
    "tcp", "tls", "http", "http_post", "https", "dns", "stun", "doh", "dot", "udp"
]  # fmt: skip
SCHEMES: dict[Protocol, str] = {
    "tcp": "tcpconnect",
    "tls": "tlshandshake",
    "http": "http",
    "http_post": "http",
    "https": "https",
    "dns": "dnslookup",
    "stun": "stun",
    "doh": "https",
    "dot": "dot",
    "udp": "udp",
}
"How OONI's urlgetter, stunreachability and dnscheck write a target of each protocol."
DEFAULT_PORTS = {"http": 80, "https": 443}


class EndpointClass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Endpoints of one service that do one job, as data/endpoints.toml says them."""

    service: str
    id: str
    protocol: Protocol
    need: Literal["any", "all", "none"]
    hosts: list[str] = []
    ports: list[int] = []
    at: list[str] = []
    path: str = ""
    networks: list[int] = []
    as_of: date
    source: str


class Authority(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate authority that a service has for itself, and no system trusts."""

    service: str
    name: str
    pem: str
    as_of: date
    source: str


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint, to be tried in one way."""

    service: str
    kind: str
    "The `id` of its class."
    protocol: Protocol
    host: str
    "A canonical name or address."
    port: int
    path: str = ""
    networks: tuple[int, ...] = ()

    @property
    def url(self) -> str:
        """As OONI's tests write it.

        >>> at = {"service": "s", "kind": "k", "host": "2001:db8::1", "port": 443}
        >>> Endpoint(protocol="tcp", **at).url, Endpoint(protocol="https", path="/", **at).url
        ('tcpconnect://[2001:db8::1]:443', 'https://[2001:db8::1]/')
        """
        scheme = SCHEMES[self.protocol]
        host = f"[{self.host}]" if ":" in self.host else self.host
        bare = self.protocol == "dns" or DEFAULT_PORTS.get(scheme) == self.port
        return f"{scheme}://{host}{'' if bare else f':{self.port}'}{self.path}"


class Endpoints:
    """All classes by service."""

    def __init__(
        self,
        classes: list[EndpointClass],
        authorities: list[Authority],
        *,
        version: str,
        where: str = "endpoints",
    ) -> None:
        self.version = version
        "Date and number of the table, for records that were made with it."
        self._classes: dict[tuple[str, str], EndpointClass] = {}
        self._authorities = authorities
        self._endpoints: dict[tuple[str, str], list[Endpoint]] = {}
        for one in classes:
            key = (one.service, one.id)
            if key in self._classes:
                raise MalformedRecord(where, "id", got=".".join(key), want="a class named once")
            self._classes[key] = one
            self._endpoints[key] = _expanded(one, where)

    def of(self, service: str, kind: str | None = None) -> list[Endpoint]:
        """The endpoints of a service, or of one class of it; none where nothing is known."""
        return [
            endpoint
            for (owner, name), endpoints in self._endpoints.items()
            if owner == service and kind in (None, name)
            for endpoint in endpoints
        ]

    def classes(self, service: str) -> list[EndpointClass]:
        return [one for (owner, _), one in self._classes.items() if owner == service]

    def authorities(self, service: str) -> list[Authority]:
        return [one for one in self._authorities if one.service == service]

    def all(self) -> list[Endpoint]:
        return [endpoint for endpoints in self._endpoints.values() for endpoint in endpoints]


def _expanded(one: EndpointClass, where: str) -> list[Endpoint]:
    pairs = [(host, port) for host in one.hosts for port in one.ports]
    pairs += [_place(text, f"{one.service}.{one.id}", where) for text in one.at]
    if not pairs:
        raise MalformedRecord(
            where, f"{one.service}.{one.id}", got=[], want="at least one host and port"
        )
    for host, port in pairs:
        if canonical_host(host) != host or not (0 < port < 65_536):
            raise MalformedRecord(
                where, f"{one.service}.{one.id}", got=f"{host}:{port}", want="a canonical host"
            )
    return [
        Endpoint(
            service=one.service,
            kind=one.id,
            protocol=one.protocol,
            host=host,
            port=port,
            path=one.path,
            networks=tuple(one.networks),
        )
        for host, port in dict.fromkeys(pairs)
    ]


def _place(text: str, field: str, where: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not port.isdecimal() or not (is_address(host) or canonical_host(host)):
        raise MalformedRecord(where, field, got=text, want="a host and a port, `192.0.2.1:443`")
    return host, int(port)


def read_endpoints(content: bytes, where: str) -> tuple[date, Endpoints]:
    """The date of an endpoints file and what it says.

    Raises:
        MalformedRecord: when it is not TOML of that form, or breaks a rule of its own.
    """
    dated, document = read_dated(content, where)
    number = document.get("version")
    if type(number) is not int:
        raise MalformedRecord(where, "version", got=number, want="a number, as in `version = 1`")
    try:
        classes = msgspec.convert(document.get("class", []), list[EndpointClass])
        authorities = msgspec.convert(document.get("authority", []), list[Authority])
    except msgspec.ValidationError as error:
        raise MalformedRecord(where, "class", got=str(error), want="an endpoint class") from error
    return dated, Endpoints(classes, authorities, version=f"{dated}.{number}", where=where)
