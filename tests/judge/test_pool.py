"""Other people's controls: who may speak for a host, and who cannot."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.judge.control import Seen
from gatewatch.judge.pool import (
    AGREEMENT,
    MIN_NETWORKS,
    MIN_REPORTS,
    WINDOW,
    Pool,
    Voice,
    voice_of,
    want,
)
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Observed
from tests.judge.build import (
    DAY,
    HERE,
    HTTP,
    HTTPS,
    LOOPBACK,
    SITE,
    TWIN,
    connect,
    control,
    dead_control,
    handshake,
    lookup,
    observed,
    plain_path,
    redirect,
    secure_path,
    unanswered,
    verdict,
)
from tests.judge.rule_cases import quorum, stopped_at

LAYERS = ("dns", "page")
ENOUGH = 9
"Honest reports that one hostile voice cannot take below nine in ten."


def honest(count: int, *, word: bool = True) -> list[Voice]:
    return [Voice(SITE, f"honest {n}", n + 1, word, word, DAY) for n in range(count)]


words = st.sampled_from([True, False, None])
hostile_voices = st.lists(
    st.builds(
        Voice,
        host=st.sampled_from([SITE, "other.example"]),
        report=st.just("hostile"),
        network=st.none() | st.integers(1, 9),
        resolves=words,
        reaches=words,
        day=st.none() | st.dates(DAY - 2 * WINDOW, DAY + 2 * WINDOW),
    ),
    max_size=30,
)


def says(voices: Iterable[Voice]) -> dict[str, Seen]:
    pool = Pool(voices)
    return {layer: pool.seen(SITE, layer, DAY) for layer in LAYERS}


TODAY = want(SITE, DAY)
SILENT = dict.fromkeys(LAYERS, Seen.NONE)


def test_an_empty_pool_says_nothing():
    assert says([]) == SILENT


def test_a_quorum_of_reports_from_several_networks_speaks_for_a_host():
    assert says(honest(MIN_REPORTS)) == dict.fromkeys(LAYERS, Seen.REACHES)
    assert says(honest(MIN_REPORTS, word=False)) == dict.fromkeys(LAYERS, Seen.FAILS)


def test_one_report_fewer_does_not():
    assert says(honest(MIN_REPORTS - 1)) == SILENT


def test_nor_do_any_number_of_reports_from_few_networks():
    crowd = [v._replace(network=n % (MIN_NETWORKS - 1) + 1) for n, v in enumerate(honest(100))]
    assert says(crowd) == SILENT


def test_a_network_that_is_not_named_is_none():
    assert says([v._replace(network=None) for v in honest(100)]) == SILENT


def test_voices_that_disagree_leave_the_host_mute():
    half = honest(20)
    assert says([v._replace(reaches=n % 2 == 0) for n, v in enumerate(half)])["page"] is Seen.NONE


@pytest.mark.parametrize(("no", "says_so"), [(1, Seen.REACHES), (2, Seen.NONE), (9, Seen.FAILS)])
def test_one_dissenter_in_ten_is_heard_out_and_overruled(no: int, says_so: Seen):
    assert pytest.approx(0.9) == AGREEMENT
    voices = [v._replace(reaches=n >= no) for n, v in enumerate(honest(10))]
    assert says(voices)["page"] is says_so


def test_an_empty_report_id_has_no_voice():
    assert says([v._replace(report="") for v in honest(100)]) == SILENT


def test_a_report_that_contradicts_itself_loses_its_voice():
    turncoat = honest(1)[0]
    assert says([*honest(MIN_REPORTS), turncoat._replace(reaches=False)]) == SILENT


def test_and_does_not_get_it_back_by_repeating_itself():
    turncoat = honest(1)[0]
    back = [turncoat._replace(reaches=False), turncoat, turncoat]
    assert says([*honest(MIN_REPORTS), *back]) == SILENT


@given(hostile_voices)
def test_one_report_says_nothing_alone_whatever_its_thousand_measurements_hold(voices):
    assert says(voices * 30) == SILENT


@given(hostile_voices, st.booleans(), st.integers(0, 12))
def test_one_report_never_turns_the_word_of_the_honest_around(voices, word: bool, count: int):
    opposite = Seen.FAILS if word else Seen.REACHES
    assert opposite not in says([*honest(count, word=word), *voices]).values()


@given(hostile_voices, st.booleans(), st.integers(ENOUGH, 15))
def test_one_report_changes_nothing_where_nine_honest_ones_agree(voices, word: bool, count: int):
    before = honest(count, word=word)
    assert says([*before, *voices]) == says(before)


@given(hostile_voices, st.integers(0, 12))
def test_a_thousand_measurements_of_one_report_weigh_as_much_as_one_of_each(voices, count: int):
    assert says([*honest(count), *voices * 30]) == says([*honest(count), *set(voices)])


@given(hostile_voices, st.integers(0, 12), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(voices, count: int, rng):
    every = [*honest(count), *voices]
    shuffled = every.copy()
    rng.shuffle(shuffled)
    assert says(shuffled) == says(every)
    assert Pool(shuffled).digest([TODAY]) == Pool(every).digest([TODAY])


@pytest.mark.parametrize(
    ("days", "heard"), [(0, True), (7, True), (-7, True), (8, False), (-8, False), (3650, False)]
)
def test_a_control_is_heard_within_a_week_of_it(days: int, heard: bool):
    later = DAY + timedelta(days=days)
    found = Pool(honest(MIN_REPORTS)).seen(SITE, "page", later)
    assert found is (Seen.REACHES if heard else Seen.NONE)


def test_a_control_of_no_day_and_one_for_no_day_are_not_heard():
    assert Pool(v._replace(day=None) for v in honest(99)).seen(SITE, "page", DAY) is Seen.NONE
    assert Pool(honest(99)).seen(SITE, "page", None) is Seen.NONE


def test_a_report_speaks_for_each_host_apart():
    other = [v._replace(host="other.example", reaches=False) for v in honest(MIN_REPORTS)]
    assert says([*honest(MIN_REPORTS), *other])["page"] is Seen.REACHES


# -- what one measurement's control says ---------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "resolves", "reaches"),
    [
        pytest.param(observed(control()), True, True, id="all well"),
        pytest.param(observed(dead_control()), True, False, id="no page"),
        pytest.param(
            observed(dead_control(lookup_failure="dns_nxdomain_error")), False, False, id="no name"
        ),
        pytest.param(observed(connect(vantage="control")), None, None, id="only connects"),
    ],
)
def test_a_voice_is_the_controls_word_on_the_inputs_host(seen: Observed, resolves, reaches):
    assert voice_of(seen) == Voice(SITE, "report", 64510, resolves, reaches, DAY)


def test_without_a_control_or_a_target_there_is_no_voice():
    assert voice_of(observed(plain_path())) is None
    assert voice_of(observed(control(), target=None)) is None


def test_the_probes_own_failure_is_no_part_of_the_voice():
    assert voice_of(observed(stopped_at("http", "connection_reset"), control())) == voice_of(
        observed(plain_path(), control())
    )


# -- what the pool does to a verdict -------------------------------------------------------------

NEXT = "next.example"


def _reset_beyond_a_redirect() -> Observed:
    """Hop 1 fails, and the record has no control at all."""
    to = f"https://{NEXT}/"
    return observed(
        secure_path(status=302, location=to),
        lookup(TWIN, host=NEXT, hop=1),
        connect(TWIN, 443, hop=1),
        handshake(TWIN, "connection_reset", sni=NEXT, chain="absent", hop=1),
        input=HTTPS,
    )


def test_a_hop_without_a_control_is_read_by_the_quorum():
    alone = verdict(_reset_beyond_a_redirect())
    assert (alone.outcome, alone.reason) == (Outcome.UNCLEAR, Reason.NO_CONTROL)
    lent = verdict(_reset_beyond_a_redirect(), quorum(NEXT))
    assert (lent.outcome, lent.mechanisms) == (Outcome.BLOCKED, ["tls.reset"])
    down = verdict(_reset_beyond_a_redirect(), quorum(NEXT, reaches=False))
    assert down.outcome == Outcome.DOWN


def test_a_quorum_for_another_host_lends_nothing():
    assert verdict(_reset_beyond_a_redirect(), quorum(SITE)).outcome == Outcome.UNCLEAR


@pytest.mark.parametrize(
    "stopped",
    [
        pytest.param(stopped_at("dns", "dns_nxdomain_error"), id="denied"),
        pytest.param([lookup(LOOPBACK)], id="answered from the machine itself"),
        pytest.param(stopped_at("http", "connection_reset"), id="reset"),
    ],
)
def test_a_measurement_whose_helper_failed_is_read_by_the_quorum(stopped):
    seen = observed(stopped, control_failure="connection_reset")
    assert verdict(seen).outcome == Outcome.UNCLEAR
    assert verdict(seen, quorum(SITE)).outcome == Outcome.BLOCKED
    assert verdict(seen, quorum(SITE, resolves=False, reaches=False)).outcome == Outcome.DOWN


def test_a_measurement_with_its_own_control_does_not_ask_the_pool():
    for seen in (
        observed(stopped_at("http", "connection_reset"), control()),
        observed(stopped_at("http", "connection_reset"), dead_control()),
        observed(plain_path(), control()),
        observed(secure_path(), input=HTTPS),
    ):
        assert verdict(seen, quorum(SITE, reaches=False)) == verdict(seen)
        assert verdict(seen).wanted_controls == []


def test_a_verdict_names_the_hosts_whose_controls_bear_on_it():
    for pool in (Pool(), quorum(NEXT), quorum(NEXT, reaches=False)):
        found = verdict(_reset_beyond_a_redirect(), pool)
        assert found.wanted_controls == [want(NEXT, DAY)]
        assert found.pool_digest == pool.digest([want(NEXT, DAY)])


def test_a_digest_changes_when_what_is_said_of_a_host_changes_and_only_then():
    silent, reached, failed = Pool(), quorum(SITE), quorum(SITE, reaches=False)
    assert len({pool.digest([TODAY]) for pool in (silent, reached, failed)}) == 3
    assert quorum(SITE, reports=7).digest([TODAY]) == reached.digest([TODAY])
    assert reached.digest([]) == ""


@given(hostile_voices, st.integers(0, 3))
def test_one_report_never_makes_another_measurement_blocked(voices, others: int):
    """With up to three more reports there is no quorum, whatever the one report holds."""
    seen = _reset_beyond_a_redirect()
    at_next = [v._replace(host=NEXT) for v in (*voices, *honest(others))]
    assert verdict(seen, Pool(at_next)).outcome == Outcome.UNCLEAR


def test_a_redirect_in_clear_is_read_by_the_quorum_for_where_it_leads():
    seen = observed(
        [lookup(HERE), connect(), redirect(HTTP, f"http://{NEXT}/")],
        lookup(TWIN, host=NEXT, hop=1),
        connect(TWIN, hop=1),
        unanswered(f"http://{NEXT}/", "connection_reset", address=TWIN, hop=1),
    )
    assert verdict(seen, quorum(NEXT)).outcome == Outcome.BLOCKED
    assert verdict(seen, quorum(NEXT, reports=4)).outcome == Outcome.UNCLEAR
