"""What older probes record of a network: version 0.4, and what came before it.

All of them ask the system resolver only, connect to the URL's own port, and fetch with redirects
in one go, keeping no addresses. Before 0.4 there are no handshakes, no times and no lists of
headers, and failures are named in two older dialects: that of ooniprobe 2 (on Twisted) and that
of Measurement Kit (on OpenSSL).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from gatewatch.probe.claims import claims
from gatewatch.probe.ooni import Json, tcp_connect
from gatewatch.simulate import helper, ooni
from gatewatch.simulate.network import (
    GARR,
    Answer,
    Network,
    Page,
    Place,
    ascii_url,
    redirect_target,
)
from gatewatch.simulate.probe import (
    MAX_REDIRECTS,
    REDIRECTS,
    TOO_MANY,
    connect_failure,
    served,
    tls_of,
)
from gatewatch.wire.address import endpoint, is_loopback

TWISTED = {
    "connection_reset": "response_never_received",
    "eof_error": "response_never_received",
    "connection_refused": "connection_refused_error",
    "dns_nxdomain_error": "dns_name_error",
    "dns_servfail_error": "dns_server_failure",
    "dns_refused_error": "dns_server_failure",
    "dns_no_answer": "dns_lookup_error",
    "ssl_unknown_authority": "response_never_received",
    "ssl_invalid_hostname": "response_never_received",
    "ssl_invalid_certificate": "response_never_received",
    "host_unreachable": "connect_error",
    "network_unreachable": "connect_error",
}
"""Failures in the words of ooniprobe 2."""

OPENSSL = {
    "connection_refused": "connection_refused",
    "dns_nxdomain_error": "dns_lookup_error",
    "dns_no_answer": "dns_lookup_error",
    "dns_servfail_error": "dns_lookup_error",
    "ssl_unknown_authority": (
        "ssl_error: error:14007086:SSL routines:CONNECT_CR_CERT:certificate verify failed"
    ),
    "ssl_invalid_hostname": "ssl_invalid_hostname",
    "ssl_invalid_certificate": (
        "ssl_error: error:14007086:SSL routines:CONNECT_CR_CERT:certificate verify failed"
    ),
}
"""Failures in the words of Measurement Kit."""

_REASONS = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    308: "Permanent Redirect",
    403: "Forbidden",
    404: "Not Found",
    451: "Unavailable For Legal Reasons",
    503: "Service Unavailable",
}


def measure_04(
    net: Network, url: str, place: Place = GARR, *, seed: str = "", **about: Any
) -> Json:
    """A whole measurement as web_connectivity 0.4 would write it; arguments as `probe.measure`."""
    keys = _classic(net, ascii_url(url), place, random.Random(f"{seed}/{url}"), scrubbed=True)
    return _enclosed(keys, url, place, about)


def _enclosed(keys: Json, url: str, place: Place, about: dict[str, Any]) -> Json:
    for entry in keys["tcp_connect"] or []:
        failed = entry["status"]["failure"] is not None
        where = endpoint(entry["ip"], entry["port"])
        control = ((keys["control"] or {}).get("tcp_connect") or {}).get(where)
        entry["status"]["blocked"] = failed and bool(control and control["status"])
    about.setdefault("test_version", "0.4.3")
    measurement = ooni.envelope(place, url, {**keys, **claims(keys)}, **about)
    del measurement["extensions"]
    return measurement


def measure_old(
    net: Network,
    url: str,
    place: Place = GARR,
    *,
    seed: str = "",
    kit: bool = False,
    **about: Any,
) -> Json:
    """A whole measurement of before 0.4.

    Args:
        kit: as Measurement Kit wrote it (0.0.1); otherwise as ooniprobe 2 did (0.3.0).
    """
    keys = _classic(net, ascii_url(url), place, random.Random(f"{seed}/{url}"), scrubbed=False)
    measurement = _enclosed(keys, url, place, about)
    measurement["test_version"] = "0.0.1" if kit else "0.3.0"
    measurement["data_format_version"] = "0.2.0"
    measurement |= {"backend_version": None, "input_hashes": [], "options": [], "probe_city": None}
    for name in ("resolver_asn", "resolver_ip", "resolver_network_name", "probe_network_name"):
        measurement.pop(name)
    words = OPENSSL if kit else TWISTED
    keys = measurement["test_keys"]
    for name in ("network_events", "tls_handshakes"):
        keys.pop(name)
    keys["queries"] = [_old_query(q, words, kit=kit) for q in keys["queries"]][:1]
    keys["tcp_connect"] = [_old_connect(c, words, kit=kit) for c in keys["tcp_connect"] or []]
    keys["requests"] = [_old_request(r, words, kit=kit) for r in keys["requests"] or []]
    control = keys["control"] or {}
    for name in ("tls_handshake", "quic_handshake", "http3_request", "ip_info"):
        control.pop(name, None)
    control.get("http_request", {}).pop("discovered_h3_endpoint", None)
    for name in ("http_experiment_failure", "dns_experiment_failure"):
        keys[name] = words.get(keys[name] or "", keys[name])
    keys["client_resolver"] = place.resolver_ip if kit else "0.0.0.0"
    return measurement


def _classic(net: Network, url: str, place: Place, rng: random.Random, *, scrubbed: bool) -> Json:
    parts = urlsplit(url)
    host = parts.hostname or ""
    found = _resolve(net, host)
    now = 4.0 if found.failure == "generic_timeout_error" else rng.uniform(0.02, 0.3)
    queries = list(_queries(net, host, found, now)) if helper.literal(host) is None else []
    addresses = [] if found.failure else list(found.addresses)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    control = None if net.control_failure else helper.answer(net, url, addresses)
    connects: list[Json] = []
    handshakes: list[Json] = []
    events: list[Json] = []
    for address in addresses:
        failure = connect_failure(net, address, port)
        end = now + (10.0 if failure == "generic_timeout_error" else rng.uniform(0.05, 0.2))
        connects.append(_plain(tcp_connect(address, port, failure, (0.0, end), [], 0)))
        where = endpoint(address, port)
        event = ooni.network_event("connect", where, failure, (0.0, end), [], 0)
        events.append({**_plain(event), "tags": ["tcptls_experiment"]})
        if failure is None and parts.scheme == "https":
            shake = tls_of(net, address, host)
            end += 10.0 if shake.failure == "generic_timeout_error" else rng.uniform(0.05, 0.2)
            made = ooni.tls_handshake(
                address, port, host, shake.failure, shake.chain, (0.0, end), [], 0
            )
            handshakes.append({**_plain(made), "tags": ["tcptls_experiment"]})
        now = max(now, end)
    requests = _fetch(net, url, now, scrubbed) if addresses else []
    return {
        "agent": "redirect",
        "client_resolver": place.resolver_ip,
        "retries": None,
        "socksproxy": None,
        "network_events": events or None,
        "tls_handshakes": handshakes or None,
        "queries": queries,
        "control_failure": net.control_failure,
        "control": control if control is not None else {},
        "tcp_connect": connects or None,
        "requests": requests[::-1] or None,
    }


def _resolve(net: Network, host: str) -> Answer:
    return helper.literal(host) or net.resolve(host, net.cleartext_names, net.isp_names)


def _queries(net: Network, host: str, found: Answer, now: float) -> Iterator[Json]:
    """The system's answer, split by family as the older engine does."""
    for query_type, version in (("A", 4), ("AAAA", 6)):
        got = found.of(version)
        if found.failure is None and not got and found.addresses:
            continue
        entry = ooni.query(
            engine="system",
            hostname=host,
            query_type=query_type,
            resolver="",
            failure=found.failure or (None if got else "dns_no_answer"),
            answers=None if found.failure else ooni.answers(net, got),
            span=(0.0, now),
            tags=[],
            transaction=0,
        )
        yield _plain(entry)


