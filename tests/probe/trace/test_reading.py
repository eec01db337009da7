"""Sweeps over all TTLs, with every kind of censor on the way and with none."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis.strategies import booleans, data, integers, sampled_from, sets
from msgspec.structs import replace

from gatewatch.model.mechanism import under
from gatewatch.probe.trace.reading import read
from gatewatch.wire.packet import MalformedPacket, parse
from tests.probe.trace.build import BLOCKED, INNOCENT, PAGE, Censor, Way, sweep

INJECTED = {
    "rst": "tls.reset.sni",
    "rst_ack": "tls.reset.sni",
    "burst": "tls.reset.sni",
    "payload": "tls.reset.sni",
    "fin": "tls.eof",
    "page": "http.blockpage",
    "bare_page": "http.blockpage",
    "redirect": "http.redirect",
}
PAGES = ("page", "bare_page", "redirect")


def port(style: str) -> int:
    return 80 if style in PAGES else 443


def way(**fields) -> Way:
    made = Way(**fields)
    if made.port == 80:
        made.says = lambda name: PAGE
    return made


def both(made: Way, beyond: int = 6, *, copies: int = 1):
    """The tested name's sweep and the control's."""
    far = range(made.distance + beyond)
    return sweep(made, BLOCKED, far, copies=copies), sweep(made, INNOCENT, far, copies=copies)


@settings(max_examples=60)
@given(
    style=sampled_from(sorted(INJECTED)),
    in_path=booleans(),
    distance=integers(6, 28),
    share=integers(0, 100),
    initial=sampled_from([64, 128, 255]),
    own=sampled_from([64, 128, 255]),
    short=booleans(),
    balanced=sampled_from([(0,), (0, 1), (0, 1, 5)]),
    seed=integers(0, 999),
)
def test_whoever_answers_on_the_way_is_found_with_placement_and_hop(
    style, in_path, distance, share, initial, own, short, balanced, seed
):
    behind = share * (distance - 3) // 100
    censor = Censor(behind=behind, style=style, in_path=in_path, initial=initial)
    made = way(
        distance=distance, initial=own, short_quotes=short, balanced=balanced,
        censor=censor, port=port(style), random=Random(seed),
    )  # fmt: skip
    reading = read(*both(made))
    expected = INJECTED[style]
    assert (reading.verdict, reading.mechanism) == ("blocked", expected), reading.evidence
    assert reading.placement == ("in_path" if in_path else "on_path"), reading.evidence
    assert (reading.hop_ttl, reading.hop) == (behind + 1, made.router(behind + 1))
    assert (reading.server, reading.name) == ("203.0.113.80", BLOCKED)


@settings(max_examples=40)
@given(
    style=sampled_from(["drop_flow", "drop_request"]),
    distance=integers(5, 28),
    share=integers(0, 100),
    port=sampled_from([80, 443]),
    balanced=sampled_from([(0,), (0, 2)]),
    seed=integers(0, 999),
)
def test_a_drop_is_found_at_the_hop_from_which_nothing_comes_back(
    style, distance, share, port, balanced, seed
):
    behind = share * (distance - 2) // 100
    censor = Censor(behind=behind, style=style, in_path=True)
    made = way(
        distance=distance, censor=censor, port=port, balanced=balanced, random=Random(seed)
    )  # fmt: skip
    reading = read(*both(made))
    assert reading.verdict == "blocked", reading.evidence
    assert reading.mechanism == ("http.timeout" if port == 80 else "tls.timeout")
    assert reading.placement == "in_path"
    assert (reading.hop_ttl, reading.hop) == (behind + 1, made.router(behind + 1))


@given(
    distance=integers(5, 14),
    behind=integers(2, 4),
    in_path=booleans(),
    seed=integers(0, 999),
)
def test_an_injector_that_copies_what_is_left_of_the_ttl_gives_away_its_distance(
    distance, behind, in_path, seed
):
    """Its first answers do not last for the way back; none of those that do says where it is."""
    censor = Censor(behind=min(behind, distance - 2), style="copied", in_path=in_path)
    made = way(distance=distance, censor=censor, random=Random(seed))
    reading = read(*both(made, beyond=2 * censor.behind + 4))
    assert reading.verdict == "blocked", reading.evidence
    assert reading.placement == ("in_path" if in_path else "on_path"), reading.evidence
    assert reading.hop_ttl is not None
    assert abs(reading.hop_ttl - censor.behind) <= 1


@pytest.mark.parametrize("style", ["rst", "rst_ack", "fin"])
def test_what_the_server_itself_ends_for_one_name_is_at_the_endpoint(style):
    made = way(distance=9, ends=lambda name: style if name == BLOCKED else "none")
    reading = read(*both(made))
    assert (reading.verdict, reading.placement) == ("blocked", "endpoint")
    assert (reading.hop, reading.hop_ttl) == ("203.0.113.80", 9)


def test_a_box_one_hop_before_the_server_is_not_the_server():
    censor = Censor(behind=8, style="rst_ack", in_path=False)
    made = way(distance=10, censor=censor)
    reading = read(*both(made))
    assert (reading.placement, reading.hop_ttl) == ("on_path", 9)


def test_a_sweep_that_ends_at_the_first_answer_is_enough():
    """Tools stop there: one probe then is all that shows the censor."""
    censor = Censor(behind=5, style="rst_ack", in_path=True)
    made = way(distance=12, censor=censor)
    reading = read(sweep(made, BLOCKED, range(7)), sweep(made, INNOCENT, range(13)))
    assert (reading.verdict, reading.placement) == ("blocked", "in_path")
    assert (reading.hop_ttl, reading.mechanism) == (6, "tls.reset.sni")


def test_the_placement_is_open_where_the_hop_is_silent_for_the_control_too():
    censor = Censor(behind=5, style="rst_ack", in_path=True)
    made = way(distance=12, censor=censor, silent=frozenset({6}))
    reading = read(sweep(made, BLOCKED, range(7)), sweep(made, INNOCENT, range(13)))
    assert (reading.verdict, reading.placement) == ("blocked", "unknown")
    assert (reading.hop, reading.hop_ttl) == (None, 6)


def test_a_drop_behind_silent_hops_is_placed_by_the_connections_that_die():
    censor = Censor(behind=6, style="drop_flow", in_path=True)
    made = way(distance=12, censor=censor, silent=frozenset({5, 6, 7, 8}))
    reading = read(*both(made))
    assert (reading.verdict, reading.placement, reading.hop_ttl) == ("blocked", "in_path", 7)
    assert reading.hop is None


MOVED = b"HTTP/1.1 301 Moved\r\nLocation: https://x.example/\r\n\r\n"
FAILED = b"HTTP/1.1 503 Unavailable\r\n\r\n"
REFUSED = b"HTTP/1.1 403 Forbidden\r\n\r\nno"
ALERT = b"\x15\x03\x03\x00\x02\x02\x70"


def certificate(name: str) -> bytes:
    """A handshake whose certificate depends on the name."""
    return b"\x16\x03\x03\x00P" + bytes(len(name) * 100)


CLEAN = [
    pytest.param({}, id="the same answer to both"),
    pytest.param({"balanced": (0, 1, 5)}, id="ways of different lengths back"),
    pytest.param({"back": 17}, id="a longer way back"),
    pytest.param({"says": certificate}, id="a certificate for each name"),
    pytest.param({"says": lambda name: ALERT}, id="an alert for both"),
    pytest.param({"idle_s": 1.5}, id="a server that closes idle connections"),
    pytest.param({"silent": frozenset({2, 3, 7, 8, 9})}, id="silent routers"),
    pytest.param({"silent": frozenset(range(1, 12))}, id="no router that tells"),
    pytest.param({"port": 80, "says": lambda name: MOVED}, id="a redirect"),
    pytest.param({"port": 80, "says": lambda name: FAILED}, id="an error"),
    pytest.param(
        {"port": 80, "says": lambda name: PAGE if name == INNOCENT else REFUSED},
        id="a name that the server refuses",
    ),
    pytest.param({"loss": 0.1}, id="a line that loses a tenth"),
    pytest.param({"initial": 255}, id="the TTL of another system"),
]


@pytest.mark.parametrize("fields", CLEAN)
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("with_control", [True, False], ids=["control", "alone"])
def test_nobody_is_accused_where_the_server_answers(fields, seed, with_control):
    made = Way(**{"distance": 12, "random": Random(seed), **fields})
    test, control = both(made)
    reading = read(test, control if with_control else None)
    assert reading.verdict != "blocked", reading.evidence
    assert (reading.mechanism, reading.placement, reading.hop) == (None, "unknown", None)
    if not made.loss:
        assert reading.verdict == "none"


@settings(max_examples=60)
@given(
    distance=integers(3, 28),
    loss=sampled_from([0.0, 0.02, 0.1, 0.2]),
    silent=sets(integers(1, 27), max_size=8),
    balanced=sampled_from([(0,), (0, 1), (0, 1, 5)]),
    own=sampled_from([64, 128, 255]),
    failing=sampled_from([0.0, 0.1, 0.5]),
    port=sampled_from([80, 443]),
    seed=integers(0, 9999),
    with_control=booleans(),
)
def test_no_weather_makes_a_censor(
    distance, loss, silent, balanced, own, failing, port, seed, with_control
):
    made = way(
        distance=distance, loss=loss, silent=frozenset(silent), balanced=balanced, initial=own,
        failing=failing, port=port, random=Random(seed),
    )  # fmt: skip
    test, control = both(made)
    reading = read(test, control if with_control else None)
    assert reading.verdict != "blocked", reading.evidence


@settings(max_examples=40)
@given(
    style=sampled_from(["rst_ack", "burst", "page", "drop_flow"]),
    loss=sampled_from([0.02, 0.05]),
    distance=integers(8, 20),
    seed=integers(0, 999),
)
def test_a_censor_is_found_on_a_line_that_loses_packets(style, loss, distance, seed):
    """The hop within one or two: what is lost there can be made good by no other probe."""
    behind = distance // 2
    censor = Censor(behind=behind, style=style, in_path=style == "drop_flow")
    made = way(
        distance=distance, censor=censor, port=port(style), loss=loss, random=Random(seed)
    )  # fmt: skip
    reading = read(*both(made, beyond=20, copies=3))
    assert reading.verdict == "blocked", reading.evidence
    assert reading.hop_ttl is not None
    assert abs(reading.hop_ttl - behind - 1) <= 2


def test_connections_that_do_not_come_up_make_a_capture_unusable():
    made = way(distance=12, failing=0.5)
    test = sweep(made, BLOCKED, range(13))
    reading = read(test, sweep(way(distance=12), INNOCENT, range(13)))
    assert reading.verdict == "unusable"
    assert "did not come up" in " ".join(reading.evidence)


@pytest.mark.parametrize(
    ("test", "control"),
    [
        pytest.param(range(8), range(16), id="a sweep that ends before the server"),
        pytest.param(range(13), range(8), id="a control that does"),
    ],
)
def test_silence_proves_nothing_where_nobody_could_have_answered(test, control):
    censor = Censor(behind=9, style="drop_flow", in_path=True)
    made = way(distance=12, censor=censor)
    reading = read(sweep(made, BLOCKED, test), sweep(made, INNOCENT, control))
    assert reading.verdict == "unusable"


def test_the_control_may_be_in_the_same_capture():
    censor = Censor(behind=5, style="rst_ack", in_path=False)
    made = way(distance=12, censor=censor)
    frames = sweep(made, BLOCKED, range(13)) + sweep(made, INNOCENT, range(13))
    reading = read(frames)
    assert (reading.name, reading.verdict, reading.mechanism) == (
        BLOCKED, "blocked", "tls.reset.sni",
    )  # fmt: skip


def test_without_a_control_less_is_said():
    censor = Censor(behind=5, style="rst_ack", in_path=False)
    made = way(distance=12, censor=censor)
    reading = read(sweep(made, BLOCKED, range(13)))
    assert (reading.verdict, reading.mechanism) == ("blocked", "tls.reset")
    lone = Way(distance=12, ends=lambda name: "rst_ack")
    assert read(sweep(lone, BLOCKED, range(13))).verdict == "unusable"


def test_what_is_reset_for_every_name_is_not_put_down_to_the_name():
    censor = Censor(behind=5, style="rst_ack", in_path=False, names=(BLOCKED, INNOCENT))
    made = way(distance=12, censor=censor)
    reading = read(*both(made))
    assert (reading.verdict, reading.mechanism) == ("blocked", "tls.reset")


@pytest.mark.parametrize("style", ["burst", "payload"])
def test_an_ordinary_capture_shows_a_stranger_by_more_than_its_ttl(style):
    """No TTL is limited: where it is cannot be told, that it is somebody else can."""
    censor = Censor(behind=5, style=style, in_path=True, initial=128)
    made = way(distance=12, censor=censor)
    reading = read(sweep(made, BLOCKED, [64, 64]))
    assert (reading.verdict, reading.mechanism) == ("blocked", "tls.reset")
    assert (reading.hop, reading.hop_ttl) == (None, None)


def test_the_server_s_own_answer_beside_a_stranger_s_is_proof_of_who_listens():
    censor = Censor(behind=5, style="rst_ack", in_path=False, initial=255)
    made = way(distance=12, censor=censor)
    reading = read(sweep(made, BLOCKED, [64, 64]), sweep(made, INNOCENT, [64, 64]))
    assert (reading.verdict, reading.placement) == ("blocked", "on_path")
    assert under(reading.mechanism or "", "tls.reset")


@settings(max_examples=100)
@given(
    style=sampled_from(["burst", "bare_page", "drop_flow", "copied", "payload"]),
    seed=integers(0, 999),
    changed=data(),
)
def test_no_capture_breaks_the_reading_however_mangled(style, seed, changed):
    made = way(
        distance=8,
        censor=Censor(behind=4, style=style, in_path=False),
        port=port(style),
        random=Random(seed),
    )
    random = Random(seed)
    frames = []
    for frame in sweep(made, BLOCKED, range(10)) + sweep(made, INNOCENT, range(10)):
        fate = random.random()
        copy = bytearray(frame.packet.data)
        if fate < 0.3:
            copy[random.randrange(len(copy))] = random.getrandbits(8)
        try:
            packet = parse(bytes(copy))
        except MalformedPacket:
            continue
        frames += [replace(frame, packet=packet)] * (fate > 0.1) * (2 if fate > 0.9 else 1)
    if changed.draw(booleans()):
        random.shuffle(frames)
    reading = read(frames, changed.draw(sampled_from([None, frames, frames[::-1], []])))
    assert reading.verdict in ("blocked", "none", "unusable")


def test_an_empty_capture_is_unusable():
    reading = read([])
    assert (reading.server, reading.verdict) == (None, "unusable")
