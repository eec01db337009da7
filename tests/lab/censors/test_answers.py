"""Answers in another's name: pages, redirects, alerts, DNS, and the end of QUIC."""

from __future__ import annotations

import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from aioquic.quic.events import ConnectionTerminated

from gatewatch.lab.pages import page
from gatewatch.lab.rules import (
    Action,
    Alert,
    BlockPage,
    Censor,
    CloseQuic,
    ForgeDns,
    Redirect,
    Reset,
    Trigger,
)
from tests.lab.dialogue import (
    CLIENT,
    CLIENT6,
    SERVER,
    SERVER6,
    Connection,
    Passage,
    Street,
    censor,
    get,
    hello,
    query,
    quic_client,
    shapes,
)
from tests.lab.worlds import packed

REQUEST = get("a.example")


def asked(rule: BlockPage | Redirect) -> tuple[Connection, Passage]:
    """What comes of a request for a host that the rule is about."""
    redirects = isinstance(rule, Redirect)
    action = Action(redirect=rule) if redirects else Action(block_page=rule)
    street = Street(censor(Trigger(host=("a.example",)), action))
    connection = street.connection(port=80)
    return connection, connection.client_says(REQUEST)


def stream(passage: Passage, connection: Connection) -> bytes:
    """What the client reads: segments that follow each other from where it is."""
    text, at = b"", connection.server_next
    for packet in passage.to(CLIENT):
        assert packet.seq == at
        assert packet.ack == connection.client_next
        assert len(packet.payload) <= 1_400
        text += packet.payload
        at = (at + len(packet.payload)) & 0xFFFFFFFF
    return text


def test_a_block_page_is_a_whole_http_answer_with_headers_and_an_end():
    rule = BlockPage(page="odd", status=403, headers={"Server": "Box"})
    connection, passage = asked(rule)
    head, _, body = stream(passage, connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"\r\nServer: Box" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.decode() == page("odd").body
    assert [flags for flags, _ in shapes(passage.forged)] == ["PSH/ACK", "FIN/ACK"]
    assert passage.passed, "injected beside the path, the request goes on"


def test_a_long_page_comes_in_segments_in_order():
    connection, passage = asked(BlockPage(page=f"<p>{'x' * 5_000}</p>"))
    assert stream(passage, connection).endswith(b"xxx</p>")
    assert len(passage.forged) == 5


def test_a_page_may_come_without_a_status_line():
    connection, passage = asked(BlockPage(page="pakistan", status=None))
    assert stream(passage, connection).startswith(b"<html><head><title>Surf Safely")


@pytest.mark.parametrize(
    ("close", "last"), [("fin", "FIN/ACK"), ("reset", "RST/ACK"), ("none", "PSH/ACK")]
)
def test_the_end_of_an_injected_page_is_as_the_rule_says(close, last):
    _, passage = asked(BlockPage(page="<p>no</p>", close=close))
    assert shapes(passage.forged)[-1][0] == last


def test_a_server_that_does_not_see_the_request_is_reset_and_hears_no_more():
    connection, passage = asked(BlockPage(page="iran", status=403, swallow=True))
    assert passage.passed is None
    assert [(p.seq, p.ack) for p in passage.to(SERVER)] == [
        (connection.client_next - len(REQUEST), connection.server_next)
    ]
    assert connection.client_says(b"").passed is None


def test_a_redirect_is_an_answer_without_a_body():
    connection, passage = asked(Redirect(location="http://warning.or.kr/", status=307))
    text = stream(passage, connection)
    assert text.startswith(
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://warning.or.kr/\r\n"
    )
    assert text.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Alert(), bytes.fromhex("15030300020228")),
        (Alert(description=112), bytes.fromhex("15030300020270")),
        (Alert(garbage="HTTP/1.0 403"), b"HTTP/1.0 403"),
    ],
)
def test_a_hello_is_answered_with_an_alert_or_with_what_is_no_tls(rule, said):
    street = Street(censor(Trigger(sni=("a.example",)), Action(alert=rule)))
    connection = street.connection()
    passage = connection.client_says(hello("a.example"))
    assert (passage.passed, stream(passage, connection)) == (None, said)


def test_pages_are_for_those_who_said_something():
    street = Street(censor(Trigger(everything=True), Action(block_page=BlockPage(page="odd"))))
    assert street.unopened().open().forged == []
    assert street.acts == []


# -- DNS -------------------------------------------------------------------------------------

POOL = tuple(f"198.51.100.{number}" for number in range(1, 60))


def forger(id: str = "forger", **rule) -> Censor:
    return censor(Trigger(dns=(".example",)), Action(forge_dns=ForgeDns(**rule)), id=id)


def answers(passage: Passage) -> list[dns.message.Message]:
    return [dns.message.from_wire(packet.payload) for packet in passage.to(CLIENT)]


def addresses(message: dns.message.Message) -> list[str]:
    return [str(record) for rrset in message.answer for record in rrset]


