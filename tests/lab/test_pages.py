"""The lab's pages are recognised as what they are named for, and the ordinary one as nothing."""

from __future__ import annotations

import re

import pytest

from gatewatch.lab.pages import PAGES, SITE, NoSuchPage, page
from gatewatch.refdata.snapshot import load

REFDATA = load()
TITLE = re.compile(r"<title>(.*?)</title>")


def shown(name: str) -> set[str]:
    """Scopes of the fingerprints in a page, with the country where they have just one."""
    answer = page(name)
    body = answer.body if isinstance(answer.body, str) else answer.body.decode()
    title = TITLE.search(body)
    found = map(
        REFDATA.fingerprint,
        REFDATA.match_page(body, list(answer.headers.items()), title and title[1]),
    )
    return {
        f"{one.scope} {one.countries[0]}" if len(one.countries) == 1 else one.scope for one in found
    }


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("iran", "nat IR"),
        ("iran_page", "nat IR"),
        ("korea", "nat KR"),
        ("indonesia", "nat ID"),
        ("indonesia_page", "nat ID"),
        ("russia", "isp RU"),
        ("russia_page", "nat RU"),
        ("india", "isp IN"),
        ("india_dot", "nat IN"),
        ("italy", "nat IT"),
        ("turkey", "nat TR"),
        ("egypt", "isp EG"),
        ("pakistan", "nat PK"),
        ("myanmar", "nat MM"),
        ("malaysia", "nat MY"),
        ("kazakhstan", "nat KZ"),
        ("thailand", "nat TH"),
        ("spain", "nat ES"),
        ("uk", "isp GB"),
        ("emirates", "nat AE"),
        ("saudi", "nat SA"),
        ("oman", "nat OM"),
        ("germany", "isp DE"),
        ("fortiguard", "prod"),
        ("netsweeper", "prod"),
        ("paloalto", "prod"),
        ("portal", "portal"),
        ("portal_redirect", "portal"),
        ("captcha", "server"),
        ("geoblock", "server"),
        ("sanctions", "server"),
        ("gdpr", "server"),
        ("maintenance", "fp"),
        ("nginx", "fp"),
        ("parked", "fp"),
    ],
)
def test_a_page_carries_the_detail_that_the_real_one_is_known_by(name, scope):
    assert scope in shown(name)


@pytest.mark.parametrize(
    "name", [SITE, "odd", "korea_page", "egypt_page", "turkmenistan", "unavailable", "not_found"]
)
def test_a_page_whose_words_are_all_ours_is_recognised_as_nothing(name):
    assert shown(name) == set()


def test_html_given_literally_is_a_page():
    assert page("<p>closed</p>").body == "<p>closed</p>"


def test_an_ordinary_page_says_whose_it_is():
    assert "<title>Example</title>" in str(page(SITE, title="Example").body)


def test_a_name_that_no_page_has_is_answered_with_those_that_there_are():
    with pytest.raises(NoSuchPage, match=r"no page is called 'irna'; there are site, .*iran_page"):
        page("irna")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sent_with_the_length_that_it_has(name):
    answer = page(name)
    said = answer.headers.get("Content-Length", str(len(str(answer.body).encode())))
    assert said == str(len(str(answer.body).encode()))
