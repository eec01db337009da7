"""Flows on their way to a middlebox: which ones, between which ends, and the errors about them."""

from __future__ import annotations

import pytest

from gatewatch.lab.flows import IDLE_S
from gatewatch.lab.rules import Action, Divert, Reset, Trigger
from gatewatch.lab.scenario import Answer, Host, Middlebox
from gatewatch.wire.packet import (
    ACK,
    SYN,
    TCP,
    UDP,
    Packet,
    icmp_time_exceeded,
    icmp_unreachable,
    tcp,
    udp,
)
from gatewatch.wire.quote import quoted
from tests.lab.dialogue import (
    CLIENT,
    CLIENT6,
    OTHER,
    SERVER,
    SERVER6,
    TTLS,
    Street,
    censor,
    hello,
    query,
)
from tests.lab.worlds import packed

SNI = Trigger(sni=("a.example",))
PROXY, PROXY6 = "10.1.0.99", "fd00::99"
FORGING = Middlebox(names=("a.example",), resolver=Answer(addresses=("192.0.2.7",)))
HOSTS = {
    "proxy": Host(addresses=(PROXY, PROXY6), middlebox=Middlebox()),
    "resolver": Host(addresses=(PROXY, PROXY6), middlebox=FORGING),
}
DIVERT = censor(Trigger(everything=True), Action(divert=Divert(to="proxy")))
DIVERT_DNS = censor(Trigger(port=(53,)), Action(divert=Divert(to="resolver")))


def from_proxy(syn: Packet, **fields) -> bytes:
    """What a middlebox answers to a SYN."""
    ends = (syn.dst, syn.src, syn.dport, syn.sport)
    return tcp(
        *ends, **{"seq": 1, "ack": syn.seq + 1, "flags": SYN | ACK, "ttl": TTLS[1], **fields}
    )


def ends_of(packet: Packet | None) -> tuple[bytes, int, bytes, int]:
    assert packet
    return packet.src, packet.sport, packet.dst, packet.dport


def test_a_diverted_flow_reaches_the_middlebox_and_its_answers_come_from_the_server():
    street = Street(DIVERT, hosts=HOSTS)
    connection = street.unopened()
    syn = connection.client_says(flags=SYN).passed
    assert syn
    assert ends_of(syn) == (packed(CLIENT), 50_000, packed(PROXY), 443)
    [act] = street.acts
    assert (act.action, act.server) == ("divert", f"{SERVER}:443")
    assert act.client == act.peer == f"{CLIENT}:50000"

    answer = street.pass_(from_proxy(syn)).passed
    assert ends_of(answer) == (packed(SERVER), 443, packed(CLIENT), 50_000)

    more = connection.client_says(b"GET /").passed
    assert more
    assert more.dst == packed(PROXY)


def test_flows_of_one_port_to_several_servers_are_several_to_the_middlebox():
    street = Street(DIVERT, hosts=HOSTS)
    servers = (SERVER, OTHER, "93.184.216.36")
    connections = [street.unopened(server) for server in servers]
    syns = [connection.client_says(flags=SYN).passed for connection in connections]
    assert len({ends_of(syn) for syn in syns}) == 3
    assert [(act.client, act.server, act.peer) for act in street.acts] == [
        (f"{CLIENT}:50000", f"{server}:443", syn and f"{CLIENT}:{syn.sport}")
        for server, syn in zip(servers, syns, strict=True)
    ]
    for server, connection, syn in zip(servers, connections, syns, strict=True):
        assert syn
        answer = street.pass_(from_proxy(syn)).passed
        assert ends_of(answer) == (packed(server), 443, packed(CLIENT), 50_000)
        more = connection.client_says(b"GET /").passed
        assert ends_of(more) == ends_of(syn)


def test_a_port_is_free_again_when_its_flow_is_forgotten():
    street = Street(DIVERT, hosts=HOSTS)
    for now in (0.0, IDLE_S + 1, 2 * IDLE_S + 2):
        street.now = now
        again = street.unopened()
        again.client_next += int(now)
        syn = again.client_says(flags=SYN).passed
        assert syn
        assert syn.sport == 50_000


@pytest.mark.parametrize(
    ("protocol", "port", "divert", "diverted"),
    [
        (TCP, 80, DIVERT, True),
        (TCP, 443, DIVERT, True),
        (TCP, 8_080, DIVERT, False),
        (TCP, 53, DIVERT, False),
        (UDP, 443, DIVERT, False),
        (UDP, 53, DIVERT, False),
        (TCP, 53, DIVERT_DNS, True),
        (UDP, 53, DIVERT_DNS, True),
    ],
)
def test_only_what_a_middlebox_can_take_is_diverted(protocol, port, divert, diverted):
    street = Street(divert, hosts=HOSTS)
    if protocol == TCP:
        passed = street.unopened(port=port).client_says(flags=SYN).passed
    else:
        passed = street.datagram(b"hello", port=port).passed
    assert passed
    assert passed.dst == packed(PROXY if diverted else SERVER)
    assert bool(street.acts) is diverted


