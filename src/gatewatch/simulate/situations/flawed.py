"""Situations of the record rather than of the network: old formats, flaws, missing parts."""

from __future__ import annotations

from dataclasses import replace

from gatewatch.probe.ooni import Json
from gatewatch.simulate import pages
from gatewatch.simulate.certificates import issued
from gatewatch.simulate.network import Network
from gatewatch.simulate.situations.common import (
    BADSSL,
    BEIJING,
    EDGECAST,
    EXAMPLE_COM,
    GOOGLE_CLOUD,
    JAKARTA,
    NO_HELPER,
    NXDOMAIN,
    RESET,
    SHATEL,
    TEHRAN,
    Situation,
    network,
    says,
    shake,
)
from gatewatch.simulate.situations.content import redirecting_to_indonesia

HTTP, HTTPS, NAME = "http://www.example.com/", "https://www.example.com/", "www.example.com"


def _old(
    name: str, words: str, url: str, net: Network, engine: str, outcome: str, *mechanisms: str, **r
) -> Situation:
    return Situation(
        name=name,
        words=words,
        url=url,
        net=net,
        engine=engine,
        outcomes=tuple(outcome.split("|")),
        mechanisms=mechanisms,
        **r,
    )


_REDIRECTED = redirecting_to_indonesia(NAME)
_SILENT = network(servers={EXAMPLE_COM: replace(EDGECAST, connect={80: "generic_timeout_error"})})
_UNTRUSTED = network(
    servers={
        BADSSL: replace(
            GOOGLE_CLOUD,
            tls=shake("ssl_unknown_authority", *issued("untrusted-root.badssl.com", "Root")),
        )
    }
)

OLD = (
    _old("v04_open", "Version 0.4, nothing wrong.", HTTP, network(), "0.4", "open"),
    _old("v04_open_https", "Version 0.4, nothing wrong.", HTTPS, network(), "0.4", "open"),
    _old(
        "v04_indonesia_redirect",
        "Version 0.4: a redirect to the Indonesian ministry's page.",
        HTTP,
        _REDIRECTED,
        "0.4",
        "blocked",
        "http.redirect",
        "http.blockpage",
        place=JAKARTA,
    ),
    _old(
        "v04_iran_bogon",
        "Version 0.4: Iran's answer from 10.10.34.0/24, where nobody answers.",
        HTTPS,
        network(isp_names={NAME: says("10.10.34.36")}),
        "0.4",
        "blocked",
        "dns.injection.bogon",
        place=TEHRAN,
    ),
    _old(
        "v04_nxdomain",
        "Version 0.4: the ISP's resolver denies the name.",
        HTTPS,
        network(isp_names={NAME: NXDOMAIN}),
        "0.4",
        "blocked",
        "dns.nxdomain",
    ),
    _old(
        "v04_tcp_timeout",
        "Version 0.4: no packet to the site's address is answered.",
        HTTPS,
        network(blocked_connects={EXAMPLE_COM: "generic_timeout_error"}),
        "0.4",
        "blocked",
        "tcp.timeout",
        "ip",
    ),
    _old(
        "v04_tls_reset",
        "Version 0.4: the site's name in a handshake draws a reset.",
        HTTPS,
        network(tampered_tls={NAME: shake("connection_reset")}),
        "0.4",
        "blocked",
        "tls.reset",
        place=BEIJING,
    ),
    _old(
        "v04_no_helper_nxdomain",
        "Version 0.4: no test helper, and only the ISP's resolver was asked, which denies it.",
        HTTPS,
        network(isp_names={NAME: NXDOMAIN}, control_failure=NO_HELPER),
        "0.4",
        "unclear",
        "dns.nxdomain",
    ),
    _old(
        "v04_site_down",
        "Version 0.4: nobody answers at the site's address, to anybody.",
        HTTP,
        _SILENT,
        "0.4",
        "down",
    ),
    _old("v03_open", "Version 0.3, nothing wrong.", HTTP, network(), "0.3", "open"),
    _old(
        "v03_http_reset",
        "Version 0.3: a reset, which it calls a response never received.",
        HTTP,
        network(tampered_http={NAME: RESET}),
        "0.3",
        "blocked",
        "http",
    ),
    _old(
        "v03_blockpage",
        "Version 0.3: Iran's page, whole, as bodies were kept unscrubbed.",
        HTTP,
        network(tampered_http={NAME: pages.IRAN_PAGE}),
        "0.3",
        "blocked",
        "http.blockpage",
        place=SHATEL,
    ),
    _old(
        "v03_nxdomain_for_everybody",
        "Version 0.3: the name does not exist, for anybody.",
        "http://www.example.xyz/",
        network(),
        "0.3",
        "down",
    ),
    _old("v01_open", "Measurement Kit, nothing wrong.", HTTP, network(), "0.1", "open"),
    _old(
        "v01_bad_certificate_for_everybody",
        "Measurement Kit: an untrusted certificate, told in OpenSSL's words.",
        "https://untrusted-root.badssl.com/",
        _UNTRUSTED,
        "0.1",
        "down",
    ),
    _old(
        "v01_nxdomain",
        "Measurement Kit: the ISP's resolver denies the name.",
        HTTP,
        network(isp_names={NAME: NXDOMAIN}),
        "0.1",
        "blocked",
        "dns",
    ),
    _old(
        "v01_tcp_refused",
        "Measurement Kit: connections to the address are refused.",
        HTTP,
        network(blocked_connects={EXAMPLE_COM: "connection_refused"}),
        "0.1",
        "blocked",
        "tcp.refused",
    ),
)


