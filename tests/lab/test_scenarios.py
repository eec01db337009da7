"""Every scenario loads, holds together, and says of itself what it is; a bad file says where."""

from __future__ import annotations

import re
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest

from gatewatch.lab.load import load, names
from gatewatch.lab.rules import Trigger
from gatewatch.lab.scenario import BadScenario, Scenario
from gatewatch.lab.topology import Topology
from gatewatch.lab.truth import mechanisms_by
from gatewatch.model.errors import NotFound
from gatewatch.model.mechanism import LEAVES, under
from gatewatch.refdata.snapshot import load as load_refdata

SCENARIOS = {name: load(name) for name in names()}
param = pytest.param

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


# -- files that break the rules ---------------------------------------------------------------

GOOD = """
title = "A world"
words = "Small."
kind = "leaf"

[networks.isp]
asn = 137
name = "Consortium GARR"
country = "IT"
prefixes = ["130.192.0.0/16"]
hops = [["130.192.232.1"]]
probe = ["130.192.91.211"]
resolver = "130.192.3.21"

[hosts.resolver]
addresses = ["130.192.3.21"]
resolver = {}

[hosts.control]
addresses = ["130.192.5.5"]
names = ["th.lab"]
control = true

[hosts.site]
addresses = ["130.192.6.6"]
names = ["www.example.org"]
web = {}

[[censors]]
id = "resetter"
at = "isp"
trigger = { sni = [".example.org"] }
action = { reset = {} }

[[expect]]
url = "https://www.example.org/"
outcome = "blocked"
mechanisms = ["tls.reset.sni"]
by = ["resetter"]
"""

