"""A cookie goes back to whoever may have it, and to nobody else."""

from __future__ import annotations

import pytest

from gatewatch.probe.cookies import Cookies, registrable

HERE = "https://www.shop.example.co.uk/a/b"


def sent(cookie: str, to: str, *, by: str = HERE) -> str:
    jar = Cookies(registrable)
    jar.take(by, [("Set-Cookie", cookie)])
    return dict(jar.header(to)).get("Cookie", "")


@pytest.mark.parametrize(
    ("cookie", "to", "wanted"),
    [
        ("a=1", HERE, "a=1"),
        ("a=1", "https://www.shop.example.co.uk/a/", "a=1"),
        ("a=1", "https://www.shop.example.co.uk/", ""),
        ("a=1; Path=/", "https://www.shop.example.co.uk/", "a=1"),
        ("a=1; Path=/", "https://example.co.uk/", ""),
        ("a=1; Path=/; Domain=example.co.uk", "https://example.co.uk/", "a=1"),
        ("a=1; Path=/; Domain=.example.co.uk", "https://other.example.co.uk/", "a=1"),
        ("a=1; Path=/; Domain=co.uk", "https://example.co.uk/", ""),
        ("a=1; Path=/; Domain=other.example.co.uk", "https://other.example.co.uk/", ""),
        ("a=1; Path=/; Secure", "http://www.shop.example.co.uk/", ""),
        ("a=1; Path=/; Max-Age=0", HERE, ""),
        ("a=1\r\nX-Evil: 1", HERE, ""),
        ("no cookie", HERE, ""),
    ],
)
def test_a_cookie_is_sent_where_it_may_be(cookie, to, wanted):
    assert sent(cookie, to) == wanted


def test_an_address_has_no_domain_above_it():
    assert sent("a=1; Domain=216.34; Path=/", "http://1.2.216.34/", by="http://1.2.216.34/") == ""
