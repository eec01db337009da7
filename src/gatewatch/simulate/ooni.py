"""The shapes of OONI's web_connectivity records, as plain dictionaries.

One function per kind of entry, in the form of version 0.5; `legacy` turns them into older ones.
What the entries say is for `probe` and `helper` to decide.
"""

from __future__ import annotations

import base64
from typing import Any

from gatewatch.probe.ooni import (
    ACCEPT,
    ACCEPT_LANGUAGE,
    BODY_LIMIT,
    RCODES,
    USER_AGENT,
    Json,
    binary,
    scrub,
    timed,
)
from gatewatch.simulate.network import Network, Page, Place
from gatewatch.wire.address import endpoint


def answers(net: Network, addresses: tuple[str, ...], cnames: tuple[str, ...] = ()) -> list[Json]:
    """Entries of `queries[].answers`; the engine adds network number and name where it has them."""
    out: list[Json] = []
    for address in addresses:
        key, kind = ("ipv6", "AAAA") if ":" in address else ("ipv4", "A")
        known = net.asn(address)
        extra = {"asn": known[0], "as_org_name": known[1]} if known else {}
        out.append({**extra, "answer_type": kind, key: address, "ttl": None})
    out += [{"answer_type": "CNAME", "hostname": f"{name}.", "ttl": None} for name in cnames]
    return out


def query(
    *,
    engine: str,
    hostname: str,
    query_type: str,
    resolver: str,
    failure: str | None,
    answers: list[Json] | None,
    span: tuple[float, float],
    tags: list[str],
    transaction: int,
) -> Json:
    rcode = RCODES.get(failure or "") if engine in ("udp", "doh") else None
    return {
        "answers": answers or None,
        "engine": engine,
        "failure": failure,
        "hostname": hostname,
        "query_type": query_type,
        **({"rcode": rcode} if rcode else {}),
        "resolver_hostname": None,
        "resolver_port": None,
        "resolver_address": resolver,
        **timed(span),
        "tags": tags,
        "transaction_id": transaction,
    }


def tls_handshake(
    ip: str,
    port: int,
    sni: str,
    failure: str | None,
    chain: tuple[bytes, ...],
    span: tuple[float, float],
    tags: list[str],
    transaction: int,
) -> Json:
    """Verification failures keep the leaf only; without success nothing was agreed on."""
    done = failure is None
    certificates = [
        {"data": base64.b64encode(der).decode("ascii"), "format": "base64"}
        for der in (chain if done else chain[:1])
    ]
    return {
        "network": "tcp",
        "address": endpoint(ip, port),
        "cipher_suite": "TLS_AES_128_GCM_SHA256" if done else "",
        "failure": failure,
        "negotiated_protocol": "h2" if done else "",
        "no_tls_verify": False,
        "peer_certificates": certificates,
        "server_name": sni,
        **timed(span),
        "tags": tags,
        "tls_version": "TLSv1.3" if done else "",
        "transaction_id": transaction,
    }


def request(
    *,
    url: str,
    host: str,
    referer: str,
    address: str,
    alpn: str,
    page: Page,
    failure: str | None,
    span: tuple[float, float],
    tags: list[str],
    transaction: int,
    scrubbed: bool = True,
) -> Json:
    """One exchange; without an answer the code is 0 and the rest is empty.

    Args:
        scrubbed: addresses in body and headers are replaced, as probes have done since 2021.
    """
    clean = scrub if scrubbed else str
    sent = {
        "Accept": ACCEPT,
        "Accept-Language": ACCEPT_LANGUAGE,
        "Host": host,
        "Referer": referer,
        "User-Agent": clean(USER_AGENT),
    }
    answered = page.failure is None or bool(page.headers)
    headers = {k: clean(v) for k, v in sorted(page.headers.items())} if answered else {}
    body = page.body[:BODY_LIMIT] if page.failure is None else ""
    return {
        "network": "tcp",
        "address": address,
        "alpn": alpn,
        "failure": failure,
        "request": {
            "body": "",
            "body_is_truncated": False,
            "headers_list": [[k, v] for k, v in sent.items()],
            "headers": sent,
            "method": "GET",
            "tor": {"exit_ip": None, "exit_name": None, "is_tor": False},
            "x_transport": "tcp",
            "url": url,
        },
        "response": {
            "body": binary(body, clean),
            "body_is_truncated": len(body) >= BODY_LIMIT,
            "code": page.status if answered else 0,
            "headers_list": [[k, v] for k, v in headers.items()],
            "headers": headers,
        },
        **timed(span),
        "tags": tags,
        "transaction_id": transaction,
    }


def network_event(
    operation: str,
    address: str,
    failure: str | None,
    span: tuple[float, float],
    tags: list[str],
    transaction: int,
    num_bytes: int = 0,
) -> Json:
    return {
        "address": address,
        "failure": failure,
        **({"num_bytes": num_bytes} if num_bytes else {}),
        "operation": operation,
        "proto": "tcp",
        **timed(span),
        "transaction_id": transaction,
        "tags": tags,
    }


def envelope(place: Place, url: str | None, test_keys: Json | None, **about: Any) -> Json:
    """A whole measurement around its test keys; `about` overrides any field.

    It says of itself that it is synthetic, in the software's name and in the annotations.
    """
    return {
        "annotations": {
            "architecture": "amd64",
            "engine_name": "gatewatch-simulate",
            "engine_version": "1.0.0",
            "platform": "linux",
            "synthetic": "true",
        },
        "data_format_version": "0.2.0",
        "extensions": {
            "dnst": 0,
            "httpt": 0,
            "netevents": 0,
            "tcpconnect": 0,
            "tlshandshake": 0,
            "tunnel": 0,
        },
        "input": url,
        "measurement_start_time": "2024-02-12 20:33:47",
        "probe_asn": f"AS{place.asn}",
        "probe_cc": place.cc,
        "probe_ip": "127.0.0.1",
        "probe_network_name": place.network,
        "report_id": "",
        "resolver_asn": f"AS{place.resolver_asn}",
        "resolver_ip": place.resolver_ip,
        "resolver_network_name": place.resolver_network,
        "software_name": "gatewatch-simulate",
        "software_version": "1.0.0",
        "test_helpers": {"backend": {"address": "https://0.th.ooni.org/", "type": "https"}},
        "test_keys": test_keys,
        "test_name": "web_connectivity",
        "test_runtime": 2.5,
        "test_start_time": "2024-02-12 20:33:45",
        "test_version": "0.5.28",
        **about,
    }
