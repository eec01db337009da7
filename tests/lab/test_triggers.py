"""What sets a censor off and what does not, each trigger by itself and several together."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, randoms

from gatewatch.lab.rules import Action, Drop, ForgeDns, Reset, Schedule, Trigger
from gatewatch.lab.triggers.looks import looks_encrypted
from tests.lab.dialogue import (
    CLIENT,
    CLIENT6,
    OTHER,
    SERVER,
    SERVER6,
    Street,
    censor,
    get,
    hello,
    query,
    quic_client,
)

ALARM = Action(drop=Drop())


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def in_tcp(trigger: Trigger, *said: bytes, port: int = 443, **ends) -> list[str]:
    """Subjects of what the trigger goes off on; said by the client, or by the server after `<`."""
    street = Street(censor(trigger, ALARM))
    connection = street.connection(port=port, **ends)
    for payload in said:
        if payload.startswith(b"<"):
            connection.server_says(payload)
        else:
            connection.client_says(payload)
    return [act.subject for act in street.acts]


def in_udp(trigger: Trigger, *said: bytes, port: int = 53, **ends) -> list[str]:
    street = Street(censor(trigger, ALARM))
    for payload in said:
        street.datagram(payload, port=port, **ends)
    return [act.subject for act in street.acts]


TOR = hello("www.q7zt4k2mxa3.com", alpn="")
ENCRYPTED = random.Random(1).randbytes(300)
OPENVPN = b"\x38" + bytes(range(1, 9)) + bytes(5)
WIREGUARD = b"\1\0\0\0" + bytes(144)


@pytest.mark.parametrize(
    ("trigger", "said", "subjects"),
    [
        pytest.param({"dns": ("a.example",)}, query("A.Example"), ["a.example"], id="name"),
        pytest.param({"dns": ("a.example",)}, query("b.a.example"), [], id="no name below it"),
        pytest.param({"dns": (".a.example",)}, query("b.a.example"), ["b.a.example"], id="suffix"),
        pytest.param({"dns": (".a.example",)}, query("a.example"), ["a.example"], id="itself"),
        pytest.param({"dns": (".a.example",)}, query("ba.example"), [], id="no other name"),
        pytest.param({"dns": ("*torrent*",)}, query("x.mytorrents.net"), ["x.mytorrents.net"]),
        pytest.param({"dns": ("*.a.example",)}, query("a.example"), [], id="glob is below only"),
        pytest.param({"dns_types": ("AAAA",)}, query("a.example", "AAAA"), ["a.example"]),
        pytest.param({"dns_types": ("AAAA",)}, query("a.example", "A"), [], id="other type"),
        pytest.param({"dns": ("a.example",), "dns_types": ("TXT",)}, query("a.example"), []),
        pytest.param({"dns": ("a.example",)}, b"\0\1junk", [], id="no DNS"),
    ],
)
def test_dns_questions_are_matched_over_udp_and_tcp(trigger, said, subjects):
    assert in_udp(Trigger(**trigger), said) == subjects
    assert in_tcp(Trigger(**trigger), framed(said), port=53) == subjects


def test_a_question_on_another_port_is_no_dns():
    assert in_udp(Trigger(dns=("a.example",)), query("a.example"), port=5353) == []


def test_every_question_of_one_stream_is_read():
    asked = framed(query("a.example")) + framed(query("b.example"))
    trigger = Trigger(dns=("b.example",))
    assert in_tcp(trigger, asked[:40], asked[40:], port=53) == ["b.example"]


@pytest.mark.parametrize(
    ("trigger", "met"),
    [
        ({"everything": True}, True),
        ({"ip": (SERVER,)}, True),
        ({"ip": ("93.184.216.0/24",)}, True),
        ({"ip": (OTHER, "2606:2800::/32")}, False),
        ({"endpoint": (f"{SERVER}:443",)}, True),
        ({"endpoint": (f"{SERVER}:443/tcp",)}, True),
        ({"endpoint": (f"{SERVER}:443/udp",)}, False),
        ({"endpoint": (f"{SERVER}:80",)}, False),
        ({"port": (80, 443)}, True),
        ({"port": (80,)}, False),
        ({"transport": "tcp"}, True),
        ({"transport": "udp"}, False),
        ({"networks": ("fixed",)}, True),
        ({"networks": ("mobile",)}, False),
        ({"ip": (SERVER,), "port": (80,)}, False),
        ({"ip": (SERVER,), "networks": ("fixed",), "transport": "tcp"}, True),
    ],
)
def test_the_ends_of_a_flow_are_known_from_its_first_packet(trigger, met):
    street = Street(censor(Trigger(**trigger), ALARM))
    passage = street.unopened().open()
    assert (passage.passed is None) is met
    assert [act.subject for act in street.acts] == [SERVER] * met


@pytest.mark.parametrize(
    ("trigger", "met"),
    [
        (Trigger(ip=("2606:2800::/32",)), True),
        (Trigger(ip=("2606:2801::/32", SERVER)), False),
        (Trigger(endpoint=("[2606:2800::34]:443",)), True),
        (Trigger(endpoint=("[2606:2800::34]:80",)), False),
    ],
)
def test_addresses_of_ipv6_are_matched_alike(trigger, met):
    street = Street(censor(trigger, ALARM))
    street.connection(SERVER6, client=CLIENT6)
    assert bool(street.acts) is met


@pytest.mark.parametrize(
    ("trigger", "said", "subjects"),
    [
        pytest.param({"host": (".a.example",)}, [get("WWW.A.example:80")], ["www.a.example"]),
        pytest.param({"host": ("a.example",)}, [get("b.example", "/a.example")], []),
        pytest.param(
            {"url": ("a.example/bad*",)}, [get("a.example", "/bad?x")], ["a.example/bad?x"]
        ),
        pytest.param({"url": ("a.example/bad*",)}, [get("a.example", "/good")], []),
        pytest.param({"host": ("a.example",), "url": ("*/bad",)}, [get("b.example", "/bad")], []),
        pytest.param({"host": ("a.example",)}, [get("b.example", body=get("a.example"))], []),
        pytest.param(
            {"host": ("a.example",)}, [get("b.example"), b"<200", get("a.example")], ["a.example"]
        ),
        pytest.param({"host": ("a.example",)}, [b"\x16\3\1", get("a.example")], [], id="not HTTP"),
        pytest.param({"keyword": ("falun",)}, [b"PUT falun"], ["falun"]),
        pytest.param({"keyword": ("falun",)}, [b"..fa", b"lun.."], ["falun"], id="cut in two"),
        pytest.param({"keyword": ("falun",)}, [b"<falun"], [], id="said by the server"),
        pytest.param({"answer_keyword": ("falun",)}, [b"get", b"<a fa", b"<lun"], [], id="apart"),
        pytest.param({"answer_keyword": ("secret",)}, [b"get", b"<a secret"], ["secret"]),
        pytest.param({"answer_keyword": ("secret",)}, [b"secret"], []),
        pytest.param({"keyword": ("late",)}, [bytes(65_000), bytes(1_000), b"late"], []),
        pytest.param(
            {"host": ("a.example",), "answer_keyword": ("secret",)},
            [get("a.example"), b"<some", b"<secret"],
            ["a.example"],
            id="both, one after the other",
        ),
        pytest.param(
            {"host": ("a.example",), "answer_keyword": ("secret",)}, [b"x", b"<secret"], []
        ),
    ],
)
def test_what_is_said_in_clear_is_matched_in_its_stream(trigger, said, subjects):
    assert in_tcp(Trigger(**trigger), *said, port=80) == subjects


@pytest.mark.parametrize(
    ("trigger", "said", "subjects"),
    [
        ({"sni": (".a.example",)}, hello("www.A.example"), ["www.a.example"]),
        ({"sni": (".a.example",)}, hello("b.example"), []),
        ({"sni": ("*",)}, hello(None), []),
        ({"quic_sni": (".a.example",)}, hello("a.example"), []),
        ({"ech": True}, hello("public.example", ech=True), ["public.example"]),
        ({"ech": True}, hello("public.example", esni=True), []),
        ({"esni": True}, hello(esni=True), ["no name"]),
        ({"ech": True, "sni": ("b.example",)}, hello("a.example", ech=True), []),
        ({"sni": ("a.example",)}, get("a.example"), []),
    ],
)
def test_what_a_client_hello_shows_is_matched(trigger, said, subjects):
    assert in_tcp(Trigger(**trigger), said) == subjects


@given(cuts=lists(integers(1, len(hello("a.example")) - 1), max_size=5), chance=randoms())
def test_a_client_hello_is_read_from_segments_in_any_order_and_more_than_once(cuts, chance):
    street = Street(censor(Trigger(sni=("a.example",)), Action(reset=Reset())))
    connection = street.connection()
    whole, begin = hello("a.example"), connection.client_next
    edges = sorted({0, *cuts, len(whole)})
    # every piece reaches a few bytes into the next one, as retransmissions do
    pieces = [(at, whole[at : to + 3]) for at, to in pairwise(edges)]
    pieces += chance.choices(pieces, k=2)
    chance.shuffle(pieces)
    for at, piece in pieces:
        connection.client_repeats(begin + at, piece)
    assert [act.subject for act in street.acts if not act.again] == ["a.example"]


def test_a_flow_that_is_not_the_one_to_match_does_not_disarm_the_censor():
    street = Street(censor(Trigger(sni=("a.example",)), Action(reset=Reset())))
    for port, name in enumerate(["b.example", "a.example", "c.example", "a.example"], 50_000):
        street.connection(client_port=port).client_says(hello(name))
    assert [act.client[-1] for act in street.acts] == ["1", "3"]


def test_server_names_are_read_from_a_real_clients_quic_initial():
    _, initial = quic_client("www.a.example")
    assert in_udp(Trigger(quic_sni=(".a.example",)), initial, port=443) == ["www.a.example"]
    assert in_udp(Trigger(quic_sni=("b.example",)), initial, port=443) == []
    assert in_udp(Trigger(sni=(".a.example",)), initial, port=443) == []


@pytest.mark.parametrize(("size", "met"), [(1_200, True), (1_001, True), (1_000, False)])
def test_large_quic_initials_are_met_by_their_size_alone(size, met):
    header = b"\xc0\0\0\0\1\x08" + bytes(8) + b"\0\0"
    length = (size - len(header) - 2) | 0x4000
    initial = (header + length.to_bytes(2, "big")).ljust(size, b"\0")
    subjects = in_udp(Trigger(quic=True), initial, port=443)
    assert subjects == ["QUIC version 1"] * met


@pytest.mark.parametrize(
    ("look", "first", "transport", "met"),
    [
        ("encrypted", ENCRYPTED, "tcp", True),
        ("encrypted", ENCRYPTED, "udp", False),
        ("encrypted", hello("a.example"), "tcp", False),
        ("encrypted", get("a.example"), "tcp", False),
        ("tor", TOR, "tcp", True),
        ("tor", hello("www.q7zt4k2mxa3.com", alpn="h2"), "tcp", False),
        ("tor", hello("www.example.com", alpn=""), "tcp", False),
        ("openvpn", OPENVPN, "udp", True),
        ("openvpn", framed(OPENVPN), "tcp", True),
        ("openvpn", OPENVPN, "tcp", False),
        ("openvpn", query("a.example", id=0x3800), "udp", False),
        ("wireguard", WIREGUARD, "udp", True),
        ("wireguard", WIREGUARD[:-1], "udp", False),
        ("unknown", b"SSH-2.0-OpenSSH_9.6\r\n", "tcp", True),
        ("unknown", ENCRYPTED, "tcp", True),
        ("unknown", hello("a.example"), "tcp", False),
        ("unknown", hello("a.example")[:1], "tcp", False),
        ("unknown", get("a.example")[:2], "tcp", False),
        ("unknown", framed(query("a.example")), "tcp", False),
        ("unknown", query("a.example"), "udp", False),
        ("unknown", WIREGUARD, "udp", True),
    ],
)
def test_a_flow_is_judged_by_the_looks_of_its_first_payload(look, first, transport, met):
    trigger = Trigger(look=(look,))
    said = in_tcp(trigger, first) if transport == "tcp" else in_udp(trigger, first, port=443)
    assert said == [look] * met


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"\xff" * 100, "too many ones"),
        (b"\x01" * 100, "too few"),
        (b"GEThtp" + ENCRYPTED, "six printable bytes first"),
        (ENCRYPTED[:60] + b"4z~K" * 20, "more than half is printable"),
        (ENCRYPTED + b"n0t.random/at-all,you" + ENCRYPTED, "twenty-one printable in a row"),
        (b"\x16\x03\x01" + ENCRYPTED, "TLS"),
        (b"POST" + ENCRYPTED, "HTTP"),
    ],
)
def test_each_exemption_of_the_paper_spares_what_would_look_encrypted(payload, why):
    assert looks_encrypted(ENCRYPTED)
    assert not looks_encrypted(payload), why


def test_the_first_payload_alone_is_looked_at():
    assert in_tcp(Trigger(look=("encrypted",)), hello("a.example"), ENCRYPTED) == []


@pytest.mark.parametrize(("bidirectional", "met"), [(False, False), (True, True)])
def test_flows_from_outside_are_met_only_by_censors_that_work_both_ways(bidirectional, met):
    trigger = Trigger(sni=("a.example",), bidirectional=bidirectional)
    met_some = bool(in_tcp(trigger, hello("a.example"), server=CLIENT, client=SERVER))
    assert met_some is met


@pytest.mark.parametrize(
    ("schedule", "acting"),
    [
        pytest.param(Schedule(after_s=10), [False, True, True], id="from then on"),
        pytest.param(Schedule(until_s=10), [True, False, False], id="until then"),
        pytest.param(Schedule(hours=("12:30-14:00",)), [False, False, True], id="by the clock"),
        pytest.param(Schedule(hours=("20:00-12:30",)), [True, True, False], id="past midnight"),
    ],
)
def test_outside_its_schedule_a_censor_does_nothing_also_to_flows_that_it_has_met(schedule, acting):
    street = Street(censor(Trigger(everything=True, schedule=schedule), ALARM))
    connection = street.connection()
    dropped = []
    for now in (5.0, 20.0, 3_600.0):
        street.now = now
        dropped.append(connection.client_says(b"still there?").passed is None)
    assert dropped == acting


def drawn(seed: int, names: list[str]) -> list[bool]:
    trigger = Trigger(dns=(".example",), probability=0.3)
    street = Street(censor(trigger, ALARM), seed=seed)
    return [
        street.datagram(query(name), client_port=port).passed is None
        for port, name in enumerate(names, 30_000)
    ]


def test_a_share_of_matches_is_acted_upon_and_the_seed_says_which():
    names = [f"n{number % 50}.example" for number in range(1_000)]
    first = drawn(1, names)
    assert 250 < sum(first) < 350
    assert drawn(1, names) == first
    assert drawn(2, names) != first


def test_what_is_drawn_for_a_name_does_not_depend_on_what_others_ask():
    alone = drawn(1, ["a.example"] * 20)
    amid = drawn(1, ["a.example", "b.example"] * 20)
    assert amid[::2] == alone


def test_a_packet_sent_again_is_not_drawn_for_again():
    trigger = Trigger(dns=("a.example",), probability=0.5)
    street = Street(censor(trigger, Action(forge_dns=ForgeDns(swallow=True))))
    for port in range(50_000, 50_040):
        fates = {
            street.datagram(query("a.example"), client_port=port).passed is None for _ in range(5)
        }
        assert len(fates) == 1
    assert 5 < len({act.client for act in street.acts}) < 35
