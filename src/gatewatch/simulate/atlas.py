"""The places, sites and censors of the simulated world.

Networks and addresses are real and public; what is said here of who filters what, and when, is
synthetic, patterned on published kinds of interference. It is no claim about any country.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gatewatch.simulate import pages
from gatewatch.simulate.actions import (
    Action,
    answers,
    cuts,
    denies,
    intercepts,
    races,
    shows,
    unreachable,
)
from gatewatch.simulate.network import Page, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One tested URL and where it is hosted."""

    url: str
    host: str
    asn: int
    org: str
    addresses: tuple[str, ...]
    weight: int = 1
    "How often it is tested, relative to others."
    ipv6: str | None = None
    refuses: tuple[str, ...] = ()
    "Countries that the site itself refuses."


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country's networks and how much of all measurements comes from there."""

    cc: str
    weight: int
    networks: tuple[tuple[int, str, str], ...]
    "ASN, name, address of the ISP's resolver."


@dataclass(frozen=True, slots=True, kw_only=True)
class Censor:
    """One simulated rule of filtering."""

    cc: str
    hosts: tuple[str, ...]
    act: Action
    asns: tuple[int, ...] = ()
    "Networks that apply it; none named: all."
    since: float = 0.0
    "Start, as a share of the period; 0 is before it."
    until: float = 1.0
    "End, as a share of the period; 1 is after it."


def _site(url: str, asn: int, org: str, *addresses: str, **rest) -> Site:
    host = url.split("/")[2]
    return Site(url=url, host=host, asn=asn, org=org, addresses=addresses, **rest)


_CF, _FASTLY, _AKAMAI = "Cloudflare, Inc.", "Fastly, Inc.", "Akamai International B.V."
_META, _GOOGLE = "Facebook, Inc.", "Google LLC"

SITES: tuple[Site, ...] = (
    _site("https://signal.org/", 16509, "Amazon.com, Inc.", "18.238.4.82", "18.238.4.60", weight=6),
    _site("https://web.whatsapp.com/", 32934, _META, "157.240.22.53", weight=4),
    _site("https://telegram.org/", 62041, "Telegram Messenger Inc", "149.154.167.99", weight=5),
    _site(
        "https://www.facebook.com/",
        32934,
        _META,
        "157.240.22.35",
        weight=4,
        ipv6="2a03:2880:f12f:83:face:b00c:0:25de",
    ),
    _site("https://www.instagram.com/", 32934, _META, "157.240.22.174", weight=5),
    _site("https://x.com/", 13335, _CF, "172.66.0.227", "162.159.140.229", weight=5),
    _site(
        "https://www.youtube.com/",
        15169,
        _GOOGLE,
        "142.250.180.142",
        weight=4,
        ipv6="2a00:1450:4002:402::200e",
    ),
    _site("https://www.wikipedia.org/", 14907, "Wikimedia Foundation Inc.", "185.15.59.224"),
    _site("https://www.torproject.org/", 24940, "Hetzner Online GmbH", "116.202.120.166", weight=3),
    _site("https://www.bbc.com/", 54113, _FASTLY, "151.101.0.81", "151.101.64.81", weight=4),
    _site("https://www.dw.com/", 20940, _AKAMAI, "23.45.108.250", weight=2),
    _site("https://www.hrw.org/", 13335, _CF, "104.18.30.130", weight=2),
    _site("https://www.amnesty.org/", 13335, _CF, "104.18.26.46"),
    _site("https://archive.org/", 7941, "Internet Archive", "207.241.224.2", weight=2),
    _site("https://medium.com/", 13335, _CF, "162.159.152.4"),
    _site("https://www.reddit.com/", 54113, _FASTLY, "151.101.65.140", weight=2),
    _site("https://vimeo.com/", 13335, _CF, "162.159.128.61"),
    _site("https://discord.com/", 13335, _CF, "162.159.137.232", weight=2),
    _site("https://protonvpn.com/", 209103, "Proton AG", "185.159.159.140", weight=2),
    _site("https://meduza.io/", 13335, _CF, "104.18.12.33", weight=2),
    _site("https://github.com/", 36459, "GitHub, Inc.", "140.82.121.4"),
    _site("https://www.docker.com/", 13335, _CF, "104.18.121.25", refuses=("IR",)),
    _site("https://www.google.com/", 15169, _GOOGLE, "142.250.185.68"),
    _site("http://www.pokerstars.com/", 13335, _CF, "104.19.209.50", weight=3, refuses=("US",)),
    _site("http://thepiratebay.org/", 13335, _CF, "162.159.137.6", weight=3),
    _site("http://www.radiofarda.com/", 20940, _AKAMAI, "23.45.108.251", weight=2),
    _site("http://www.korea-dpr.com/", 24940, "Hetzner Online GmbH", "136.243.10.17"),
    _site("http://neverssl.com/", 16509, "Amazon.com, Inc.", "34.223.124.45"),
)

