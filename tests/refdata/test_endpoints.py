"""The table of endpoints holds together."""

from __future__ import annotations

from datetime import date

import pytest
from cryptography import x509

from gatewatch.model.errors import MalformedRecord
from gatewatch.model.target import canonical_host, is_address
from gatewatch.refdata.bogons import is_loopback
from gatewatch.refdata.endpoints import SCHEMES, Endpoint, read_endpoints
from gatewatch.refdata.snapshot import load
from gatewatch.refdata.store import EMBEDDED

CONTENT = (EMBEDDED / "endpoints.toml").read_bytes()
ENDPOINTS = read_endpoints(CONTENT, "endpoints.toml")[1]
WANTED = {
    "telegram": {"data_center", "web"},
    "whatsapp": {"endpoint", "registration", "web"},
    "signal": {"backend", "uptime"},
    "messenger": {"api", "cdn", "stun"},
    "tor": {"dir_port", "or_port_dirauth", "obfs4"},
    "psiphon": {"server_list", "download"},
    "stun": {"server"},
    "resolvers": {"doh", "dot", "udp"},
    "echcheck": {"page", "resolver"},
    "helpers": {"tcp_echo", "http_return_json_headers"},
}


def text(**changes: object) -> bytes:
    fields = {
        "service": "s", "id": "k", "protocol": "tcp", "need": "any", "hosts": ["a.org"],
        "ports": [443], "source": "https://a.org/",
    }  # fmt: skip
    fields |= changes
    lines = [f"{key} = {value!r}" for key, value in fields.items() if value is not None]
    return "\n".join(
        ["version = 1", "date = 2026-01-31", "[[class]]", "as_of = 2026-01-31", *lines]
    ).encode()


@pytest.mark.parametrize(("service", "kinds"), WANTED.items(), ids=WANTED)
def test_what_the_tests_need_is_there(service, kinds):
    assert {one.id for one in ENDPOINTS.classes(service)} >= kinds


def test_every_class_says_where_its_facts_are_from_and_how_old_they_are():
    for service in {one.service for one in ENDPOINTS.all()}:
        for one in ENDPOINTS.classes(service):
            assert one.source.startswith("https://")
            assert date(2026, 1, 1) < one.as_of


def test_endpoints_are_public_and_named_once():
    refdata = load()
    urls = [(one.service, one.url) for one in ENDPOINTS.all()]
    assert len(urls) == len({*urls})
    for one in ENDPOINTS.all():
        assert canonical_host(one.host) == one.host
        if is_address(one.host):
            assert not refdata.is_bogon(one.host)
            assert not is_loopback(one.host)


def test_signals_authority_signs_itself_and_is_in_date():
    (authority,) = ENDPOINTS.authorities("signal")
    found = x509.load_pem_x509_certificate(authority.pem.encode())
    found.verify_directly_issued_by(found)
    assert found.not_valid_after_utc.year >= 2030
    assert ENDPOINTS.authorities("telegram") == []


def test_the_table_has_a_version_that_is_not_that_of_the_verdicts():
    assert ENDPOINTS.version == f"{read_endpoints(CONTENT, '')[0]}.1"
    assert load().endpoints().version == ENDPOINTS.version


@pytest.mark.parametrize("protocol", SCHEMES)
def test_every_protocol_is_written_as_ooni_writes_it(protocol):
    one = Endpoint(service="s", kind="k", protocol=protocol, host="a.org", port=9, path="")
    assert one.url == f"{SCHEMES[protocol]}://a.org" + ("" if protocol == "dns" else ":9")


def test_hosts_and_ports_multiply_and_pairs_are_added():
    _, found = read_endpoints(text(ports=[1, 2], at=["192.0.2.1:3", "[2001:db8::1]:4"]), "x")
    places = [(one.host, one.port) for one in found.of("s")]
    assert places == [("a.org", 1), ("a.org", 2), ("192.0.2.1", 3), ("2001:db8::1", 4)]
    assert found.of("s", "other") == found.of("nobody") == []


@pytest.mark.parametrize(
    ("content", "field"),
    [
        pytest.param(b"\xff", "text", id="no UTF-8"),
        pytest.param(b"a = [", "text", id="no TOML"),
        pytest.param(b"version = 1", "date", id="no date"),
        pytest.param(b"date = 2026-01-31", "version", id="no version"),
        pytest.param(text(protocol="carrier pigeon"), "class", id="an unknown protocol"),
        pytest.param(text(need="some"), "class", id="an unknown need"),
        pytest.param(text(source=None), "class", id="no source"),
        pytest.param(text(colour="red"), "class", id="an unknown field"),
        pytest.param(text(hosts=[]), "s.k", id="nobody"),
        pytest.param(text(hosts=["A.org"]), "s.k", id="no canonical host"),
        pytest.param(text(ports=[0]), "s.k", id="no port"),
        pytest.param(text(at=["a.org"]), "s.k", id="a place without a port"),
        pytest.param(text(at=["a b:7"]), "s.k", id="a place without a host"),
        pytest.param(text() + b"\n" + text().partition(b"[[class]]")[2].join([b"[[class]]", b""]),
                     "id", id="a class named twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(content, field):
    with pytest.raises(MalformedRecord) as caught:
        read_endpoints(content, "endpoints.toml")
    assert caught.value.field == field
