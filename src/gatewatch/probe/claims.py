"""What the probe's own analysis would have claimed: `blocking`, `accessible` and their companions.

A short form of the published rules, so that the records are complete and plausible. No reader
should take these fields for the truth; the truth stands beside each situation.
"""

from __future__ import annotations

import re
from typing import Any

from gatewatch.probe.ooni import Json
from gatewatch.wire.address import is_loopback

COMMON_HEADERS = frozenset(
    "date content-type server cache-control vary set-cookie location expires x-powered-by "
    "content-encoding last-modified accept-ranges pragma x-frame-options etag "
    "x-content-type-options age via p3p x-xss-protection content-language cf-ray "
    "strict-transport-security link x-varnish".split()
)
"""Headers that say nothing about which site answers, as the probe counts them."""

_TITLE = re.compile(r"(?i)<title>([^<]{1,512})</title>")


def comparison(request: Json | None, control: Json) -> Json:
    """Body, status, headers and title of the final answer against the control's."""
    out: Json = {
        "body_proportion": 0,
        "body_length_match": None,
        "headers_match": None,
        "status_code_match": None,
        "title_match": None,
    }
    expected = control.get("http_request") or {}
    code = expected.get("status_code", -1)
    if request is None or request["failure"] or code <= 0:
        return out
    response = request["response"]
    body = response["body"] if isinstance(response["body"], str) else ""
    length, wanted = len(body.encode()), expected["body_length"]
    if length > 0 and wanted > 0 and not response["body_is_truncated"]:
        out["body_proportion"] = min(length, wanted) / max(length, wanted)
        out["body_length_match"] = out["body_proportion"] > 0.7
    got = response["code"]
    out["status_code_match"] = True if got == code else (False if 200 <= code < 300 else None)
    names = [{h.lower() for h in side} for side in (response["headers"], expected["headers"])]
    out["headers_match"] = bool((names[0] & names[1]) - COMMON_HEADERS)
    title = _TITLE.search(body)
    words = [
        {w.lower() for w in text.split(" ") if len(w.encode()) >= 5}
        for text in (title.group(1) if title else "", expected["title"])
    ]
    out["title_match"] = words[0] == words[1]
    return out


def claims(keys: Json) -> Json:
    """The conclusions for a set of test keys whose observations are complete."""
    control = keys["control"] or {}
    system = [q for q in keys["queries"] or [] if q["engine"] in ("getaddrinfo", "system")]
    first = [q for q in system if "depth=0" in (q["tags"] or ["depth=0"])]
    dns_failure = next((q["failure"] for q in first if q["failure"]), None)
    consistency = _dns_consistency(first, dns_failure, control)
    requests = keys["requests"] or []
    last = requests[0] if requests else None
    final = last if last and (last["response"]["code"] // 100) in (2, 4, 5) else None
    compared = comparison(final, control)
    out: Json = {
        "dns_experiment_failure": dns_failure,
        "dns_consistency": consistency,
        "http_experiment_failure": None,
        **compared,
    }
    expected = control.get("http_request") or {}
    failure = _last_failure(keys, last, dns_failure)
    if final and not final["failure"]:
        if final["request"]["url"].startswith("https:"):
            blocking, accessible = False, True
        elif not expected or expected["failure"]:
            blocking, accessible = None, None
        else:
            same = compared["status_code_match"] and (
                compared["body_length_match"]
                or compared["headers_match"]
                or compared["title_match"]
            )
            blocking, accessible = (False, True) if same else ("http-diff", False)
    elif failure is None:
        blocking, accessible = (False, False) if expected else (None, None)
    else:
        out["http_experiment_failure"] = failure
        if not expected:
            blocking, accessible = None, None
        elif expected["failure"]:
            blocking, accessible = False, False
        else:
            blocking = "dns" if failure == dns_failure else _layer(keys)
            accessible = False
    if consistency == "inconsistent" and accessible is not True:
        blocking, accessible = "dns", False
    return {**out, "blocking": blocking, "accessible": accessible}


def _dns_consistency(queries: list[Json], failure: str | None, control: Json) -> str | None:
    dns = control.get("dns")
    if not queries or dns is None:
        return None
    got = [a for q in queries for a in q["answers"] or []]
    addresses = {a.get("ipv4") or a.get("ipv6") for a in got} - {None}
    networks = {a.get("asn") for a in got} - {None}
    wanted = set(dns["addrs"])
    info: dict[str, Any] = control.get("ip_info") or {}
    wanted_networks = {info[a]["asn"] for a in wanted if a in info} - {0}
    if failure and not addresses:
        return "inconsistent" if dns["failure"] is None and wanted else "consistent"
    same = addresses & wanted or networks & wanted_networks
    return "consistent" if same else "inconsistent"


def _last_failure(keys: Json, last: Json | None, dns_failure: str | None) -> str | None:
    """The failure nearest to the end of the chain of redirects."""
    depth = len(keys["requests"] or []) - (1 if last and last["failure"] else 0)
    if last and last["failure"]:
        return last["failure"]
    here = f"depth={max(depth, 0)}"
    for entries in (keys["tls_handshakes"] or [], keys["tcp_connect"] or []):
        for entry in entries:
            tags = entry.get("tags") or [here]
            if here not in tags or "fetch_body=false" in tags:
                continue
            failed = entry.get("failure") or (entry.get("status") or {}).get("failure")
            if failed:
                return failed
    for entry in keys["queries"] or []:
        if here in (entry["tags"] or []) and entry["engine"] == "getaddrinfo" and entry["failure"]:
            return entry["failure"]
    return dns_failure


def _layer(keys: Json) -> str:
    connects = keys["tcp_connect"] or []
    reached = any(c["status"]["success"] and not is_loopback(c["ip"]) for c in connects)
    return "http-failure" if reached or not connects else "tcp_ip"
