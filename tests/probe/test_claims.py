"""What OONI's probe would conclude, held against what OONI's own QA suite expects of it."""

from __future__ import annotations

from typing import Any

import pytest

from gatewatch.probe.claims import AFTER_303, claims
from gatewatch.probe.likeness import likeness
from gatewatch.simulate.situations.suite import SUITE

SITUATIONS = {situation.name: situation for situation in SUITE}
CONSISTENT, INCONSISTENT = "consistent", "inconsistent"
RESET, REFUSED, TIMEOUT = "connection_reset", "connection_refused", "generic_timeout_error"
NXDOMAIN, NO_ANSWER, ANDROID = (
    "dns_nxdomain_error",
    "dns_no_answer",
    "android_dns_cache_no_data",
)
TOO_MANY = "unknown_failure: stopped after too many redirects"
NO_HOST = "http_invalid_redirect_location_host"

# name, blocking, accessible, consistency, DNS failure, HTTP failure, then the flags of blocking,
# of DNS and of null-null, then body length, status, headers and title against the control's.
EXPECTED = [
    ("bad_ssl_unknown_authority", False, False, CONSISTENT, None, "ssl_unknown_authority", 0, 0, 4,
     "----"),
    ("bad_ssl_wrong_name", False, False, CONSISTENT, None, "ssl_invalid_hostname", 0, 0, 4, "----"),
    ("cloudflare_captcha_http", "http-diff", False, CONSISTENT, None, None, 16, 0, 0, "FFTF"),
    ("control_failure_http", None, None, None, None, None, 0, 0, 0, "----"),
    ("dns_android_no_data", "dns", False, INCONSISTENT, ANDROID, ANDROID, 33, 2, 0, "----"),
    ("dns_nxdomain", "dns", False, INCONSISTENT, NXDOMAIN, NXDOMAIN, 33, 2, 0, "----"),
    ("dns_localhost_http", "dns", False, INCONSISTENT, None, None, 33, 5, 0, "----"),
    ("dns_transparent_proxy_http", False, True, INCONSISTENT, None, None, 33, 4, 0, "TTTT"),
    ("ghost_name_http", "dns", False, INCONSISTENT, None, None, 16, 0, 18, "----"),
    ("http_diff_consistent_dns", "http-diff", False, CONSISTENT, None, None, 16, 0, 0, "FTFF"),
    ("idna_lower_case", False, True, CONSISTENT, None, None, 32, 0, 0, "TTTT"),
    ("large_file_http", False, True, CONSISTENT, None, None, 32, 0, 0, "-TTT"),
    ("localhost_http", False, False, CONSISTENT, None, None, 0, 1, 0, "----"),
    ("broken_redirect_http", "http-failure", False, CONSISTENT, None, NO_HOST, 8, 0, 0, "----"),
    ("redirect_then_refused_http", "http-failure", False, CONSISTENT, None, REFUSED, 2, 0, 0,
     "----"),
    ("redirect_then_reset_http", "http-failure", False, CONSISTENT, None, RESET, 12, 0, 0, "----"),
    ("redirect_then_nxdomain_http", "dns", False, CONSISTENT, None, NXDOMAIN, 1, 0, 0, "----"),
    ("redirect_then_eof_http", "http-failure", False, CONSISTENT, None, "eof_error", 12, 0, 0,
     "----"),
    ("redirect_then_timeout_http", "http-failure", False, CONSISTENT, None, TIMEOUT, 12, 0, 0,
     "----"),
    ("too_many_redirects_http", False, False, CONSISTENT, None, TOO_MANY, 0, 0, 0, "----"),
    ("success_http", False, True, CONSISTENT, None, None, 32, 0, 0, "TTTT"),
    ("tcp_refused_inconsistent_dns_http", "dns", False, INCONSISTENT, None, REFUSED, 35, 4, 2,
     "----"),
    ("throttled_large_file_http", "http-failure", False, CONSISTENT, None, TIMEOUT, 8, 0, 0,
     "----"),
    ("tls_reset_inconsistent_dns", "dns", False, INCONSISTENT, None, RESET, 5, 4, 0, "----"),
    ("website_down_no_addresses", False, False, CONSISTENT, NO_ANSWER, None, 0, 0, 1, "----"),
    # Measured with OONI's own code: a shared Content-Length makes a block page look alike.
    ("http_diff_inconsistent_dns", False, True, INCONSISTENT, None, None, 33, 4, 2, "FTTF"),
]  # fmt: skip


