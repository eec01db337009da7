"""Nobody sends this server where its owner would not want it: no address, port, name or header."""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_address, ip_network
from pathlib import Path

import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis.strategies import integers

from gatewatch.probe.net import Failed, Plain
from gatewatch.server.bodies import Refused
from gatewatch.server.guard import (
    BAD_PORTS,
    INNER_PORTS,
    NOT_PUBLIC,
    Guard,
    Guarded,
    bad_port,
    checked_url,
    checked_value,
    own_addresses,
)
from tests.probe.town import Town, answer, http
from tests.server.helped import (
    HERE,
    HERE6,
    NAME,
    OWN,
    RESOLVER,
    SITE,
    Witness,
    World,
    asked,
    call,
    with_helper,
)

GUARD = Guard(OWN)

PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200",
    "127.0.0.1", "127.255.0.1", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "168.63.129.16",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:10::1",
    "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "2606:4700::1%lo",
    "fec0::1", "ff02::1", *OWN[:2], "2a01:4f8:64:ff9b::7f00:1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_no_inner_address_is_connected_to(address: str):
    assert GUARD.address(address) is not None


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.32.0.1", "192.0.1.1",
     "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1", "2a00:1450::1",
     "2001:4860:4860::8888", "2003::1", "2001:200::1"],
)  # fmt: skip
def test_public_addresses_are(address: str):
    assert GUARD.address(address) is None


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("address", PRIVATE)
def test_the_last_door_before_the_socket_is_shut_by_itself(address: str, transport):
    """Whoever forgot to ask before."""
    witness = Witness(Plain())
    with pytest.raises(Failed) as failed:
        Guarded(witness, GUARD).reach(None, address, 443, transport)
    assert failed.value.failure == "permission_denied"
    with pytest.raises(Failed):
        Guarded(witness, GUARD).reach(None, SITE, 25, transport)
    assert witness.seen == []
    assert Guarded(witness, GUARD).reach(None, SITE, 443, transport)[:2] == (SITE, 443)


@given(integers(0, 2**32 - 1))
def test_what_python_does_not_call_global_is_never_connected_to(number: int):
    address = ip_address(number)
    if not address.is_global:
        assert GUARD.address(str(address)) is not None


@given(integers(0, 2**128 - 1))
def test_the_same_of_the_other_version(number: int):
    address = ip_address(number.to_bytes(16, "big"))
    if not address.is_global:
        assert GUARD.address(str(address)) is not None


@given(integers(0, 2**32 - 1))
def test_no_spelling_of_an_ipv4_address_in_ipv6_is_connected_to(number: int):
    v4 = number.to_bytes(4, "big")
    for before, after in (
        (bytes(10) + b"\xff\xff", b""),
        (bytes(12), b""),
        (bytes.fromhex("0064ff9b") + bytes(8), b""),
        (bytes.fromhex("2002"), bytes(10)),
        (bytes.fromhex("20010000"), bytes(8)),
    ):
        assert GUARD.address(str(ip_address(before + v4 + after))) is not None


def test_every_network_of_the_table_is_refused_from_end_to_end():
    for networks in NOT_PUBLIC.values():
        for network in map(ip_network, networks.split()):
            for address in (network.network_address, network.broadcast_address):
                assert Guard().address(str(address)) is not None


@pytest.mark.parametrize("port", [0, 22, 25, 53, 110, 445, 3306, 6379, 11211, 65536, -1])
def test_ports_where_pages_are_not_are_refused(port: int):
    assert bad_port(port) is not None


@pytest.mark.parametrize("port", [80, 443, 853, 3478, 5222, 8080, 8443, 9001, 9030, 65535])
def test_ports_of_pages_relays_and_messengers_are_not(port: int):
    assert bad_port(port) is None
    assert port not in BAD_PORTS | INNER_PORTS


