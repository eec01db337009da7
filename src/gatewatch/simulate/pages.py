"""Pages that the simulated sites, censors, portals and servers answer with.

The words are ours; the block pages carry the one detail by which the real ones are publicly
known (an address, a name, a product's header), and nothing else of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatewatch.simulate.network import Page

DATE = "Mon, 12 Feb 2024 20:33:47 GMT"


def site(
    title: str,
    *,
    paragraphs: int = 24,
    language: str = "en",
    server: str = "nginx",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Page:
    """A site's ordinary page, with `headers` beside the usual ones."""
    text = "\n".join(
        f"<p>{title}: paragraph {n} of an ordinary page, written to fill the space that an "
        "ordinary page fills.</p>"
        for n in range(paragraphs)
    )
    body = (
        f'<!doctype html>\n<html lang="{language}">\n<head><title>{title}</title></head>\n'
        f"<body><h1>{title}</h1>\n{text}\n</body></html>\n"
    )
    return html(body, status=status, server=server, headers=headers)


def html(
    body: str,
    *,
    status: int = 200,
    server: str = "nginx",
    headers: Mapping[str, str] | None = None,
) -> Page:
    return Page(
        status=status,
        body=body,
        headers={
            "Content-Length": str(len(body.encode())),
            "Content-Type": "text/html; charset=utf-8",
            "Date": DATE,
            "Server": server,
            **(headers or {}),
        },
    )


def redirect(location: str, status: int = 302) -> Page:
    return Page(status=status, headers={"Content-Length": "0", "Date": DATE, "Location": location})


def bare(body: str, status: int = 200) -> Page:
    """An answer without any header, as injectors that write one segment send it."""
    return Page(status=status, body=body)


CLOUDFLARE = {
    "CF-Ray": "68013f3b0c7d498b-SIN",
    "Nel": '{"success_fraction":0,"report_to":"cf-nel","max_age":604800}',
    "Permissions-Policy": "accelerometer=(),camera=()",
    "Report-To": '{"endpoints":[{"url":"https://a.nel.cloudflare.com/report/v3"}]}',
}
"""Headers by which Cloudflare's servers are known."""

FOUND_NOWHERE = site("Not Found", paragraphs=2, status=404)

ACCESS_DENIED = (
    "<!doctype html>\n<html>\n<head><title>Access Denied</title></head>\n<body>\n"
    "<h1>Access Denied</h1>\n<p>Access to this page is denied by order of the authority.</p>\n"
    "</body>\n</html>\n"
)

IRAN = bare(
    "<html><head><title>M1-8</title></head><body>"
    '<iframe src="http://10.10.34.34?type=Invalid Site&policy=MainPolicy" '
    'style="width: 100%; height: 100%"></iframe></body></html>\r\n',
    status=403,
)
IRAN_PAGE = html(
    "<html><head><title>peyvandha</title></head><body>"
    '<iframe src="http://peyvandha.ir/1-2.htm" width="100%"></iframe></body></html>',
    status=403,
)
KOREA = redirect("http://www.warning.or.kr")
KOREA_PAGE = html(
    "<html><head><title>Warning</title></head><body>"
    "<p>This site is closed by the Korea Communications Standards Commission. "
    "<a href='http://warning.or.kr/'>More</a></p></body></html>"
)
INDONESIA = redirect("http://lamanlabuh.aduankonten.id/")
INDONESIA_PAGE = html(
    "<!doctype html><html lang='id'><head><title>Laman Labuh</title></head><body>"
    "<p>Situs ini diblokir. Hubungi aduankonten@kominfo.go.id</p></body></html>",
    server="nginx/1.24.0 (Ubuntu)",
)
RUSSIA = redirect("http://warning.rt.ru/?id=2&st=0&dt=0.0.0.0&rs=")
RUSSIA_PAGE = html(
    "<html><head><title>block-system</title></head><body>"
    "<p>Доступ к информационному ресурсу ограничен. http://eais.rkn.gov.ru/</p></body></html>"
)
INDIA = bare(
    '<meta name="viewport" content="width=device-width,initial-scale=1.0,maximum-scale=1.0"/>'
    '<iframe src="http://www.airtel.in/dot/?dpid=1&dpruleid=3&cat=107" width="100%" '
    'height="100%" frameborder=0></iframe>'
)
ITALY = html(
    "<html><head><title>AGCOM Stop Page</title></head><body>"
    "<p>Sito inibito per ordine dell'Autorità.</p></body></html>"
)
TURKEY = html(
    "<html><head><title>Telekomünikasyon İletişim Başkanlığı</title></head><body>"
    "<p>5651 sayılı Kanun uyarınca bu internet sitesine erişim engellenmiştir.</p></body></html>"
)
EGYPT = redirect(
    "http://notification.etisalat.com.eg/etisalat/notification/redirectionactions.html?x=1"
)
FORTIGUARD = html(
    "<html><head><title>Web Filter Violation</title></head><body>"
    "<h2>FortiGuard Intrusion Prevention - Access Blocked</h2>"
    "<p>You have tried to access a web page which is in violation of your internet usage "
    "policy.</p><p>Powered By FortiGuard</p></body></html>",
    status=403,
    server="xxxxxxxx-xxxxx",
)
PORTAL = html(
    "<html><head><title>Hotel Wi-Fi - Sign in</title></head><body>"
    "<form action='/login' method='post'><p>Welcome! Enter your room number to use the "
    "Internet.</p><input name='room'><input type='submit' value='Connect'></form></body></html>"
    "<!--<WISPAccessGatewayParam></WISPAccessGatewayParam>-->",
    server="GoAhead-Webs",
)
ODD = html(
    "<html><head><title>Notice 7714</title></head><body><p>This content is not available. "
    "Reference 7714.</p></body></html>",
    server="Apache",
)
CAPTCHA = html(
    '<!DOCTYPE html><html lang="en-US"><head><title>Attention Required! | Cloudflare</title>'
    '</head><body><div class="cf-captcha-container"><h1>One more step</h1>'
    '<form id="challenge-form" action="/?__cf_chl_captcha_tk__=1" method="POST">'
    "Please complete the security check to access the site.</form></div></body></html>",
    status=503,
    server="cloudflare",
    headers=CLOUDFLARE,
)