RESET = "action = { reset = {} }"
SNI = 'sni = [".example.org"]'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "world.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_small_world_can_be_written_in_one_file(tmp_path: Path):
    scenario = load(written(tmp_path, GOOD))
    assert (scenario.id, scenario.vantages) == ("world", ["isp"])


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        param('title = "A world"', 'title = "A', "world.toml", "not TOML", id="no TOML"),
        param("words =", 'color = "red"\nwords =', "world.toml", "color", id="unknown key"),
        param("kind =", 'id = "x"\nkind =', "id", "file's name", id="an id of its own"),
        param('"leaf"', '"forest"', "world.toml", "forest", id="unknown kind"),
        param("asn = 137", 'asn = "137"', "networks.isp", "int", id="a number in quotes"),
        param("asn = 137", "asn = 0", "networks.isp.asn", "autonomous", id="no network's number"),
        param('"IT"', '"Italy"', "networks.isp.country", "two capital", id="a country in full"),
        param("130.192.0.0/16", "130.192.0.1/16", "networks.isp.prefixes", "host bits",
              id="a prefix with host bits"),
        param("130.192.0.0/16", "127.0.0.0/8", "networks.isp.prefixes", "public", id="loopback"),
        param("130.192.0.0/16", "169.254.0.0/16", "networks.isp.prefixes", "public",
              id="link-local"),
        param("130.192.0.0/16", "224.0.0.0/8", "networks.isp.prefixes", "public", id="multicast"),
        param("130.192.0.0/16", "0.0.0.0/0", "networks.isp.prefixes", "public", id="everything"),
        param("130.192.0.0/16", "fe80::/10", "networks.isp.prefixes", "public",
              id="IPv6 link-local"),
        param('"130.192.0.0/16"', '"130.192.0.0/16", "2001:db8::/32"', "networks.isp.prefixes",
              "public", id="documentation"),
        param('[["130.192.232.1"]]', "[]", "networks.isp.hops", "at least one hop", id="no hop"),
        param('["130.192.232.1"]', '["130.192.232.1", "130.192.232.2"]', "networks.isp.hops",
              "one IPv4", id="two addresses of a version"),
        param("130.192.232.1", "8.8.8.8", "networks.isp.hops", "within a network's prefixes",
              id="a router outside of the world"),
        param("resolver = \"130", 'via = "moon"\nresolver = "130', "networks.isp.via",
              "name of a network", id="carried by nobody"),
        param("resolver = \"130", 'via = "isp"\nresolver = "130', "networks.isp.via",
              "way to the core", id="carried by itself"),
        param('resolver = "130.192.3.21"', "", "networks.isp.resolver", "asks",
              id="a vantage point without a resolver"),
        param('resolver = "130.192.3.21"', 'resolver = "130.192.6.6"', "networks.isp.resolver",
              "host with `resolver`", id="a resolver that is none"),
        param("130.192.6.6", "8.8.8.8", "hosts.site.addresses", "within a network's prefixes",
              id="a host outside of the world"),
        param("130.192.6.6", "130.192.5.5", "hosts.site.addresses", "hosts.control",
              id="two hosts at one address"),
        param('"www.example.org"]\nweb', '"WWW.example.org"]\nweb', "hosts.site.names",
              "lower case", id="capitals in a name"),
        param("web = {}", 'web = {}\ntcp = { "443" = "echo" }', "hosts.site.web", "443",
              id="two servers on a port"),
        param("web = {}", 'web = { page = "nothing" }', "hosts.site.web.page", "lab.pages",
              id="a page that does not exist"),
        param("web = {}", 'web = { routes = [{ networks = ["moon"] }] }',
              "hosts.site.web.routes[0].networks", "name of a network", id="a route for nobody"),
        param("control = true", "", "hosts", "one control server", id="no control"),
        param('at = "isp"', 'at = "isp/7"', "censors.resetter.at", "isp/7", id="no such hop"),
        param('at = "isp"', 'at = "moon"', "censors.resetter.at", "moon", id="no such network"),
        param('id = "resetter"', 'id = "site"', "censors[0].id", "nothing else has",
              id="a censor called as a host is"),
        param(SNI, "bidirectional = true", "censors.resetter.trigger", "set it off",
              id="a trigger that nothing sets off"),
        param(SNI, 'sni = ["Example.org"]', "censors.resetter.trigger.sni", "lower case",
              id="capitals in a pattern"),
        param(SNI, 'ip = ["1.2.3"]', "censors.resetter.trigger.ip", "prefix", id="half an address"),
        param(SNI, 'endpoint = ["1.2.3.4"]', "censors.resetter.trigger.endpoint", "443",
              id="an endpoint without a port"),
        param(SNI, 'keyword = [""]', "censors.resetter.trigger.keyword", "some text",
              id="a word of no letters"),
        param(SNI, f'{SNI}, networks = ["moon"]', "censors.resetter.trigger.networks", "moon",
              id="clients of nowhere"),
        param(SNI, f"{SNI}, probability = 0.0", "censors.resetter.trigger.probability", "share",
              id="a chance of none"),
        param(SNI, f'{SNI}, schedule = {{ hours = ["9-17"] }}',
              "censors.resetter.trigger.schedule.hours", "20:00-06:00", id="office hours"),
        param(RESET, "action = {}", "censors[0] (resetter)", "does nothing", id="no action"),
        param(RESET, "action = { explode = {} }", "censors[0] (resetter)", "explode",
              id="an action that nobody knows"),
        param(RESET, 'action = { reset = { payload = "xyz" } }',
              "censors.resetter.action.reset.payload", "hexadecimal", id="bytes that are none"),
        param(RESET, "action = { reset = { ttls = [300] } }",
              "censors.resetter.action.reset.ttls", "255", id="a TTL of two bytes"),
        param(RESET, 'action = { redirect = { location = "/" } }',
              "censors.resetter.action.redirect.location", "URL", id="a redirect to no URL"),
        param(RESET, 'action = { forge_dns = { a = ["::1"] } }',
              "censors.resetter.action.forge_dns.a", "IPv4", id="an A record with an AAAA"),
        param(RESET, 'action = { block_page = { page = "nothing" } }',
              "censors.resetter.action.block_page.page", "lab.pages", id="a block page of none"),
        param(RESET, 'action = { divert = { to = "site" } }',
              "censors.resetter.action.divert.to", "middlebox", id="diverted to a site"),
        param(RESET, "action = { throttle = {} }", "censors.resetter.action.throttle", "a rate",
              id="a throttle that lets everything through"),
        param(RESET, f"{RESET}\nresidual = {{ seconds = 0.0 }}",
              "censors.resetter.residual.seconds", "more than 0", id="a residue of no time"),
        param(RESET, f'{RESET}\nmechanism = "tls.magic"', "censors.resetter.mechanism",
              "taxonomy", id="a mechanism that nobody knows"),
        param('"https://www.example.org/"', '"www.example.org"', "expect[0] (www.example.org).url",
              "http or https", id="a host for a URL"),
        param('outcome = "blocked"', 'outcome = "unclear"', "expect[0]", "unclear",
              id="a truth that is unclear"),
        param('outcome = "blocked"', 'outcome = "blocked"\nnetworks = ["moon"]',
              "expect[0] (https://www.example.org/).networks", "vantage", id="seen from nowhere"),
        param('["tls.reset.sni"]', '["tls.magic"]', "expect[0] (https://www.example.org/)",
              "taxonomy", id="an effect that nobody knows"),
        param('by = ["resetter"]', 'by = ["nobody"]', "expect[0] (https://www.example.org/).by",
              "nobody", id="blamed on nobody"),
        param('by = ["resetter"]', "", "expect[0] (https://www.example.org/)", "by whom",
              id="blocked by chance"),
        param('by = ["resetter"]', 'by = ["resetter"]\naccept = ["blocked"]',
              "expect[0] (https://www.example.org/).accept", "other outcomes",
              id="the truth is acceptable"),
    ],
)  # fmt: skip
def test_a_bad_file_says_where_and_what_is_wanted(
    tmp_path: Path, old: str, new: str, where: str, words: str
):
    assert old in GOOD
    with pytest.raises(BadScenario, match=re.escape(words)) as caught:
        load(written(tmp_path, GOOD.replace(old, new, 1)))
    assert where in caught.value.where


