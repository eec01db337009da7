"""The pages that the lab's sites, censors, portals and servers answer with, by name.

What they say is `simulate.pages`' part; here are their names, and those that no simulated
situation has needed. The block pages carry the one detail by which the real ones are publicly
known (see `refdata/data/fingerprints.tsv`); all other words are ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatewatch.simulate import pages
from gatewatch.simulate.network import Page


def _says(title: str, words: str, *, status: int = 200, server: str = "nginx") -> Page:
    """A short page of one paragraph, as notices are."""
    body = f"<html><head><title>{title}</title></head><body><p>{words}</p></body></html>"
    return pages.html(body, status=status, server=server)


PAGES: Mapping[str, Page] = {
    # The networks' own words, by the country or product that is known for them.
    "access_denied": pages.html(pages.ACCESS_DENIED),
    "odd": pages.ODD,
    "iran": pages.IRAN,
    "iran_page": pages.IRAN_PAGE,
    "korea": pages.KOREA,
    "korea_page": pages.KOREA_PAGE,
    "indonesia": pages.INDONESIA,
    "indonesia_page": pages.INDONESIA_PAGE,
    "russia": pages.RUSSIA,
    "russia_page": pages.RUSSIA_PAGE,
    "india": pages.INDIA,
    "india_dot": _says(
        "Blocked", "This site is blocked as per the instructions of Department of Telecom."
    ),
    "italy": pages.ITALY,
    "turkey": pages.TURKEY,
    "egypt": pages.EGYPT,
    "egypt_page": _says("Notice", "This service is not part of your data plan."),
    "pakistan": _says(
        "Surf Safely",
        "This site carries content that is prohibited for viewership from within Pakistan.",
    ),
    "myanmar": _says(
        "Notice", "This site is blocked as per directives received from Ministry of Transport."
    ),
    "malaysia": _says(
        "Makluman", "This website is not available in Malaysia as it violates the national laws."
    ),
    "turkmenistan": _says("Access", "The page that you asked for cannot be shown."),
    "kazakhstan": _says(
        "Уведомление",
        "Доступ к сайту ограничен в соответствии с законодательством Республики Казахстан.",
    ),
    "thailand": _says(
        "Notice", "This site has been suspended by order of the Ministry of Digital Economy."
    ),
    "spain": _says(
        "Aviso", "Contenido bloqueado por requerimiento de la Autoridad Competente.", status=403
    ),
    "uk": _says(
        "Site blocked",
        "We have been ordered to prevent access to this site. The orders are listed at "
        '<a href="http://www.ukispcourtorders.co.uk/">www.ukispcourtorders.co.uk</a>.',
    ),
    "emirates": _says(
        "Surf safely!",
        "This site is blocked under the Internet Access Management Regulatory Policy.",
    ),
    "saudi": _says(
        "Notice",
        "Access to the requested URL is not allowed! See http://www.internet.sa/.",
        status=403,
        server="Protected by WireFilter 9000",
    ),
    "oman": _says("Notice", "This site is blocked under the laws of the Sultanate of Oman."),
    "germany": pages.redirect("https://notice.cuii.info/"),
    "fortiguard": pages.FORTIGUARD,
    "netsweeper": pages.redirect("http://deny.example/webadmin/deny/?dpid=2&dpruleid=3&cat=23"),
    "paloalto": _says(
        "Web Page Blocked",
        "The web page you are trying to visit has been blocked in accordance with company policy.",
        status=503,
    ),
    # Not the network: a sign-in, the server's own refusal, a server without the site.
    "portal": pages.PORTAL,
    "portal_redirect": pages.redirect("http://192.0.2.1/login.html?redirect=start"),
    "captcha": pages.CAPTCHA,
    "geoblock": _says("Unavailable", "This website is not available in your country.", status=451),
    "sanctions": _says(
        "Forbidden",
        "We cannot provide this service where U.S. export control laws forbid it.",
        status=403,
    ),
    "gdpr": _says(
        "451: Unavailable due to legal reasons",
        "We see that you access this website from a country belonging to the European Economic "
        "Area, and cannot grant it at this time.",
        status=451,
    ),
    "unavailable": _says("503 Service Unavailable", "Please try again later.", status=503),
    "maintenance": _says(
        "Maintenance",
        "Briefly unavailable for scheduled maintenance. Check back in a minute.",
        status=503,
    ),
    "not_found": pages.FOUND_NOWHERE,
    "nginx": _says("Welcome to nginx!", "The web server is installed and needs a site."),
    "parked": _says(
        "Parked", 'This name may be bought. <script src="//www.sedoparking.com/p.js"></script>'
    ),
}
"""Every page but the ordinary one."""

SITE = "site"
"""The name of an ordinary page, which says whose it is."""


class NoSuchPage(KeyError):
    """A scenario asks for a page by a name that no page has."""

    def __str__(self) -> str:
        return f"no page is called {self.args[0]!r}; there are {', '.join([SITE, *PAGES])}"


def page(name: str, *, title: str = "An ordinary site") -> Page:
    """The page of that name, or the HTML itself where `name` begins with `<`.

    Args:
        title: what the ordinary page calls its site; no other page is affected.

    Raises:
        NoSuchPage: there is none of that name.

    >>> page("iran").status, page("<p>no</p>").body
    (403, '<p>no</p>')
    """
    if name.startswith("<"):
        return pages.html(name)
    if name == SITE:
        return pages.site(title)
    try:
        return PAGES[name]
    except KeyError:
        raise NoSuchPage(name) from None
