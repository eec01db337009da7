"""What in a first pass is worth an experiment, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from gatewatch.probe.experiments.suspicions import suspicions

param = pytest.param
Json = dict[str, Any]

NAME = "www.example.org"
TRUE, OTHER, DEAD6 = "93.184.216.34", "31.13.94.37", "2606:2800::34"
RESET, TIMEOUT = "connection_reset", "generic_timeout_error"
PAGE = "<html><title>An ordinary site</title></html>"
BAD_NAME = "ssl_invalid_hostname"


def query(*addresses: str, engine: str = "getaddrinfo", failure: str | None = None, depth: int = 0,
          host: str = NAME, asn: int = 15133) -> Json:  # fmt: skip
    return {
        "engine": engine,
        "hostname": host,
        "failure": failure,
        "resolver_address": "8.8.8.8:53",
        "answers": [{"ipv6" if ":" in one else "ipv4": one, "asn": asn} for one in addresses],
        "tags": [f"depth={depth}"],
    }


def connect(
    address: str = TRUE, port: int = 443, failure: str | None = None, depth: int = 0
) -> Json:
    return {
        "ip": address,
        "port": port,
        "status": {"failure": failure, "success": failure is None},
        "tags": [f"depth={depth}"],
    }


def shake(address: str = TRUE, failure: str | None = None, depth: int = 0, port: int = 443) -> Json:
    shown = f"[{address}]" if ":" in address else address
    return {
        "address": f"{shown}:{port}",
        "server_name": NAME,
        "failure": failure,
        "no_tls_verify": False,
        "tags": [f"depth={depth}"],
    }


def get(url: str, *, failure: str | None = None, code: int = 200, body: str = PAGE, depth: int = 0,
        address: str = TRUE, took: float = 0.1, **headers: str) -> Json:  # fmt: skip
    return {
        "network": "tcp",
        "address": f"{address}:{443 if url.startswith('https') else 80}",
        "failure": failure,
        "request": {"url": url},
        "response": {
            "code": code,
            "body": body,
            "body_is_truncated": False,
            "headers_list": [[k.replace("_", "-"), v] for k, v in headers.items()],
        },
        "t0": 1.0,
        "t": 1.0 + took,
        "tags": [f"depth={depth}"],
    }


def control(
    *reached: str, failed: tuple[str, ...] = (), page: str | None = PAGE, code: int = 200
) -> Json:
    steps = {
        **{one: {"failure": None} for one in reached},
        **{one: {"failure": "connection_refused_error"} for one in failed},
    }
    fetched = {"failure": None, "status_code": code, "body_length": len(page or "")}
    return {
        "dns": {"failure": None, "addrs": [TRUE, DEAD6]},
        "tcp_connect": steps,
        "tls_handshake": steps,
        "quic_handshake": steps,
        "http_request": fetched if page is not None else {"failure": "unknown_error"},
        "ip_info": {TRUE: {"asn": 15133}},
    }


def keys(*, says: Json | None = None, **lists: list[Json]) -> Json:
    given = {"queries": [query(TRUE)], "tcp_connect": [connect()], **lists}
    return {**given, "control": control(f"{TRUE}:443") if says is None else says}


HTTPS, HTTP = f"https://{NAME}/", f"http://{NAME}/"


@pytest.mark.parametrize(
    ("url", "said", "expected"),
    [
        param(HTTPS, keys(tls_handshakes=[shake()], requests=[get(HTTPS)]), [], id="nothing"),
        param(HTTPS, keys(queries=[query(failure="dns_nxdomain_error")], tcp_connect=[]),
              [("dns", "failed")], id="a name that is denied"),
        param(HTTPS, keys(queries=[query(OTHER, asn=32934)], tcp_connect=[]),
              [("dns", "answer")], id="addresses of another network"),
        param(HTTPS, keys(queries=[query("93.184.216.99")], tcp_connect=[]),
              [], id="another address of the site's own network"),
        param(HTTPS, keys(queries=[query("10.0.0.1", asn=0)], tcp_connect=[]),
              [("dns", "answer")], id="an address that is not on the Internet"),
        param(HTTPS, keys(queries=[query("10.0.0.1", asn=0)], tls_handshakes=[shake("10.0.0.1")]),
              [], id="an address at home that holds the site's certificate"),
        param(HTTPS, keys(queries=[query(OTHER, asn=32934), query(OTHER, engine="doh")],
                          tcp_connect=[]),
              [], id="addresses that a resolver asked in private gives too"),
        param(HTTPS, keys(tcp_connect=[connect(failure=TIMEOUT)]),
              [("tcp", "failed")], id="a connection that nobody answers"),
        param(HTTPS, keys(tcp_connect=[connect(failure=TIMEOUT)],
                          says=control(failed=(f"{TRUE}:443",))),
              [], id="a connection that fails for the control too"),
        param(HTTPS, keys(tcp_connect=[connect(), connect(DEAD6, failure="network_unreachable")]),
              [], id="a version of IP that we do not have"),
        param(HTTPS, keys(queries=[query(OTHER, "10.0.0.1", asn=32934)],
                          tcp_connect=[connect(OTHER, failure=TIMEOUT)]),
              [("dns", "answer")], id="a dead address that a false answer gave"),
        param(HTTPS, keys(tls_handshakes=[shake(failure=RESET)]),
              [("tls", "failed")], id="a handshake that is reset"),
        param(HTTPS, keys(tls_handshakes=[shake(failure=BAD_NAME)]),
              [("tls", "failed")], id="another party's certificate"),
        param(HTTPS, keys(tls_handshakes=[shake(DEAD6, failure=RESET), shake(failure=RESET)]),
              [("tls", "failed")], id="one name at two addresses is one suspicion"),
        param(HTTPS, keys(tls_handshakes=[shake()], quic_handshakes=[shake(failure=TIMEOUT)]),
              [("quic", "failed")], id="QUIC that nobody answers"),
        param(HTTPS, keys(tls_handshakes=[shake()],
                          requests=[get(HTTPS, Alt_Svc='h3=":443"; ma=60')]),
              [("quic", "unasked")], id="QUIC that is offered and was not tried"),
        param(HTTPS, keys(requests=[get(HTTPS, failure=TIMEOUT, body="", code=0)]),
              [("http", "failed")], id="an answer over TLS that does not come"),
        param(HTTPS, keys(requests=[get(HTTPS, body="<html>Not available here</html>", code=451)]),
              [], id="over TLS the answer is the server's own"),
        param(HTTP, keys(requests=[get(HTTP, body="<html>Blocked</html>", code=403)]),
              [("http", "page")], id="in clear it may be anybody's"),
        param(HTTP, keys(requests=[get(HTTP)]), [], id="the same page in clear"),
        param(HTTP, keys(requests=[get(HTTP, body=PAGE + "<script src=x></script>")]),
              [("http", "page")], id="a page that was added to"),
        param(HTTP, keys(says=control(page=None), requests=[get(HTTP, body="x")]),
              [], id="a page where the control has none"),
        param(HTTP, {**keys(requests=[get(HTTP)]), "control": None},
              [("http", "page")], id="a page in clear without a control"),
        param(HTTP, keys(tls_handshakes=[shake(failure=RESET)], requests=[get(HTTP)]),
              [("tls", "failed")], id="the same host over TLS"),
        param(HTTPS, keys(requests=[get(HTTPS, body="x" * 40_000, took=3.0)]),
              [("http", "slow")], id="forty kilobytes in three seconds"),
        param(HTTPS, keys(requests=[get(HTTPS, failure="http_too_many_redirects")]),
              [], id="redirects without end"),
    ],
)  # fmt: skip
def test_what_may_be_interference_is_suspected_and_nothing_else(url, said, expected):
    found = [
        (one.layer, one.kind)
        for one in suspicions(url, said)
        if one.kind != "unasked" or one.layer == "quic"
    ]
    assert found == expected


def test_a_redirect_is_followed_to_the_host_that_fails():
    link = "https://bit.ly/21645"
    said = keys(
        queries=[query(TRUE, host="bit.ly"), query(TRUE, depth=1)],
        tls_handshakes=[shake(failure=RESET, depth=1)],
        requests=[get(link, code=301, location=HTTPS)],
    )
    (found,) = [one for one in suspicions(link, said) if one.kind == "failed"]
    assert (found.host, found.depth, found.url, found.reached) == (NAME, 1, HTTPS, True)


def test_the_other_port_of_a_plain_url_is_spoken_of_as_what_it_is():
    said = keys(tcp_connect=[connect(port=80), connect(failure="connection_refused")])
    (found,) = [one for one in suspicions(HTTP, said) if one.kind == "failed"]
    assert (found.url, found.port) == (HTTPS, 443)


@pytest.mark.parametrize(
    ("says", "reached"),
    [
        param(control(f"{TRUE}:443"), True, id="the control connected"),
        param(control(), None, id="the control did not try that endpoint"),
        param({}, None, id="no control"),
    ],
)
def test_what_is_known_of_the_control_is_said(says, reached):
    (found,) = suspicions(HTTPS, keys(tcp_connect=[connect(failure=TIMEOUT)], says=says))
    assert found.reached is reached


def test_ports_at_which_the_control_met_a_host_are_told():
    says = control(f"{TRUE}:443", failed=(f"{TRUE}:80",))
    (found,) = suspicions(HTTPS, keys(tcp_connect=[connect(failure=TIMEOUT)], says=says))
    assert found.answering == (80, 443)


@pytest.mark.parametrize("said", [{}, {"control": None}, {"queries": None, "requests": None}])
def test_a_pass_that_brought_nothing_home_raises_no_suspicion(said):
    assert suspicions(HTTPS, said) == []
