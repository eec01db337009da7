"""Situations in which names are lied about, and those in which they only look as if they were."""

from __future__ import annotations

from gatewatch.simulate import pages
from gatewatch.simulate.network import Answer, Server
from gatewatch.simulate.situations.common import (
    BEIJING,
    BLOCKPAGE_HOST,
    EXAMPLE_COM,
    JAKARTA,
    NO_HELPER,
    NXDOMAIN,
    TEHRAN,
    TEHRAN_PAGE_HOST,
    Situation,
    fails,
    network,
    says,
    twice,
)

HTTP, HTTPS, NAME = "http://www.example.com/", "https://www.example.com/", "www.example.com"

POSITIF = "36.86.63.185"
"A published block-page address of Indonesia's largest network."

TURKISH_SINKHOLE = "195.175.254.2"
"The address published for forged answers in Turkey."

FORGED = ("31.13.94.37", "157.240.17.35", "8.7.198.46")
"Addresses of others, as China's injectors hand them out."

_FOREIGN = {
    FORGED[0]: Server(
        asn=32934, org="Facebook, Inc.", connect=dict.fromkeys((80, 443), "generic_timeout_error")
    ),
    FORGED[1]: Server(
        asn=32934, org="Facebook, Inc.", connect=dict.fromkeys((80, 443), "generic_timeout_error")
    ),
}
_POSITIF = {
    POSITIF: Server(
        asn=7713,
        org="PT Telekomunikasi Indonesia",
        connect={443: "connection_refused"},
        page=pages.INDONESIA_PAGE,
    )
}


def _lied(name: str, words: str, mechanism: str, **rest) -> Situation:
    """The ISP's resolver alone lies; the control and the other resolvers agree on the truth."""
    outcomes = rest.pop("outcomes", ("blocked",))
    return Situation(
        name=name,
        words=words,
        url=rest.pop("url", HTTPS),
        net=network(**rest),
        outcomes=outcomes,
        mechanisms=(mechanism,),
    )


LIES = (
    _lied(
        "dns_refused",
        "The ISP's resolver, which answers for other names, refuses this one.",
        "dns.refused",
        isp_names={NAME: fails("dns_refused_error")},
        outcomes=("blocked", "unclear"),
    ),
    _lied(
        "dns_servfail",
        "The ISP's resolver fails for this name; it may be censorship or an accident.",
        "dns.servfail",
        isp_names={NAME: fails("dns_servfail_error")},
        outcomes=("blocked", "unclear"),
    ),
    _lied(
        "dns_timeout",
        "The ISP's resolver stays silent about this name.",
        "dns.timeout",
        isp_names={NAME: fails("generic_timeout_error")},
        outcomes=("blocked", "unclear"),
    ),
    _lied(
        "dns_timeout_everywhere_in_clear",
        "No question in clear about this name is answered, whoever is asked.",
        "dns.timeout",
        cleartext_names={NAME: fails("generic_timeout_error")},
    ),
    _lied(
        "dns_no_answer",
        "The ISP's resolver says that the name has no address, where it has.",
        "dns.no_answer",
        isp_names={NAME: Answer()},
    ),
    _lied(
        "dns_null_address",
        "The ISP's resolver answers 0.0.0.0.",
        "dns.injection.bogon",
        isp_names={NAME: says("0.0.0.0")},
    ),
    _lied(
        "dns_nxdomain_by_transparent_proxy",
        "The ISP catches every question in clear and denies the name.",
        "dns.nxdomain",
        cleartext_names={NAME: NXDOMAIN},
        url=HTTP,
    ),
    _lied(
        "dns_turkey_sinkhole",
        "The answer is the address published for forged answers in Turkey; nobody answers there.",
        "dns.injection",
        isp_names={NAME: says(TURKISH_SINKHOLE)},
        servers={
            TURKISH_SINKHOLE: Server(
                asn=9121,
                org="Turk Telekom",
                connect=dict.fromkeys((80, 443), "generic_timeout_error"),
            )
        },
    ),
    Situation(
        name="dns_racing_answers",
        words="Several injectors answer with addresses of others before the truth comes.",
        url=HTTPS,
        place=BEIJING,
        net=network(
            isp_names={NAME: says(FORGED[0])},
            udp_names={NAME: Answer(addresses=(FORGED[1],), late=(FORGED[0], EXAMPLE_COM))},
            servers=_FOREIGN,
        ),
        outcomes=("blocked",),
        mechanisms=("dns.injection",),
    ),
    Situation(
        name="dns_wrong_query_id",
        words="An injector that guesses kills the public resolver's lookup; the ISP's own lies.",
        url=HTTPS,
        place=TEHRAN,
        net=network(
            isp_names={NAME: says("10.10.34.36")},
            udp_names={NAME: fails("dns_reply_with_wrong_query_id")},
        ),
        outcomes=("blocked",),
        mechanisms=("dns.injection.bogon",),
    ),
    *twice(
        Situation(
            name="dns_iran_bogon_http",
            words="Iran's answer from 10.10.34.0/24, where a page is served in clear.",
            url=HTTP,
            place=TEHRAN,
            net=network(
                cleartext_names={NAME: says("10.10.34.36")},
                servers={"10.10.34.36": TEHRAN_PAGE_HOST},
            ),
            outcomes=("blocked",),
            mechanisms=("dns.injection.bogon",),
        )
    ),
    *twice(
        Situation(
            name="dns_indonesia_blockpage_http",
            words="A transparent DNS proxy answers with the national block page's address.",
            url=HTTP,
            place=JAKARTA,
            net=network(cleartext_names={NAME: says(POSITIF)}, servers=_POSITIF),
            outcomes=("blocked",),
            mechanisms=("dns.injection.blockpage",),
        ),
        mechanisms=("dns.injection",),
    ),
    Situation(
        name="dns_hijack_of_public_resolver_only",
        words="Answers of the public resolver are forged; the user's own resolver tells the truth.",
        url=HTTPS,
        net=network(udp_names={NAME: says("10.10.34.36")}),
        outcomes=("open",),
        mechanisms=("dns.injection",),
    ),
    Situation(
        name="dns_blockpage_with_content_length",
        words="A lie leads to a block page with a Content-Length header, as the site's page has.",
        url=HTTP,
        net=network(cleartext_names={NAME: says(BLOCKPAGE_HOST)}),
        outcomes=("blocked",),
        mechanisms=("dns.injection", "http.blockpage"),
    ),
)


