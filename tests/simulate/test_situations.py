"""Every situation is a record that could have been: its parts agree with each other."""

from __future__ import annotations

import base64
import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from gatewatch.model.mechanism import ALL, LEAVES, under
from gatewatch.model.outcome import Outcome
from gatewatch.simulate.situations import HEADER, SITUATIONS, truth_line, write
from gatewatch.simulate.situations.common import Situation
from gatewatch.wire.address import endpoint, is_bogon

Json = dict[str, Any]

MADE: dict[str, Json] = {name: s.measurement() for name, s in SITUATIONS.items()}

WHOLE = [
    name
    for name, s in SITUATIONS.items()
    if s.edit is None or name in ("control_lists_cnames", "claims_missing", "input_in_a_list")
]
"""Situations in which no field was spoilt on purpose."""

MODERN = [name for name in WHOLE if SITUATIONS[name].engine == "0.5"]

UNSEEN_BY_WEB_CONNECTIVITY = {
    "tls.reset.other": "one handshake cannot tell which of its bytes drew the reset",
    "tls.throttle.sni": "a slow connection shows as a time-out, without its speed",
    "http.throttle.host": "the same",
    "http.reset.keyword": "one request cannot tell its words from its host",
    "http.injection": "the control keeps no body to compare with",
    "quic.timeout.sni": "it does not speak QUIC",
    "quic.reset.sni": "it does not speak QUIC",
}


def depth(entry: Json) -> int:
    return next(int(t.split("=")[1]) for t in entry["tags"] if t.startswith("depth="))


def keys(name: str) -> Json:
    return MADE[name]["test_keys"]


@pytest.mark.parametrize("situation", SITUATIONS.values(), ids=lambda s: s.name)
def test_truth_speaks_the_closed_vocabularies(situation: Situation):
    assert situation.outcomes
    assert set(situation.outcomes) <= {o.value for o in Outcome}
    assert set(situation.mechanisms) <= ALL
    assert situation.words.endswith(".")


def test_every_mechanism_that_web_connectivity_can_show_has_a_situation():
    shown = {m for s in SITUATIONS.values() for m in s.mechanisms if "." in m}
    covered = {leaf for leaf in LEAVES if any(under(leaf, m) for m in shown)}
    assert covered >= LEAVES.keys() - UNSEEN_BY_WEB_CONNECTIVITY.keys()


def test_every_outcome_has_a_situation_in_which_nothing_else_is_accepted():
    assert {s.outcomes for s in SITUATIONS.values()} >= {(o.value,) for o in Outcome}


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_record_says_of_itself_that_it_is_synthetic(name: str):
    record = MADE[name]
    assert record["software_name"] == "gatewatch-simulate"
    assert record["annotations"]["synthetic"] == "true"


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_same_situation_gives_the_same_bytes(name: str):
    again = json.dumps(SITUATIONS[name].measurement())
    assert again == json.dumps(MADE[name])
    assert json.loads(again) == MADE[name]


@pytest.mark.parametrize("name", MODERN)
def test_a_handshake_follows_a_connection_that_succeeded(name: str):
    connected = {
        c["transaction_id"]: c for c in keys(name)["tcp_connect"] if c["status"]["success"]
    }
    for handshake in keys(name)["tls_handshakes"]:
        connect = connected[handshake["transaction_id"]]
        assert handshake["address"] == endpoint(connect["ip"], connect["port"])
        assert handshake["t"] >= handshake["t0"] >= connect["t"]
        assert handshake["tags"] == connect["tags"]


@pytest.mark.parametrize("name", MODERN)
def test_a_request_follows_the_connection_that_it_went_over(name: str):
    connects = {c["transaction_id"]: c for c in keys(name)["tcp_connect"]}
    shakes = {h["transaction_id"]: h for h in keys(name)["tls_handshakes"]}
    for request in keys(name)["requests"]:
        number = request["transaction_id"]
        assert connects[number]["status"]["success"]
        assert "fetch_body=true" in request["tags"]
        if request["request"]["url"].startswith("https:"):
            assert shakes[number]["failure"] is None
        else:
            assert number not in shakes


@pytest.mark.parametrize("name", MODERN)
def test_the_newest_request_comes_first_and_each_was_led_to_by_the_one_before(name: str):
    requests = keys(name)["requests"]
    assert [depth(r) for r in requests] == list(range(len(requests)))[::-1]
    for newer, older in pairwise(requests):
        assert newer["t"] > older["t"]
        assert older["response"]["code"] in (301, 302, 307, 308)
        assert newer["request"]["headers"]["Referer"] == older["request"]["url"]


@pytest.mark.parametrize("name", MODERN)
def test_a_probe_connects_only_to_what_somebody_resolved(name: str):
    known = set((keys(name)["control"] or {}).get("dns", {}).get("addrs", ()))
    for query in keys(name)["queries"]:
        known |= {a.get("ipv4") or a.get("ipv6") for a in query["answers"] or ()}
    if not keys(name)["queries"]:
        assert name == "address_in_url"
        return
    literals = {"192.168.182.1"} if name == "captive_portal_redirect" else set()
    assert {c["ip"] for c in keys(name)["tcp_connect"]} <= known | literals


