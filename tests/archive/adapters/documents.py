"""Whole OONI measurements, written by hand in the shapes of three generations of probes."""

from __future__ import annotations

import copy
import json
from datetime import date, datetime
from typing import Any

from gatewatch.archive.adapters import ooni
from gatewatch.archive.adapters.lens import Chain, Page
from gatewatch.archive.frames import RawRecord
from gatewatch.model.records import Observed
from gatewatch.model.target import Target
from tests.judge.build import FINGERPRINTS, World

Json = dict[str, Any]


class Glass:
    """A lens that shows plainly what it was given: a chain's first bytes are its state."""

    def __init__(self) -> None:
        self.chains: list[tuple[list[bytes], str | None, datetime | None]] = []
        self.pages: list[tuple[str | bytes | None, list[tuple[str, str]]]] = []

    def target_of(self, given: str) -> Target | None:
        return World().target_of(given)

    def asns_of(self, addresses: list[str], at: date | None) -> list[int | None]:
        return World().asns_of(addresses)

    def chain(self, ders: list[bytes], host: str | None, at: datetime | None) -> Chain:
        self.chains.append((ders, host, at))
        return Chain("valid" if ders else "absent", "5ea1" if ders else None, None)

    def page(self, body: str | bytes | None, headers: list[tuple[str, str]]) -> Page:
        self.pages.append((body, headers))
        data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        text = "" if data is None else data.decode("utf-8", "replace")
        found = [name for name in FINGERPRINTS if f"[{name}]" in text]
        return Page(None, None if data is None else len(data), None, found)


def raw(document: object) -> RawRecord:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return RawRecord("here.jsonl", None, 7, 4096, data)


def observe(document: object, lens: Glass | None = None) -> Observed:
    return ooni.observe(raw(document), lens or Glass())


def changed(document: Json, path: str, value: object) -> Json:
    """A copy in which the field at a dotted path has another value; list indices are numbers."""
    made = copy.deepcopy(document)
    at: Any = made
    *way, last = path.split(".")
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at[step]
    at[int(last) if isinstance(at, list) else last] = value
    return made


_ENVELOPE: Json = {
    "annotations": {"platform": "linux"},
    "data_format_version": "0.2.0",
    "measurement_start_time": "2024-05-06 07:08:09",
    "test_start_time": "2024-05-06 07:00:00",
    "probe_asn": "AS64510",
    "probe_cc": "IR",
    "probe_ip": "127.0.0.1",
    "probe_network_name": "An Access Network",
    "report_id": "20240506T070000Z_webconnectivity_IR_64510_n1_abc",
    "resolver_asn": "AS64511",
    "resolver_ip": "203.0.113.53",
    "software_name": "ooniprobe-cli",
    "software_version": "3.25.0",
    "test_helpers": {"backend": {"address": "https://helper.example/", "type": "https"}},
    "test_name": "web_connectivity",
    "test_runtime": 2.5,
}

_CLASSIC, _FETCH = ["classic", "depth=0"], ["classic", "depth=0", "fetch_body=true"]


def _response(code: int, body: object, **headers: str) -> Json:
    return {
        "body": body,
        "body_is_truncated": False,
        "code": code,
        "headers": headers,
        "headers_list": [[name, value] for name, value in headers.items()],
    }


