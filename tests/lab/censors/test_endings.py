"""How connections are ended by others: resets, FINs, refusals, ICMP, and where a SYN gets lost."""

from __future__ import annotations

import pytest

from gatewatch.lab.rules import Action, Drop, Fin, Icmp, NullRoute, Refuse, Reset, Trigger
from gatewatch.wire.packet import ACK, FIN, ICMP, ICMPV6, RST, SYN
from tests.lab.dialogue import (
    CLIENT,
    CLIENT6,
    ROUTER,
    ROUTER6,
    SERVER,
    SERVER6,
    Connection,
    Passage,
    Street,
    censor,
    get,
    hello,
    shapes,
)
from tests.lab.worlds import packed

SNI = Trigger(sni=("a.example",))
HELLO = hello("a.example")


def greeted(action: Action, trigger: Trigger = SNI) -> tuple[Street, Connection, Passage]:
    street = Street(censor(trigger, action))
    connection = street.connection()
    return street, connection, connection.client_says(HELLO)


def test_a_reset_beside_the_path_comes_with_the_hello_and_is_what_the_client_expects_next():
    street, connection, passage = greeted(Action(reset=Reset()))
    assert passage.passed
    assert passage.passed.payload == HELLO
    assert shapes(passage.forged) == [("RST/ACK", 0)]
    [rst] = passage.to(CLIENT)
    assert (rst.src, rst.sport, rst.dport) == (packed(SERVER), 443, 50_000)
    assert (rst.seq, rst.ack) == (connection.server_next, connection.client_next)
    assert passage.delays_ms == [0.5]
    assert street.acted() == [("reset", "a.example")]


@pytest.mark.parametrize(
    ("rule", "next_to_server"),
    [
        pytest.param(Reset(to="server"), "behind the hello", id="the hello goes on"),
        pytest.param(Reset(to="server", swallow=True), "before the hello", id="it does not"),
    ],
)
def test_a_reset_to_the_server_has_exactly_the_number_that_it_waits_for(rule, next_to_server):
    _, connection, passage = greeted(Action(reset=rule))
    [rst] = passage.to(SERVER)
    behind = connection.client_next
    assert rst.seq == (behind if next_to_server == "behind the hello" else behind - len(HELLO))
    assert rst.ack == connection.server_next


def test_a_burst_differs_in_numbers_ttls_and_windows_as_its_injectors_do():
    rule = Reset(to="both", offsets=(0, 1_460, 4_380), ttls=(90, 47), windows=(79, 80, 81))
    _, connection, passage = greeted(Action(reset=rule))
    assert [
        ((rst.seq - connection.server_next) & 0xFFFFFFFF, rst.ttl, rst.window)
        for rst in passage.to(CLIENT)
    ] == [(0, 90, 79), (1_460, 47, 80), (4_380, 90, 81)]
    assert [rst.seq - connection.client_next for rst in passage.to(SERVER)] == [0, 1_460, 4_380]


def test_a_bare_reset_acknowledges_nothing():
    _, _, passage = greeted(Action(reset=Reset(ack=False)))
    assert [(rst.flags, rst.ack) for rst in passage.forged] == [(RST, 0)]


def test_a_reset_may_carry_the_ten_bytes_that_henan_is_known_by():
    _, _, passage = greeted(Action(reset=Reset(payload="01020304050607080900")))
    assert passage.forged[0].payload == bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 0])


def test_a_syn_is_reset_with_an_acknowledgement_that_its_sender_accepts():
    street = Street(censor(Trigger(port=(443,)), Action(reset=Reset(offsets=(0, 0, 0)))))
    syn = street.unopened().open()
    assert syn.passed
    assert [(rst.flags, rst.ack) for rst in syn.forged] == [(RST | ACK, 1_001)] * 3


def test_an_answer_that_says_the_word_is_reset_from_both_ends():
    trigger = Trigger(answer_keyword=("forbidden",))
    street = Street(censor(trigger, Action(reset=Reset(to="both"))))
    connection = street.connection(port=80)
    connection.client_says(get("a.example"))
    passage = connection.server_says(b"the forbidden word")
    assert passage.passed
    assert [(p.seq, p.ack) for p in passage.to(CLIENT)] == [
        (connection.server_next, connection.client_next)
    ]
    assert [(p.seq, p.ack) for p in passage.to(SERVER)] == [
        (connection.client_next, connection.server_next)
    ]


def test_a_hello_sent_again_is_reset_again_and_told_of_as_no_news():
    street, connection, _ = greeted(Action(reset=Reset(swallow=True)))
    again = connection.client_repeats(connection.client_next - len(HELLO), HELLO)
    assert (again.passed, shapes(again.forged)) == (None, [("RST/ACK", 0)])
    assert street.acted() == [("reset", "a.example")] * 2
    assert [act.again for act in street.acts] == [False, True]


def test_nothing_is_reset_in_answer_to_a_reset():
    street = Street(censor(Trigger(everything=True), Action(reset=Reset())))
    assert street.unopened().client_says(flags=RST).forged == []


