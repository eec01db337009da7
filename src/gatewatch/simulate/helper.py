"""The test helper's side of a measurement: what the same URL looks like where nobody filters it.

It resolves for itself, tries every address that the probe or it found, fetches the page with
redirects, and speaks the older failure dialect.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from gatewatch.probe.likeness import TITLE
from gatewatch.probe.ooni import Json
from gatewatch.server.dialect import (
    BODY_LIMIT,
    BOGON,
    MAX_REDIRECTS,
    REDIRECTS,
    RESOLVED_BY_PROBE,
    RESOLVED_HERE,
    VALID,
    dns_failure,
    http_failure,
    tcp_failure,
)
from gatewatch.simulate.network import Answer, Network, Page, Server, ascii_url, redirect_target
from gatewatch.wire.address import endpoint, is_bogon


def answer(net: Network, url: str, probe_addresses: list[str]) -> Json:
    """The control for a URL and the addresses the probe has found for it."""
    url = ascii_url(url)
    parts = urlsplit(url)
    host = parts.hostname or ""
    resolved = literal(host) or net.resolve(host, net.control_names)
    own = [] if resolved.failure else list(resolved.addresses)
    everything = list(dict.fromkeys([*probe_addresses, *own]))
    public = [a for a in everything if not is_bogon(a)]
    ports = [parts.port] if parts.port else ([443] if parts.scheme == "https" else [443, 80])
    connects: Json = {}
    handshakes: Json = {}
    for address in public:
        server = net.servers.get(address)
        for port in ports:
            failure = reach(server, port)
            connects[endpoint(address, port)] = {
                "status": failure is None,
                "failure": tcp_failure(failure),
            }
            if port == 443 and failure is None and server is not None:
                handshakes[endpoint(address, port)] = {
                    "server_name": host,
                    "status": server.tls.failure is None,
                    "failure": server.tls.failure,
                }
    page, failure = fetch(net, url)
    body = page.body
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    title = TITLE.search(text)
    length = page.length if page.length is not None else len(text.encode())
    first_page = net.page(url, probe=False)
    control: Json = {
        "tcp_connect": dict(sorted(connects.items())),
        "quic_handshake": {},
        "http_request": {
            "body_length": -1 if failure else min(length, BODY_LIMIT),
            "discovered_h3_endpoint": ""
            if failure or "Alt-Svc" not in first_page.headers
            else f"{host}:443",
            "failure": failure,
            "title": title.group(1) if title and not failure else "",
            "headers": {} if failure else dict(sorted(page.headers.items())),
            "status_code": -1 if failure else page.status,
        },
        "http3_request": None,
        "dns": {
            "failure": dns_failure(resolved.failure),
            "addrs": own,
        },
    }
    if handshakes:
        control["tls_handshake"] = dict(sorted(handshakes.items()))
    if everything:
        control["ip_info"] = {
            a: {
                "asn": (net.asn(a) or (0, ""))[0],
                "flags": RESOLVED_BY_PROBE * (a in probe_addresses)
                | RESOLVED_HERE * (a in own)
                | BOGON * is_bogon(a)
                | VALID * handshakes.get(endpoint(a, 443), {}).get("status", False),
            }
            for a in sorted(everything)
        }
    return control


def literal(host: str) -> Answer | None:
    """An address in place of a name answers for itself."""
    try:
        return Answer(addresses=(str(ipaddress.ip_address(host)),))
    except ValueError:
        return None


def reach(server: Server | None, port: int) -> str | None:
    """How a connect to a port ends for somebody whose path is free."""
    return "generic_timeout_error" if server is None else server.connect.get(port)


def fetch(net: Network, url: str) -> tuple[Page, str | None]:
    """The page at the end of the redirects as the world sees it, or the failure in its place."""
    for _ in range(MAX_REDIRECTS + 1):
        parts = urlsplit(url)
        host = parts.hostname or ""
        found = literal(host) or net.resolve(host, net.control_names)
        addresses = [a for a in found.addresses if not is_bogon(a)]
        if found.failure or not found.addresses:
            return Page(), http_failure(found.failure or "dns_no_answer")
        if not addresses:
            return Page(), "unknown_error"
        port = parts.port or (443 if parts.scheme == "https" else 80)
        failures = {a: reach(net.servers.get(a), port) for a in addresses}
        usable = [a for a in addresses if failures[a] is None]
        if not usable:
            return Page(), http_failure(failures[addresses[0]] or "unknown_error")
        server = net.servers[usable[0]]
        if parts.scheme == "https" and server.tls.failure:
            return Page(), "unknown_error"
        page = server.page or net.page(url, probe=False)
        if page.failure:
            return Page(), http_failure(page.failure)
        if page.status not in REDIRECTS or "Location" not in page.headers:
            return page, None
        target = redirect_target(url, page.headers["Location"])
        if target is None:
            return Page(), "unknown_error"
        url = target
    return Page(), "unknown_error"