@pytest.mark.parametrize(
    "url",
    [
        "", "http://", "http:///x", "ftp://x.example/", "file:///etc/passwd", "gopher://x/",
        "javascript:1", "//x.example/", "http://x.example:99999/", "http://x.example:0/",
        "http://x.example:22/", "http://x.example:6379/", "http://x.example:-1/",
        "http://localhost/", "http://LOCALHOST./", "http://a.localhost/", "http://x.local/",
        "http://metadata.google.internal/", "http://router.home.arpa/", "http://x.onion/",
        "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/",
        "http://127.1/", "http://1.2.3.4.5/", "http://[fe80::1%25eth0]/", "http://[::1/",
        "http://x.example/\r\nX: y", "http://x\n.example/", "http://x.example/\t", "http://x y/",
        "http://x.example/\x00", "http://%31%32%37.0.0.1/", "http://..example/", "http://a..b/",
        "http://" + "a" * 64 + ".example/", "http://x.example/" + "a" * 5000, "http://\ud800/",
    ],
)  # fmt: skip
def test_urls_that_lead_nowhere_public_are_refused_with_words(url: str):
    with pytest.raises(Refused) as refused:
        checked_url(url)
    assert refused.value.status == 400
    assert refused.value.error.startswith("http_request: ")


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("http://x.example", "http://x.example"),
        ("https://User:Pw@X.Example:8443/p#f", "https://x.example:8443/p"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
        ("http://[2606:4700:0::1]/", "http://[2606:4700::1]/"),
        ("http://münchen.example/ü?ü", "http://xn--mnchen-3ya.example/%C3%BC?%C3%BC"),
        ("http://x.example/%41?a=%20", "http://x.example/%41?a=%20"),
        ("http://x.example/a b", "http://x.example/a%20b"),
    ],
)
def test_other_urls_are_as_the_wire_has_them(url: str, wire: str):
    assert checked_url(url) == wire
    assert checked_url(wire) == wire


@pytest.mark.parametrize("value", ["a\r\nHost: b", "a\nb", "\x00", "ж", "a" * 1025, "\x7f"])
def test_a_header_cannot_end_a_header(value: str):
    with pytest.raises(Refused):
        checked_value(value, "http_request_headers.Accept")


@pytest.mark.parametrize("address", PRIVATE)
def test_no_socket_is_opened_to_an_inner_address_however_it_is_named(tmp_path: Path, address: str):
    """By endpoint, by URL, by name, by redirect and by alternative service, in one question each;
    the witness stands behind the guard, and hears of every socket."""
    shown = f"[{address}]" if ":" in address else address
    redirect = f"http://{shown}/secret"

    def page(host: str, path: str) -> bytes:
        if path == "/away":
            return http(302, b"", location=redirect)
        return http(200, b"x", alt_svc=f'h3="{shown}:443", h3="{shown}:8443"')

    questions = [
        {"http_request": f"https://{NAME}/", "tcp_connect": [f"{shown}:443", f"{shown}:80"]},
        {"http_request": f"http://{shown}/"},
        {"http_request": "http://inner.example/"},
        {"http_request": f"http://{NAME}/away"},
        {"http_request": f"https://{NAME}/", "x_quic_enabled": True},
        {
            "http_request": f"https://{NAME}/",
            "x_tls": {f"{shown}:443": NAME},
            "x_endpoints_only": True,
        },
    ]
    names = {NAME: (SITE,), "inner.example": (address,) if "%" not in address else ()}

    async def talk(helper, witness):
        statuses = [(await ask(helper, question)).status for question in questions]
        return statuses, set(witness.seen)

    statuses, seen = with_helper(tmp_path, talk, World(names=names, pages=page))
    assert set(statuses) <= {200, 400}
    assert seen <= {(SITE, 80), (SITE, 443), (RESOLVER, 53)}


async def ask(helper, question):
    return await call(helper, json.dumps(question).encode())


