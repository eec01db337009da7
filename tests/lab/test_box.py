"""A box as the router meets it: several censors, residual blocking, throttles, diversions, time."""

from __future__ import annotations

import random

import pytest

from gatewatch.lab.flows import FLOWS_MAX, IDLE_S, Flows, Stream
from gatewatch.lab.rules import (
    Action,
    Alert,
    BlockPage,
    Drop,
    Fin,
    ForgeDns,
    Icmp,
    Refuse,
    Reset,
    Residual,
    Throttle,
    Trigger,
)
from gatewatch.lab.watch import DEEDS_MAX
from gatewatch.wire.packet import (
    RST,
    SYN,
    parse,
    tcp,
    udp,
)
from tests.lab.dialogue import (
    CLIENT,
    OTHER,
    SERVER,
    Passage,
    Street,
    censor,
    get,
    hello,
    query,
    shapes,
)
from tests.lab.worlds import packed

SNI = Trigger(sni=("a.example",))


def test_a_packet_that_no_censor_cares_about_passes_as_the_very_same_bytes():
    street = Street(censor(SNI, Action(drop=Drop())))
    packet = parse(tcp(packed(CLIENT), packed(SERVER), 1, 80, seq=1, flags=SYN))
    [(data, delay_ms)] = street.box.handle(packet, True, 0.0)
    assert data is packet.data
    assert delay_ms == 0.0


def test_a_log_line_says_who_acted_on_what():
    street = Street(censor(SNI, Action(reset=Reset()), id="sni-reset"))
    street.now = 1.25
    street.connection().client_says(hello("a.example"))
    [act] = street.acts
    assert (act.t, act.place, act.censor, act.action) == (1.25, "isp/1", "sni-reset", "reset")
    assert (act.client, act.server) == (f"{CLIENT}:50000", f"{SERVER}:443")
    assert (act.transport, act.subject) == ("tcp", "a.example")


def test_each_question_that_is_forged_is_an_act_and_each_that_is_dropped():
    for action in (Action(forge_dns=ForgeDns(a=("192.0.2.7",))), Action(drop=Drop())):
        street = Street(censor(Trigger(dns=(".example",)), action))
        for name in ("a.example", "b.example", "a.example", "innocent.org"):
            street.datagram(query(name))
        assert [act.subject for act in street.acts] == ["a.example", "b.example", "a.example"]
        assert not any(act.again for act in street.acts)


def test_what_lasts_is_told_of_when_it_begins_and_when_the_trigger_goes_off_anew():
    street = Street(censor(Trigger(keyword=("forbidden",)), Action(throttle=Throttle(delay_ms=9))))
    connection = street.connection()
    for word in (b"forbidden", b"free", b"forbidden"):
        connection.client_says(word)
        connection.server_says(b"go on")
    assert street.acted() == [("throttle", "forbidden")] * 2


def test_a_flood_does_not_fill_the_log():
    silenced = Street(censor(Trigger(everything=True), Action(drop=Drop())))
    answered = Street(censor(Trigger(everything=True), Action(icmp=Icmp())))
    for street in (silenced, answered):
        for _ in range(3 * DEEDS_MAX):
            street.datagram(b"flood", port=9)
    assert len(silenced.acts) == 1
    assert len(answered.acts) == DEEDS_MAX


def test_the_first_censor_that_drops_a_packet_ends_it():
    street = Street(
        censor(SNI, Action(reset=Reset()), id="on-path"),
        censor(SNI, Action(drop=Drop()), id="in-path"),
        censor(SNI, Action(reset=Reset()), id="behind"),
    )
    passage = street.connection().client_says(hello("a.example"))
    assert passage.passed is None
    assert [act.censor for act in street.acts] == ["on-path", "in-path"]


LIVELY = (
    censor(
        Trigger(dns=(".example",), probability=0.5),
        Action(forge_dns=ForgeDns(a=tuple(f"203.0.113.{n}" for n in range(200)), copies=2)),
    ),
    censor(SNI, Action(reset=Reset(to="both"), drop=Drop(after_packets=2))),
    censor(Trigger(host=("b.example",)), Action(block_page=BlockPage(page="iran"))),
    censor(Trigger(ip=(OTHER,)), Action(throttle=Throttle(loss=0.5, delay_ms=9))),
)


def lively(seed: int) -> list[Passage]:
    """Everything that comes out of a box with a bit of everything in it."""
    street = Street(*LIVELY, seed=seed)
    slow = street.connection(OTHER)
    return [
        *(street.datagram(query(f"n{n % 7}.example"), client_port=2_000 + n) for n in range(20)),
        street.connection().client_says(hello("a.example")),
        street.connection(port=80).client_says(get("b.example")),
        *(slow.server_says(bytes(n)) for n in range(20)),
    ]


