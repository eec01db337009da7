"""Every spelling of a thing that can be tested leads to one name, and no spelling is fatal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.model.target import (
    Endpoint,
    canonical_host,
    endpoint_of,
    is_address,
    redirect_target,
)

any_text = st.text(st.characters(exclude_categories=()), max_size=60)
urls = st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "HTTP"]), any_text, any_text)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.", "example.org"),
        (" example.org ", "example.org"),
        ("яндекс.рф", "xn--d1acpjx3f.xn--p1ai"),
        ("ЯНДЕКС.РФ.", "xn--d1acpjx3f.xn--p1ai"),
        ("xn--d1acpjx3f.xn--p1ai", "xn--d1acpjx3f.xn--p1ai"),
        ("faß.de", "xn--fa-hia.de"),
        ("[2001:DB8:0:0::1]", "2001:db8::1"),
        ("192.0.2.7", "192.0.2.7"),
        ("a_b.example", "a_b.example"),
        ("", None),
        (".", None),
        ("a..b", None),
        ("a b", None),
        ("a/b", None),
        ("x" * 254, None),
        ("\ud800", None),
        ("\u202eexample.org", None),
        ("*.example.org", None),
    ],
)
def test_a_host_has_one_spelling_or_none(host: str, name: str | None):
    assert canonical_host(host) == name


@given(any_text)
def test_a_canonical_name_is_its_own_canonical_name(host: str):
    name = canonical_host(host)
    if name is not None:
        assert canonical_host(name) == name
        assert name.isascii()
        assert name == name.lower()


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://Example.ORG/x", Endpoint("https", "example.org", 443)),
        ("http://example.org", Endpoint("http", "example.org", 80)),
        ("HTTP://example.org:8080", Endpoint("http", "example.org", 8080)),
        ("https://[2001:DB8::1]/", Endpoint("https", "2001:db8::1", 443)),
        ("https://user:word@example.org/", Endpoint("https", "example.org", 443)),
        ("ftp://example.org/", None),
        ("example.org", None),
        ("http://", None),
        ("http://[", None),
        ("http://example.org:99999", None),
        ("http://example.org:x", None),
        ("", None),
    ],
)
def test_a_web_url_leads_to_an_endpoint(url: str, endpoint: Endpoint | None):
    assert endpoint_of(url) == endpoint


@given(any_text | urls, any_text | urls)
def test_no_text_is_fatal(one: str, other: str):
    endpoint = endpoint_of(one)
    assert endpoint is None or (endpoint.host and 0 < endpoint.port < 65536)
    assert is_address(one) in (True, False)
    to = redirect_target(one, other)
    assert to is None or isinstance(to, str)


@pytest.mark.parametrize(
    ("location", "to"),
    [
        ("/y", "http://a.example/y"),
        ("y", "http://a.example/x/y"),
        ("//b.example/", "http://b.example/"),
        ("https://b.example/", "https://b.example/"),
        ("?q", "http://a.example/x/?q"),
        ("http://[scrubbed]/", None),
        ("http://[", None),
    ],
)
def test_a_redirect_leads_where_a_browser_would_go(location: str, to: str | None):
    assert redirect_target("http://a.example/x/", location) == to
