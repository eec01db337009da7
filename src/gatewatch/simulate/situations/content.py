"""Situations that turn on what comes back: block pages, refusals by servers, and honest change."""

from __future__ import annotations

from gatewatch.simulate import pages
from gatewatch.simulate.network import Answer, Page, Server
from gatewatch.simulate.situations.common import (
    ANKARA,
    CAIRO,
    DELHI,
    EDGECAST,
    EXAMPLE_COM,
    HOME_PAGE,
    JAKARTA,
    MOSCOW,
    NEW_YORK,
    NO_HELPER,
    SEOUL,
    SHARJAH,
    SHATEL,
    Situation,
    network,
    says,
    twice,
)

HTTP, HTTPS, NAME = "http://www.example.com/", "https://www.example.com/", "www.example.com"

_STATE_PAGES = {
    "www.warning.or.kr": ("121.189.57.82", 4766, "Korea Telecom", pages.KOREA_PAGE),
    "lamanlabuh.aduankonten.id": ("103.155.80.187", 138026, "Kominfo", pages.INDONESIA_PAGE),
    "warning.rt.ru": ("95.167.13.50", 12389, "PJSC Rostelecom", pages.RUSSIA_PAGE),
    "notification.etisalat.com.eg": ("41.65.236.60", 36992, "Etisalat Misr", pages.FOUND_NOWHERE),
    "login.example.com": (EXAMPLE_COM, 15133, EDGECAST.org, pages.site("Sign in to Example")),
    "example.com": (EXAMPLE_COM, 15133, EDGECAST.org, HOME_PAGE),
    "consent.example.net": ("34.107.221.82", 396982, "Google LLC", pages.site("Your privacy")),
}
"""Host → address, network, its name, and the page it serves."""


def _net(**changes):
    names: dict[str, Answer] = {h: says(v[0]) for h, v in _STATE_PAGES.items()}
    servers = {v[0]: Server(asn=v[1], org=v[2]) for v in _STATE_PAGES.values()}
    site = {h: v[3] for h, v in _STATE_PAGES.items()}
    return network(
        names=names, servers=servers, pages={**site, **changes.pop("pages", {})}, **changes
    )


def _page(name: str, words: str, page: Page, *mechanisms: str, **rest) -> Situation:
    """The network answers a request in clear with `page`."""
    net = _net(tampered_http={NAME: page}, **rest.pop("net", {}))
    outcomes = rest.pop("outcomes", ("blocked",))
    return Situation(
        name=name,
        words=words,
        url=HTTP,
        net=net,
        outcomes=outcomes,
        mechanisms=mechanisms,
        **rest,
    )