def test_what_a_middlebox_fetches_itself_is_not_diverted():
    street = Street(DIVERT, hosts=HOSTS)
    syn = street.unopened(client=PROXY).client_says(flags=SYN).passed
    assert syn
    assert syn.dst == packed(SERVER)
    assert street.acts == []


def test_questions_of_one_socket_are_answered_each_by_the_resolver_asked():
    street = Street(DIVERT_DNS, hosts=HOSTS)
    resolvers = ("8.8.8.8", "9.9.9.9", "1.1.1.1")
    asked = [street.datagram(query("a.example"), server=server).passed for server in resolvers]
    for resolver, question in zip(resolvers, asked, strict=True):
        assert question
        assert question.dst == packed(PROXY)
        back = udp(packed(PROXY), packed(CLIENT), 53, question.sport, b"answer", ttl=TTLS[1])
        answer = street.pass_(back).passed
        assert ends_of(answer) == (packed(resolver), 53, packed(CLIENT), 40_000)


def test_a_question_for_a_name_can_divert_over_udp_and_over_tcp_it_comes_too_late():
    action = Action(divert=Divert(to="resolver"))
    trigger = Trigger(dns=("a.example",), transport="udp")
    street = Street(censor(trigger, action), hosts=HOSTS)
    for name, where in (("b.example", SERVER), ("a.example", PROXY)):
        passed = street.datagram(query(name)).passed
        assert passed
        assert passed.dst == packed(where)
    for transport in (None, "tcp"):
        late = censor(Trigger(dns=("a.example",), transport=transport), action)
        with pytest.raises(ValueError, match="over TCP the question comes too late"):
            Street(late, hosts=HOSTS)


@pytest.mark.parametrize(
    ("client", "servers", "hop", "proxy"),
    [
        pytest.param(CLIENT, (SERVER, OTHER), "10.1.0.98", PROXY, id="IPv4"),
        pytest.param(CLIENT6, (SERVER6, "2606:2800::35"), "fd00::98", PROXY6, id="IPv6"),
    ],
)
def test_errors_about_a_diverted_flow_are_about_what_was_sent(client, servers, hop, proxy):
    street = Street(DIVERT, hosts=HOSTS)
    for server in servers:
        syn = street.unopened(server, client=client).client_says(flags=SYN).passed
        assert syn
        for by, seen_as in ((hop, hop), (proxy, server)):
            [error] = street.pass_(icmp_time_exceeded(packed(by), syn.data)).forged
            assert (error.src, error.dst) == (packed(seen_as), packed(client))
            assert ends_of(quoted(error)) == (packed(client), 50_000, packed(server), 443)


def test_errors_about_a_middleboxs_answers_go_to_the_middlebox():
    street = Street(DIVERT, hosts=HOSTS)
    street.unopened().client_says(flags=SYN)
    syn = street.unopened(OTHER).client_says(flags=SYN).passed
    assert syn
    sent = from_proxy(syn)
    answer = street.pass_(sent).passed
    assert answer
    [error] = street.pass_(icmp_unreachable(packed(CLIENT), answer.data, "port")).forged
    assert (error.src, error.dst) == (packed(CLIENT), packed(PROXY))
    assert error.payload == sent


def test_errors_about_other_flows_pass_as_they_are():
    street = Street(DIVERT, hosts=HOSTS)
    connection = street.unopened(port=8_080)
    syn = connection.client_says(flags=SYN).passed
    assert syn
    sent = icmp_time_exceeded(packed("79.0.0.1"), syn.data)
    assert [error.data for error in street.pass_(sent).forged] == [sent]


def test_other_censors_of_the_box_see_a_diverted_flow_as_its_client_does():
    street = Street(DIVERT, censor(SNI, Action(reset=Reset())), hosts=HOSTS)
    passage = street.connection().client_says(hello("a.example"))
    [rst] = passage.to(CLIENT)
    assert rst.src == packed(SERVER)


def test_what_cannot_be_told_from_the_first_packet_cannot_be_diverted():
    with pytest.raises(ValueError, match="first-late: only a flow's ends"):
        Street(censor(SNI, Action(divert=Divert(to="proxy")), id="first-late"), hosts=HOSTS)