def test_the_same_seed_gives_the_same_bytes():
    assert lively(1) == lively(1)
    assert lively(1) != lively(2)


# -- residual blocking -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "blocked"),
    [
        # same all, other client port, other server port, other server
        ("4-tuple", [True, False, False, False]),
        ("3-tuple", [True, True, False, False]),
        ("2-tuple", [True, True, True, False]),
    ],
)
def test_after_a_trigger_whatever_shares_its_ends_is_blocked(ends, blocked):
    residual = Residual(seconds=60, ends=ends)
    street = Street(censor(Trigger(port=(443,), sni=("a.example",)), Action(drop=Drop()),
                           residual=residual))  # fmt: skip
    street.connection().client_says(hello("a.example"))
    street.now = 10.0
    flows = [
        street.unopened(),
        street.unopened(client_port=50_001),
        street.unopened(port=80, client_port=50_002),
        street.unopened(OTHER, client_port=50_003),
    ]
    flows[0].client_next += 7_777  # a new connection, not the old SYN
    assert [flow.client_says(flags=SYN).passed is None for flow in flows] == blocked
    assert {act.action for act in street.acts} == {"drop", "residual:drop"}
    assert {act.subject for act in street.acts} == {"a.example"}


@pytest.mark.parametrize(
    ("extends", "fates"), [(False, [True, True, False]), (True, [True, True, True])]
)
def test_residual_blocking_lasts_its_seconds_and_may_begin_anew_with_each_try(extends, fates):
    residual = Residual(seconds=60, extends=extends)
    street = Street(censor(SNI, Action(drop=Drop()), residual=residual))
    street.connection().client_says(hello("a.example"))
    blocked = []
    for number, now in enumerate((20.0, 59.0, 100.0)):
        street.now = now
        blocked.append(street.unopened(client_port=51_000 + number).open().passed is None)
    assert blocked == fates


def test_only_what_the_client_says_begins_the_time_anew():
    street = Street(censor(SNI, Action(drop=Drop()), residual=Residual(seconds=60)))
    street.connection().client_says(hello("a.example"))
    other = street.unopened(client_port=50_001)
    street.now = 30.0
    other.server_says(b"a segment that the server sends again and again")
    other.client_says(flags=RST)
    street.now = 60.0
    assert other.open().passed


def test_residual_blocking_ends_also_for_a_flow_that_it_met():
    street = Street(censor(SNI, Action(drop=Drop()), residual=Residual(seconds=30, extends=False)))
    street.connection().client_says(hello("a.example"))
    late = street.unopened(client_port=50_001)
    assert late.client_says(flags=SYN).passed is None
    street.now = 30.0
    assert late.client_repeats(1_000, b"", flags=SYN).passed


def test_a_running_transfer_is_met_by_residual_blocking_too():
    street = Street(censor(SNI, Action(drop=Drop()), residual=Residual(seconds=30)))
    bulk = street.connection(client_port=50_001)
    bulk.client_says(hello("b.example"))
    assert bulk.server_says(bytes(1_000)).passed
    street.connection().client_says(hello("a.example"))
    assert bulk.server_says(bytes(1_000)).passed is None


def test_residual_blocking_may_act_otherwise_than_the_trigger_did():
    residual = Residual(seconds=90, action=Action(refuse=Refuse()))
    street = Street(censor(SNI, Action(reset=Reset()), residual=residual))
    assert shapes(street.connection().client_says(hello("a.example")).forged) == [("RST/ACK", 0)]
    again = street.unopened(client_port=50_001).client_says(flags=SYN)
    assert (again.passed, shapes(again.forged)) == (None, [("RST/ACK", 0)])
    assert street.acted() == [("reset", "a.example"), ("residual:refuse", "a.example")]


def test_a_residual_reset_meets_a_new_connection_with_its_syn_and_answers_no_reset():
    street = Street(censor(SNI, Action(reset=Reset()), residual=Residual(seconds=90)))
    street.connection().client_says(hello("a.example"))
    again = street.unopened(client_port=50_001)
    syn = again.client_says(flags=SYN)
    assert syn.passed
    assert [rst.ack for rst in syn.forged] == [again.client_next]
    assert again.client_says(flags=RST).forged == []


# -- throttles -------------------------------------------------------------------------------


def received(rule: Throttle, *, seconds: float = 10.0, flows: int = 1) -> float:
    """Bytes per second that come through to one client, offered a megabyte a second."""
    street = Street(censor(SNI, Action(throttle=rule)))
    connections = [street.connection(client_port=50_000 + n) for n in range(flows)]
    for connection in connections:
        connection.client_says(hello("a.example"))
    got = 0
    for step in range(int(seconds * 1_000)):
        street.now = step / 1_000
        passage = connections[step % flows].server_says(bytes(960))
        if passage.passed and step + passage.delay_ms < seconds * 1_000:
            got += len(passage.passed.data)
    return got / seconds


