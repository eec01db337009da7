"""The control server: what OONI's test helper answers, measured from a host of the lab.

It measures with the reference client's own steps, from its own addresses, with shorter patience,
so that its answer comes before the client gives up.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from gatewatch.lab.hosts.premises import Premises
from gatewatch.lab.hosts.site import Receive, Response, Scope, Send, body_of, respond
from gatewatch.lab.scenario import Host, Scenario
from gatewatch.model.target import is_address, redirect_target
from gatewatch.probe.experiments.web_connectivity import wire_url
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import (
    Channel,
    Connect,
    Exchange,
    Request,
    Vantage,
    connect,
    exchange,
    handshake,
    lookup_system,
    quic_handshake,
)
from gatewatch.simulate.helper import (
    DNS_DIALECT,
    HTTP_DIALECT,
    MAX_REDIRECTS,
    REDIRECTS,
    TCP_DIALECT,
    TITLE,
)
from gatewatch.wire.address import endpoint, is_bogon

DNS_S = TCP_S = TLS_S = 3.0
FETCH_S, QUIC_S = 6.0, 2.0
"""Patience with each step, and with all of a page. Our choice: together less than the reference
client's patience with us."""

BODY_LIMIT = 1 << 24
"As OONI's helper."
MAX_QUESTION = 1 << 20
MAX_ENDPOINTS = 64
"Our choice: a probe has some ten."
GREETING = {"message": "Hello OONItarian!"}
COPIED = ("accept", "accept-language", "user-agent")
"Request headers that the helper takes over from the question."

RESOLVED_BY_PROBE, RESOLVED_HERE, BOGON, VALID = 1, 2, 4, 8
"Flags of `ip_info`; valid is an address that holds the name's certificate."

_H3 = re.compile(r'\bh3="([^":]*):(\d+)"')


class Question(Struct, frozen=True):
    """What a probe asks."""

    http_request: str
    http_request_headers: dict[str, list[str]] = {}
    tcp_connect: list[str] | None = None
    x_quic_enabled: bool = False


class Page(NamedTuple):
    """The end of a chain of redirects."""

    answer: Exchange | None
    failure: str | None
    "In the helper's dialect."
    h3: str
    "Endpoint of HTTP/3 that the first answer named; empty is none."


