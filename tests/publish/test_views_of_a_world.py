"""Country, network, site, service, explain, status and query over a world whose truth is known."""

from __future__ import annotations

import datetime as dt

import pytest

from gatewatch.model.errors import GatewatchError, NoData, NotFound
from gatewatch.model.outcome import CellState
from gatewatch.model.records import SetAside
from gatewatch.publish import explain, places, profile, query, status
from gatewatch.publish.reading import Asked, Reading
from tests.publish.world import BIG, MOBILE, RAW_SHA256, SMALL, known_world, reading_of

ASIDE = SetAside(
    source_file=RAW_SHA256,
    source_member=None,
    source_line=2,
    source_offset=24,
    source_length=3,
    field="record",
    got="{",
    want="JSON",
)
LATELY = Asked(days=8)


@pytest.fixture(scope="module")
def reading() -> Reading:
    return reading_of(known_world(), [ASIDE])


def test_a_country_lists_what_is_filtered_and_keeps_too_little_apart_from_open(reading):
    found = profile.country(reading, "IR", LATELY)
    assert [(site.target, site.state) for site in found.sites] == [("signal.org", "blocked")]
    assert found.states == {
        "blocked": 1,
        "likely_blocked": 0,
        "impaired": 0,
        "down": 0,
        "server_side": 0,
        "open": 2,
        "insufficient": 1,
    }
    (site,) = found.sites
    assert (site.networks_blocked, site.networks_sufficient) == (2, 3)
    assert site.since is not None
    assert site.since.latest == dt.date(2026, 3, 5)


def test_the_matrix_has_no_cell_where_nobody_measured(reading):
    found = profile.country(reading, "IR", LATELY).matrix
    states = {(cell.service, cell.asn): cell.state for cell in found.cells}
    assert states == {
        ("chat", BIG): CellState.BLOCKED,
        ("chat", MOBILE): CellState.BLOCKED,
        ("chat", SMALL): CellState.OPEN,
    }
    assert next(network.asn for network in found.networks) == BIG


def test_a_network_is_told_from_its_own_angle(reading):
    found = profile.network(reading, SMALL, LATELY)
    assert found.sites == []
    assert found.states["open"] == 1


@pytest.mark.parametrize("cc", ["DE", "US"])
def test_a_country_nobody_measured_is_no_data(reading, cc):
    with pytest.raises(NoData, match=cc):
        profile.country(reading, cc, Asked())


def test_a_site_leads_with_the_countries_that_block_it(reading):
    found = places.site(reading, "https://signal.org/x", LATELY)
    assert [(c.scope["probe_cc"], c.state) for c in found.countries] == [
        ("IR", CellState.BLOCKED),
        ("NL", CellState.OPEN),
    ]


def test_a_service_shows_which_host_makes_it_so(reading):
    found = places.service(reading, "Chat", LATELY)
    told = {(part.host, part.probe_cc): (part.core, part.state) for part in found.parts}
    assert told == {
        ("signal.org", "IR"): (True, CellState.BLOCKED),
        ("signal.org", "NL"): (True, CellState.OPEN),
        ("web.chat.example", "IR"): (True, CellState.OPEN),
    }


def test_an_unknown_service_is_not_found_and_the_known_are_named(reading):
    with pytest.raises(NotFound, match="there are: chat"):
        places.service(reading, "chatt", Asked())


def test_an_explanation_walks_to_the_bytes_and_shows_both_sides(reading):
    row = reading.rows(
        "select record_id from verdicts where outcome = 'blocked' and target = 'signal.org' "
        "order by measured_at, record_id limit 1"
    )[0]
    place = explain.RawPlace(path="/kept", name="march.jsonl.gz")
    (found,) = explain.explain(reading, row["record_id"], {RAW_SHA256: place}.get)
    assert (found.source.path, found.source.name, found.source.line) == (
        "/kept",
        "march.jsonl.gz",
        1,
    )
    assert found.scores[0].outcome == "blocked"
    assert found.scores[0].nats == 3.5
    seen = {step.layer: (step.probe, step.control) for step in found.seen}
    assert seen["tls"] == (["connection_reset"], ["TLSv1.3, chain valid"])
    assert seen["http"][0] == []
    others = {n.asn for n in found.neighbours.other_networks}
    assert others == {BIG, MOBILE, SMALL} - {found.probe_asn}
    assert [n.outcome for n in found.neighbours.before] == ["open"] * 5
    (experiment,) = found.findings
    assert (experiment.experiment, experiment.answer) == ("sni_swap", "name")
    assert (experiment.mechanism, experiment.hop_ttl) == ("tls.reset.sni", 4)
    assert experiment.words == "It is the name."


def test_what_was_not_experimented_on_has_no_findings(reading):
    row = reading.rows("select record_id from verdicts where outcome = 'open' limit 1")[0]
    (found,) = explain.explain(reading, row["record_id"], lambda sha256: None)
    assert found.findings == []


def test_an_id_that_is_nobody_s_is_not_found(reading):
    with pytest.raises(NotFound, match="nobody"):
        explain.explain(reading, "nobody", lambda sha256: None)


def test_a_cell_is_explained_by_its_measurements(reading):
    found = explain.explain_cell(reading, "signal.org", "IR", BIG, dt.date(2026, 3, 6))
    assert [row["outcome"] for row in found.measurements] == ["blocked", "blocked"]
    assert [row["state"] for row in found.cells] == ["insufficient"]
    with pytest.raises(NotFound):
        explain.explain_cell(reading, "signal.org", "IR", BIG, dt.date(2020, 1, 1))


def test_status_counts_everything_and_tells_old_verdicts(reading):
    told = status.status(
        reading, store="s", files=1, bytes=24, rules_version="2", refdata_version="refdata-test"
    )
    assert told.measurements == told.verdicts == sum(group.count for group in told.outcomes)
    assert [(g.name, g.count) for g in told.set_aside_by_cause] == [("record: wanted JSON", 1)]
    assert [version.in_force for version in told.versions] == [False]


@pytest.mark.parametrize(
    "sql",
    [
        "drop table verdicts",
        "select 1; select 2",
        "",
        "copy verdicts to 'x.csv'",
        "attach 'x.db'",
        "set threads = 1",
        "install httpfs",
        "selec",
    ],
)
def test_a_query_can_only_read(reading, sql):
    with pytest.raises(GatewatchError):
        query.query(reading.connection, sql)


@pytest.mark.parametrize("sql", ["from cells", "describe verdicts", "with a as (select 1) from a"])
def test_whatever_reads_is_a_query(reading, sql):
    assert query.query(reading.connection, sql).num_rows > 0