def _unicode_control(record: Json) -> None:
    """Some test helpers name the host as it was sent, not as it goes over the wire."""
    control = record["test_keys"]["control"]
    for handshake in control["tls_handshake"].values():
        handshake["server_name"] = "яндекс.рф"


def _cnames_in_control(record: Json) -> None:
    """Older test helpers list aliases among the addresses."""
    record["test_keys"]["control"]["dns"]["addrs"].insert(0, "cdn.example-edge.net")


def _mistyped(record: Json) -> None:
    """Fields and entries of the wrong type, none of which decides anything."""
    keys = record["test_keys"]
    record["probe_asn"] = 137
    record["test_runtime"] = "2.5"
    keys["tcp_connect"][0]["port"] = "443"
    keys["queries"][0]["tags"] = "depth=0"
    keys["network_events"] = {"t": 0}
    keys["queries"].append(17)
    keys["tcp_connect"].append({"ip": ["93.184.216.34"], "port": None, "status": "fine"})
    keys["tls_handshakes"].append(None)


def _false_failures(record: Json) -> None:
    """Success written as false, as the oldest probes did."""
    for entry in record["test_keys"]["tls_handshakes"]:
        if entry["failure"] is None:
            entry["failure"] = False


def _without_test_keys(record: Json) -> None:
    record["test_keys"] = None


def _hollow(record: Json) -> None:
    """Everything that was observed is null."""
    keys = record["test_keys"]
    for name in ("queries", "tcp_connect", "tls_handshakes", "requests", "network_events"):
        keys[name] = None
    keys["control"] = None
    keys["control_failure"] = "generic_timeout_error"


def _without_claims(record: Json) -> None:
    for name in ("blocking", "accessible", "dns_consistency", "http_experiment_failure"):
        record["test_keys"].pop(name)


def _input_in_list(record: Json) -> None:
    record["input"] = [record["input"]]


_RESET = network(tampered_tls={NAME: shake("connection_reset")})

FLAWED = (
    Situation(
        name="control_with_unicode_name",
        words="Nothing is wrong; the control names the host in Cyrillic.",
        url="http://яндекс.рф/",
        net=network(),
        outcomes=("open",),
        edit=_unicode_control,
    ),
    Situation(
        name="control_lists_cnames",
        words="Nothing is wrong; the control lists an alias among the addresses.",
        url=HTTPS,
        net=network(),
        outcomes=("open",),
        edit=_cnames_in_control,
    ),
    Situation(
        name="mistyped_fields_blocked",
        words="The site's name draws a reset; some fields have the wrong type.",
        url=HTTPS,
        net=_RESET,
        outcomes=("blocked",),
        mechanisms=("tls.reset",),
        edit=_mistyped,
    ),
    Situation(
        name="mistyped_fields_open",
        words="Nothing is wrong with the path; some fields have the wrong type.",
        url=HTTPS,
        net=network(),
        outcomes=("open",),
        edit=_mistyped,
    ),
    Situation(
        name="success_written_as_false",
        words="Nothing is wrong; success is written as false.",
        url=HTTPS,
        net=network(),
        outcomes=("open",),
        edit=_false_failures,
    ),
    Situation(
        name="input_in_a_list",
        words="The site's name draws a reset; the input is a list of one.",
        url=HTTPS,
        net=_RESET,
        outcomes=("blocked",),
        mechanisms=("tls.reset",),
        edit=_input_in_list,
    ),
    Situation(
        name="claims_missing",
        words="The site's name draws a reset; the probe's own conclusions are missing.",
        url=HTTPS,
        net=_RESET,
        outcomes=("blocked",),
        mechanisms=("tls.reset",),
        edit=_without_claims,
    ),
    Situation(
        name="no_test_keys",
        words="The record holds no observations at all.",
        url=HTTPS,
        net=network(),
        outcomes=("unclear",),
        edit=_without_test_keys,
    ),
    Situation(
        name="hollow_test_keys",
        words="Every list of observations is null, and the helpers failed.",
        url=HTTPS,
        net=network(),
        outcomes=("unclear",),
        edit=_hollow,
    ),
)

RECORDS: tuple[Situation, ...] = (*OLD, *FLAWED)