def _fetch(net: Network, url: str, now: float, scrubbed: bool) -> list[Json]:
    """The chain of exchanges, oldest first; the last may be a failure at any layer."""
    out: list[Json] = []
    referer = ""
    for depth in range(MAX_REDIRECTS + 1):
        page = _exchange(net, url)
        failure, target = page.failure, None
        if failure is None and page.status in REDIRECTS and "Location" in page.headers:
            target = redirect_target(url, page.headers["Location"])
            if target is None:
                failure = "http_invalid_redirect_location_host"
            elif depth == MAX_REDIRECTS:
                failure, target = TOO_MANY, None
        now += 10.0 if page.failure == "generic_timeout_error" else 0.3
        entry = ooni.request(
            url=url,
            host=urlsplit(url).netloc,
            referer=referer,
            address="",
            alpn="",
            page=page,
            failure=failure,
            span=(0.0, now),
            tags=[],
            transaction=0,
            scrubbed=scrubbed,
        )
        entry = _plain(entry)
        for name in ("address", "alpn", "network"):
            entry.pop(name)
        out.append(entry)
        if target is None:
            break
        referer, url = url, target
    return out


def _exchange(net: Network, url: str) -> Page:
    parts = urlsplit(url)
    host = parts.hostname or ""
    found = _resolve(net, host)
    if found.failure or not found.addresses:
        return Page(failure=found.failure or "dns_no_answer")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    failure: str | None = None
    for address in found.addresses:
        failure = (
            "connection_refused" if is_loopback(address) else connect_failure(net, address, port)
        )
        if failure:
            continue
        if parts.scheme == "https":
            failure = tls_of(net, address, host).failure
            if failure:
                break
        return served(net, url, address)
    return Page(failure=failure)


def _plain(entry: Json) -> Json:
    """An entry without what 0.5 brought."""
    entry.pop("transaction_id", None)
    entry.pop("t0", None)
    entry["tags"] = None
    return entry


def _old_query(query: Json, words: dict[str, str], *, kit: bool) -> Json:
    answers = []
    for answer in query["answers"] or []:
        address = "ipv6" if "ipv6" in answer else "ipv4"
        answers.append({"answer_type": answer["answer_type"], address: answer[address]})
    return {
        "answers": answers,
        **({"engine": "system"} if kit else {}),
        "failure": words.get(query["failure"] or "", query["failure"]),
        "hostname": query["hostname"],
        "query_type": "A",
        "resolver_hostname": None,
        "resolver_port": None,
    }


def _old_connect(connect: Json, words: dict[str, str], *, kit: bool) -> Json:
    status = connect["status"]
    failure = words.get(status["failure"] or "", status["failure"])
    status = {**status, "failure": failure if failure or kit else False}
    return {"ip": connect["ip"], "port": connect["port"], "status": status}


def _old_request(request: Json, words: dict[str, str], *, kit: bool) -> Json:
    sent = {k: request["request"][k] for k in ("body", "headers", "method", "tor", "url")}
    got = {k: request["response"][k] for k in ("body", "code", "headers")}
    code = got["code"]
    if code == 0:
        got = {"body": "", "headers": {}} if kit else {}
    elif kit:
        got["response_line"] = f"HTTP/1.1 {code} {_REASONS.get(code, 'Unknown')}"
    failure = request["failure"]
    return {"failure": words.get(failure or "", failure), "request": sent, "response": got}