BLOCK_PAGES = (
    _page(
        "iran_page",
        "Iran's 403 with an iframe to 10.10.34.34.",
        pages.IRAN,
        "http",
        place=SHATEL,
    ),
    _page(
        "iran_page_known_words",
        "Iran's page, known by the address it names.",
        pages.IRAN_PAGE,
        "http.blockpage",
        place=SHATEL,
    ),
    _page(
        "korea_redirect",
        "A redirect to the Korean warning page.",
        pages.KOREA,
        "http.redirect",
        "http.blockpage",
        place=SEOUL,
    ),
    _page(
        "indonesia_redirect",
        "A redirect to the Indonesian ministry's page.",
        pages.INDONESIA,
        "http.redirect",
        "http.blockpage",
        place=JAKARTA,
    ),
    _page(
        "russia_redirect",
        "A redirect to an ISP's page.",
        pages.RUSSIA,
        "http.redirect",
        "http.blockpage",
        place=MOSCOW,
    ),
    _page(
        "egypt_redirect",
        "An injected redirect to an ISP's notice.",
        pages.EGYPT,
        "http.redirect",
        "http.blockpage",
        place=CAIRO,
    ),
    _page(
        "india_page",
        "An injected page of one iframe.",
        pages.INDIA,
        "http.blockpage",
        place=DELHI,
    ),
    _page(
        "turkey_page",
        "The page of the Turkish authority.",
        pages.TURKEY,
        "http.blockpage",
        place=ANKARA,
    ),
    _page(
        "wirefilter_page",
        "A filtering product's page, known by its header.",
        pages.html(
            "<html><head><title>Blocked</title></head><body>This site is blocked.</body></html>",
            server="Protected by WireFilter",
            status=403,
        ),
        "http.blockpage",
        place=SHARJAH,
    ),
    _page(
        "blockpage_without_title_site_without_title",
        "A known block page without a title, for a site whose page has none either.",
        pages.INDIA,
        "http.blockpage",
        place=DELHI,
        net={"pages": {NAME: pages.html("<html><body>" + "hello " * 300 + "</body></html>")}},
    ),
    _page(
        "redirect_303_to_block_page",
        "A 303 to a known block page, which the probe does not follow.",
        pages.redirect("http://warning.rt.ru/?id=2&st=0", 303),
        "http.redirect",
        "http.blockpage",
        place=MOSCOW,
    ),
    _page(
        "gateway_error",
        "A 502 made up on the way, in clear.",
        pages.html(
            "<html><head><title>Gateway error</title></head><body>Upstream refused.</body></html>",
            status=502,
            server="gateway",
        ),
        "http.error",
        outcomes=("blocked", "unclear"),
    ),
    _page(
        "institutional_filter",
        "An office's web filter answers in place of the site.",
        pages.FORTIGUARD,
        "http.blockpage",
        place=NEW_YORK,
        outcomes=("unclear", "blocked"),
    ),
    _page(
        "no_helper_known_blockpage",
        "No test helper can be reached. A known block page answers.",
        pages.IRAN_PAGE,
        "http.blockpage",
        place=SHATEL,
        net={"control_failure": NO_HELPER},
    ),
    _page(
        "no_helper_known_redirect",
        "No test helper can be reached. A redirect to a known block page answers.",
        pages.INDONESIA,
        "http.redirect",
        "http.blockpage",
        place=JAKARTA,
        net={"control_failure": NO_HELPER},
    ),
    _page(
        "no_helper_odd_page",
        "No test helper can be reached. A page that nobody knows answers.",
        pages.ODD,
        outcomes=("unclear",),
        net={"control_failure": NO_HELPER},
    ),
)


def _refused(name: str, words: str, page: Page, **rest) -> Situation:
    """The site itself serves `page` to this probe."""
    return Situation(
        name=name,
        words=words,
        url=rest.pop("url", HTTPS),
        net=_net(probe_pages={NAME: page}, **rest.pop("net", {})),
        outcomes=rest.pop("outcomes", ("server_side",)),
        **rest,
    )


def _refusal(title: str, status: int, *, cloudflare: bool = False) -> Page:
    return pages.site(
        title,
        paragraphs=1,
        status=status,
        server="cloudflare" if cloudflare else "nginx",
        headers=pages.CLOUDFLARE if cloudflare else {},
    )


_ON_CLOUDFLARE = {
    "pages": {NAME: pages.site("Newspaper", server="cloudflare", headers=pages.CLOUDFLARE)}
}

REFUSALS = (
    _refused(
        "geoblock_403_https",
        "The site refuses the probe's country with a 403, over verified TLS.",
        _refusal("403 Forbidden by Country", 403),
    ),
    _refused(
        "geoblock_451_https",
        "The site withholds the page for legal reasons, over verified TLS.",
        _refusal("451 Unavailable For Legal Reasons", 451),
    ),
    _refused(
        "geoblock_403_http",
        "The site's CDN refuses the country with a 403 in clear, under its own headers.",
        _refusal("Access restricted by the site", 403, cloudflare=True),
        url=HTTP,
        net=_ON_CLOUDFLARE,
        outcomes=("server_side", "unclear"),
    ),
    _refused(
        "geoblock_451_http",
        "The site withholds the page for legal reasons in clear, under its CDN's headers.",
        _refusal("Not available in your region", 451, cloudflare=True),
        url=HTTP,
        net=_ON_CLOUDFLARE,
        outcomes=("server_side", "unclear"),
    ),
    _refused(
        "rate_limit_429_https",
        "The site limits the probe's rate.",
        _refusal("Too Many Requests", 429),
    ),
    _refused(
        "overloaded_503_https",
        "The site answers 503 to the probe, over verified TLS.",
        _refusal("Service Unavailable", 503),
        outcomes=("server_side", "unclear"),
    ),
)