COUNTRIES: tuple[Country, ...] = (
    Country(
        cc="IR",
        weight=16,
        networks=(
            (197207, "Mobile Communication Company of Iran PLC", "5.200.200.200"),
            (44244, "Iran Cell Service and Communication Company", "5.112.1.10"),
            (58224, "Iran Telecommunication Company PJS", "217.218.155.155"),
            (31549, "Aria Shatel PJSC", "85.15.1.14"),
        ),
    ),
    Country(
        cc="CN",
        weight=9,
        networks=(
            (4134, "CHINANET-BACKBONE", "202.96.128.86"),
            (4837, "CHINA UNICOM China169 Backbone", "202.106.0.20"),
            (9808, "China Mobile Communications Group Co., Ltd.", "211.136.17.107"),
        ),
    ),
    Country(
        cc="RU",
        weight=14,
        networks=(
            (12389, "PJSC Rostelecom", "212.48.193.36"),
            (8402, "PJSC Vimpelcom", "213.234.192.7"),
            (25513, "PJSC Moscow city telephone network", "195.34.31.50"),
        ),
    ),
    Country(
        cc="TR",
        weight=10,
        networks=(
            (47331, "TTNet A.S.", "195.175.39.39"),
            (34984, "Superonline Iletisim Hizmetleri A.S.", "213.74.0.1"),
        ),
    ),
    Country(
        cc="ID",
        weight=8,
        networks=(
            (7713, "PT Telekomunikasi Indonesia", "118.98.44.10"),
            (23693, "PT. Telekomunikasi Selular", "202.3.208.11"),
        ),
    ),
    Country(
        cc="IN",
        weight=8,
        networks=(
            (24560, "Bharti Airtel Ltd.", "203.145.160.4"),
            (55836, "Reliance Jio Infocomm Limited", "49.45.0.1"),
        ),
    ),
    Country(
        cc="IT",
        weight=6,
        networks=(
            (3269, "Telecom Italia S.p.A.", "85.37.17.51"),
            (30722, "Vodafone Italia S.p.A.", "91.80.36.88"),
        ),
    ),
    Country(
        cc="KR",
        weight=5,
        networks=(
            (4766, "Korea Telecom", "168.126.63.1"),
            (9318, "SK Broadband Co Ltd", "210.220.163.82"),
        ),
    ),
    Country(
        cc="EG",
        weight=6,
        networks=(
            (8452, "TE Data", "163.121.128.134"),
            (36992, "Etisalat Misr", "41.65.236.56"),
        ),
    ),
    Country(
        cc="KZ",
        weight=4,
        networks=((9198, "JSC Kazakhtelecom", "212.154.163.162"),),
    ),
    Country(
        cc="US",
        weight=10,
        networks=(
            (7922, "Comcast Cable Communications, LLC", "75.75.75.75"),
            (701, "Verizon Business", "71.242.0.12"),
            (7018, "AT&T Services, Inc.", "68.94.156.1"),
        ),
    ),
    Country(
        cc="DE",
        weight=8,
        networks=(
            (3320, "Deutsche Telekom AG", "217.237.148.22"),
            (3209, "Vodafone GmbH", "195.50.140.246"),
        ),
    ),
    Country(
        cc="BR",
        weight=8,
        networks=(
            (28573, "Claro NXT Telecomunicacoes Ltda", "201.6.2.140"),
            (27699, "TELEFONICA BRASIL S.A", "200.204.0.10"),
        ),
    ),
)


def _blockpage_host(asn: int, org: str, page: Page) -> Server:
    return Server(asn=asn, org=org, connect={443: "connection_refused"}, page=page)


def _silent(asn: int, org: str) -> Server:
    return Server(asn=asn, org=org, connect=dict.fromkeys((80, 443), "generic_timeout_error"))


_TURKISH = _silent(9121, "Turk Telekom")
_FORGED = {
    "199.59.148.97": _silent(13414, "Twitter Inc."),
    "108.160.165.189": _silent(19679, "Dropbox, Inc."),
    "162.125.32.6": _silent(19679, "Dropbox, Inc."),
}
"""Addresses of uninvolved networks, none of which hosts a site of this world."""

_POSITIF = _blockpage_host(7713, "PT Telekomunikasi Indonesia", pages.INDONESIA_PAGE)
_AGCOM = _blockpage_host(3269, "Telecom Italia S.p.A.", pages.ITALY)