class Control:
    """The application of a control server."""

    def __init__(self, host: Host, premises: Premises) -> None:
        self._premises = premises
        self._addresses = one_of_each(host.addresses)
        self._resolver = trusted_resolver(premises)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, said = 200, GREETING
        if scope["method"] == "POST":
            question = read(await body_of(receive, MAX_QUESTION))
            if question is None:
                status, said = 400, {"error": "bad request"}
            else:
                said = await self.answer(question)
        body = json.dumps(said).encode()
        headers = {
            "Server": "nginx",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        await respond(scope, send, Response(status, headers, [body]))

    async def answer(self, question: Question) -> Json:
        """What the URL looks like from here."""
        zero = asyncio.get_running_loop().time()
        vantage = Vantage(reach=self._premises.attach, addresses=self._addresses, zero=zero)
        visit = _Visit(vantage, self._resolver, self._premises)
        return await visit.answer(question)


def read(body: bytes | None) -> Question | None:
    """The question in a request's body, its URL as the wire has it; None: it is none."""
    try:
        question = msgspec.json.decode(body or b"", type=Question)
    except msgspec.MsgspecError:
        return None
    url = wire_url(question.http_request)
    return None if url is None else msgspec.structs.replace(question, http_request=url)


class _Visit:
    """One question being answered."""

    def __init__(self, vantage: Vantage, resolver: str | None, premises: Premises) -> None:
        self._vantage = vantage
        self._resolver = resolver
        self._premises = premises
        self._ca = premises.office.ca_file
        self._names: dict[str, tuple[tuple[str, ...], str | None]] = {}

    async def answer(self, question: Question) -> Json:
        """Names first; then endpoints and the page at the same time; QUIC where it is offered."""
        url = question.http_request
        parts = urlsplit(url)
        host = parts.hostname or ""
        told = told_addresses(question.tcp_connect or ())
        own, failure = await self._resolve(host)
        everything = dict.fromkeys((*told, *own))
        public = [address for address in everything if not is_bogon(address)]
        ports = [parts.port] if parts.port else [443] if parts.scheme == "https" else [80, 443]
        page, reached = await asyncio.gather(
            self._fetch(url, copied(question.http_request_headers)),
            asyncio.gather(*(self._reach(a, port, host) for a in public for port in ports)),
        )
        shaken = {place: tls for place, _, tls in reached if tls is not None}
        quic = await self._quic(public, host) if question.x_quic_enabled and page.h3 else {}
        return {
            "tcp_connect": {place: tcp for place, tcp, _ in reached},
            "tls_handshake": shaken,
            "quic_handshake": quic,
            "http_request": http_request(page),
            "http3_request": None,
            "dns": {"failure": failure and DNS_DIALECT.get(failure, "unknown_error"), "addrs": own},
            "ip_info": {
                address: {
                    "asn": self._asn(address),
                    "flags": RESOLVED_BY_PROBE * (address in told)
                    | RESOLVED_HERE * (address in own)
                    | BOGON * is_bogon(address)
                    | VALID * shaken.get(endpoint(address, 443), {}).get("status", False),
                }
                for address in everything
            },
        }

    async def _resolve(self, host: str) -> tuple[tuple[str, ...], str | None]:
        """Addresses of a host and the failure in their place; a name is asked for once."""
        if is_address(host):
            return (host,), None
        if host not in self._names:
            found = await lookup_system(
                self._vantage, self._resolver, host, total_s=DNS_S, late_s=0
            )
            self._names[host] = (found.addresses, found.failure)
        return self._names[host]

    async def _reach(self, address: str, port: int, host: str) -> tuple[str, Json, Json | None]:
        """Connects to an endpoint and, on port 443, starts TLS."""
        place = endpoint(address, port)
        found = await connect(self._vantage, address, port, timeout_s=TCP_S)
        failure = found.failure and TCP_DIALECT.get(found.failure, "connect_error")
        tcp = {"status": failure is None, "failure": failure}
        if found.stream is None:
            return place, tcp, None
        try:
            if port != 443:
                return place, tcp, None
            shaken = await handshake(found.stream, host, ca=self._ca, timeout_s=TLS_S)
            return place, tcp, outcome(host, shaken.failure)
        finally:
            found.stream.close()

    async def _quic(self, addresses: Iterable[str], host: str) -> Json:
        async def shake(address: str) -> tuple[str, Json]:
            found = await quic_handshake(
                self._vantage, address, 443, host, ca=self._ca, timeout_s=QUIC_S
            )
            return endpoint(address, 443), outcome(host, found.failure)

        return dict(await asyncio.gather(*map(shake, addresses)))

    def _asn(self, address: str) -> int:
        network = self._premises.where(address).network
        return self._premises.scenario.networks[network].asn if network else 0

    # -- the page ----------------------------------------------------------------------------

    async def _fetch(self, url: str, headers: tuple[tuple[str, str], ...]) -> Page:
        """The page at the end of the redirects."""
        h3: str | None = None
        try:
            async with asyncio.timeout(FETCH_S):
                for _ in range(MAX_REDIRECTS + 1):
                    answer, failure = await self._get(Request(url=url, headers=headers))
                    if answer is None or failure:
                        return Page(
                            None, HTTP_DIALECT.get(failure or "", "unknown_error"), h3 or ""
                        )
                    h3 = offered_h3(answer) if h3 is None else h3
                    location = header(answer, "location")
                    if answer.status not in REDIRECTS or location is None:
                        return Page(answer, None, h3)
                    target = redirect_target(url, location)
                    url = (wire_url(target) if target else None) or ""
                    if not url:
                        break
        except TimeoutError:
            return Page(None, "generic_timeout_error", h3 or "")
        return Page(None, "unknown_error", h3 or "")

    async def _get(self, request: Request) -> tuple[Exchange | None, str | None]:
        """One answer, or the failure in its place."""
        parts = urlsplit(request.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        addresses, failure = await self._resolve(host)
        addresses = [address for address in addresses if not is_bogon(address)]
        if failure or not addresses:
            return None, failure
        reached = await self._first(addresses, parts.port or (443 if secure else 80))
        if reached.stream is None:
            return None, reached.failure
        try:
            channel: Channel | None = reached.stream
            if secure:
                shaken = await handshake(reached.stream, host, ca=self._ca, timeout_s=TLS_S)
                channel, failure = shaken.channel, shaken.failure
            if channel is None:
                return None, failure
            answer = await exchange(
                self._vantage, channel, request, timeout_s=FETCH_S, most=BODY_LIMIT
            )
            return answer, answer.failure
        finally:
            reached.stream.close()

    async def _first(self, addresses: list[str], port: int) -> Connect:
        """The first connection that succeeds, tried in order; the last failure if none does."""
        first, *others = addresses
        found = await connect(self._vantage, first, port, timeout_s=TCP_S)
        if found.stream is None and others:
            return await self._first(others, port)
        return found


def told_addresses(endpoints: Iterable[str]) -> list[str]:
    """The addresses among endpoints that a probe names; what is none is ignored.

    >>> told_addresses(["192.0.2.1:443", "192.0.2.1:80", "[2001:db8::1]:443", "x:1", ":"])
    ['192.0.2.1', '2001:db8::1']
    """
    hosts = (text.rpartition(":")[0].strip("[]") for text in endpoints)
    return list(dict.fromkeys(host for host in hosts if is_address(host)))[:MAX_ENDPOINTS]


def copied(headers: dict[str, list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, values in headers.items() if k.lower() in COPIED for v in values)


def outcome(server_name: str, failure: str | None) -> Json:
    return {"server_name": server_name, "status": failure is None, "failure": failure}


def http_request(page: Page) -> Json:
    """The fetch as the helper reports it."""
    answer = page.answer
    if answer is None:
        nothing = {"body_length": -1, "status_code": -1, "headers": {}, "title": ""}
        return {**nothing, "discovered_h3_endpoint": page.h3, "failure": page.failure}
    title = TITLE.search(answer.body.decode("utf-8", "replace"))
    return {
        "body_length": len(answer.body),
        "discovered_h3_endpoint": page.h3,
        "failure": None,
        "title": title.group(1) if title else "",
        "headers": {name.title(): value for name, value in answer.headers},
        "status_code": answer.status,
    }


def offered_h3(answer: Exchange) -> str:
    """The endpoint of HTTP/3 in an `Alt-Svc` header, empty if there is none."""
    found = _H3.search(header(answer, "alt-svc") or "")
    host = urlsplit(answer.request.url).hostname
    return f"{found[1] or host}:{found[2]}" if found else ""


def header(answer: Exchange, name: str) -> str | None:
    return next((value for key, value in answer.headers if key.lower() == name), None)


def one_of_each(addresses: Iterable[str]) -> tuple[str, ...]:
    """The first address of each IP version."""
    by_version = {":" in address: address for address in reversed(list(addresses))}
    return tuple(by_version.values())


def trusted_resolver(premises: Premises) -> str | None:
    """Whom the control asks: the first resolver that is in no network with a vantage point."""
    scenario: Scenario = premises.scenario
    resolvers = [h for h in scenario.hosts.values() if h.resolver is not None and not h.down]
    addresses = [host.addresses[0] for host in resolvers]
    outside = [a for a in addresses if premises.where(a).network not in scenario.vantages]
    return next(iter([*outside, *addresses]), None)
