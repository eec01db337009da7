"""Situations in which connections and handshakes fail, on purpose or by themselves."""

from __future__ import annotations

from dataclasses import replace

from gatewatch.simulate import pages
from gatewatch.simulate.certificates import issued, self_signed
from gatewatch.simulate.network import Page, Server
from gatewatch.simulate.situations.common import (
    ALMATY,
    EDGECAST,
    EOF,
    EXAMPLE_COM,
    MOSCOW,
    NO_HELPER,
    RESET,
    TEHRAN,
    TIMEOUT,
    Situation,
    fails,
    network,
    says,
    shake,
    twice,
)

HTTP, HTTPS, NAME = "http://www.example.com/", "https://www.example.com/", "www.example.com"
_V6 = "2606:2800:220:1:248:1893:25c8:1946"
_SILENT = dict.fromkeys((80, 443), "generic_timeout_error")
_REFUSING = dict.fromkeys((80, 443), "connection_refused")


def _at_connect(name: str, words: str, failure: str, mechanisms: tuple[str, ...]) -> Situation:
    return Situation(
        name=name,
        words=words,
        url=HTTPS,
        net=network(blocked_connects={EXAMPLE_COM: failure}),
        outcomes=("blocked",),
        mechanisms=mechanisms,
    )


def _at_tls(name: str, words: str, failure: str, mechanism: str, **rest) -> Situation:
    return Situation(
        name=name,
        words=words,
        url=HTTPS,
        net=network(tampered_tls={NAME: shake(failure, *rest.pop("chain", ()))}),
        outcomes=rest.pop("outcomes", ("blocked",)),
        mechanisms=(mechanism,),
        **rest,
    )


def _at_http(name: str, words: str, page: Page, mechanism: str) -> Situation:
    return Situation(
        name=name,
        words=words,
        url=HTTP,
        net=network(tampered_http={NAME: page}),
        outcomes=("blocked",),
        mechanisms=(mechanism,),
    )


FILTERED = (
    _at_connect(
        "tcp_reset", "Connections to the address are reset.", "connection_reset", ("tcp.reset",)
    ),
    _at_connect(
        "tcp_refused",
        "Connections to the address are refused.",
        "connection_refused",
        ("tcp.refused",),
    ),
    _at_connect(
        "ip_null_route",
        "No packet to the address arrives.",
        "generic_timeout_error",
        ("tcp.timeout", "ip.null_route"),
    ),
    _at_connect(
        "ip_unreachable",
        "A router says that the address cannot be reached.",
        "host_unreachable",
        ("ip.unreachable",),
    ),
    _at_tls(
        "tls_timeout_after_sni",
        "Packets are dropped once the handshake names the site.",
        "generic_timeout_error",
        "tls.timeout",
        place=TEHRAN,
    ),
    _at_tls(
        "tls_reset_russia",
        "A reset comes in place of the server's hello.",
        "connection_reset",
        "tls.reset",
        place=MOSCOW,
    ),
    _at_tls("tls_eof", "The connection is closed in the handshake.", "eof_error", "tls.eof"),
    _at_tls(
        "tls_error",
        "Bytes that are not TLS come in place of the server's hello.",
        "ssl_failed_handshake",
        "tls.error",
    ),
    _at_tls(
        "tls_mitm_self_signed",
        "Another party's self-signed certificate; the control sees the good one.",
        "ssl_unknown_authority",
        "tls.mitm.self_signed",
        chain=self_signed(NAME, "Gateway Appliance"),
    ),
    _at_tls(
        "tls_mitm_ca_signed",
        "A certificate for the right name, issued by an authority nobody trusts.",
        "ssl_unknown_authority",
        "tls.mitm.ca_signed",
        chain=issued(NAME, "Qaznet Trust Network", organisation="ISCA"),
        place=ALMATY,
    ),
    _at_tls(
        "tls_mitm_wrong_name",
        "A certificate for a portal comes in place of the site's.",
        "ssl_invalid_hostname",
        "tls.mitm",
        chain=issued("filter.gateway.test", "Gateway Appliance CA"),
        outcomes=("blocked", "unclear"),
    ),
    _at_http("http_eof", "The connection ends in place of an answer.", EOF, "http.eof"),
    _at_http("http_timeout", "The request is never answered.", TIMEOUT, "http.timeout"),
    *twice(
        Situation(
            name="no_helper_reset_http",
            words="No test helper can be reached. The site's name draws a reset.",
            url=HTTP,
            net=network(
                control_failure=NO_HELPER,
                tampered_http={NAME: RESET},
                tampered_tls={NAME: shake("connection_reset")},
            ),
            outcomes=("blocked", "unclear"),
            mechanisms=("http.reset", "tls.reset"),
        ),
        mechanisms=("tls.reset",),
    ),
    Situation(
        name="no_helper_tls_mitm_ca_signed",
        words="No test helper can be reached. An interceptor known by its authority answers.",
        url=HTTPS,
        place=ALMATY,
        net=network(
            control_failure=NO_HELPER,
            tampered_tls={
                NAME: shake(
                    "ssl_unknown_authority",
                    *issued(NAME, "Qaznet Trust Network", organisation="ISCA"),
                )
            },
        ),
        outcomes=("blocked", "unclear"),
        mechanisms=("tls.mitm",),
    ),
    Situation(
        name="no_helper_connect_timeout",
        words="No test helper can be reached, and nobody answers at the site's address.",
        url=HTTPS,
        net=network(
            control_failure="generic_timeout_error",
            blocked_connects={EXAMPLE_COM: "generic_timeout_error"},
        ),
        outcomes=("unclear",),
        mechanisms=("tcp.timeout",),
    ),
    Situation(
        name="secure_twin_filtered",
        words="The URL in clear opens; a handshake with the same name is reset.",
        url=HTTP,
        net=network(tampered_tls={NAME: shake("connection_reset")}),
        outcomes=("open",),
        mechanisms=("tls.reset",),
    ),
    Situation(
        name="clear_twin_filtered",
        words="Requests in clear are reset, which does not touch the secure URL asked for.",
        url=HTTPS,
        net=network(tampered_http={NAME: RESET}),
        outcomes=("open",),
    ),
)