@pytest.mark.parametrize(
    ("rule", "kind", "rcode", "records"),
    [
        ({"a": ("10.10.34.36",)}, "A", "NOERROR", ["10.10.34.36"]),
        ({"a": ("10.10.34.36",)}, "AAAA", "NOERROR", []),
        ({"aaaa": ("2001::1",)}, "AAAA", "NOERROR", ["2001::1"]),
        ({"a": ("10.10.34.36",)}, "TXT", "NOERROR", []),
        ({"rcode": "NXDOMAIN"}, "A", "NXDOMAIN", []),
        ({"rcode": "SERVFAIL"}, "A", "SERVFAIL", []),
        ({"rcode": "REFUSED"}, "AAAA", "REFUSED", []),
        (
            {"cname": "block.example.net", "a": ("192.0.2.7",)},
            "A",
            "NOERROR",
            ["block.example.net.", "192.0.2.7"],
        ),
    ],
)
def test_a_forged_answer_says_what_its_rule_says(rule, kind, rcode, records):
    passage = Street(forger(**rule)).datagram(query("a.example", kind, id=99))
    [message] = answers(passage)
    assert passage.passed, "the question goes on, and the true answer follows"
    assert (message.id, dns.rcode.to_text(message.rcode())) == (99, rcode)
    assert message.question[0].to_text() == f"a.example. IN {kind}"
    assert addresses(message) == records
    [packet] = passage.forged
    assert (packet.src, packet.sport, packet.dport) == (packed(SERVER), 53, 40_000)


def test_answers_race_each_other_with_addresses_of_their_own():
    passage = Street(forger(a=POOL, copies=3, spacing_ms=2.0)).datagram(query("a.example"))
    assert passage.delays_ms == [0.5, 2.5, 4.5]
    assert len({addresses(message)[0] for message in answers(passage)}) == 3


def test_the_same_name_gets_the_same_address_whoever_asks_and_when():
    def given(seed: int, names: list[str]) -> dict[str, str]:
        street = Street(forger(a=POOL), seed=seed)
        return {
            name: addresses(answers(street.datagram(query(name, id=i), client_port=i))[0])[0]
            for i, name in enumerate(names, 1_024)
        }

    names = [f"{letter}.example" for letter in "abcdefgh"]
    assert given(1, names) == given(1, names[::-1])
    assert given(1, names) != given(2, names)
    assert len(set(given(1, names).values())) > 3


def test_injectors_on_one_hop_each_answer_from_their_own_pool():
    street = Street(
        forger("first", a=POOL), forger("second", a=("203.0.113.1",)), forger("third", a=POOL)
    )
    found = [addresses(message)[0] for message in answers(street.datagram(query("a.example")))]
    assert found[1] == "203.0.113.1"
    assert found[0] != found[2]
    assert [act.censor for act in street.acts] == ["first", "second", "third"]


def test_a_careless_injector_sends_another_id():
    [message] = answers(Street(forger(wrong_id=True)).datagram(query("a.example", id=7)))
    assert message.id != 7


def test_a_swallowed_question_is_only_that_one():
    street = Street(forger(swallow=True, a=("10.10.34.36",)))
    assert street.datagram(query("a.example")).passed is None
    assert street.datagram(query("a.example", "AAAA")).passed is None
    assert street.datagram(query("innocent.org")).passed


def test_both_questions_of_a_client_that_asks_for_both_families_are_answered():
    street = Street(forger(a=("192.0.2.7",), aaaa=("2001::7",)))
    found = [answers(street.datagram(query("a.example", kind))) for kind in ("A", "AAAA")]
    assert [addresses(messages[0]) for messages in found] == [["192.0.2.7"], ["2001::7"]]
    assert street.acted() == [("forge_dns", "a.example")] * 2


def test_a_censor_of_every_question_answers_every_question():
    street = Street(censor(Trigger(port=(53,)), Action(forge_dns=ForgeDns(a=("192.0.2.7",)))))
    for name in ("a.example", "b.example"):
        [message] = answers(street.datagram(query(name)))
        assert addresses(message) == ["192.0.2.7"]


def test_over_tcp_the_answer_is_put_into_the_stream():
    street = Street(forger(a=("10.10.34.36",), copies=3, swallow=True))
    connection = street.connection(port=53)
    asked = query("a.example")
    passage = connection.client_says(len(asked).to_bytes(2, "big") + asked)
    text = stream(passage, connection)
    assert int.from_bytes(text[:2], "big") == len(text) - 2
    assert addresses(dns.message.from_wire(text[2:])) == ["10.10.34.36"]
    assert passage.passed is None


def test_over_tcp_a_question_can_be_reset():
    street = Street(censor(Trigger(dns=("a.example",)), Action(reset=Reset())))
    connection = street.connection(port=53)
    asked = query("a.example")
    assert connection.client_says(len(asked).to_bytes(2, "big")).forged == []
    assert shapes(connection.client_says(asked).forged) == [("RST/ACK", 0)]


def test_over_ipv6_answers_are_forged_alike():
    street = Street(forger(aaaa=("2001::7",)))
    passage = street.datagram(query("a.example", "AAAA"), server=SERVER6, client=CLIENT6)
    [packet] = passage.to(CLIENT6)
    assert addresses(dns.message.from_wire(packet.payload)) == ["2001::7"]


# -- QUIC ------------------------------------------------------------------------------------


def test_a_real_quic_client_takes_the_forged_close_for_the_servers():
    client, initial = quic_client("a.example")
    rule = Action(close_quic=CloseQuic(error=0x2))
    street = Street(censor(Trigger(quic_sni=("a.example",)), rule))
    passage = street.datagram(initial, port=443)
    assert passage.passed is None
    [forged] = passage.to(CLIENT)
    client.receive_datagram(forged.payload, (SERVER, 443), now=0.1)
    client.handle_timer(now=60.0)
    events = iter(client.next_event, None)
    closed = [event for event in events if isinstance(event, ConnectionTerminated)]
    assert [event.error_code for event in closed] == [0x2]
    assert street.acted() == [("close_quic", "a.example")]


def test_an_initial_sent_again_is_closed_again():
    _, initial = quic_client("a.example")
    street = Street(censor(Trigger(quic_sni=("a.example",)), Action(close_quic=CloseQuic())))
    assert all(street.datagram(initial, port=443).forged for _ in range(3))
