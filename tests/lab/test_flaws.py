"""A world whose parts contradict each other is not built."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from gatewatch.lab.load import load
from gatewatch.lab.topology import Topology
from tests.lab.files import CONTROL, GOOD, WEB, changed, refusal, written

param = pytest.param

RESOLVER = "resolver = {}"
ISP = GOOD[GOOD.index("[networks.isp]") : GOOD.index("probe")]


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
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
        param("web = {}", 'web = {}\ntcp = { "443" = "echo" }', "hosts.site", "443",
              id="two servers on a port"),
        param("web = {}", 'web = { routes = [{ networks = ["moon"] }] }',
              "hosts.site.web.routes[0].networks", "name of a network", id="a route for nobody"),
        param("control = true", "", "hosts", "one control server", id="no control"),
        param('id = "resetter"', 'id = "site"', "censors[0].id", "nothing else has",
              id="a censor called as a host is"),
        param('outcome = "blocked"', 'outcome = "blocked"\nnetworks = ["moon"]',
              "expect[0] (https://www.example.org/).networks", "vantage", id="seen from nowhere"),
        param('by = ["resetter"]', 'by = ["nobody"]', "expect[0] (https://www.example.org/).by",
              "nobody", id="blamed on nobody"),
        param('by = ["resetter"]', "", "expect[0] (https://www.example.org/)", "by whom",
              id="blocked by chance"),
        param('by = ["resetter"]', 'by = ["resetter"]\naccept = ["blocked"]',
              "expect[0] (https://www.example.org/).accept", "other outcomes",
              id="the truth is acceptable"),
        param(WEB, 'web = {}\ntcp = { "80" = "messenger" }', "hosts.site", "port 80/tcp",
              id="a plain server in the place of the web"),
        param(WEB, "web = {}\nmiddlebox = {}", "hosts.site", "port 80/tcp",
              id="a site that is a middlebox"),
        param(WEB, 'tcp = { "443" = "echo" }\nmiddlebox = {}', "hosts.site", "port 443/tcp",
              id="a plain server in the place of a middlebox"),
        param(RESOLVER, "resolver = {}\nmiddlebox = {}", "hosts.resolver", "port 53/udp",
              id="a resolver that is a middlebox"),
        param(RESOLVER, 'resolver = {}\ntcp = { "53" = "echo" }', "hosts.resolver",
              "port 53/tcp", id="a plain server in the place of a resolver"),
        param(RESOLVER, 'resolver = { transports = ["udp", "dot"] }\ntcp = { "853" = "echo" }',
              "hosts.resolver", "port 853/tcp", id="a plain server in the place of DoT"),
        param(RESOLVER, 'resolver = { transports = ["udp", "doh"] }\ntcp = { "443" = "echo" }',
              "hosts.resolver", "port 443/tcp", id="a plain server in the place of DoH"),
        param(RESOLVER, 'resolver = { transports = ["udp", "udp"] }', "hosts.resolver",
              "port 53/udp", id="a resolver twice"),
        param(CONTROL, "control = true\nweb = {}", "hosts.control", "control",
              id="a control server that is a site"),
        param(CONTROL, "control = true\nweb = { http = false, https = false }", "hosts.control.web",
              "no site", id="a control server that is a site on no port"),
        param(RESOLVER, 'resolver = { transports = ["doh"] }\nweb = { https = false }',
              "hosts.resolver.web.https", "`doh`", id="DoH without HTTPS"),
        param(CONTROL, 'control = true\nresolver = { transports = ["doh"] }', "hosts.control",
              "port 443/tcp", id="a control server that resolves over HTTPS"),
        param('names = ["th.lab"]', "", "hosts.control.names", "asked by",
              id="a control server without a name"),
        param(RESOLVER, 'resolver = { upstream = "130.192.3.21" }',
              "hosts.resolver.resolver.upstream", "another", id="a resolver that asks itself"),
        param(RESOLVER, 'resolver = { upstream = "130.192.6.6" }',
              "hosts.resolver.resolver.upstream", "another", id="a resolver that asks a site"),
    ],
)  # fmt: skip
def test_a_world_that_contradicts_itself_says_where_and_what_is_wanted(
    tmp_path: Path, old: str, new: str, where: str, words: str
):
    said = refusal(tmp_path, changed((old, new)))
    assert where in said.where
    assert words in str(said)


def test_a_resolver_answers_over_https_beside_a_site(tmp_path: Path):
    both = 'resolver = { transports = ["udp", "tcp", "dot", "doh"] }\nweb = {}'
    load(written(tmp_path, changed((RESOLVER, both))))


def test_a_vantage_point_asks_a_resolver_of_an_ip_version_that_it_has(tmp_path: Path):
    v6 = [
        ('prefixes = ["130.192.0.0/16"]', 'prefixes = ["130.192.0.0/16", "2001:760::/32"]'),
        ('["130.192.3.21"]', '["130.192.3.21", "2001:760::21"]'),
        ('resolver = "130.192.3.21"', 'resolver = "2001:760::21"'),
    ]
    said = refusal(tmp_path, changed(*v6))
    assert said.where.endswith("networks.isp.resolver")
    assert "'2001:760::21'; wants a resolver that can be asked over IPv4" in str(said)
    both = ('["130.192.91.211"]', '["130.192.91.211", "2001:760::211"]')
    load(written(tmp_path, changed(*v6, both)))


def test_one_target_has_one_truth_on_a_network(tmp_path: Path):
    twice = GOOD + GOOD[GOOD.index("[[expect]]") :]
    assert "one truth" in str(refusal(tmp_path, twice))


def test_the_same_prefix_cannot_be_in_two_networks(tmp_path: Path):
    other = ISP.replace("isp", "other").replace('[["130.192.232.1"]]', "[[]]")
    assert "a prefix that isp does not have" in str(refusal(tmp_path, GOOD + other))


def test_a_network_inside_another_holds_what_is_longest(tmp_path: Path):
    inner = ISP.replace("isp", "inner").replace("130.192.0.0/16", "130.192.6.0/24")
    scenario = load(written(tmp_path, GOOD + inner.replace('"130.192.232.1"', "")))
    assert Topology(scenario).network_of(ip_address("130.192.6.6").packed) == "inner"