@pytest.mark.parametrize("name", MODERN)
def test_only_the_system_resolver_makes_an_endpoint_classic(name: str):
    classic = {
        a.get("ipv4") or a.get("ipv6")
        for q in keys(name)["queries"]
        if q["engine"] == "getaddrinfo"
        for a in q["answers"] or ()
    }
    for connect in keys(name)["tcp_connect"]:
        assert ("classic" in connect["tags"]) == (connect["ip"] in classic)


@pytest.mark.parametrize("name", MODERN)
def test_the_control_covers_every_public_endpoint_of_the_first_url(name: str):
    control = keys(name)["control"]
    if control is None:
        assert keys(name)["control_failure"]
        return
    for connect in keys(name)["tcp_connect"]:
        if depth(connect) == 0 and not is_bogon(connect["ip"]):
            where = endpoint(connect["ip"], connect["port"])
            assert where in control["tcp_connect"]
            if connect["port"] == 443 and control["tcp_connect"][where]["status"]:
                assert where in control["tls_handshake"]


@pytest.mark.parametrize("name", MODERN)
def test_transactions_are_numbered_by_kind(name: str):
    bases = {"getaddrinfo": 10000, "udp": 20000, "doh": 30000}
    for query in keys(name)["queries"]:
        assert 0 < query["transaction_id"] - bases[query["engine"]] < 100
    shakes = {h["transaction_id"] for h in keys(name)["tls_handshakes"]}
    assert all(50000 < n < 50100 for n in shakes)
    numbers = [c["transaction_id"] for c in keys(name)["tcp_connect"]]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("name", WHOLE)
def test_success_and_failure_are_never_both_claimed(name: str):
    for connect in keys(name)["tcp_connect"] or ():
        status = connect["status"]
        assert status["success"] == (not status["failure"])
    for query in keys(name)["queries"]:
        assert bool(query["failure"]) != any(
            a["answer_type"] in ("A", "AAAA") for a in query["answers"] or ()
        )


@pytest.mark.parametrize(
    "name",
    [n for n, s in SITUATIONS.items() if s.outcomes == ("blocked",) and n in MODERN],
)
def test_what_only_blocking_explains_is_not_explained_by_the_control(name: str):
    control = keys(name)["control"]
    if control is not None:
        assert control["http_request"]["failure"] is None


@pytest.mark.parametrize(
    "name", [n for n, s in SITUATIONS.items() if s.outcomes == ("down",) and n in WHOLE]
)
def test_what_is_down_is_down_for_the_control_too(name: str):
    assert keys(name)["control"]["http_request"]["failure"]


def test_certificates_of_interceptors_are_real_and_name_the_site():
    names = [n for n in MODERN if "mitm" in n]
    assert len(names) >= 4
    for name in names:
        (handshake,) = keys(name)["tls_handshakes"]
        (leaf,) = handshake["peer_certificates"]
        certificate = x509.load_der_x509_certificate(base64.b64decode(leaf["data"]))
        self_signed = certificate.issuer == certificate.subject
        assert self_signed == (name == "tls_mitm_self_signed")


def test_situations_are_written_with_their_truth(tmp_path: Path):
    count = write(tmp_path)
    lines = (tmp_path / "truth.tsv").read_text().splitlines()
    assert lines[0] == HEADER
    assert len(lines) - 1 == count == len(list(tmp_path.glob("*.json")))
    for line in lines[1:]:
        name, _outcomes, _mechanisms = line.split("\t")
        assert line == truth_line(SITUATIONS[name])
        assert json.loads((tmp_path / f"{name}.json").read_text()) == MADE[name]


# Real records, where there are any: the shapes must be the same.

_SAMPLES = os.environ.get("GATEWATCH_SAMPLES")
REAL = sorted(Path(_SAMPLES, "ooni-qa").glob("*.json")) if _SAMPLES else []

ONLY_REAL = {"report_filename", "bucket_date"}
"""Fields that the archive adds."""


def shape(value: object, path: str = "") -> set[tuple[str, str]]:
    """Every path in a record with the type found there; names that are data count as one."""
    if isinstance(value, dict):
        kind = {(path, "object")}
        for key, inner in value.items():
            data = any(c in key for c in ":.") or path.endswith(("headers", "ip_info"))
            kind |= shape(inner, f"{path}/{'*' if data else key}")
        return kind
    if isinstance(value, list):
        return {(path, "list")}.union(*(shape(v, f"{path}[]") for v in value))
    if isinstance(value, bool):
        return {(path, "bool")}
    return {(path, "number" if isinstance(value, (int, float)) else type(value).__name__)}


@pytest.mark.parametrize("path", REAL, ids=lambda p: p.stem)
def test_a_real_record_has_no_path_that_no_simulated_one_has(path: Path):
    ours: set[tuple[str, str]] = set()
    for name in MODERN:
        ours |= shape(MADE[name])
    known = {where for where, _ in ours}
    for where, kind in shape(json.loads(path.read_text())):
        if "_scrubbed" in where or where.split("/")[-1] in ONLY_REAL:
            continue
        assert where in known, f"{where} ({kind}) is in real records only"
        # The suite's emulation leaves out what it does not check, and writes null instead.
        assert kind == "NoneType" or (where, kind) in ours, f"{where} is {kind} in real records"