NOT_FILTERED = (
    Situation(
        name="no_ipv6",
        words="The probe has no IPv6; over IPv4 the site opens.",
        url=HTTPS,
        net=network(
            names={NAME: says(_V6, EXAMPLE_COM)}, servers={_V6: EDGECAST, EXAMPLE_COM: EDGECAST}
        ),
        outcomes=("open",),
    ),
    Situation(
        name="ipv6_works",
        words="The probe has both protocols, and both lead to the site.",
        url=HTTPS,
        net=network(
            names={NAME: says(_V6, EXAMPLE_COM)}, servers={_V6: EDGECAST}, ipv6_failure=None
        ),
        outcomes=("open",),
    ),
    Situation(
        name="ipv6_only_site_without_ipv6",
        words="The site has IPv6 addresses only, and the probe has no IPv6.",
        url=HTTPS,
        net=network(names={NAME: says(_V6)}, servers={_V6: EDGECAST}),
        outcomes=("unclear",),
    ),
    Situation(
        name="one_of_two_addresses_dead",
        words="One of the site's servers is dead for everybody; the other answers.",
        url=HTTPS,
        net=network(
            names={NAME: says("93.184.216.35", EXAMPLE_COM)},
            servers={"93.184.216.35": replace(EDGECAST, connect=_SILENT)},
        ),
        outcomes=("open",),
    ),
    Situation(
        name="one_of_two_addresses_unlucky",
        words="One connect of two times out here; the other address opens the site.",
        url=HTTPS,
        net=network(
            names={NAME: says("93.184.216.35", EXAMPLE_COM)},
            servers={"93.184.216.35": EDGECAST},
            blocked_connects={"93.184.216.35": "generic_timeout_error"},
        ),
        outcomes=("open",),
    ),
    *twice(
        Situation(
            name="site_down_timeout_http",
            words="Nobody answers at the site's address, to anybody.",
            url=HTTP,
            net=network(servers={EXAMPLE_COM: replace(EDGECAST, connect=_SILENT)}),
            outcomes=("down",),
        )
    ),
    *twice(
        Situation(
            name="site_down_refused_http",
            words="The site's server refuses everybody.",
            url=HTTP,
            net=network(servers={EXAMPLE_COM: replace(EDGECAST, connect=_REFUSING)}),
            outcomes=("down",),
        )
    ),
    Situation(
        name="site_down_tls_broken",
        words="The site's server breaks off every handshake.",
        url=HTTPS,
        net=network(servers={EXAMPLE_COM: replace(EDGECAST, tls=shake("ssl_failed_handshake"))}),
        outcomes=("down",),
    ),
    Situation(
        name="site_down_resets_requests",
        words="The site's server resets every request.",
        url=HTTP,
        net=network(pages={NAME: RESET}),
        outcomes=("down",),
    ),
    Situation(
        name="site_down_servfail",
        words="The name's own servers are broken, for everybody.",
        url=HTTPS,
        net=network(names={NAME: fails("dns_servfail_error")}),
        outcomes=("down",),
    ),
    Situation(
        name="probe_offline",
        words="The probe's connection is down: nothing resolves, nothing answers.",
        url=HTTPS,
        net=network(
            cleartext_names={"*": fails("generic_timeout_error")},
            doh_names={"*": fails("generic_timeout_error")},
            control_failure="generic_timeout_error",
        ),
        outcomes=("unclear",),
    ),
    Situation(
        name="probe_offline_network_unreachable",
        words="The probe lost its network after resolving: every connect is unreachable.",
        url=HTTPS,
        net=network(
            blocked_connects={EXAMPLE_COM: "network_unreachable"},
            doh_names={"*": fails("network_unreachable")},
            control_failure="network_unreachable",
        ),
        outcomes=("unclear",),
    ),
    Situation(
        name="interrupted",
        words="The user stopped the test while it connected.",
        url=HTTPS,
        net=network(
            blocked_connects={EXAMPLE_COM: "interrupted"},
            doh_names={"*": fails("interrupted")},
            control_failure="interrupted",
        ),
        outcomes=("unclear",),
    ),
    *twice(
        Situation(
            name="captive_portal_http",
            words="A hotel's portal answers for everything until the guest signs in.",
            url=HTTP,
            net=network(
                cleartext_names={"*": says("192.168.182.1")},
                doh_names={"*": fails("connection_refused")},
                servers={
                    "192.168.182.1": Server(
                        asn=0, org="", connect={443: "connection_refused"}, page=pages.PORTAL
                    )
                },
                control_failure="connection_refused",
            ),
            outcomes=("unclear",),
        )
    ),
    Situation(
        name="captive_portal_redirect",
        words="A portal redirects requests in clear to its login page and cuts all TLS.",
        url=HTTP,
        net=network(
            tampered_http={
                "*": pages.redirect("http://192.168.182.1:3990/prelogin?userurl=x"),
            },
            tampered_tls={"*": shake("connection_reset")},
            servers={"192.168.182.1": Server(asn=0, org="", page=pages.PORTAL)},
            control_failure="generic_timeout_error",
        ),
        outcomes=("unclear",),
    ),
    Situation(
        name="probe_clock_wrong",
        words="The probe's clock is years behind: no certificate is valid yet.",
        url=HTTPS,
        net=network(
            tampered_tls={"*": shake("ssl_invalid_certificate")},
            doh_names={"*": fails("ssl_invalid_certificate")},
        ),
        outcomes=("unclear",),
        about={
            "measurement_start_time": "2009-01-01 00:04:11",
            "test_start_time": "2009-01-01 00:04:02",
            "measurement_uid": "20240212203350.123456_IT_webconnectivity_5f0c2aa97d1b3e44",
        },
    ),
    Situation(
        name="probe_clock_wrong_open",
        words="The probe's clock is years behind; in clear the site opens.",
        url=HTTP,
        net=network(tampered_tls={"*": shake("ssl_invalid_certificate")}),
        outcomes=("open",),
        about={
            "measurement_start_time": "2009-01-01 00:04:11",
            "test_start_time": "2009-01-01 00:04:02",
            "measurement_uid": "20240212203351.123456_IT_webconnectivity_5f0c2aa97d1b3e45",
        },
    ),
)

PATHS: tuple[Situation, ...] = (*FILTERED, *NOT_FILTERED)
