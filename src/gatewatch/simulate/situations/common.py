"""What a situation is, and the small Internet on which most of them play."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gatewatch.probe.ooni import Json
from gatewatch.simulate import legacy, pages, probe
from gatewatch.simulate.network import GARR, Answer, Handshake, Network, Page, Place, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A network, a URL measured on it, and what may honestly be concluded from that alone."""

    name: str
    words: str
    "What is true in it."
    url: str
    net: Network
    outcomes: tuple[str, ...]
    "Accepted outcomes; several where experts could differ."
    mechanisms: tuple[str, ...] = ()
    "At least one claimed mechanism lies at or under one of these; none: none may be claimed."
    place: Place = GARR
    engine: str = "0.5"
    "`0.5`, `0.4`, `0.3` (ooniprobe 2) or `0.1` (Measurement Kit)."
    doh: bool = True
    edit: Callable[[Json], None] | None = None
    "Changes the finished record in place: what a flawed probe or a transfer did to it."
    about: Mapping[str, Any] = field(default_factory=dict)

    def measurement(self, **about: Any) -> Json:
        """The record that a probe of this engine would submit; `about` overrides its envelope."""
        fields = {**self.about, **about}
        if self.engine == "0.5":
            made = probe.measure(
                self.net, self.url, self.place, seed=self.name, doh=self.doh, **fields
            )
        elif self.engine == "0.4":
            made = legacy.measure_04(self.net, self.url, self.place, seed=self.name, **fields)
        else:
            made = legacy.measure_old(
                self.net, self.url, self.place, seed=self.name, kit=self.engine == "0.1", **fields
            )
        if self.edit is not None:
            self.edit(made)
        return made


EXAMPLE_COM = "93.184.216.34"
BIT_LY = "67.199.248.11"
BADSSL = "104.154.89.105"
HTTPBIN = "172.67.144.64"
LARGE = "52.35.36.75"
CACHE = "104.16.132.229"
YANDEX = "5.255.255.80"
BLOCKPAGE_HOST = "83.224.65.41"
PROXY = "130.192.182.17"

EDGECAST = Server(asn=15133, org="Edgecast Inc.")
GOOGLE_CLOUD = Server(asn=396982, org="Google LLC")
CLOUDFLARE = Server(asn=13335, org="Cloudflare, Inc.")
AMAZON = Server(asn=16509, org="Amazon.com, Inc.")

SERVERS: dict[str, Server] = {
    EXAMPLE_COM: EDGECAST,
    BIT_LY: GOOGLE_CLOUD,
    BADSSL: GOOGLE_CLOUD,
    HTTPBIN: CLOUDFLARE,
    LARGE: AMAZON,
    CACHE: CLOUDFLARE,
    YANDEX: Server(asn=13238, org="YANDEX LLC"),
    BLOCKPAGE_HOST: Server(
        asn=30722,
        org="Vodafone Italia S.p.A.",
        connect={443: "connection_refused"},
        page=pages.html(pages.ACCESS_DENIED),
    ),
    PROXY: Server(asn=137, org="Consortium GARR"),
}

NAMES: dict[str, Answer] = {
    "www.example.com": Answer(addresses=(EXAMPLE_COM,)),
    "www.example.org": Answer(addresses=(EXAMPLE_COM,)),
    "bit.ly": Answer(addresses=(BIT_LY,)),
    "badssl.com": Answer(addresses=(BADSSL,)),
    "httpbin.com": Answer(addresses=(HTTPBIN,)),
    "largefile.com": Answer(addresses=(LARGE,)),
    "www.cloudflare-cache.com": Answer(addresses=(CACHE,)),
    "xn--d1acpjx3f.xn--p1ai": Answer(addresses=(YANDEX,)),
    "yandex.com": Answer(addresses=(YANDEX,)),
    "ya.ru": Answer(addresses=(YANDEX,)),
}

