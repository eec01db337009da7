"""A title is found in every page that has one, and no page is too odd to be read."""

from __future__ import annotations

from time import perf_counter

import pytest

from gatewatch.wire.html import TITLE_LENGTH, title_of


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("<title>Free &amp; open</title>", "Free & open"),
        ("<TITLE lang=en>\n Free\n\topen </TITLE >", "Free open"),
        ("<title>one</title><title>two</title>", "one"),
        ("<title></title>", None),
        ("<title> \n </title>", None),
        ("<title>never closed", None),
        ("no title", None),
        ("", None),
        ("<title>&#9999999999;&lt;b&gt;</title>", "\ufffd<b>"),
        ("<title>" + "x" * 2000 + "</title>", "x" * TITLE_LENGTH),
    ],
)
def test_a_title_is_the_first_one_in_plain_words(text: str, title: str | None):
    assert title_of(text) == title


@pytest.mark.parametrize(
    "text",
    ["<title" * 50_000, "<title>" * 50_000, "<title>" + "<" * 500_000, "<title " + " " * 500_000],
)
def test_no_page_keeps_the_search_for_a_title_busy(text: str):
    start = perf_counter()
    title_of(text)
    assert perf_counter() - start < 0.5
