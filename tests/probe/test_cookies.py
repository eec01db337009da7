"""Cookies go back to whom they came from, and to nobody else."""

from __future__ import annotations

import pytest

from gatewatch.probe.cookies import COOKIES_MAX, Cookies
from gatewatch.refdata.snapshot import load


def sent(set_at: str, line: str, to: str) -> str:
    jar = Cookies(load().domain_of)
    jar.take(set_at, [("Set-Cookie", line)])
    return dict(jar.header(to)).get("Cookie", "")


@pytest.mark.parametrize(
    ("set_at", "line", "to", "cookie"),
    [
        ("http://a.example/", "k=v", "http://a.example/x", "k=v"),
        ("http://a.example/", "k=v", "http://b.example/", ""),
        ("http://a.example/", "k=v", "http://www.a.example/", ""),
        ("http://a.example/", "k=v; Domain=a.example", "http://www.a.example/", "k=v"),
        ("http://github.io/", "k=v; Domain=github.io", "http://x.github.io/", ""),
        ("http://github.io/", "k=v; Domain=github.io", "http://github.io/", "k=v"),
        ("http://1.2.3.4/", "k=v; Domain=3.4", "http://9.9.3.4/", ""),
        ("http://www.a.co.uk/", "k=v; Domain=.a.co.uk", "http://b.a.co.uk/", "k=v"),
        ("http://www.a.co.uk/", "k=v; Domain=co.uk", "http://b.co.uk/", ""),
        ("http://a.example/", "k=v; Domain=other.example", "http://other.example/", ""),
        ("https://a.example/", "k=v; Secure", "http://a.example/", ""),
        ("https://a.example/", "k=v; secure", "https://a.example/", "k=v"),
        ("http://a.example/x/y", "k=v", "http://a.example/x/z", "k=v"),
        ("http://a.example/x/y", "k=v", "http://a.example/xx", ""),
        ("http://a.example/", "k=v; Path=/p", "http://a.example/p/q", "k=v"),
        ("http://a.example/", "k=v; Max-Age=0", "http://a.example/", ""),
        ("http://a.example/x/y", "k=v", "http://a.example/x/", "k=v"),
        ("http://a.example/x/y", "k=v", "http://a.example/", ""),
        ("http://a.example/x/y", "k=v; Path=/", "http://a.example/", "k=v"),
        ("http://www.a.co.uk/", "k=v; Domain=a.co.uk", "http://a.co.uk/", "k=v"),
        ("http://a.example/", "no cookie", "http://a.example/", ""),
        ("http://a.example/", "k=v; Max-Age=-5", "http://a.example/", ""),
        ("http://a.example/", "k=v; Max-Age=05", "http://a.example/", "k=v"),
        ("http://a.example/", "k=v\r\nX: y", "http://a.example/", ""),
        ("http://a.example/", "k=\x00", "http://a.example/", ""),
        ("http://a.example/", "=v", "http://a.example/", ""),
        ("http://a.example/", "k=" + "v" * 5000, "http://a.example/", ""),
    ],
)
def test_a_cookie_is_sent_only_where_it_belongs(set_at, line, to, cookie):
    assert sent(set_at, line, to) == cookie


def test_a_site_can_take_a_cookie_back_and_not_fill_the_jar():
    jar = Cookies(load().domain_of)
    url = "http://a.example/"
    jar.take(url, [("set-cookie", f"k{n}=v") for n in range(COOKIES_MAX + 50)])
    assert dict(jar.header(url))["Cookie"].count("=") == COOKIES_MAX
    jar.take(url, [("set-cookie", f"k{n}=; Max-Age=0") for n in range(COOKIES_MAX)])
    assert jar.header(url) == ()