def marks(keys: dict[str, Any]) -> str:
    compared = ("body_length_match", "status_code_match", "headers_match", "title_match")
    return "".join({True: "T", False: "F", None: "-"}[keys[name]] for name in compared)


@pytest.mark.parametrize("expected", [pytest.param(row, id=row[0]) for row in EXPECTED])
def test_the_conclusions_are_oonis(expected):
    keys = SITUATIONS[expected[0]].measurement()["test_keys"]
    said = claims(keys)
    assert (
        said["blocking"],
        said["accessible"],
        said["dns_consistency"],
        said["dns_experiment_failure"],
        said["http_experiment_failure"],
        said["x_blocking_flags"],
        said["x_dns_flags"],
        said["x_null_null_flags"],
        marks(said),
    ) == expected[1:]


def test_a_denied_name_without_a_control_is_called_accessible_as_ooni_calls_it():
    keys = SITUATIONS["dns_nxdomain"].measurement()["test_keys"]
    said = claims({**keys, "control": None})
    assert (said["blocking"], said["accessible"], said["dns_consistency"]) == (False, True, None)


def test_success_over_tls_needs_no_control():
    keys = SITUATIONS["success_https"].measurement()["test_keys"]
    said = claims({**keys, "control": None})
    assert (said["blocking"], said["accessible"]) == (False, True)
    assert (said["x_blocking_flags"], said["x_null_null_flags"]) == (32, 8)


def test_missing_ipv6_is_no_blocked_connection():
    keys = SITUATIONS["success_https"].measurement()["test_keys"]
    address, place = "2606:2800:220:1::1", "[2606:2800:220:1::1]:443"
    entry = {
        "ip": address, "port": 443, "t": 1.0, "transaction_id": 50_009,
        "status": {"failure": "network_unreachable", "success": False},
        "tags": ["classic", "depth=0", "fetch_body=true"],
    }  # fmt: skip
    keys["tcp_connect"].append(entry)
    keys["control"]["tcp_connect"][place] = {"status": True, "failure": None}
    assert claims(keys)["x_blocking_flags"] == 32
    entry["status"]["failure"] = "connection_refused"
    assert claims(keys)["x_blocking_flags"] == 34


def test_what_ooni_would_not_have_tried_counts_for_nothing():
    keys = SITUATIONS["tls_reset_consistent_dns"].measurement()["test_keys"]
    before = claims(keys)
    page = SITUATIONS["success_https"].measurement()["test_keys"]["requests"][0]
    over_quic = {**page, "network": "udp", "alpn": "h3", "transaction_id": 60_001}
    later = {**page, "tags": ["depth=1", AFTER_303], "transaction_id": 50_009}
    keys["requests"] += [over_quic, later]
    assert claims(keys) == before
    assert claims(keys, also=lambda tags: True)["accessible"] is True


PAGE = {
    "failure": None,
    "response": {"code": 200, "headers": {"X-A": "1"}, "body": "b" * 71},
}
CONTROL = {
    "http_request": {
        "status_code": 200, "body_length": 100, "title": "", "headers": {"X-B": "1"},
    }
}  # fmt: skip


@pytest.mark.parametrize(
    ("page", "control", "wanted"),
    [
        pytest.param({}, {}, "TTFT", id="longer than seven tenths"),
        pytest.param({"x_page": {"body_length": 70}}, {}, "FTFT", id="by the length as it came"),
        pytest.param({}, {"headers": {"x-a": "2"}}, "TTTT", id="a header in other case"),
        pytest.param({}, {"headers": {"Content-Type": "x"}}, "TTFT", id="a header that all send"),
        pytest.param({}, {"title": "Lengthy"}, "TTFF", id="a title that is missing"),
        pytest.param({}, {"title": "a few"}, "TTFT", id="short words do not count"),
        pytest.param({}, {"status_code": 404}, "T-FT", id="the control's failure"),
        pytest.param({"response": {**PAGE["response"], "code": 404}}, {}, "TFFT", id="a 404 here"),
        pytest.param({"failure": "eof_error"}, {}, "----", id="a failure"),
        pytest.param(
            {"response": {**PAGE["response"], "code": 302}}, {}, "----", id="not the end"
        ),
        pytest.param(
            {"response": {**PAGE["response"], "body_is_truncated": True}}, {}, "-TFT", id="cut"
        ),
        pytest.param({}, {"status_code": -1, "body_length": -1}, "----", id="no page there"),
    ],
)  # fmt: skip
def test_pages_are_compared_as_ooni_compares_them(page, control, wanted):
    there = {"http_request": {**CONTROL["http_request"], **control}}
    assert marks(likeness({**PAGE, **page}, there)) == wanted
