"""The situations of OONI's public QA suite, rebuilt from their descriptions, for HTTP and HTTPS."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from gatewatch.simulate import pages
from gatewatch.simulate.certificates import UNTIL, issued
from gatewatch.simulate.network import Answer, Page, Server
from gatewatch.simulate.situations.common import (
    BADSSL,
    BLOCKPAGE_HOST,
    EXAMPLE_COM,
    GOOGLE_CLOUD,
    NO_HELPER,
    NXDOMAIN,
    PROXY,
    RESET,
    Situation,
    fails,
    network,
    says,
    shake,
    twice,
)
from gatewatch.simulate.situations.redirects import AFTER_REDIRECT

_HTTP = "http://www.example.com/"
_HTTPS = "https://www.example.com/"
_DOWN, _OPEN, _BLOCKED = ("down",), ("open",), ("blocked",)


def _bad_certificate(
    name: str, host: str, failure: str, words: str, *, on_it: str = "", until: datetime = UNTIL
) -> Situation:
    leaf = issued(on_it or host, "BadSSL Untrusted Root", until=until)[0]
    server = {BADSSL: _presenting(failure, leaf)}
    return Situation(
        name=name,
        words=words,
        url=f"https://{host}/",
        net=network(servers=server),
        outcomes=_DOWN,
    )


def _presenting(failure: str, *chain: bytes) -> Server:
    return replace(GOOGLE_CLOUD, tls=shake(failure, *chain))


CERTIFICATES = (
    _bad_certificate(
        "bad_ssl_unknown_authority",
        "untrusted-root.badssl.com",
        "ssl_unknown_authority",
        "The site's own certificate is from an authority that nobody trusts, for everybody.",
    ),
    _bad_certificate(
        "bad_ssl_wrong_name",
        "wrong.host.badssl.com",
        "ssl_invalid_hostname",
        "The site's own certificate is for another name, for everybody.",
        on_it="wrong-host.badssl.com",
    ),
    _bad_certificate(
        "bad_ssl_expired",
        "expired.badssl.com",
        "ssl_invalid_certificate",
        "The site's own certificate has expired, for everybody.",
        until=datetime(2015, 4, 12, tzinfo=UTC),
    ),
    Situation(
        name="bad_ssl_unknown_authority_inconsistent_dns",
        words="False DNS answers lead to a server that has no good certificate for the name.",
        url=_HTTPS,
        net=network(
            cleartext_names={"www.example.com": says(BADSSL)},
            servers={
                BADSSL: _presenting(
                    "ssl_unknown_authority", issued("www.example.com", "Nobody's Root")[0]
                )
            },
        ),
        outcomes=_BLOCKED,
        mechanisms=("dns.injection", "tls.mitm"),
    ),
)

CAPTCHA = twice(
    Situation(
        name="cloudflare_captcha_http",
        words="The site shows a captcha to this probe's address only.",
        url="http://www.cloudflare-cache.com/",
        net=network(probe_pages={"www.cloudflare-cache.com": pages.CAPTCHA}),
        outcomes=("server_side",),
    )
)

CONTROL_FAILURE = twice(
    Situation(
        name="control_failure_http",
        words="No test helper can be reached; the site answers in clear.",
        url="http://www.example.org/",
        net=network(control_failure=NO_HELPER),
        outcomes=("unclear",),
    ),
    outcomes=("open", "unclear"),
    words="No test helper can be reached; the site answers over verified TLS.",
)

NAMES_LIED_ABOUT = (
    Situation(
        name="dns_android_no_data",
        words="The ISP's resolver denies the name, seen through Android's resolver.",
        url=_HTTPS,
        net=network(isp_names={"www.example.com": fails("android_dns_cache_no_data")}),
        outcomes=_BLOCKED,
        mechanisms=("dns",),
    ),
    Situation(
        name="dns_nxdomain",
        words="The ISP's resolver denies the name; all others know it.",
        url=_HTTPS,
        net=network(isp_names={"www.example.com": NXDOMAIN}),
        outcomes=_BLOCKED,
        mechanisms=("dns.nxdomain",),
    ),
    Situation(
        name="dns_bogon",
        words="The ISP's resolver answers with a private address.",
        url=_HTTPS,
        net=network(isp_names={"www.example.com": says("10.10.34.35")}),
        outcomes=_BLOCKED,
        mechanisms=("dns.injection.bogon",),
    ),
    *twice(
        Situation(
            name="dns_localhost_http",
            words="Every question in clear is answered with the probe's own address.",
            url=_HTTP,
            net=network(cleartext_names={"www.example.com": says("127.0.0.1")}),
            outcomes=_BLOCKED,
            mechanisms=("dns.injection.bogon",),
        )
    ),
    *twice(
        Situation(
            name="dns_transparent_proxy_http",
            words="False DNS answers lead through a proxy that passes the true site on.",
            url=_HTTP,
            net=network(cleartext_names={"www.example.com": says(PROXY)}),
            outcomes=_OPEN,
            mechanisms=("dns.injection",),
        )
    ),
    *twice(
        Situation(
            name="ghost_name_http",
            words="The name is gone, and yet the censor's answer leads to its block page.",
            url="http://itsat.info/",
            net=network(cleartext_names={"itsat.info": says(BLOCKPAGE_HOST)}),
            outcomes=("blocked", "down"),
            mechanisms=("dns.injection",),
        ),
        outcomes=("blocked", "down", "unclear"),
    ),
)

HTTP_TAMPERING = (
    Situation(
        name="http_reset",
        words="A request in clear that names the site is reset.",
        url=_HTTP,
        net=network(tampered_http={"www.example.com": RESET}),
        outcomes=_BLOCKED,
        mechanisms=("http.reset",),
    ),
    Situation(
        name="http_diff_consistent_dns",
        words="A page without headers is put in place of the site's answer in clear.",
        url=_HTTP,
        net=network(tampered_http={"www.example.com": pages.bare(pages.ACCESS_DENIED)}),
        outcomes=_BLOCKED,
        mechanisms=("http.blockpage",),
    ),
    Situation(
        name="http_diff_inconsistent_dns",
        words="False DNS answers lead to a server with a block page.",
        url=_HTTP,
        net=network(cleartext_names={"www.example.com": says(BLOCKPAGE_HOST)}),
        outcomes=_BLOCKED,
        mechanisms=("dns.injection", "http.blockpage"),
    ),
    *twice(
        Situation(
            name="throttled_large_file_http",
            words="The path delivers a large file so slowly that the probe gives up.",
            url="http://largefile.com/",
            net=network(
                pages={
                    "largefile.com": Page(
                        body="", length=1 << 25, headers={"Content-Type": "application/zip"}
                    )
                },
                tampered_http={
                    "largefile.com": Page(
                        headers={"Content-Type": "application/zip"},
                        failure="generic_timeout_error",
                    )
                },
            ),
            outcomes=_BLOCKED,
            mechanisms=("http",),
        ),
        net=network(
            pages={
                "largefile.com": Page(
                    body="", length=1 << 25, headers={"Content-Type": "application/zip"}
                )
            },
            probe_pages={
                "largefile.com": Page(
                    headers={"Content-Type": "application/zip"}, failure="generic_timeout_error"
                )
            },
        ),
        outcomes=("blocked", "unclear"),
        mechanisms=("http", "tls"),
    ),
)

NOT_FILTERED = (
    Situation(
        name="idna_lower_case",
        words="A name in Cyrillic that redirects twice; nobody filters.",
        url="http://яндекс.рф/",
        net=network(),
        outcomes=_OPEN,
    ),
    Situation(
        name="idna_upper_case",
        words="The same name in capitals.",
        url="http://ЯНДЕКС.РФ/",
        net=network(),
        outcomes=_OPEN,
    ),
    *twice(
        Situation(
            name="large_file_http",
            words="A file larger than what probes keep of a body.",
            url="http://largefile.com/",
            net=network(
                pages={
                    "largefile.com": Page(
                        body=Random(0).randbytes(1 << 19),
                        length=1 << 25,
                        headers={
                            "Alt-Svc": 'h3=":443"',
                            "Content-Type": "application/octet-stream",
                            "Date": pages.DATE,
                        },
                    )
                }
            ),
            outcomes=_OPEN,
        )
    ),
    *twice(
        Situation(
            name="localhost_http",
            words="The name's owner points it at 127.0.0.1, for everybody.",
            url=_HTTP,
            net=network(names={"www.example.com": says("127.0.0.1")}),
            outcomes=_DOWN,
        )
    ),
    *twice(
        Situation(
            name="broken_redirect_http",
            words="The site redirects this probe to a URL without a host, in clear.",
            url="http://httpbin.com/broken-redirect",
            net=network(
                pages={"httpbin.com": pages.redirect(_HTTP)},
                probe_pages={"httpbin.com": pages.redirect("http://")},
            ),
            outcomes=("blocked", "unclear", "server_side"),
            mechanisms=("http",),
        ),
        words="The site redirects this probe to a URL without a host, over verified TLS.",
        net=network(
            pages={"httpbin.com": pages.redirect(_HTTPS)},
            probe_pages={"httpbin.com": pages.redirect("https://")},
        ),
        outcomes=("server_side", "unclear"),
        mechanisms=("http",),
    ),
    *twice(
        Situation(
            name="too_many_redirects_http",
            words="The site redirects fifteen times, for everybody; clients stop at ten.",
            url="http://httpbin.com/redirect/15",
            net=network(
                pages={
                    f"{scheme}://httpbin.com/redirect/{n}": pages.redirect(f"/redirect/{n - 1}")
                    for n in range(1, 16)
                    for scheme in ("http", "https")
                }
            ),
            outcomes=_DOWN,
        )
    ),
    *twice(
        Situation(
            name="success_http",
            words="Nothing happens to the site.",
            url=_HTTP,
            net=network(),
            outcomes=_OPEN,
        )
    ),
    Situation(
        name="website_down_nxdomain",
        words="The name does not exist, for anybody.",
        url="http://www.example.xyz/",
        net=network(),
        outcomes=_DOWN,
    ),
    Situation(
        name="website_down_no_addresses",
        words="The name has an alias and no address, for everybody.",
        url=_HTTP,
        net=network(names={"www.example.com": Answer(cnames=("web01.example.com",))}),
        outcomes=_DOWN,
    ),
)


CONNECTIONS = (
    *twice(
        Situation(
            name="tcp_timeout_http",
            words="No packet to the site's address is answered.",
            url=_HTTP,
            net=network(blocked_connects={EXAMPLE_COM: "generic_timeout_error"}),
            outcomes=_BLOCKED,
            mechanisms=("tcp.timeout", "ip"),
        )
    ),
    *twice(
        Situation(
            name="tcp_refused_inconsistent_dns_http",
            words="False DNS answers lead to an address that refuses.",
            url="http://www.example.org/",
            net=network(
                cleartext_names={"www.example.org": says(BLOCKPAGE_HOST)},
                blocked_connects={BLOCKPAGE_HOST: "connection_refused"},
            ),
            outcomes=_BLOCKED,
            mechanisms=("dns.injection",),
        )
    ),
    Situation(
        name="tls_reset_consistent_dns",
        words="The site's name in a handshake draws a reset.",
        url=_HTTPS,
        net=network(tampered_tls={"www.example.com": shake("connection_reset")}),
        outcomes=_BLOCKED,
        mechanisms=("tls.reset",),
    ),
    Situation(
        name="tls_reset_inconsistent_dns",
        words="False DNS answers, and the name in a handshake draws a reset as well.",
        url=_HTTPS,
        net=network(
            cleartext_names={"www.example.com": says(PROXY)},
            tampered_tls={"www.example.com": shake("connection_reset")},
        ),
        outcomes=_BLOCKED,
        mechanisms=("dns.injection", "tls.reset"),
    ),
)

SUITE: tuple[Situation, ...] = (
    *CERTIFICATES,
    *CAPTCHA,
    *CONTROL_FAILURE,
    *NAMES_LIED_ABOUT,
    *HTTP_TAMPERING,
    *NOT_FILTERED,
    *AFTER_REDIRECT,
    *CONNECTIONS,
)
