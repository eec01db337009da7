"""What `check` says of a world whose truth is known."""

from __future__ import annotations

import datetime as dt

import pytest

from gatewatch.model.errors import NoData, NotFound
from gatewatch.model.outcome import CellState
from gatewatch.publish.check import check, check_countries, check_each
from gatewatch.publish.reading import Asked, Reading
from gatewatch.publish.sentences import headline, reasons, short_line
from gatewatch.publish.subject import subject_of
from tests.publish.world import ABROAD, BIG, SMALL, days, known_world, reading_of, verdict

BLOCKED_DAYS = Asked(first=dt.date(2026, 3, 5), last=dt.date(2026, 3, 12))


@pytest.fixture(scope="module")
def reading() -> Reading:
    return reading_of(known_world())


def test_a_block_on_two_of_three_networks_is_told_with_onset_and_mechanism(reading):
    found = check(reading, subject_of(reading, "signal.org"), cc="IR", asked=BLOCKED_DAYS)
    assert found.state is CellState.BLOCKED
    assert (found.n.networks_blocked, found.n.networks_sufficient) == (2, 3)
    assert found.since is not None
    assert found.since.earliest == dt.date(2026, 3, 4)
    assert found.since.latest == dt.date(2026, 3, 5)
    assert [(m.mechanism, m.networks, m.measurements) for m in found.mechanisms] == [
        ("tls.reset.sni", 2, 32)
    ]
    assert found.p == pytest.approx(32.5 / 41)
    low, high = found.interval
    assert low is not None
    assert high is not None
    assert low < 32 / 40 < high


def test_the_other_explanations_are_looked_at_with_numbers(reading):
    found = check(reading, subject_of(reading, "signal.org"), cc="IR", asked=BLOCKED_DAYS)
    told = {a.explanation: (a.excluded, a.numbers) for a in found.alternatives}
    assert told == {
        "site_down": (True, {"countries_open": 1, "countries_measured": 1}),
        "outage": (True, {"targets_open": 2}),
        "server_side": (True, {"refusals": 0}),
    }


def test_a_site_measured_nowhere_else_may_be_down_for_all_we_know():
    rows = [
        verdict("a.example", "IR", BIG, day, "blocked", report=f"r{n}")
        for n, day in enumerate(days("2026-03-01", 9))
    ]
    reading = reading_of(rows)
    found = check(reading, subject_of(reading, "a.example"), cc="IR", asked=Asked())
    assert found.state is CellState.BLOCKED
    assert [a.explanation for a in found.alternatives if not a.excluded] == ["site_down", "outage"]
    assert any(line.startswith("not ruled out: site down") for line in reasons(found))
    assert found.since is not None
    assert found.since.earliest is None


def test_one_submission_never_makes_a_state_however_much_it_sends():
    day = dt.date(2026, 3, 1)
    rows = [
        verdict("a.example", "IR", BIG, day, "blocked", report="one", number=n) for n in range(50)
    ]
    reading = reading_of(rows)
    found = check(reading, subject_of(reading, "a.example"), cc="IR", asked=Asked())
    assert found.state is CellState.INSUFFICIENT
    assert found.p is None
    assert "neither blocked nor open" in "\n".join(reasons(found))


def test_a_submission_shares_one_vote_among_its_measurements():
    honest = [
        verdict("a.example", "IR", BIG, day, "open", report=f"r{n}")
        for n, day in enumerate(days("2026-03-01", 9))
    ]
    flood = [
        verdict("a.example", "IR", BIG, dt.date(2026, 3, 1), "blocked", report="one", number=n)
        for n in range(50)
    ]
    reading = reading_of(honest + flood)
    found = check(reading, subject_of(reading, "a.example"), cc="IR", asked=Asked())
    assert found.state is CellState.OPEN
    assert found.p == pytest.approx(1.5 / 11)
    assert found.n.measurements == 59


def test_submissions_without_a_name_count_as_one():
    rows = [
        verdict("a.example", "IR", BIG, dt.date(2026, 3, 1), "blocked", report="", number=n)
        for n in range(50)
    ]
    reading = reading_of(rows)
    found = check(reading, subject_of(reading, "a.example"), cc="IR", asked=Asked())
    assert found.state is CellState.INSUFFICIENT


def test_a_day_without_a_decided_vote_does_not_end_a_run():
    rows = [
        verdict("a.example", "IR", BIG, day, "unclear" if n == 4 else "blocked", report=f"r{n}")
        for n, day in enumerate(days("2026-03-01", 9))
    ]
    reading = reading_of(rows)
    found = check(reading, subject_of(reading, "a.example"), cc="IR", asked=Asked())
    assert found.since is not None
    assert found.since.latest == dt.date(2026, 3, 1)