def _open(name: str, words: str, url: str = HTTPS, **rest) -> Situation:
    outcomes = rest.pop("outcomes", ("open",))
    return Situation(name=name, words=words, url=url, net=_net(**rest), outcomes=outcomes)


_LOCAL = {"X-Site-Version": "2024.2", "X-Request-Start": "t=1707770027"}

CHANGE = (
    *twice(
        _open(
            "other_language_http",
            "The site answers in the user's language, under the same headers.",
            HTTP,
            pages={NAME: pages.site("The Daily Example News", headers=_LOCAL)},
            probe_pages={
                NAME: pages.site(
                    "Il Giornale Quotidiano Esempio", language="it", paragraphs=12, headers=_LOCAL
                )
            },
        )
    ),
    *twice(
        _open(
            "dynamic_page_http",
            "The page is longer for some than for others; title and headers are the same.",
            HTTP,
            pages={NAME: pages.site("The Daily Example News", paragraphs=60, headers=_LOCAL)},
            probe_pages={NAME: pages.site("The Daily Example News", paragraphs=20, headers=_LOCAL)},
        )
    ),
    _open(
        "login_redirect",
        "The site sends everybody to its login page.",
        pages={NAME: pages.redirect("https://login.example.com/?next=/")},
    ),
    _open(
        "https_upgrade",
        "The site redirects requests in clear to its secure URL.",
        HTTP,
        pages={"http://www.example.com": pages.redirect("https://www.example.com/", 301)},
    ),
    _open(
        "www_redirect",
        "The site redirects to its name without www.",
        HTTP,
        pages={NAME: pages.redirect("https://example.com/", 301)},
    ),
    _open(
        "consent_redirect",
        "The site sends users in this region to a consent page first, over verified TLS.",
        probe_pages={NAME: pages.redirect("https://consent.example.net/collect?id=3")},
    ),
    _open(
        "control_refused_by_site",
        "The site refuses the test helper's address with a 403, and serves the probe.",
        pages={NAME: _refusal("Access denied | example", 403)},
        probe_pages={NAME: HOME_PAGE},
    ),
    _open(
        "not_found_for_everybody",
        "The page is gone: a 404 to everybody.",
        pages={NAME: pages.FOUND_NOWHERE},
        outcomes=("open", "down"),
    ),
    _open(
        "server_error_for_everybody",
        "The site answers 503 to everybody.",
        pages={NAME: _refusal("Service Unavailable", 503)},
        outcomes=("down", "open"),
    ),
    _open(
        "explicit_port",
        "A URL with a port of its own.",
        "http://www.example.com:8080/",
    ),
    _open("address_in_url", "A URL that names an address.", f"http://{EXAMPLE_COM}/"),
)


def _303(name: str, words: str, outcomes: tuple[str, ...], location: str, url: str) -> Situation:
    return Situation(
        name=name,
        words=words,
        url=url,
        net=_net(pages={url: pages.redirect(location, 303)}),
        outcomes=outcomes,
    )


UNFOLLOWED = (
    _303(
        "final_303_same_site_http",
        "The site answers everybody with a 303 to another of its pages, in clear.",
        ("open", "unclear"),
        "http://www.example.com/home",
        HTTP,
    ),
    _303(
        "final_303_same_site_https",
        "The site answers everybody with a 303 to another of its pages, over verified TLS.",
        ("open", "unclear"),
        "https://www.example.com/home",
        HTTPS,
    ),
    _303(
        "final_303_other_host_http",
        "The site answers everybody with a 303 to another host, in clear.",
        ("unclear", "open"),
        "http://www.example.org/",
        HTTP,
    ),
    _303(
        "final_303_other_host_https",
        "The site answers everybody with a 303 to another host, over verified TLS.",
        ("open", "unclear"),
        "https://www.example.org/",
        HTTPS,
    ),
)

CONTENT: tuple[Situation, ...] = (*BLOCK_PAGES, *REFUSALS, *CHANGE, *UNFOLLOWED)


def redirecting_to_indonesia(host: str):
    """A network that redirects requests in clear for `host` to the Indonesian page."""
    return _net(tampered_http={host: pages.INDONESIA})