def test_one_target_has_one_truth_on_a_network(tmp_path: Path):
    twice = GOOD + GOOD[GOOD.index("[[expect]]") :]
    with pytest.raises(BadScenario, match="one truth"):
        load(written(tmp_path, twice))


def test_the_same_prefix_cannot_be_in_two_networks(tmp_path: Path):
    other = GOOD[GOOD.index("[networks.isp]") : GOOD.index("probe")].replace("isp", "other")
    other = other.replace('[["130.192.232.1"]]', "[[]]")
    with pytest.raises(BadScenario, match="a prefix that isp does not have"):
        load(written(tmp_path, GOOD + other))


def test_a_network_inside_another_holds_what_is_longest(tmp_path: Path):
    inner = GOOD[GOOD.index("[networks.isp]") : GOOD.index("probe")].replace("isp", "inner")
    inner = inner.replace("130.192.0.0/16", "130.192.6.0/24").replace('"130.192.232.1"', "")
    scenario = load(written(tmp_path, GOOD + inner))
    assert Topology(scenario).network_of(packed("130.192.6.6")) == "inner"


def test_a_middlebox_beyond_the_box_could_not_be_answered_through_it(tmp_path: Path):
    text = GOOD.replace('[["130.192.232.1"]]', '[["130.192.232.1"], []]').replace(
        RESET, 'action = { divert = { to = "mill" } }'
    )
    mill = '\n[hosts.mill]\naddresses = ["130.192.7.7"]\nmiddlebox = {}\n'
    with pytest.raises(BadScenario, match="leads past isp/2"):
        load(written(tmp_path, text + mill))
    load(written(tmp_path, text.replace('at = "isp"', 'at = "isp/1"') + mill))


def test_a_page_may_come_without_a_status_line(tmp_path: Path):
    bare = 'action = { block_page = { page = "india", status = "none" } }'
    scenario = load(written(tmp_path, GOOD.replace(RESET, bare)))
    page = scenario.censors[0].action.block_page
    assert page is not None
    assert page.status is None


# -- worlds upon worlds -----------------------------------------------------------------------


def test_what_a_scenario_says_replaces_what_its_world_says(tmp_path: Path):
    at = GOOD.index("[hosts.site]")
    parts = 'title = "Ground"\nwords = "Firm."\n' + GOOD[GOOD.index("[networks.isp]") : at]
    site = GOOD[at : GOOD.index("[[censors]]")]
    (tmp_path / "ground.toml").write_text(parts + site, encoding="utf-8")
    own = site.replace("130.192.6.6", "130.192.8.8")
    head = 'title = "A world"\nwords = "Small."\nkind = "leaf"\nextends = "ground.toml"\n'
    scenario = load(written(tmp_path, head + own + GOOD[GOOD.index("[[censors]]") :]))
    assert list(scenario.hosts) == ["resolver", "control", "site"]
    assert scenario.hosts["site"].addresses == ("130.192.8.8",)


@pytest.mark.parametrize(
    ("world", "words"),
    [
        param(None, "cannot be read", id="no such file"),
        param('title = "W"\nwords = "W."\nextends = "ground.toml"', "no circle", id="on itself"),
        param('title = "W"\nwords = "W."\n[[censors]]\nid = "c"', "censors", id="with a censor"),
    ],
)
def test_a_bad_world_is_named(tmp_path: Path, world: str | None, words: str):
    if world is not None:
        (tmp_path / "ground.toml").write_text(world, encoding="utf-8")
    text = GOOD.replace('kind = "leaf"', 'kind = "leaf"\nextends = "ground.toml"')
    with pytest.raises(BadScenario, match=words):
        load(written(tmp_path, text))


def test_a_name_that_no_scenario_has_is_said_to_be_none():
    with pytest.raises(NotFound, match="no scenario 'atlantis'"):
        load("atlantis")
