"""URLs as they go over the wire, and where an answer leads."""

from __future__ import annotations

from urllib.parse import urlsplit

from gatewatch.model.target import canonical_host, redirect_target
from gatewatch.probe.steps import Exchange
from gatewatch.wire.address import in_url

FOLLOWED = frozenset({301, 302, 307, 308})
"By OONI's probe."
SEE_OTHER = 303
"""Followed too, by every browser and by OONI's helper; OONI's probe takes it for an answer."""


def wire_url(url: str) -> str | None:
    """A web URL with its host in A-labels; None when it is none.

    >>> wire_url("http://Яндекс.рф/x"), wire_url("https://[2606:4700::1]"), wire_url("http://")
    ('http://xn--d1acpjx3f.xn--p1ai/x', 'https://[2606:4700::1]', None)
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = canonical_host(parts.hostname or "")
    except ValueError:
        return None
    if host is None or parts.scheme not in ("http", "https"):
        return None
    shown = in_url(host)
    path = parts.path.encode("ascii", "backslashreplace").decode()
    return parts._replace(netloc=f"{shown}:{port}" if port else shown, path=path).geturl()


def port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def redirects(answer: Exchange) -> bool:
    """Does it tell the client to go elsewhere?"""
    to_follow = answer.status in FOLLOWED or answer.status == SEE_OTHER
    return to_follow and header(answer, "location") is not None


def leads_to(answer: Exchange) -> str | None:
    """Where a redirect goes; None when it is none, or names no host."""
    location = header(answer, "location")
    if location is None or not redirects(answer):
        return None
    try:
        nameless = "://" in location and not urlsplit(location).hostname
    except ValueError:
        return None
    target = None if nameless else redirect_target(answer.request.url, location)
    return wire_url(target) if target else None


def header(answer: Exchange, name: str) -> str | None:
    return next((value for key, value in answer.headers if key.lower() == name), None)


def h3_port(answer: Exchange | None) -> int | None:
    """The port at which the same host offers HTTP/3; None when it does not say.

    Source: `Alt-Svc`, RFC 7838, section 3.
    """
    services = (header(answer, "alt-svc") or "") if answer is not None else ""
    for service in services.split(","):
        name, _, place = service.split(";")[0].strip().partition("=")
        host, _, port = place.strip('"').rpartition(":")
        if name == "h3" and not host and port.isdigit() and 0 < int(port) < 65536:
            return int(port)
    return None