def test_every_request_on_one_connection_is_looked_at():
    street = Street(censor(Trigger(host=(".example",)), Action(reset=Reset())))
    connection = street.connection(port=80)
    for name in ("a.example", "b.example"):
        assert connection.client_says(get(name)).forged
        connection.server_says(b"HTTP/1.1 200 OK\r\n\r\n")
    assert street.acted() == [("reset", "a.example"), ("reset", "b.example")]


def test_a_fin_is_put_in_the_servers_place_and_the_rest_of_the_flow_is_gone():
    _, connection, passage = greeted(Action(fin=Fin()))
    assert passage.passed is None
    [fin] = passage.forged
    assert (fin.flags, fin.seq, fin.ack) == (
        FIN | ACK,
        connection.server_next,
        connection.client_next,
    )
    assert connection.client_says(flags=FIN | ACK).passed is None
    assert connection.server_says(b"who is there?").passed is None


def test_a_refused_syn_is_answered_as_by_a_closed_port_each_time():
    street = Street(censor(Trigger(ip=(SERVER,)), Action(refuse=Refuse())))
    for _ in range(2):
        syn = street.unopened().client_says(flags=SYN)
        assert syn.passed is None
        assert [(rst.flags, rst.seq, rst.ack) for rst in syn.forged] == [(RST | ACK, 0, 1_001)]
    assert street.acted() == [("refuse", SERVER)] * 2


@pytest.mark.parametrize(
    ("ends", "code", "sender", "kind"),
    [
        ({}, "admin", ROUTER, (3, 13)),
        ({}, "net", ROUTER, (3, 0)),
        ({}, "host", ROUTER, (3, 1)),
        ({}, "port", packed(SERVER), (3, 3)),
        ({"server": SERVER6, "client": CLIENT6}, "admin", ROUTER6, (1, 1)),
    ],
)
def test_an_icmp_error_comes_to_the_sender_in_place_of_the_packet(ends, code, sender, kind):
    street = Street(censor(Trigger(port=(443,)), Action(icmp=Icmp(code=code))))
    syn = street.unopened(**ends).open()
    assert syn.passed is None
    [error] = syn.forged
    assert (error.src, error.dst) == (sender, packed(ends.get("client", CLIENT)))
    assert error.protocol == (ICMP if error.version == 4 else ICMPV6)
    assert tuple(error.data[error.header_end :][:2]) == kind
    assert error.payload[16 if error.version == 4 else 24 :].startswith(
        packed(ends.get("server", SERVER))
    ), "it quotes the SYN"


def test_on_a_null_route_packets_to_the_address_vanish_and_others_do_not():
    street = Street(censor(Trigger(ip=(SERVER,)), Action(null_route=NullRoute())))
    connection = street.unopened()
    assert (connection.client_says(flags=SYN).passed, street.acted()) == (
        None,
        [("null_route", SERVER)],
    )
    assert connection.server_says(flags=SYN | ACK).passed
    assert street.datagram(b"ping", server="8.8.8.8", port=7).passed


@pytest.mark.parametrize(
    ("rule", "fates"),
    [
        # the hello, the server's answer, the client's next segment, the server's
        pytest.param(Drop(), "....", id="all of it"),
        pytest.param(Drop(to="server"), ".s.s", id="to the server"),
        pytest.param(Drop(to="client"), "c.c.", id="to the client"),
        pytest.param(Drop(after_packets=1), "c...", id="after the hello"),
        pytest.param(Drop(after_packets=3, to="client"), "csc.", id="after three packets"),
    ],
)
def test_a_flow_is_dropped_from_its_trigger_on_or_some_packets_later(rule, fates):
    _, connection, hello_ = greeted(Action(drop=rule))
    passages = [
        hello_,
        connection.server_says(b"ServerHello"),
        connection.client_says(b"Finished"),
        connection.server_says(b"Ticket"),
    ]
    seen = "".join(
        (who if passage.passed else ".") for who, passage in zip("cscs", passages, strict=True)
    )
    assert seen == fates


def test_a_flow_stalls_after_so_many_kilobytes_of_the_answer():
    street, connection, hello_ = greeted(Action(drop=Drop(after_kb=16)))
    assert hello_.passed
    assert street.acts == []
    arrived = [connection.server_says(bytes(1_000)).passed for _ in range(20)]
    assert [bool(passed) for passed in arrived] == [True] * 16 + [False] * 4
    assert connection.client_says(flags=ACK).passed is None
    assert street.acted() == [("drop", "a.example")]


def test_a_reset_and_a_drop_together_reset_what_is_then_dropped():
    _, connection, passage = greeted(Action(reset=Reset(to="both"), drop=Drop()))
    assert passage.passed is None
    assert [p.seq for p in passage.to(SERVER)] == [connection.client_next - len(HELLO)]
    assert connection.client_says(b"more").passed is None


def test_only_the_flow_that_set_it_off_is_dropped():
    street, _, _ = greeted(Action(drop=Drop()))
    other = street.connection(client_port=50_001)
    assert other.client_says(hello("b.example")).passed
    assert other.server_says(b"ServerHello").passed
