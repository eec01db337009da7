"""Pages no network has touched, written for the tests: none of them may be taken for a block page.

`may_be` is the scope a page's fingerprints may have: `server` for a refusal by the site itself,
`portal`, `fp`, or `vbw` for words that are weak evidence by design.
"""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    title: str
    body: str
    headers: list[tuple[str, str]]
    may_be: str | None = None


def page(title: str, text: str, *headers: tuple[str, str], may_be: str | None = None) -> Page:
    body = f"<!doctype html><html><head><title>{title}</title></head><body>{text}</body></html>"
    return Page(title, body, [("Content-Type", "text/html"), ("Server", "nginx"), *headers], may_be)


BENIGN = {
    "news: Russia": page(
        "Роскомнадзор заблокировал сайт издания",
        "<article>Роскомнадзор сообщил, что доступ к сайту издания закрыт. Редакция оспорит "
        "решение. Читатели пользуются зеркалом.</article>",
    ),
    "news: Iran": page(
        "Iran widens its filtering",
        "<article>Users in Iran who open a filtered page are sent to an address such as "
        "10.10.34.35, researchers write.</article>",
    ),
    "news: Turkey": page(
        "Bilgi kanunu tartışması",
        "<article>Meclis 5651 sayılı kanunda değişiklik yapılmasını görüştü.</article>",
    ),
    "news: India": page(
        "Court hears blocking case",
        "<p>The Department of Telecommunications told the court it had issued orders. Lawyers "
        "asked which pages were affected.</p>",
    ),
    "news: Indonesia": page(
        "Kominfo menjelaskan aturan baru",
        "<p>Kementerian menjelaskan peraturan perundang-undangan tentang konten di internet.</p>",
    ),
    "news: South Korea": page(
        "방송통신심의위원회 소식", "<p>사이트 접속 문제에 대한 토론이 열렸다. warning.or.kr</p>"
    ),
    "news: Malaysia": page(
        "Regulator answers critics", "<p>The site is not available in Malaysia, readers say.</p>"
    ),
    "news: Thailand": page("ข่าววันนี้", "<p>กระทรวงดิจิทัลเปิดเผยแผนงานใหม่</p>"),
    "news: Spain": page(
        "La Liga y los bloqueos",
        "<p>Las operadoras bloquean direcciones compartidas los días de partido.</p>",
    ),
    "news: United Kingdom": page(
        "Charity reports on its work",
        "<p>The Internet Watch Foundation published its yearly report on Monday.</p>",
    ),
    "news: Australia": page(
        "Ruling", "<p>The Federal Court of Australia ruled on a streaming case on Friday.</p>"
    ),
    "news: Belgium": page("Law", "<p>Belgian legislation on gambling changes next year.</p>"),
    "research: fingerprints": page(
        "Identifying filtering products",
        "<p>Netsweeper pages live under webadmin; FortiGuard and Blue Coat have their own. We "
        "found WireFilter in a header. Citizen Lab has published on all of them.</p>",
    ),
    "wiki: censorship": page(
        "Internet censorship - an encyclopaedia",
        "<p>In some countries websites are blocked by court order, in others by ministries.</p>"
        + "<p>Further sections follow, with notes and sources.</p>" * 200,
    ),
    "terms of use": page(
        "Terms",
        "<p>You must not do anything that is prohibited under applicable law, nor violate the laws "
        "of the Sultanate of Oman or of the United Arab Emirates.</p>",
    ),
    "privacy policy": page(
        "Privacy", "<p>We share data when required by a court order or government request.</p>"
    ),
    "export notice": page(
        "Downloads", "<p>Exports of this software fall under the laws of your country.</p>"
    ),
    "login": page(
        "Sign in", '<form action="/login.html?redirect=/home"><input name="user"></form>'
    ),
    "login redirect": page(
        "Moved", "", ("Location", "https://shop.example/login.html?redirect=%2Faccount")
    ),
    "webmail": page("Webmail", "<p>Welcome. Please log in with your company account.</p>"),
    "members only": page(
        "Members",
        "<h1>Access denied</h1><p>You are not authorized to access this page.</p>",
        may_be="fp",
    ),
    "404": page("404 Not Found", "<h1>Not Found</h1><p>The requested URL was not found.</p>"),
    "403 nginx": Page(
        "403 Forbidden",
        "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 "
        "Forbidden</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
        [("Server", "nginx")],
        "fp",
    ),
    "502": page("502 Bad Gateway", "<center><h1>502 Bad Gateway</h1></center><hr>nginx"),
    "maintenance": page("Back soon", "<p>We are doing maintenance and will be back at noon.</p>"),
    "new server": page(
        "Welcome to nginx!",
        "<h1>Welcome to nginx!</h1><p>Further configuration is required.</p>",
        may_be="fp",
    ),
    "parked": page(
        "kites.example", '<script src="//www.parkingcrew.net/jsparkcaf.php"></script>', may_be="fp"
    ),
    "for sale": page("kites.example is for sale", "<p>Buy this name today.</p>", may_be="fp"),
    "suspended": page(
        "Account Suspended", "<p>Contact your hosting provider about billing.</p>", may_be="fp"
    ),
    "Cloudflare challenge": page(
        "Just a moment...",
        "<noscript>Enable JavaScript and cookies to continue</noscript>",
        ("cf-mitigated", "challenge"),
        may_be="server",
    ),
    "Cloudflare captcha": page(
        "Attention Required! | Cloudflare",
        "<h1>Please complete the security check to access a.example</h1>",
        may_be="server",
    ),
    "behind Cloudflare": page(
        "Recipes",
        '<p>Soup.</p><script src="/cdn-cgi/challenge-platform/scripts/jsd/main.js"></script>',
        ("cf-ray", "8abc"),
        ("Server", "cloudflare"),
    ),
    "behind Imperva": page(
        "Bank", '<script src="/_Incapsula_Resource?SWJIYLWA=71" async></script><p>Rates</p>'
    ),
    # Its title is that of many a block page, and `vbw` says so: here it is left out.
    "Akamai refusal": Page(
        "",
        "<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\nYou "
        'don\'t have permission to access "http&#58;&#47;&#47;a&#46;example&#47;" on this server.'
        "<P>\nReference&#32;&#35;18&#46;9c1d02&#46;17&#46;1\n</BODY>\n</HTML>\n",
        [("Server", "AkamaiGHost")],
        "server",
    ),
    "shop not shipping": page(
        "Shop", "<p>This service is not available in your country.</p>", may_be="server"
    ),
    "hotel Wi-Fi": page(
        "Guest access",
        "<!-- <WISPAccessGatewayParam><Redirect></Redirect></WISPAccessGatewayParam> -->",
        may_be="portal",
    ),
    "JavaScript redirect": page("Moved", '<script>location.href="https://a.example/"</script>'),
    "empty": Page("", "", []),
    "JSON": Page("", '{"blocked": false, "access": "granted"}', [("Server", "gunicorn")]),
    "binary": Page("", "\ufffdPNG\r\n\x1a\n\0\0\0\rIHDR\ufffd\ufffd\ud800", []),
    "parental controls for sale": page(
        "Parental controls", "<p>Block websites at home with our router. Web filter included.</p>"
    ),
    "status page": page("Is it blocked?", "<p>Check whether a site is reachable from abroad.</p>"),
    "VPN advertisement": page(
        "Fast VPN", "<p>Watch what is restricted where you live. Unblock any page today.</p>"
    ),
    "gambling regulator": page(
        "Agenzia", "<p>Agenzia delle dogane e dei monopoli: elenco dei concessionari.</p>"
    ),
}

TITLES_OF_REAL_PAGES = [
    "Access denied: how Russia blocks the web",
    "Why was this site blocked? | Help centre",
    "Website blocked in Turkey, court says",
    "Blocked websites list 2026",
    "Доступ к сайтам СМИ ограничен: что делать",
    "Сайт «Медузы» заблокирован",
    "Erişim engeli kararları raporu",
    "Situs berita diblokir, wartawan protes",
    "Acceso denegado, la nueva novela",
    "Just a moment in time",
    "Surf safely this summer",
    "فیلتر شدن سایت‌ها در ایران",
    "حجب المواقع في مصر: تقرير",
    "网站被屏蔽怎么办",
    "차단된 사이트 접속하는 법",
]
