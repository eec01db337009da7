"""The situations of OONI's public QA suite in which a short link leads to a filtered site."""

from __future__ import annotations

from typing import Any

from gatewatch.simulate import pages
from gatewatch.simulate.situations.common import (
    EOF,
    EXAMPLE_COM,
    NXDOMAIN,
    RESET,
    TIMEOUT,
    Situation,
    network,
    shake,
    twice,
)

_HTTP = "http://www.example.com/"
_HTTPS = "https://www.example.com/"


def _after_redirect(
    name: str, words: str, http_mechanisms: tuple[str, ...], tls: tuple[str, ...], **censor: Any
) -> tuple[Situation, ...]:
    """A short link, itself open, that leads to a filtered site; in clear and over TLS."""
    return twice(
        Situation(
            name=f"redirect_then_{name}_http",
            words=f"A short link leads to a site in clear; {words}.",
            url="https://bit.ly/32447",
            net=network(pages={"bit.ly": pages.redirect(_HTTP, 308)}, **censor),
            outcomes=("blocked",),
            mechanisms=http_mechanisms,
        ),
        url="https://bit.ly/32447",
        words=f"A short link leads to a site over TLS; {words}.",
        net=network(pages={"bit.ly": pages.redirect(_HTTPS, 308)}, **censor),
        mechanisms=tls,
    )


AFTER_REDIRECT: tuple[Situation, ...] = (
    *_after_redirect(
        "refused",
        "connections to it are refused",
        ("tcp.refused",),
        ("tcp.refused",),
        blocked_connects={EXAMPLE_COM: "connection_refused"},
    ),
    *_after_redirect(
        "reset",
        "its name draws a reset",
        ("http.reset",),
        ("tls.reset",),
        tampered_http={"www.example.com": RESET},
        tampered_tls={"www.example.com": shake("connection_reset")},
    ),
    *_after_redirect(
        "eof",
        "its name draws a forged end of the connection",
        ("http",),
        ("tls",),
        tampered_http={"www.example.com": EOF},
        tampered_tls={"www.example.com": shake("eof_error")},
    ),
    *_after_redirect(
        "timeout",
        "packets that follow its name are dropped",
        ("http.timeout",),
        ("tls.timeout",),
        tampered_http={"www.example.com": TIMEOUT},
        tampered_tls={"www.example.com": shake("generic_timeout_error")},
    ),
    *_after_redirect(
        "nxdomain",
        "every question in clear for it is answered with NXDOMAIN",
        ("dns.nxdomain",),
        ("dns.nxdomain",),
        cleartext_names={"www.example.com": NXDOMAIN},
    ),
)
