"""Pairs that look alike, one of them innocent: silent resolvers, dead addresses, odd failures."""

from __future__ import annotations

from gatewatch.probe.ooni import Json
from gatewatch.simulate.network import GARR, Page, Server
from gatewatch.simulate.situations.common import (
    BEIJING,
    EXAMPLE_COM,
    Situation,
    fails,
    network,
    says,
)

HTTP, HTTPS, NAME = "http://www.example.com/", "https://www.example.com/", "www.example.com"
SILENT = fails("generic_timeout_error")

UNHEARD = GARR._replace(resolver_ip="127.0.0.2", resolver_asn=0, resolver_network="")
"A place whose resolver did not say who it is, as a probe writes it down."

DARK = "51.91.4.60"
"A data centre that has lost its power."

NODES = ("157.240.22.35", "31.13.85.8")
"Two addresses of one network, of which the second answers nobody."

TEREDO = "2001::1f0d:4a0d"
"As China's injectors answer for IPv6."

_OUT: dict[int, str] = dict.fromkeys((80, 443), "generic_timeout_error")
_SERVERS = {
    DARK: Server(asn=16276, org="OVH SAS", connect=_OUT),
    NODES[0]: Server(asn=32934, org="Facebook, Inc."),
    NODES[1]: Server(asn=32934, org="Facebook, Inc.", connect=_OUT),
}


def _unheard(record: Json) -> None:
    """The probe asked its resolver who it is, and got no answer."""
    record["test_keys"]["x_dns_whoami"]["system_v4"] = None


def _answered_in_clear(name: str, words: str, *addresses: str, **rest) -> Situation:
    """Whoever is asked in clear names these; over TLS, and for the control, it is the first of
    `NODES`."""
    outcomes = rest.pop("outcomes", ("unclear",))
    mechanisms = rest.pop("mechanisms", ("tcp.timeout",))
    names = {NAME: says(NODES[0])}
    lie = {NAME: says(*addresses)}
    net = network(names=names, cleartext_names=lie, servers=_SERVERS)
    return Situation(
        name=name, words=words, url=HTTPS, net=net, outcomes=outcomes, mechanisms=mechanisms, **rest
    )


TWINS: tuple[Situation, ...] = (
    Situation(
        name="geo_dns_dark_data_centre",
        words="Users here are sent to a data centre that is dark; DNS over TLS says so as well.",
        url=HTTPS,
        net=network(
            names={NAME: says(DARK)}, control_names={NAME: says(EXAMPLE_COM)}, servers=_SERVERS
        ),
        outcomes=("unclear", "down"),
        mechanisms=("tcp.timeout",),
    ),
    _answered_in_clear(
        "dns_dark_address_in_clear_alone",
        "In clear the answer is a dead address of others; DNS over TLS names the site's own.",
        DARK,
        outcomes=("blocked",),
        mechanisms=("dns.injection",),
    ),
    Situation(
        name="resolver_out_of_order",
        words="The ISP's resolver answers nobody, about no name.",
        url=HTTPS,
        net=network(isp_names={"*": SILENT}),
        place=UNHEARD,
        edit=_unheard,
        outcomes=("unclear",),
    ),
    Situation(
        name="dns_timeout_after_another_name",
        words="A resolver that would not say who it is answers for one name and not for the next.",
        url="http://bit.ly/32447",
        net=network(
            isp_names={NAME: SILENT},
            pages={"bit.ly": Page(status=301, headers={"Location": HTTPS})},
        ),
        place=UNHEARD,
        edit=_unheard,
        outcomes=("blocked",),
        mechanisms=("dns.timeout",),
    ),
    Situation(
        name="dns_timeout_in_clear_resolver_unheard",
        words="No question in clear is answered, whoever is asked; over TLS the name is known.",
        url=HTTPS,
        net=network(cleartext_names={"*": SILENT}),
        place=UNHEARD,
        edit=_unheard,
        outcomes=("unclear",),
    ),
    _answered_in_clear(
        "dns_racing_answers_own_network",
        "The forged IPv4 address is a dead one of the site's own network; the IPv6 one is none.",
        NODES[1],
        TEREDO,
        place=BEIJING,
        outcomes=("blocked",),
        mechanisms=("dns.injection.bogon",),
    ),
    _answered_in_clear(
        "dns_racing_answers_own_network_no_doh",
        "The same, and the probe did not ask over TLS; the control names the site's address.",
        NODES[1],
        TEREDO,
        place=BEIJING,
        doh=False,
        outcomes=("blocked",),
        mechanisms=("dns.injection.bogon",),
    ),
    _answered_in_clear(
        "cdn_dead_node_in_clear",
        "Two resolvers happen to name the one node of a content network that is down.",
        NODES[1],
    ),
    _answered_in_clear(
        "cdn_dead_node_behind_translator",
        "The same where IPv4 is translated under a private prefix (RFC 6147).",
        NODES[1],
        "fd00:64::1f0d:5508",
    ),
    Situation(
        name="site_with_odd_ipv6_dead_node",
        words="The site itself publishes an IPv6 address that is none, and one node is down.",
        url=HTTPS,
        net=network(
            names={NAME: says(NODES[1], TEREDO)},
            control_names={NAME: says(NODES[0], TEREDO)},
            servers=_SERVERS,
        ),
        outcomes=("unclear",),
        mechanisms=("tcp.timeout",),
    ),
    Situation(
        name="answer_without_status_line",
        words="Something answers in clear that is no HTTP; a notice without a status line, maybe.",
        url=HTTP,
        net=network(tampered_http={NAME: Page(failure="unknown_failure: malformed HTTP response")}),
        outcomes=("unclear", "blocked"),
        mechanisms=("http",),
    ),
)