@pytest.mark.parametrize("mode", ["police", "shape"])
@pytest.mark.parametrize("flows", [1, 4])
def test_a_throttled_flow_gets_its_rate_and_no_more(mode, flows):
    rule = Throttle(rate_kbps=160, mode=mode)
    assert received(rule, flows=flows) == pytest.approx(20_000 * flows, rel=0.1)


def test_flows_of_one_client_can_share_a_rate():
    rule = Throttle(rate_kbps=160, per="client")
    assert received(rule, flows=4) == pytest.approx(20_000, rel=0.1)


@pytest.mark.parametrize(
    ("rule", "passes", "delay_ms"),
    [
        pytest.param(Throttle(rate_kbps=80, burst_kb=2), False, 0.0, id="police"),
        pytest.param(Throttle(rate_kbps=80, burst_kb=2, mode="shape"), True, 100.0, id="shape"),
    ],
)
def test_a_policer_drops_what_a_shaper_delays(rule, passes, delay_ms):
    street = Street(censor(SNI, Action(throttle=rule)))
    connection = street.connection()
    connection.client_says(hello("a.example"))
    assert connection.server_says(bytes(1_460)).delay_ms == 0.0
    passage = connection.server_says(bytes(1_460))
    assert bool(passage.passed) is passes
    assert passage.delay_ms == pytest.approx(delay_ms)


def test_delay_and_loss_are_those_of_the_rule():
    street = Street(censor(SNI, Action(throttle=Throttle(delay_ms=300, loss=0.2))))
    connection = street.connection()
    connection.client_says(hello("a.example"))
    passages = [connection.server_says(b"x") for _ in range(1_000)]
    assert {passage.delay_ms for passage in passages if passage.passed} == {300.0}
    assert 150 < sum(not passage.passed for passage in passages) < 250


def test_the_beginning_of_an_answer_may_be_left_alone():
    street = Street(censor(SNI, Action(throttle=Throttle(delay_ms=300, after_kb=4))))
    connection = street.connection()
    connection.client_says(hello("a.example"))
    delays = [connection.server_says(bytes(1_000)).delay_ms for _ in range(6)]
    assert delays == [0, 0, 0, 0, 300, 300]
    assert street.acted() == [("throttle", "a.example")]


# -- memory ----------------------------------------------------------------------------------


def test_a_flow_is_forgotten_when_it_has_been_idle():
    street = Street(censor(SNI, Action(drop=Drop())))
    connection = street.connection()
    connection.client_says(hello("a.example"))
    street.now = IDLE_S
    assert connection.server_says(b"still blocked").passed is None
    street.now = 2 * IDLE_S + 1
    assert connection.server_says(b"forgotten").passed


def test_a_new_connection_on_the_same_ports_is_a_new_flow():
    street = Street(censor(SNI, Action(drop=Drop())))
    street.connection().client_says(hello("a.example"))
    again = street.unopened()
    again.client_next = 9_000
    assert again.open().passed
    assert again.client_says(hello("b.example")).passed


def test_no_more_flows_are_remembered_than_the_table_holds():
    flows = Flows()
    packets = [
        parse(udp(number.to_bytes(4, "big"), packed(SERVER), 1, 2, b""))
        for number in range(1, FLOWS_MAX + 11)
    ]
    for packet in packets:
        flows.begin(packet, True, 0.0)
    assert len(flows) == FLOWS_MAX
    assert [flows.find(packet, 0.0) is None for packet in packets[9:11]] == [True, False]


def test_a_stream_of_shuffled_overlapping_segments_is_the_stream_that_was_sent():
    chance = random.Random(3)
    sent = chance.randbytes(90_000)
    pieces = [(at, sent[at : at + 1_500]) for at in range(0, len(sent), 1_000)]
    for at in range(0, len(pieces), 30):
        some = pieces[at : at + 30]
        chance.shuffle(some)
        pieces[at : at + 30] = some
    stream = Stream()
    stream.begin(0xFFFFFF00)
    for at, piece in pieces:
        stream.add((0xFFFFFF00 + at) & 0xFFFFFFFF, piece)
    assert bytes(stream.data) == sent[:65_536]
    assert stream.full


@pytest.mark.parametrize(
    "action",
    [Action(alert=Alert()), Action(fin=Fin()), Action(reset=Reset(swallow=True))],
)
def test_a_flow_that_was_taken_over_reaches_its_server_no_more(action):
    street = Street(censor(SNI, action))
    connection = street.connection()
    connection.client_says(hello("a.example"))
    assert connection.client_says(b"more").passed is None
