"""The emulated probe and test helper do what the documented ones do."""

from __future__ import annotations

import pytest

from gatewatch.simulate import helper, legacy, pages, probe
from gatewatch.simulate.network import Answer, Handshake, Network, Page, Server

SITE, OTHER = "198.35.26.96", "91.198.174.192"
WIKIMEDIA = Server(asn=14907, org="Wikimedia Foundation Inc.")
URL = "https://site.test/"


def network(**changes) -> Network:
    fields = {
        "names": {"site.test": Answer(addresses=(SITE,))},
        "servers": {SITE: WIKIMEDIA, OTHER: WIKIMEDIA},
        "pages": {"site.test": pages.site("A site of its own")},
    }
    return Network(**(fields | changes))


def test_a_timed_out_step_takes_the_documented_time():
    net = network(blocked_connects={SITE: "generic_timeout_error"})
    (connect,) = probe.measure(net, URL)["test_keys"]["tcp_connect"]
    assert connect["t"] - connect["t0"] == pytest.approx(10.0)


def test_the_system_resolvers_address_is_fetched_from_when_it_works():
    net = network(isp_names={"site.test": Answer(addresses=(OTHER,))})
    (request,) = probe.measure(net, URL)["test_keys"]["requests"]
    assert request["address"] == f"{OTHER}:443"
    assert "classic" in request["tags"]


def test_another_resolvers_address_is_fetched_from_when_the_systems_fails():
    net = network(
        isp_names={"site.test": Answer(addresses=(OTHER,))},
        tampered_tls={OTHER: Handshake(failure="connection_reset")},
    )
    (request,) = probe.measure(net, URL)["test_keys"]["requests"]
    assert request["address"] == f"{SITE}:443"
    assert "classic" not in request["tags"]


def test_an_address_that_only_the_helper_knows_is_tried_too():
    gone = Answer(failure="dns_nxdomain_error")
    net = network(cleartext_names={"site.test": gone}, doh_names={"site.test": gone})
    keys = probe.measure(net, URL)["test_keys"]
    assert [c["ip"] for c in keys["tcp_connect"]] == [SITE]
    assert keys["requests"][0]["response"]["code"] == 200


def test_loopback_is_never_connected_to():
    net = network(names={"site.test": Answer(addresses=("127.0.0.1",))})
    assert probe.measure(net, URL)["test_keys"]["tcp_connect"] == []


def test_a_name_is_looked_up_once_although_the_site_redirects_to_itself():
    net = network(
        pages={
            "http://site.test": pages.redirect(URL, 301),
            URL: pages.site("A site of its own"),
        }
    )
    keys = probe.measure(net, "http://site.test/")["test_keys"]
    assert [q["engine"] for q in keys["queries"]].count("getaddrinfo") == 1
    assert [r["request"]["url"] for r in keys["requests"]] == [URL, "http://site.test/"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_followed(status: int):
    net = network(
        pages={URL: pages.redirect("/next", status), URL + "next": pages.site("The next page")}
    )
    assert len(probe.measure(net, URL)["test_keys"]["requests"]) == 2


def test_the_probe_stops_at_a_303_and_the_helper_follows_it():
    net = network(
        pages={URL: pages.redirect("/next", 303), URL + "next": pages.site("The next page")}
    )
    keys = probe.measure(net, URL)["test_keys"]
    assert [r["response"]["code"] for r in keys["requests"]] == [303]
    assert keys["control"]["http_request"]["title"] == "The next page"


def test_the_eleventh_redirect_is_one_too_many():
    net = network(
        pages={URL + str(n): pages.redirect(f"/{n + 1}") for n in range(20)},
    )
    requests = probe.measure(net, URL + "0")["test_keys"]["requests"]
    assert len(requests) == 11
    assert requests[0]["failure"] == probe.TOO_MANY


def test_addresses_in_bodies_and_headers_are_scrubbed():
    page = Page(body="see 10.10.34.36", headers={"X-Client": "8.8.8.8"})
    (request,) = probe.measure(network(probe_pages={"site.test": page}), URL)["test_keys"][
        "requests"
    ]
    assert request["response"]["body"] == "see [scrubbed]"
    assert request["response"]["headers"] == {"X-Client": "[scrubbed]"}


def test_bytes_that_are_not_text_are_kept_as_base64():
    page = Page(body=b"\xff\x00", headers={"Content-Type": "image/x"})
    (request,) = probe.measure(network(probe_pages={"site.test": page}), URL)["test_keys"][
        "requests"
    ]
    assert request["response"]["body"] == {"data": "/wA=", "format": "base64"}


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        pytest.param({"names": {}}, "dns_lookup_error", id="no such name"),
        pytest.param(
            {"servers": {SITE: Server(asn=1, org="", connect={443: "connection_refused"})}},
            "connection_refused_error",
            id="refused",
        ),
        pytest.param({"servers": {}}, "generic_timeout_error", id="nobody there"),
        pytest.param(
            {"servers": {SITE: Server(asn=1, org="", tls=Handshake(failure="ssl_expired"))}},
            "unknown_error",
            id="bad certificate",
        ),
    ],
)
def test_the_helper_speaks_its_own_dialect(changes, failure: str):
    control = helper.answer(network(**changes), URL, [])
    assert control["http_request"]["failure"] == failure
    assert control["http_request"]["status_code"] == -1


def test_the_helper_flags_who_knows_an_address_and_whether_it_proves_itself():
    net = network(isp_names={"site.test": Answer(addresses=("10.10.34.36",))})
    info = probe.measure(net, URL)["test_keys"]["control"]["ip_info"]
    assert info[SITE] == {"asn": 14907, "flags": 1 | 2 | 8}
    assert info["10.10.34.36"] == {"asn": 0, "flags": 1 | 4}


@pytest.mark.parametrize(
    ("kit", "http", "success"),
    [
        pytest.param(False, "response_never_received", False, id="ooniprobe 2"),
        pytest.param(True, "connection_reset", None, id="Measurement Kit"),
    ],
)
def test_older_probes_have_their_own_words(kit: bool, http: str, success: object):
    net = network(tampered_http={"site.test": Page(failure="connection_reset")})
    made = legacy.measure_old(net, "http://site.test/", kit=kit)
    keys = made["test_keys"]
    assert keys["requests"][0]["failure"] == http
    assert keys["tcp_connect"][0]["status"]["failure"] is success
    assert ("engine" in keys["queries"][0]) == kit
    assert "headers_list" not in keys["requests"][0]["response"]
    assert "tls_handshakes" not in keys
    assert "resolver_asn" not in made


def test_older_probes_kept_addresses_in_bodies():
    net = network(tampered_http={"site.test": pages.IRAN})
    new = legacy.measure_04(net, "http://site.test/")["test_keys"]["requests"][0]["response"]
    old = legacy.measure_old(net, "http://site.test/")["test_keys"]["requests"][0]["response"]
    assert "10.10.34.34" in old["body"]
    assert "[scrubbed]" in new["body"]


def test_version_04_says_which_connects_it_takes_for_blocked():
    net = network(blocked_connects={SITE: "generic_timeout_error"})
    (connect,) = legacy.measure_04(net, URL)["test_keys"]["tcp_connect"]
    assert connect["status"] == {
        "failure": "generic_timeout_error",
        "success": False,
        "blocked": True,
    }