_H3 = {"Alt-Svc": 'h3=":443"'}
HOME_PAGE = pages.site("Example Domain of Many Words", headers=_H3)

PAGES: dict[str, Page] = {
    "www.example.com": HOME_PAGE,
    "www.example.org": HOME_PAGE,
    "www.cloudflare-cache.com": pages.site(
        "Cached Newspaper Frontpage", server="cloudflare", headers=pages.CLOUDFLARE
    ),
    "xn--d1acpjx3f.xn--p1ai": pages.redirect("https://yandex.com/", 308),
    "yandex.com": pages.redirect("https://ya.ru/", 308),
    "ya.ru": pages.site("Yandex", headers=_H3),
}


def network(
    *,
    names: Mapping[str, Answer] | None = None,
    servers: Mapping[str, Server] | None = None,
    pages: Mapping[str, Page] | None = None,
    **changes: Any,
) -> Network:
    """The small Internet, with more names, servers and pages, and whatever differs otherwise."""
    return Network(
        names={**NAMES, **(names or {})},
        servers={**SERVERS, **(servers or {})},
        pages={**PAGES, **(pages or {})},
        **changes,
    )


def says(*addresses: str) -> Answer:
    return Answer(addresses=addresses)


def fails(failure: str) -> Answer:
    return Answer(failure=failure)


def shake(failure: str, *chain: bytes) -> Handshake:
    return Handshake(failure=failure, chain=chain)


NXDOMAIN = fails("dns_nxdomain_error")
RESET = Page(failure="connection_reset")
EOF = Page(failure="eof_error")
TIMEOUT = Page(failure="generic_timeout_error")
NO_HELPER = "connection_reset"

TEHRAN = Place(
    "IR", 197207, "Mobile Communication Company of Iran PLC", "8.0.18.132", 3356, "Level 3"
)
SHATEL = Place("IR", 31549, "Aria Shatel PJSC", "85.15.1.14", 31549, "Aria Shatel PJSC")
JAKARTA = Place(
    "ID", 23693, "PT. Telekomunikasi Selular", "202.3.208.11", 23693, "PT. Telekomunikasi Selular"
)
SEOUL = Place("KR", 4766, "Korea Telecom", "168.126.63.1", 4766, "Korea Telecom")
MOSCOW = Place("RU", 12389, "PJSC Rostelecom", "212.48.193.36", 12389, "PJSC Rostelecom")
BEIJING = Place("CN", 4134, "CHINANET-BACKBONE", "202.96.128.86", 4134, "CHINANET-BACKBONE")
DELHI = Place("IN", 24560, "Bharti Airtel Ltd.", "203.145.160.4", 24560, "Bharti Airtel Ltd.")
ANKARA = Place("TR", 9121, "Turk Telekom", "195.175.39.39", 9121, "Turk Telekom")
CAIRO = Place("EG", 36992, "Etisalat Misr", "41.65.236.56", 36992, "Etisalat Misr")
ALMATY = Place("KZ", 9198, "JSC Kazakhtelecom", "212.154.163.162", 9198, "JSC Kazakhtelecom")
NEW_YORK = Place("US", 7922, "Comcast Cable", "75.75.75.75", 7922, "Comcast Cable")
SHARJAH = Place("AE", 5384, "Emirates Internet", "213.42.20.20", 5384, "Emirates Internet")


def twice(http: Situation, **changes: Any) -> tuple[Situation, Situation]:
    """A situation and its HTTPS twin; `changes` are what else differs in the twin."""
    url = changes.pop("url", http.url.replace("http://", "https://", 1))
    twin = replace(http, name=http.name.removesuffix("_http") + "_https", url=url, **changes)
    return http, twin


TEHRAN_PAGE_HOST = Server(
    asn=0,
    org="",
    connect={443: "generic_timeout_error"},
    page=pages.IRAN_PAGE,
)
"""Where Iran's private answers lead, from inside."""