SECURE: Json = {
    **_ENVELOPE,
    "input": "https://site.example/",
    "measurement_uid": "20240506070910.123456_IR_webconnectivity_0123456789abcdef",
    "test_version": "0.5.28",
    "test_keys": {
        "queries": [
            {
                "answers": [
                    {"answer_type": "CNAME", "hostname": "cdn.site.example.", "ttl": None},
                    {"answer_type": "A", "ipv4": "192.0.2.7", "asn": 64999, "ttl": None},
                    {"answer_type": "AAAA", "ipv6": "2001:DB8:0::7", "ttl": None},
                ],
                "engine": "getaddrinfo",
                "failure": None,
                "hostname": "site.example",
                "query_type": "ANY",
                "resolver_address": "",
                "t": 0.25,
                "tags": _CLASSIC,
                "transaction_id": 10001,
            },
            {
                "answers": [{"answer_type": "A", "ipv4": "192.0.2.7", "ttl": None}],
                "engine": "udp",
                "failure": None,
                "hostname": "site.example",
                "query_type": "A",
                "resolver_address": "8.8.8.8:53",
                "t": 0.2,
                "tags": ["depth=0"],
                "transaction_id": 20001,
            },
            {
                "answers": None,
                "engine": "doh",
                "failure": "generic_timeout_error",
                "hostname": "site.example",
                "query_type": "A",
                "resolver_address": "https://dns.example/dns-query",
                "t": 4.0,
                "tags": ["depth=0"],
                "transaction_id": 30001,
            },
        ],
        "x_dns_duplicate_responses": [
            {
                "answers": [{"answer_type": "A", "ipv4": "198.51.100.9", "ttl": None}],
                "hostname": "site.example",
                "resolver_address": "8.8.8.8:53",
            }
        ],
        "tcp_connect": [
            {
                "ip": "192.0.2.7",
                "port": 443,
                "status": {"failure": None, "success": True},
                "t": 0.3,
                "tags": _FETCH,
                "transaction_id": 50001,
            },
            {
                "ip": "2001:db8::7",
                "port": 443,
                "status": {"failure": "network_unreachable", "success": False},
                "t": 0.3,
                "tags": _FETCH,
                "transaction_id": 50002,
            },
        ],
        "tls_handshakes": [
            {
                "network": "tcp",
                "address": "192.0.2.7:443",
                "failure": None,
                "peer_certificates": [{"format": "base64", "data": "AAEC"}],
                "server_name": "site.example",
                "tls_version": "TLSv1.3",
                "t": 0.4,
                "tags": _FETCH,
                "transaction_id": 50001,
            }
        ],
        "requests": [
            {
                "network": "tcp",
                "address": "192.0.2.7:443",
                "failure": None,
                "request": {"method": "GET", "url": "https://site.example/"},
                "response": _response(200, "<title>A site</title>", Server="nginx", Date="today"),
                "t": 0.6,
                "tags": _FETCH,
                "transaction_id": 50001,
            }
        ],
        "control_failure": None,
        "control": {
            "dns": {"failure": None, "addrs": ["192.0.2.7"]},
            "ip_info": {"192.0.2.7": {"asn": 64500, "flags": 11}},
            "tcp_connect": {
                "192.0.2.7:443": {"status": True, "failure": None},
                "192.0.2.7:80": {"status": False, "failure": "connection_refused_error"},
            },
            "tls_handshake": {
                "192.0.2.7:443": {"server_name": "site.example", "status": True, "failure": None}
            },
            "quic_handshake": {},
            "http_request": {
                "body_length": 21,
                "failure": None,
                "title": "A site",
                "headers": {"Server": "nginx"},
                "status_code": 200,
            },
        },
        "blocking": False,
        "accessible": True,
    },
}
"""Version 0.5: every attempt tagged with its depth, every endpoint with its transaction."""

LEGACY: Json = {
    **_ENVELOPE,
    "input": "http://site.example/",
    "test_helpers": ["https://helper.example/"],
    "test_version": "0.0.1",
    "test_keys": {
        "agent": "redirect",
        "queries": [
            {
                "answers": [{"answer_type": "A", "ipv4": "192.0.2.7", "ttl": None}],
                "engine": "system",
                "failure": None,
                "hostname": "site.example",
                "query_type": "A",
                "resolver_hostname": None,
                "resolver_port": None,
            }
        ],
        "tcp_connect": [
            {
                "ip": "192.0.2.7",
                "port": 80,
                "status": {"blocked": False, "failure": False, "success": True},
            }
        ],
        "requests": [
            {
                "failure": None,
                "request": {"method": "GET", "url": "http://www.site.example/"},
                "response": {
                    "body": "<title>A site</title>",
                    "code": 200,
                    "headers": {"Server": "nginx"},
                },
            },
            {
                "failure": None,
                "request": {"method": "GET", "url": "http://site.example/"},
                "response": {
                    "body": "",
                    "code": 301,
                    "headers": {"Location": "http://www.site.example/"},
                },
            },
        ],
        "control_failure": None,
        "control": {
            "dns": {"failure": None, "addrs": ["cdn.site.example.", "192.0.2.7"]},
            "tcp_connect": {"192.0.2.7:80": {"status": True, "failure": None}},
            "http_request": {
                "body_length": 21,
                "failure": None,
                "headers": {"Server": "nginx"},
                "status_code": 200,
            },
        },
        "blocking": False,
        "accessible": True,
    },
}
"""Before 0.5: no tags, no transactions, header maps only, `false` where nothing failed."""
