"""What sets a censor off, where it sits and what stays, told from the scenario and its log."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gatewatch.lab.load import load
from gatewatch.lab.particulars import Particulars, particulars_of
from gatewatch.lab.rules import Censor
from gatewatch.lab.scenario import Expectation, Scenario, with_loss
from tests.lab.test_truth import act

BLOCKED = {"outcome": "blocked", "mechanisms": ["tls.reset.sni"], "by": ["censor"]}
HOP = ("193.206.130.9",)


def world(trigger: dict[str, Any], action: dict[str, Any], at: str, **more: Any) -> Scenario:
    """An Italian network of two hops with one censor."""
    base = load("tls-reset-sni")
    whole = {"id": "censor", "at": at, "trigger": trigger, "action": action, **more}
    return msgspec.structs.replace(base, censors=(msgspec.convert(whole, Censor),))


def told(scenario: Scenario, *, actor: str = "censor", **expected: Any) -> Particulars:
    """What is told of one act, on the way to the site."""
    (network,) = scenario.vantages
    (address, *_) = scenario.networks[network].probe
    one = act(actor, client=address, server="93.184.216.34:443")
    whole = {"url": "https://www.example.com/", **BLOCKED, **expected}
    expectation = msgspec.convert(whole, Expectation)
    return particulars_of(scenario, expectation, network, [one])


@pytest.mark.parametrize(
    ("trigger", "word"),
    [
        ({"sni": ["a.example"]}, "name"),
        ({"dns": ["a.example"]}, "name"),
        ({"host": ["a.example"]}, "name"),
        ({"quic_sni": ["a.example"]}, "name"),
        ({"keyword": ["falun"]}, "keyword"),
        ({"url": ["a.example/x*"]}, "keyword"),
        ({"quic": True}, "protocol"),
        ({"ech": True}, "protocol"),
        ({"look": ["encrypted"]}, "protocol"),
        ({"ip": ["192.0.2.0/24"]}, "address"),
        ({"endpoint": ["192.0.2.1:443"]}, "address"),
        ({"port": [443]}, "port"),
    ],
)
def test_a_trigger_is_called_by_what_it_looks_for(trigger, word):
    assert told(world(trigger, {"drop": {}}, "garr")).triggers == (word,)


NIGHT = {"schedule": {"hours": ["18:30-02:30"]}}
MOST = ["0.0.0.0/1", "128.0.0.0/2", "208.0.0.0/4"]


@pytest.mark.parametrize("trigger", [{"everything": True}, {"everything": True, **NIGHT},
                                     {"ip": MOST}, {"ip": MOST, **NIGHT}])  # fmt: skip
def test_a_shutdown_is_set_off_by_nothing_in_particular(trigger):
    found = told(world(trigger, {"drop": {}}, "garr"))
    assert (found.triggers, found.everything) == ((), True)
    assert (found.placements, found.hop_ttls) == (("in_path",), (2,))


@pytest.mark.parametrize(
    ("resolvers", "swallow", "places"),
    [
        (["130.192.3.21"], True, ("in_path", "endpoint")),
        (["130.192.3.21", "8.8.8.8"], True, ("in_path",)),
        (["130.192.0.0/16"], True, ("in_path",)),
        (["130.192.3.21"], False, ("on_path",)),
        ([], True, ("in_path",)),
    ],
)
def test_who_stands_at_a_resolvers_door_in_its_name_is_that_resolver(resolvers, swallow, places):
    forger = world(
        {"dns": ["www.example.com"], "ip": resolvers}, {"forge_dns": {"swallow": swallow}}, "garr/1"
    )
    assert told(forger).placements == places


@pytest.mark.parametrize(
    "trigger",
    [
        {"ip": ["0.0.0.0/1", "0.0.0.0/2", "64.0.0.0/3"]},
        {"ip": ["93.184.216.34"]},
        {"ip": ["2000::/3", "0.0.0.0/2"]},
        {"ip": MOST, "port": [443]},
        {"everything": True, "transport": "udp"},
        {"everything": True, "probability": 0.5},
    ],
)
def test_what_spares_half_of_the_internet_is_no_shutdown(trigger):
    assert not told(world(trigger, {"drop": {}}, "garr")).everything


@pytest.mark.parametrize(
    ("action", "placements"),
    [
        ({"reset": {}}, ("on_path",)),
        ({"reset": {"swallow": True}}, ("in_path",)),
        ({"drop": {}}, ("in_path",)),
        ({"fin": {}}, ("in_path",)),
        ({"fin": {"swallow": False}}, ("on_path",)),
        ({"reset": {}, "drop": {}}, ("in_path",)),
        ({"throttle": {"rate_kbps": 100.0}}, ("in_path",)),
        ({"forge_dns": {"a": ["10.10.34.36"]}}, ("on_path",)),
    ],
)
def test_who_only_injects_is_beside_the_path_and_all_others_are_in_it(action, placements):
    assert told(world({"sni": ["a.example"]}, action, "garr")).placements == placements


def test_what_stays_may_be_the_work_of_another_kind():
    left = {"seconds": 60.0, "ends": "4-tuple", "action": {"drop": {}}}
    found = told(world({"sni": ["a.example"]}, {"reset": {}}, "garr", residual=left))
    assert found.placements == ("on_path", "in_path")
    assert found.residuals == ((60.0, "4-tuple"),)


@pytest.mark.parametrize(
    ("at", "distance", "addresses"),
    [("garr/1", 1, ("130.192.232.1",)), ("garr", 2, HOP), ("edgecast", 3, None)],
)
def test_a_hop_is_counted_from_the_vantage_point(at, distance, addresses):
    found = told(world({"sni": ["a.example"]}, {"drop": {}}, at))
    assert found.hop_ttls == (distance,)
    if addresses is not None:
        assert addresses[0] in found.hop_addresses


@pytest.mark.parametrize(
    ("by", "more"),
    [
        ("somebody", {}),
        ("censor", {"outcome": "open", "mechanisms": [], "by": []}),
    ],
)
def test_where_no_culprit_acted_there_is_nothing_to_find(by, more):
    scenario = world({"sni": ["a.example"]}, {"drop": {}}, "garr")
    assert told(scenario, actor=by, **more) == Particulars()


def test_packets_are_lost_on_the_access_links_of_vantage_points_alone():
    before = load("innocent-lossy-line")
    after = with_loss(before, 0.02)
    for name, network in before.networks.items():
        lost = after.networks[name].access.loss
        expected = 1 - (1 - network.access.loss) * 0.98 if network.probe else network.access.loss
        assert lost == pytest.approx(expected)