@pytest.mark.parametrize("inner", ["127.0.0.1", "169.254.169.254", "::1", HERE, HERE6])
def test_a_name_that_changes_its_mind_is_asked_once(tmp_path: Path, inner: str):
    """DNS rebinding: the first answer is harmless, and every later one is not."""
    asked_for: list[str] = []

    def rebinding(question: bytes):
        query = dns.message.from_wire(question).question[0]
        kind = dns.rdatatype.to_text(query.rdtype)
        asked_for.append(kind)
        first = asked_for.count(kind) == 1
        yield 0.0, answer(question, (SITE,) if first else (inner,))

    def page(host: str, path: str) -> bytes:
        hops = {"/": "/1", "/1": f"http://{NAME}/2", "/2": "/3"}
        return http(302, b"", location=hops[path]) if path in hops else http(200, b"end")

    async def talk(helper, witness):
        told = await ask(helper, {"http_request": f"http://{NAME}/"})
        return told.json, set(witness.seen)

    told, seen = with_helper(tmp_path, talk, World(resolver=rebinding, pages=page))
    assert told["http_request"]["status_code"] == 200
    assert sorted(asked_for) == ["A", "AAAA"]
    assert seen == {(SITE, 80), (SITE, 443), (RESOLVER, 53)}


def test_of_a_name_with_public_and_inner_addresses_only_the_public_are_tried(tmp_path: Path):
    names = {NAME: ("10.0.0.1", SITE, "127.0.0.1")}
    told = asked(tmp_path, {"http_request": f"http://{NAME}/"}, World(names=names)).json
    assert list(told["tcp_connect"]) == [f"{SITE}:443", f"{SITE}:80"]
    assert told["http_request"]["status_code"] == 200
    assert told["ip_info"]["10.0.0.1"]["flags"] == 2 + 4
    assert told["x_not_measured"]["127.0.0.1:80"] == "loopback"


def test_a_page_that_redirects_to_ourselves_is_no_page(tmp_path: Path):
    world = World(pages=lambda host, path: http(302, b"", location=f"http://{HERE}/"))
    page = asked(tmp_path, {"http_request": f"http://{NAME}/"}, world).json["http_request"]
    assert (page["failure"], page["status_code"]) == ("unknown_error", -1)
    assert page["x_redirects"][-1]["failure"] == "permission_denied"


def test_a_question_cannot_make_us_a_scanner(tmp_path: Path):
    ports = [f"{SITE}:{port}" for port in range(8000, 8100)]
    wide = [f"93.184.{n}.1:443" for n in range(100)]
    told = asked(
        tmp_path,
        {
            "http_request": f"https://{NAME}/",
            "tcp_connect": ports + wide,
            "x_endpoints_only": True,
        },
    ).json
    assert sum(place.startswith(f"{SITE}:") for place in told["tcp_connect"]) == 4
    assert len(told["tcp_connect"]) == 64
    assert len(told["tcp_connect"]) + len(told["x_not_measured"]) == 200


def test_the_addresses_of_this_machine_are_its_own(tmp_path: Path):
    (tmp_path / "fib_trie").write_text(
        "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 5.9.1.1\n        /32 host LOCAL\n"
        "     |-- 5.9.1.255\n        /32 link BROADCAST\n"
    )
    (tmp_path / "if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "2a0104f8000000000000000000000001 02 40 00 80     eth0\n"
    )
    assert own_addresses(tmp_path) == ["5.9.1.1", "::1", "2a01:4f8::1"]
    assert own_addresses(tmp_path / "elsewhere") == []


def test_a_site_that_never_ends_its_page_does_not_hold_us(tmp_path: Path):
    async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def furnish(town: Town) -> None:
        await town.tcp(SITE, 80, drips)

    async def talk(helper, _):
        async with asyncio.timeout(helper.stand.patience.control_s):
            return (await ask(helper, {"http_request": f"http://{NAME}/"})).json

    told = with_helper(tmp_path, talk, World(sites=(), more=furnish))
    assert told["http_request"]["failure"] == "generic_timeout_error"
