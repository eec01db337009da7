"""The control server's answers."""

from __future__ import annotations

import json

import pytest

from gatewatch.lab.scenario import Answer, Host, Resolver, Route, Web
from gatewatch.probe.ooni import Json
from tests.lab.hosts.running import CONTROL, RESOLVER, SITE, Running, meet, world

NAME, OTHER = "www.example.org", "93.184.216.99"
HOSTS = {
    "control": Host(addresses=(CONTROL,), names=("th.example",), control=True),
    "site": Host(addresses=(SITE,), names=(NAME,), web=Web(h3=True)),
    "expired": Host(addresses=("9.9.1.1",), names=("old.example",), web=Web(certificate="expired")),
    "moved": Host(
        addresses=("9.9.1.2",),
        names=("moved.example", "round.example", "nowhere.example"),
        web=Web(
            routes=(
                Route(host="moved.*", status=303, location="//www.example.org/new"),
                Route(host="round.*", path="*", status=302, location="/again"),
                Route(host="nowhere.*", status=302, location="http://"),
            )
        ),
    ),
    "plain": Host(addresses=("9.9.1.3",), names=("plain.example",), web=Web(https=False)),
}
NOTHING = {"body_length": -1, "status_code": -1, "headers": {}, "title": ""}


def ask(running: Running, question: Json | bytes, scheme: str = "https"):
    body = question if isinstance(question, bytes) else json.dumps(question).encode()
    return running.get(f"{scheme}://th.example/", CONTROL, method="POST", body=body)


def control_of(question: Json, hosts: dict[str, Host] = HOSTS, **fields) -> Json:
    """What the control server answers to a question."""
    said: Json = {}

    async def visit(running: Running) -> None:
        answer = await ask(running, question)
        assert answer.status == 200
        said.update(json.loads(answer.body))

    meet(world(hosts, **fields), visit)
    return said


def bare(told: Json) -> Json:
    """Without what is ours."""
    return {name: value for name, value in told.items() if not name.startswith("x_")}


def plain(told: Json) -> Json:
    return {place: bare(one) for place, one in told.items()}


def test_a_control_says_how_everything_went():
    said = control_of(
        {
            "http_request": f"https://{NAME}/",
            "http_request_headers": {"User-Agent": ["x"], "X-Ignored": ["y"]},
            "tcp_connect": [f"{SITE}:443", f"{SITE}:80", f"{OTHER}:443", "10.10.34.35:443"],
            "x_quic_enabled": True,
        }
    )
    page = said["http_request"]
    assert (page["status_code"], page["title"], page["failure"]) == (200, NAME, None)
    assert page["headers"]["Content-Length"] == str(page["body_length"])
    assert page["discovered_h3_endpoint"] == f"{NAME}:443"
    assert said["dns"] == {"failure": None, "addrs": [SITE]}
    assert plain(said["tcp_connect"]) == {
        f"{SITE}:443": {"status": True, "failure": None},
        f"{SITE}:80": {"status": True, "failure": None},
        f"{OTHER}:443": {"status": False, "failure": "connection_refused_error"},
    }
    fine = {"server_name": NAME, "status": True, "failure": None}
    assert plain(said["tls_handshake"]) == {f"{SITE}:443": fine}
    assert plain(said["quic_handshake"]) == {f"{SITE}:443": fine}
    assert said["http3_request"]["status_code"] == 200
    assert said["http3_request"]["x_page"] == page["x_page"]
    assert said["ip_info"] == {
        SITE: {"asn": 1, "flags": 1 + 2 + 8},
        OTHER: {"asn": 1, "flags": 1},
        "10.10.34.35": {"asn": 1, "flags": 1 + 4},
    }


def test_for_a_plain_url_both_ports_are_tried():
    said = control_of({"http_request": "http://plain.example/", "tcp_connect": []})
    assert {place: tcp["failure"] for place, tcp in said["tcp_connect"].items()} == {
        "9.9.1.3:80": None,
        "9.9.1.3:443": "connection_refused_error",
    }
    assert said["tls_handshake"] == said["quic_handshake"] == {}
    assert said["http_request"]["status_code"] == 200


