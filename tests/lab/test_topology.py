"""The map: one way between any two points, the same in both directions."""

from __future__ import annotations

import pytest

from gatewatch.lab.scenario import Network
from gatewatch.lab.topology import Place, Topology
from tests.lab.worlds import packed, scenario

SIBLING = Network(
    asn=1267, name="Sibling", country="IT", prefixes=("151.0.0.0/12",), hops=(("151.0.0.1",),),
    via="national",
)  # fmt: skip
MAP = Topology(scenario(networks={**scenario().networks, "sibling": SIBLING}))


def hops(start, target):
    return [str(s.to) for s in MAP.way(start, target) if s.to]


UP = ["access/1", "access/2", "access/3", "national/1", "national/2"]


@pytest.mark.parametrize(
    ("start", "target", "passed"),
    [
        pytest.param("access", "hosting", [*UP, "hosting/1"], id="across the core"),
        pytest.param("hosting", "access", ["hosting/1", *UP[::-1]], id="and back the same way"),
        pytest.param("access", "sibling", [*UP[:4], "sibling/1"], id="turning where they meet"),
        pytest.param("access", "national", UP[:4], id="to the network that carries it"),
        pytest.param("national", "access", UP[3::-1], id="from them"),
        pytest.param("access", "access", ["access/1"], id="between neighbours"),
        pytest.param(Place("access", 3), "hosting", [*UP[3:], "hosting/1"], id="from a hop out"),
        pytest.param(Place("access", 3), "access", UP[1::-1], id="from a hop inwards"),
        pytest.param(Place("hosting", 1), "access", UP[::-1], id="from a hop abroad"),
        pytest.param(Place("national", 1), "sibling", ["sibling/1"], id="down another branch"),
    ],
)
def test_a_way_passes_every_hop_between(start, target, passed):
    assert hops(start, target) == passed


def test_a_way_and_its_return_take_the_same_time():
    there, back = MAP.way("access", "hosting"), MAP.way("hosting", "access")
    assert sum(s.link.delay_ms for s in there) == sum(s.link.delay_ms for s in back) > 20


def test_the_two_directions_of_a_link_do_not_share_a_queue():
    there, back = MAP.way("access", "hosting"), MAP.way("hosting", "access")
    assert not {s.key for s in there} & {s.key for s in back}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("130.192.1.2", "access"),
        ("2001:760:1::", "access"),
        ("8.8.8.8", "google"),
        ("9.9.9.9", None),
    ],
)
def test_an_address_is_in_the_network_that_announces_it(address, network):
    assert MAP.network_of(packed(address)) == network


def test_the_more_specific_prefix_wins():
    inner = Network(asn=2, name="Inner", country="IT", prefixes=("130.192.3.0/24",), hops=((),))
    both = Topology(scenario(networks={**scenario().networks, "inner": inner}))
    assert both.network_of(packed("130.192.3.9")) == "inner"
    assert both.network_of(packed("130.192.4.9")) == "access"


@pytest.mark.parametrize(
    ("at", "place"), [("access", Place("access", 3)), ("access/1", Place("access", 1))]
)
def test_a_network_alone_names_its_outermost_hop(at, place):
    assert MAP.place(at) == place


@pytest.mark.parametrize("at", ["nowhere", "access/4", "access/0"])
def test_a_place_that_is_not_there_is_refused(at):
    with pytest.raises(KeyError):
        MAP.place(at)


def test_what_a_hop_sees_on_its_inner_side():
    assert MAP.below(Place("national", 2), "access")
    assert MAP.below(Place("national", 2), "sibling")
    assert not MAP.below(Place("access", 1), "sibling")
    assert not MAP.below(Place("national", 2), "hosting")
    assert not MAP.below(Place("national", 2), None)