def _no_helper(
    name: str,
    words: str,
    outcomes: tuple[str, ...],
    mechanism: str,
    *,
    doh: bool = True,
    url: str = HTTPS,
    **rest,
) -> Situation:
    return Situation(
        name=f"no_helper_{name}",
        words=f"No test helper can be reached. {words}",
        url=url,
        net=network(control_failure=NO_HELPER, **rest),
        outcomes=outcomes,
        mechanisms=(mechanism,),
        doh=doh,
    )


WITHOUT_HELPER = (
    _no_helper(
        "nxdomain_others_honest",
        "The ISP denies a name that other resolvers know and that proves itself over TLS.",
        ("blocked",),
        "dns.nxdomain",
        isp_names={NAME: NXDOMAIN},
    ),
    _no_helper(
        "nxdomain_others_lied_to",
        "All questions in clear are denied; the one over HTTPS finds the site.",
        ("blocked", "unclear"),
        "dns.nxdomain",
        cleartext_names={NAME: NXDOMAIN},
    ),
    _no_helper(
        "nxdomain_nothing_else",
        "All questions in clear are denied, and nobody was asked over HTTPS.",
        ("unclear",),
        "dns.nxdomain",
        cleartext_names={NAME: NXDOMAIN},
        doh=False,
    ),
    _no_helper(
        "bogon",
        "The answer is 10.10.34.36, which is nobody's public server.",
        ("blocked",),
        "dns.injection.bogon",
        isp_names={NAME: says("10.10.34.36")},
    ),
)

LOOKALIKES = (
    Situation(
        name="cdn_rotation_same_network",
        words="Every resolver gets other addresses of the same CDN.",
        url=HTTPS,
        net=network(
            names={NAME: says("151.101.1.69", "151.101.65.69")},
            isp_names={NAME: says("151.101.129.69", "151.101.193.69")},
            servers={
                f"151.101.{n}.69": Server(asn=54113, org="Fastly, Inc.") for n in (1, 65, 129, 193)
            },
        ),
        outcomes=("open",),
    ),
    *twice(
        Situation(
            name="cdn_rotation_across_networks_http",
            words="The site is on two CDNs; TLS proves both addresses.",
            url=HTTP,
            net=network(
                names={NAME: says("151.101.1.69")},
                isp_names={NAME: says("23.45.108.250")},
                udp_names={NAME: says("23.45.108.251")},
                servers={
                    "151.101.1.69": Server(asn=54113, org="Fastly, Inc."),
                    "23.45.108.250": Server(asn=20940, org="Akamai International B.V."),
                    "23.45.108.251": Server(asn=20940, org="Akamai International B.V."),
                },
            ),
            outcomes=("open",),
        )
    ),
    Situation(
        name="geo_dns_valid_certificate",
        words="The site answers users abroad from another data centre; all resolvers here agree.",
        url=HTTPS,
        net=network(
            names={NAME: says("77.88.55.242")},
            control_names={NAME: says("5.45.205.241")},
            servers={
                "77.88.55.242": Server(asn=13238, org="YANDEX LLC"),
                "5.45.205.241": Server(asn=208722, org="Global DC Oy"),
            },
        ),
        outcomes=("open",),
    ),
    Situation(
        name="isp_embedded_cache",
        words="The ISP's resolver answers with a CDN's cache inside of the ISP's network.",
        url=HTTPS,
        place=TEHRAN._replace(resolver_asn=197207, resolver_network="MCCI"),
        net=network(
            names={NAME: says("142.250.180.142")},
            isp_names={NAME: says("5.106.15.44")},
            servers={
                "142.250.180.142": Server(asn=15169, org="Google LLC"),
                "5.106.15.44": Server(asn=197207, org="Mobile Communication Company of Iran PLC"),
            },
        ),
        outcomes=("open",),
    ),
    Situation(
        name="doh_unreachable",
        words="The DNS-over-HTTPS server cannot be reached; nothing else is wrong.",
        url=HTTPS,
        net=network(doh_names={NAME: fails("connection_reset")}),
        outcomes=("open",),
    ),
    Situation(
        name="udp_resolver_unreachable",
        words="The public resolver cannot be reached; nothing else is wrong.",
        url=HTTPS,
        net=network(udp_names={NAME: fails("generic_timeout_error")}),
        outcomes=("open",),
    ),
)

NAMES: tuple[Situation, ...] = (*LIES, *WITHOUT_HELPER, *LOOKALIKES)
