"""Every shape that a measurement can take is one that OONI's readers and ours can read."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from gatewatch.probe.seat import Control, Patience
from gatewatch.probe.visits import Visits
from tests.probe.experiments.small_world import (
    AT,
    BLOCKER,
    CONTROL,
    IRAN,
    NAME,
    PAGE,
    SITE,
    World,
    denied,
    measured,
    seen,
)
from tests.probe.oonidata import assert_others_can_read, loaded_by_oonidata
from tests.probe.town import answer, closes, http, pages, resets, says, silence

HTTPS, HTTP = f"https://{NAME}/", f"http://{NAME}/"
NOISE = random.Random(1).randbytes(3000)


def race(question: bytes):
    return [(0.0, answer(question, ["10.10.34.36"])), (0.02, answer(question, [SITE]))]


SHAPES = [
    pytest.param(HTTPS, World(), {}, id="a sound site"),
    pytest.param(HTTP, World(), {}, id="a sound site in clear"),
    pytest.param(f"http://{NAME}/moved", World(), {}, id="a redirect to TLS"),
    pytest.param(f"http://{NAME}/other", World(), {}, id="a 303"),
    pytest.param(f"http://{NAME}/loop", World(), {}, id="a loop"),
    pytest.param(f"http://{NAME}/nowhere", World(), {}, id="a redirect to no host"),
    pytest.param("http://яндекс.рф/", World(), {}, id="a name beyond ASCII"),
    pytest.param("ftp://example.org/", World(), {}, id="not of the web"),
    pytest.param("", World(), {}, id="no input"),
    pytest.param(f"https://{SITE}/", World(), {}, id="an address in place of a name"),
    pytest.param(HTTPS, World(isp=denied(NAME)), {}, id="a name denied"),
    pytest.param(HTTPS, World(isp=says(rcode="REFUSED")), {}, id="a resolver that refuses"),
    pytest.param(HTTPS, World(isp=says("10.10.34.36")), {}, id="an address of no host"),
    pytest.param(HTTPS, World(isp=says("127.0.0.1")), {}, id="the machine's own address"),
    pytest.param(HTTPS, World(isp=says("2606:4700::1")), {}, id="IPv6 only"),
    pytest.param(HTTPS, World(public=race), {}, id="two answers"),
    pytest.param(HTTP, World(isp=says(BLOCKER)), {}, id="a block page"),
    pytest.param(HTTP, World(plain=resets), {}, id="reset in clear"),
    pytest.param(HTTP, World(plain=closes), {}, id="closed in clear"),
    pytest.param(HTTP, World(plain=None), {}, id="refused"),
    pytest.param(HTTPS, World(raw_tls=resets), {}, id="reset in TLS"),
    pytest.param(HTTPS, World(raw_tls=closes), {}, id="closed in TLS"),
    pytest.param(HTTPS, World(controlled=False), {}, id="no control answers"),
    pytest.param(HTTPS, World(), {"controls": ()}, id="no control at all"),
    pytest.param(
        HTTPS, World(control=seen(failure="generic_timeout_error")), {}, id="down for all"
    ),
    pytest.param(
        HTTPS, World(control=seen(addresses=())), {}, id="a name that the control does not know"
    ),
    pytest.param(
        HTTP,
        World(plain=pages(lambda host, path: http(200, NOISE, x_odd="\xe9"))),
        {},
        id="bytes that are no text",
    ),
    pytest.param(HTTPS, World(), {"quic": True}, id="QUIC"),
    pytest.param(HTTPS, World(), {"clock_skew_days": -3000}, id="a wrong clock"),
    pytest.param(HTTPS, World(), {"resolver": None}, id="no resolver"),
    pytest.param(HTTPS, World(), {"udp_resolvers": (), "doh_resolvers": ()}, id="one resolver"),
]


@pytest.mark.parametrize(("url", "world", "about"), SHAPES)
def test_others_can_read_what_we_write(url, world, about, office, tmp_path):
    found = measured(url, world, office, **about)
    assert_others_can_read([found], tmp_path, model="WebConnectivity")


def test_the_reader_of_others_does_refuse_what_is_no_measurement(office):
    broken = measured(HTTPS, World(), office)
    del broken["test_keys"]
    made, error = loaded_by_oonidata(broken)
    assert made is None
    assert "test_keys" in str(error)


def test_the_envelope_says_who_when_and_with_what(office):
    began = datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
    visits = Visits(began=began, options=("--list IR", "SafeOption=1"))
    controls = (
        Control(name="control.example", address=CONTROL),
        Control(name="front.example", front="cdn.example"),
    )
    found = measured(HTTPS, World(), office, made={"visits": visits}, controls=controls)
    assert found["test_start_time"] == "2026-03-01 11:59:00"
    assert found["measurement_start_time"] == AT.strftime("%Y-%m-%d %H:%M:%S")
    assert found["options"] == ["--list IR"], "names that begin with Safe stay here"
    assert found["data_format_version"] == "0.2.0"
    assert found["extensions"] == dict.fromkeys(
        ("dnst", "httpt", "netevents", "tcpconnect", "tlshandshake", "tunnel"), 0
    )
    assert {"architecture", "engine_name", "engine_version", "platform"} <= {*found["annotations"]}
    assert found["test_helpers"] == {
        "backend": {"address": "https://control.example/", "type": "https"},
        "x_backends": [
            {"address": "https://control.example/", "type": "https"},
            {"address": "https://front.example/", "type": "cloudfront", "front": "cdn.example"},
        ],
    }
    assert len(found["id"]) == 36


def test_the_classic_keys_are_blind_to_what_follows_a_303(office):
    keys = measured(f"http://{NAME}/other", World(), office)["test_keys"]
    assert [r["response"]["code"] for r in keys["requests"]] == [200, 303]
    assert keys["x_followed_303"] is True
    assert (keys["blocking"], keys["accessible"]) == (None, None), "as OONI's probe has it"
    assert (keys["x_claims"]["blocking"], keys["x_claims"]["accessible"]) == (False, True)
    assert "x_after_303" in keys["requests"][0]["tags"]
    assert "x_after_303" not in keys["requests"][1]["tags"]


def test_a_page_leaves_its_features_beside_the_request(office):
    page = b"<html lang=fa><title>You are 198.51.100.77</title><script src=/a.js></script>"
    world = World(plain=pages(lambda host, path: http(200, page)))
    keys = measured(HTTP, world, office)["test_keys"]
    (fetched,) = keys["requests"]
    assert "198.51.100.77" not in str(keys)
    assert fetched["x_page"]["title"] == "You are [scrubbed]"
    assert fetched["x_page"]["body_length"] == len(page), "of the body as it came"
    assert fetched["x_page"]["scripts"] == ["/a.js"]
    assert keys["body_proportion"] == pytest.approx(len(page) / len(PAGE))


def test_answers_keep_their_ttl_and_id(office):
    keys = measured(HTTPS, World(public=race), office)["test_keys"]
    (asked,) = [q for q in keys["queries"] if (q["engine"], q["query_type"]) == ("udp", "A")]
    (late,) = [
        q for q in keys["x_dns_duplicate_responses"] if q["engine"] == "udp" and q["answers"]
    ]
    assert [a["ttl"] for a in asked["answers"]] == [60]
    assert [a["ttl"] for a in late["answers"]] == [60]
    assert late["x_id"] == asked["x_id"]
    assert late["t"] > asked["t"]
    (both,) = [q for q in keys["queries"] if q["engine"] == "getaddrinfo"]
    assert both["query_type"] == "ANY"


def test_events_tell_of_names_connections_handshakes_and_pages(office):
    keys = measured(HTTPS, World(), office)["test_keys"]
    names = {event["operation"] for event in keys["network_events"]}
    assert names >= {
        "resolve_start", "resolve_done", "connect", "tls_handshake_start", "tls_handshake_done",
        "write", "read", "http_transaction_start", "http_transaction_done",
        "bytes_received_cumulative",
    }  # fmt: skip
    times = [event["t"] for event in keys["network_events"]]
    assert times == sorted(times)
    kept = [e for e in keys["network_events"] if e["operation"] != "bytes_received_cumulative"]
    for number in {event["transaction_id"] for event in kept}:
        assert sum(event["transaction_id"] == number for event in kept) <= 64


def test_a_block_page_is_called_different_by_the_classic_rules(office):
    keys = measured(HTTP, World(isp=says(BLOCKER), public=says(BLOCKER)), office)["test_keys"]
    assert keys["requests"][0]["response"]["code"] == 403
    assert IRAN[:20].decode() in keys["requests"][0]["response"]["body"]
    assert (keys["blocking"], keys["accessible"]) == ("dns", False)
    assert keys["dns_consistency"] == "inconsistent"


def test_a_silent_resolver_is_given_up(office):
    assert Patience().dns_s == 4.0, "as OONI has it"
    patience = Patience(dns_s=0.2, late_s=0.02)
    keys = measured(HTTPS, World(public=silence), office, patience=patience)["test_keys"]
    asked = [q for q in keys["queries"] if q["engine"] == "udp"]
    assert {q["failure"] for q in asked} == {"generic_timeout_error"}
    assert all(0.2 <= q["t"] - q.get("t0", 0) < 1.0 for q in asked)