_RESETS = cuts("connection_reset", "http.reset", "tls.reset")
_DROPS = cuts("generic_timeout_error", "http.timeout", "tls.timeout")

CENSORS: tuple[Censor, ...] = (
    Censor(
        cc="IR",
        hosts=("www.facebook.com", "telegram.org", "www.instagram.com"),
        asns=(197207, 44244),
        act=answers("10.10.34.36", mechanism="dns.injection.bogon"),
    ),
    Censor(
        cc="IR",
        hosts=("www.facebook.com", "telegram.org", "x.com", "www.youtube.com", "www.bbc.com"),
        asns=(58224, 31549),
        act=_DROPS,
    ),
    Censor(cc="IR", hosts=("x.com", "www.youtube.com", "www.bbc.com"), asns=(197207,), act=_RESETS),
    Censor(
        cc="IR",
        hosts=("www.radiofarda.com", "www.pokerstars.com", "thepiratebay.org"),
        act=shows(pages.IRAN_PAGE, "http.blockpage"),
    ),
    Censor(cc="IR", hosts=("signal.org",), act=_RESETS, since=0.4),
    Censor(
        cc="CN",
        hosts=("www.facebook.com", "x.com", "www.instagram.com", "www.youtube.com", "signal.org"),
        act=races(_FORGED),
    ),
    Censor(cc="CN", hosts=("www.bbc.com", "medium.com", "discord.com", "www.hrw.org"), act=_RESETS),
    Censor(
        cc="CN",
        hosts=("telegram.org", "www.torproject.org"),
        act=unreachable("generic_timeout_error", "tcp.timeout", "ip"),
    ),
    Censor(
        cc="RU",
        hosts=("www.facebook.com", "www.instagram.com", "x.com", "meduza.io", "www.bbc.com"),
        act=_RESETS,
    ),
    Censor(cc="RU", hosts=("www.torproject.org", "protonvpn.com"), asns=(12389, 8402), act=_DROPS),
    Censor(
        cc="RU",
        hosts=("thepiratebay.org", "www.pokerstars.com"),
        act=shows(pages.RUSSIA, "http.redirect", "http.blockpage"),
    ),
    Censor(cc="RU", hosts=("signal.org",), act=_RESETS, since=0.6),
    Censor(
        cc="TR",
        hosts=("thepiratebay.org", "www.pokerstars.com", "protonvpn.com"),
        act=answers("195.175.254.2", mechanism="dns.injection", server=_TURKISH, everywhere=False),
    ),
    Censor(cc="TR", hosts=("www.instagram.com", "discord.com"), act=_DROPS, since=0.5, until=0.8),
    Censor(
        cc="ID",
        hosts=("www.reddit.com", "vimeo.com", "www.pokerstars.com", "thepiratebay.org"),
        act=answers("36.86.63.185", mechanism="dns.injection", server=_POSITIF),
    ),
    Censor(
        cc="IN",
        hosts=("thepiratebay.org", "www.pokerstars.com"),
        asns=(24560,),
        act=shows(pages.INDIA, "http.blockpage"),
    ),
    Censor(cc="IN", hosts=("thepiratebay.org",), asns=(55836,), act=_RESETS),
    Censor(
        cc="IT",
        hosts=("thepiratebay.org",),
        act=answers(
            "83.224.65.74",
            mechanism="dns.injection",
            server=_AGCOM,
            everywhere=False,
        ),
    ),
    Censor(
        cc="KR",
        hosts=("www.korea-dpr.com", "thepiratebay.org", "www.pokerstars.com"),
        act=shows(pages.KOREA, "http.redirect", "http.blockpage"),
    ),
    Censor(cc="EG", hosts=("www.hrw.org", "medium.com", "protonvpn.com"), act=_RESETS),
    Censor(
        cc="KZ",
        hosts=("telegram.org", "www.facebook.com"),
        act=intercepts("Qaznet Trust Network", "ISCA"),
    ),
    Censor(
        cc="BR",
        hosts=("x.com",),
        act=unreachable("generic_timeout_error", "tcp.timeout", "ip"),
        since=0.3,
        until=0.7,
    ),
    Censor(
        cc="DE",
        hosts=("thepiratebay.org",),
        asns=(3209,),
        act=denies("dns_nxdomain_error", "dns.nxdomain"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A site that fails for everybody for a while."""

    host: str
    since: float
    until: float
    connect: Mapping[int, str] = field(
        default_factory=lambda: dict.fromkeys((80, 443), "generic_timeout_error")
    )


OUTAGES: tuple[Outage, ...] = (Outage(host="archive.org", since=0.7, until=0.8),)
