"""Every scenario that comes with the package loads, and says of itself what it is."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address

import pytest

from gatewatch.lab.load import load, names
from gatewatch.lab.rules import Trigger
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.topology import Topology
from gatewatch.lab.truth import mechanisms_by
from gatewatch.model.mechanism import LEAVES, under
from gatewatch.refdata.snapshot import load as load_refdata

SCENARIOS = {name: load(name) for name in names()}

UNANNOUNCED = ("93.184.216.", "2606:2800:220:")
"Networks of this world whose prefixes nobody announces any more; they keep the number they had."


def kind(of: str) -> list[Scenario]:
    return [scenario for scenario in SCENARIOS.values() if scenario.kind == of]


def set_off_by_browsing(trigger: Trigger) -> bool:
    """Can a client that only fetches web pages, its server names in clear, set it off?"""
    return not (trigger.look or trigger.ech or trigger.esni)


def test_there_are_worlds_enough_of_every_kind():
    count = Counter(scenario.kind for scenario in SCENARIOS.values())
    assert sum(count.values()) >= 75
    assert count["leaf"] >= 31
    assert count["national"] >= 25
    assert count["suite"] >= 25
    assert count["innocent"] >= 22


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: s.id)
def test_a_scenario_can_be_read_aloud(scenario: Scenario):
    assert scenario.title
    assert not scenario.title.endswith(".")
    assert scenario.words.rstrip().endswith(".")
    assert all(expected.words.endswith(".") for expected in scenario.expect if expected.words)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: s.id)
def test_every_censor_that_browsing_sets_off_is_blamed_for_something(scenario: Scenario):
    blamed = {name for expected in scenario.expect for name in expected.by}
    awake = {c.id for c in scenario.censors if set_off_by_browsing(c.trigger)}
    assert awake - blamed == set()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: s.id)
def test_what_is_less_than_the_truth_is_accepted_for_a_reason(scenario: Scenario):
    assert [e.url for e in scenario.expect if e.accept and not e.words] == []


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: s.id)
def test_a_mechanism_is_one_that_those_to_blame_can_bring_about(scenario: Scenario):
    for expected in scenario.expect:
        able = {m for name in expected.by for m in mechanisms_by(name, scenario)}
        for mechanism in expected.mechanisms:
            assert any(under(mechanism, one) or under(one, mechanism) for one in able)


def test_every_leaf_of_the_taxonomy_is_true_of_something():
    true = {m for s in SCENARIOS.values() for expected in s.expect for m in expected.mechanisms}
    assert LEAVES.keys() - true == set()


@pytest.mark.parametrize("scenario", kind("leaf") + kind("national"), ids=lambda s: s.id)
def test_something_stays_open_wherever_something_is_blocked(scenario: Scenario):
    free = {
        network
        for expected in scenario.expect
        if expected.outcome == "open"
        for network in expected.networks or scenario.vantages
    }
    topology = Topology(scenario)
    cut_off = {
        topology.place(censor.at).network
        for censor in scenario.censors
        if censor.trigger.everything
    }
    assert set(scenario.vantages) - free - cut_off == set()


@pytest.mark.parametrize("scenario", kind("national"), ids=lambda s: s.id)
def test_a_national_style_names_where_it_is_described(scenario: Scenario):
    assert scenario.source
    assert all(source.strip() for source in scenario.source)


def test_nobody_in_an_innocent_world_is_kept_from_anything_but_by_an_office():
    kept = {s.id for s in kind("innocent") for e in s.expect if e.outcome == "blocked"}
    assert kept == {"innocent-office-filter"}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: s.id)
def test_a_network_has_the_number_that_the_reference_data_know_its_addresses_by(scenario):
    topology, refdata = Topology(scenario), load_refdata()
    for where, text in addresses(scenario):
        number = refdata.asn_of(text)
        if number is None:
            assert refdata.is_bogon(text) or text.startswith(UNANNOUNCED), (where, text)
            continue
        holder = topology.network_of(packed(text))
        assert holder is not None
        assert scenario.networks[holder].asn == number, (where, text)


def addresses(scenario: Scenario) -> list[tuple[str, str]]:
    """Every router, vantage point and host of a world."""
    found = [
        (name, text)
        for name, network in scenario.networks.items()
        for hop in (*network.hops, network.probe)
        for text in hop
    ]
    return found + [(n, text) for n, host in scenario.hosts.items() for text in host.addresses]


def packed(text: str) -> bytes:
    return ip_address(text).packed
