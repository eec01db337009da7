"""The test keys of a first pass, read hop by hop: what was tried, and what a control says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from gatewatch.model.target import endpoint_of, is_address, redirect_target
from gatewatch.probe.ooni import Json
from gatewatch.wire.address import endpoint, parted

PRIVATE = frozenset({"doh", "dot", "doh3"})
"Engines of resolvers that authenticate themselves."


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One URL of the chain of redirects."""

    depth: int
    url: str
    host: str
    port: int
    secure: bool

    def twin(self, port: int) -> Hop:
        """This hop, or where the port is the other one of a plain URL, the same host over TLS."""
        if self.secure or port == self.port or port != 443:
            return self
        url = f"https://{f'[{self.host}]' if ':' in self.host else self.host}/"
        return replace(self, url=url, port=port, secure=True)


@dataclass(slots=True)
class FirstPass:
    """The test keys, by hop."""

    url: str
    keys: Json
    control: Json = field(init=False)
    hops: list[Hop] = field(init=False)
    heard: frozenset[int] = field(init=False)
    "IP versions over which anything at all came back."

    def __post_init__(self) -> None:
        self.control = self.keys.get("control") or {}
        self.hops = list(self._hops())
        self.heard = frozenset(self._heard())

    def at(self, kind: str, depth: int) -> list[Json]:
        """The entries of a list that belong to a hop."""
        return [entry for entry in self.keys.get(kind) or [] if _depth(entry) == depth]

    def request(self, depth: int) -> Json | None:
        over_tcp = (
            entry
            for entry in self.at("requests", depth)
            if (entry.get("network") or "tcp") == "tcp"
        )
        return next(over_tcp, None)

    def _hops(self) -> Iterator[Hop]:
        depths = {
            _depth(entry)
            for kind in ("queries", "tcp_connect", "requests")
            for entry in self.keys.get(kind) or []
        }
        url: str | None = self.url
        for depth in range(max(depths, default=0) + 1):
            request = self.request(depth)
            url = (request or {}).get("request", {}).get("url") or url
            hop = _hop(depth, url)
            if hop is None:
                return
            yield hop
            to = header(request, "location")
            url = redirect_target(hop.url, to) if to else None
            if url is None:
                return

    def _heard(self) -> Iterator[int]:
        for entry in self.keys.get("tcp_connect") or []:
            if (entry.get("status") or {}).get("failure") is None and is_address(entry["ip"]):
                yield ip_address(entry["ip"]).version
        for entry in self.keys.get("queries") or []:
            resolver = parted(entry.get("resolver_address"))[0]
            if entry.get("failure") is None and is_address(resolver):
                yield ip_address(resolver).version

    # -- the control ---------------------------------------------------------------------------

    @property
    def has_page(self) -> bool | None:
        """Did a control get the page, at the end of the chain? None: there is no such."""
        page = self.control.get("http_request")
        if not isinstance(page, dict):
            return None
        return not page.get("failure")

    def reached(self, kind: str, address: str, port: int, depth: int) -> bool | None:
        """Did a control get past a step at an endpoint? Of later hops only the end is known."""
        step = (self.control.get(kind) or {}).get(endpoint(address, port))
        if step is not None and depth == 0:
            return not step.get("failure")
        return True if self.has_page and depth > 0 else None

    def true_addresses(self, hop: Hop) -> tuple[str, ...]:
        """What the control, and resolvers asked in private, say."""
        told = (self.control.get("dns") or {}).get("addrs") or [] if hop.depth == 0 else []
        private = [
            address
            for query in self.at("queries", hop.depth)
            if query.get("engine") in PRIVATE and query.get("hostname") == hop.host
            for address in answers(query)
        ]
        every = (a for a in (*told, *private) if is_address(a))
        return tuple(dict.fromkeys(every))

    def proved(self, hop: Hop) -> set[str]:
        """Addresses that showed the host's certificate."""
        return {
            parted(entry["address"])[0]
            for entry in self.keys.get("tls_handshakes") or []
            if entry.get("failure") is None
            and entry.get("server_name") == hop.host
            and not entry.get("no_tls_verify")
        }


def _hop(depth: int, url: str) -> Hop | None:
    at = endpoint_of(url)
    if at is None:
        return None
    return Hop(depth=depth, url=url, host=at.host, port=at.port, secure=at.scheme == "https")


def answers(query: Json) -> list[str]:
    """Addresses in the answer to a query."""
    every = (a.get("ipv4") or a.get("ipv6") for a in query.get("answers") or [])
    return [address for address in every if address]


def header(request: Json | None, name: str) -> str | None:
    """A header of the answer to a request."""
    for key, value in ((request or {}).get("response") or {}).get("headers_list") or []:
        if str(key).lower() == name:
            return value if isinstance(value, str) else None
    return None


def _depth(entry: Json) -> int:
    for tag in entry.get("tags") or []:
        if tag.startswith("depth=") and tag[6:].isdecimal():
            return int(tag[6:])
    return 0