def test_an_unblocked_day_starts_a_new_run():
    outcomes = ["blocked", "blocked", "open", "blocked"] + ["blocked"] * 8
    rows = [
        verdict("a.example", "IR", BIG, day, outcome, report=f"r{day}")
        for day, outcome in zip(days("2026-03-01", 12), outcomes, strict=True)
    ]
    reading = reading_of(rows)
    found = check(reading, subject_of(reading, "a.example"), cc="IR", asked=Asked())
    assert found.since is not None
    assert (found.since.earliest, found.since.latest) == (dt.date(2026, 3, 4), dt.date(2026, 3, 4))


def test_without_a_country_every_country_with_data_has_its_own_answer(reading):
    found = check_countries(reading, subject_of(reading, "signal.org"), asked=BLOCKED_DAYS)
    assert {c.scope["probe_cc"]: c.state for c in found} == {
        "IR": CellState.BLOCKED,
        "NL": CellState.OPEN,
    }


def test_a_network_stands_by_itself(reading):
    subject = subject_of(reading, "signal.org")
    assert check(reading, subject, asn=BIG, asked=BLOCKED_DAYS).state is CellState.BLOCKED
    assert check(reading, subject, asn=SMALL, asked=BLOCKED_DAYS).state is CellState.OPEN


def test_an_open_site_is_said_to_be_open_without_alternatives(reading):
    found = check(reading, subject_of(reading, "news.example"), cc="NL", asked=Asked())
    assert found.state is CellState.OPEN
    assert found.alternatives == []
    assert found.since is None
    assert short_line(found).startswith("open P=0.06 [0–0.")


def test_the_window_ends_with_the_last_day_that_has_data(reading):
    found = check(reading, subject_of(reading, "signal.org"), cc="IR", asked=Asked(days=3))
    assert (found.window.first, found.window.last) == (dt.date(2026, 3, 10), dt.date(2026, 3, 12))


def test_nothing_measured_is_no_data_and_names_the_nearest(reading):
    with pytest.raises(NoData, match=r"nearest: signal\.org"):
        check(reading, subject_of(reading, "www.signal.org"), cc="IR", asked=Asked())
    with pytest.raises(NoData, match="in NL"):
        check(reading, subject_of(reading, "rare.example"), cc="NL", asked=Asked())


def test_what_cannot_be_a_host_is_not_found(reading):
    with pytest.raises(NotFound):
        subject_of(reading, "not a host")


def test_of_several_countries_those_without_data_are_told_apart(reading):
    subject = subject_of(reading, "signal.org")
    found, missing = check_each(reading, subject, ["IR", "DE"], asked=Asked())
    assert [c.scope["probe_cc"] for c in found] == ["IR"]
    assert len(missing) == 1
    assert "in DE" in missing[0]


def test_the_sentence_can_be_defended(reading):
    found = check(reading, subject_of(reading, "signal.org"), cc="IR", asked=BLOCKED_DAYS)
    assert headline(found) == (
        "signal.org in IR: BLOCKED  P=0.79 [0.66–0.90]  2 of 3 networks  since 2026-03-04..05"
    )
    assert reasons(found) == [
        "how: a reset caused by the server name (tls.reset.sni, 2 networks)",
        "not explained by: site down (open in 1 country); outage (2 other targets open on the "
        "same networks and days); server-side refusal (none seen)",
        "evidence: 40 measurements, 40 submissions, 2026-03-05..12 — gatewatch explain "
        + found.evidence[0],
    ]


def test_evidence_comes_from_every_network_that_has_some(reading):
    found = check(reading, subject_of(reading, "signal.org"), cc="IR", asked=BLOCKED_DAYS)
    rows = reading.rows(
        "select distinct probe_asn from verdicts where list_contains($ids, measurement_id)",
        ids=found.evidence[:2],
    )
    assert len(rows) == 2


def test_the_queries_written_down_give_the_same_rows_again(reading):
    reading.queries.clear()
    check(reading, subject_of(reading, "signal.org"), cc="IR", asked=Asked())
    assert reading.queries
    for query in reading.queries:
        assert "$" not in query
        reading.connection.execute(query).fetchall()


def test_refusals_by_the_server_are_seen_and_not_counted_as_blocking():
    rows = [
        verdict("a.example", "IR", ABROAD, day, "server_side", report=f"r{day}")
        for day in days("2026-03-01", 9)
    ]
    reading = reading_of(rows)
    found = check(reading, subject_of(reading, "a.example"), cc="IR", asked=Asked())
    assert found.state is CellState.SERVER_SIDE
    assert found.p == pytest.approx(0.5 / 10)