def test_a_port_of_its_own_is_the_only_one():
    said = control_of({"http_request": f"http://{NAME}:8080/", "tcp_connect": []})
    assert list(said["tcp_connect"]) == [f"{SITE}:8080"]
    assert bare(said["http_request"]) == {
        **NOTHING,
        "discovered_h3_endpoint": "",
        "failure": "connection_refused_error",
    }


@pytest.mark.parametrize(
    ("answer", "dns", "page"),
    [
        pytest.param(
            Answer(rcode="NXDOMAIN"), "dns_name_error", "dns_lookup_error", id="no such name"
        ),
        pytest.param(
            Answer(rcode="SERVFAIL"), "dns_server_failure", "dns_lookup_error", id="failing"
        ),
        pytest.param(Answer(rcode="REFUSED"), "unknown_error", "unknown_error", id="refused"),
        pytest.param(Answer(addresses=("2001:db8::1",)), None, "unknown_error", id="only a bogon"),
    ],
)
def test_a_name_that_fails_for_the_control_too_is_said_in_its_dialect(answer, dns, page):
    said = control_of(
        {"http_request": "http://x.example/", "tcp_connect": []}, names={"x.example": answer}
    )
    assert said["dns"]["failure"] == dns
    assert said["http_request"]["failure"] == page
    assert said["tcp_connect"] == {}


def test_an_expired_certificate_is_a_failed_handshake():
    said = control_of({"http_request": "https://old.example/", "tcp_connect": []})
    assert bare(said["tls_handshake"]["9.9.1.1:443"]) == {
        "server_name": "old.example",
        "status": False,
        "failure": "ssl_invalid_certificate",
    }
    assert said["http_request"]["failure"] == "unknown_error"


@pytest.mark.parametrize(
    ("url", "status", "failure"),
    [
        pytest.param("http://moved.example/", 200, None, id="to another site"),
        pytest.param("http://round.example/", -1, "unknown_error", id="in a circle"),
        pytest.param("http://nowhere.example/", -1, "unknown_error", id="to no host"),
    ],
)
def test_redirects_are_followed_up_to_their_end(url, status, failure):
    page = control_of({"http_request": url})["http_request"]
    assert (page["status_code"], page["failure"]) == (status, failure)


def test_a_control_does_not_ask_the_resolvers_of_access_networks():
    liar = Host(
        addresses=("130.192.3.21",),
        resolver=Resolver(answers={"*": Answer(addresses=("10.10.34.35",))}),
    )
    honest = Host(addresses=(RESOLVER,), resolver=Resolver())
    said = control_of(
        {"http_request": f"http://{NAME}/"}, {"liar": liar, "resolver": honest, **HOSTS}
    )
    assert said["dns"]["addrs"] == [SITE]


def test_a_control_refuses_politely_and_greets():
    async def visit(running: Running) -> None:
        for scheme in ("http", "https"):
            assert (await ask(running, b"nonsense", scheme)).status == 400
            greeting = await running.get(f"{scheme}://th.example/", CONTROL)
            assert json.loads(greeting.body) == {"message": "Hello OONItarian!"}

    meet(world(HOSTS), visit)


@pytest.mark.parametrize(
    "endpoints", [["x", "", ":", "[::1]", "1.2.3.4", "999.1.1.1:80", "[2001:db8::1]:443"], None]
)
def test_endpoints_that_are_none_are_ignored(endpoints):
    said = control_of({"http_request": f"https://{SITE}/", "tcp_connect": endpoints})
    assert list(said["tcp_connect"]) == [f"{SITE}:443"]
    assert said["dns"] == {"failure": None, "addrs": [SITE]}
    assert said["tls_handshake"][f"{SITE}:443"]["status"] is True
