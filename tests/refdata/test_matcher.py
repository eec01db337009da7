"""The engine: what it finds, what it will not take, and what widening changes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewatch.refdata.matcher import Matcher, widened
from gatewatch.refdata.nouns import Fingerprint


def sign(
    pattern: str,
    kind: str = "regexp",
    location: str = "body",
    *,
    name: str | None = None,
    within: int | None = None,
) -> Fingerprint:
    return Fingerprint(
        id=name or f"{kind}:{pattern}",
        scope="nat",
        location=location,
        pattern_type=kind,
        pattern=pattern,
        countries=[],
        source="test",
        within=within,
    )


HOLDS = {
    "full": lambda pattern, text: text == pattern,
    "prefix": lambda pattern, text: text.startswith(pattern),
    "contains": lambda pattern, text: pattern in text,
}
ODD = st.text(alphabet="aA.*\\^$\n\r{}é\u0301ي\0 [", min_size=1, max_size=6)


@pytest.mark.parametrize("kind", HOLDS)
@given(pattern=ODD, before=ODD, after=st.one_of(st.just(""), ODD))
def test_a_literal_is_found_as_python_finds_it(kind, pattern, before, after):
    matcher = Matcher([sign(pattern, kind)])
    for text in (pattern, pattern + after, before + pattern + after, before):
        assert bool(matcher.match(text, [], None)) is HOLDS[kind](pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("a.c", "aéc", True),
        ("a.c", "a\nc", False),
        ("(?s)a.c", "a\nc", True),
        ("(?i)заблокирован", "ЗАБЛОКИРОВАН", True),
        (r"\Ablocked\z", "blocked", True),
        (r"\Ablocked\z", "blocked\n", False),
        (r"(.)\1x", "bbx", True),
        (r"(.)\1x", "abx", False),
        (r"(?<=page )stopped", "page stopped", True),
        (r"(?<=page )stopped", "not stopped", False),
        (r"(?!in)block", "block", True),
        (r"\bban\b", "a ban here", True),
        (r"\bban\b", "urban", False),
        ("a.{0,40}b", "a" + "x" * 40 + "b", True),
        ("a.{0,40}b", "a" + "x" * 41 + "b", False),
        ("a[^<]{2,99}b", "axxb", True),
        ("a[^<]{2,99}b", "axb", False),
        (r"s[\s\x{200c}]?p.{0,20}$", "s\u200cp", True),
    ],
)
def test_an_expression_means_what_it_means_elsewhere(pattern, text, found):
    matcher = Matcher([sign(pattern)])
    assert matcher.skipped == []
    assert bool(matcher.match(text, [], None)) is found


@pytest.mark.parametrize(
    "pattern", ["(a", "a*", "", "[", "(?P<x>", "a{9,1}", "(?R)", "x" * 9 + "{"]
)
def test_an_expression_that_cannot_be_used_is_named_and_the_rest_still_found(pattern):
    matcher = Matcher([sign("before"), sign(pattern), sign("after")])
    assert {one.id for one in matcher.skipped} <= {f"regexp:{pattern}"}
    assert matcher.match("before and after", [], None) == ["regexp:before", "regexp:after"]


def test_a_hostile_expression_costs_no_more_than_others():
    hostile = "(?i)(?:blocked|banned).{0,2000}(?:by|on|at).{0,2000}order.{0,2000}(?:of|from) law"
    matcher = Matcher([sign(hostile)])
    assert matcher.match("Blocked by the order of law", [], None) == [f"regexp:{hostile}"]


@given(
    least=st.integers(0, 12),
    more=st.integers(0, 30),
    gap=st.text(alphabet="xy<b", max_size=40),
    atom=st.sampled_from([".", "[^<]", "(?:x|y)"]),
)
def test_widening_never_loses_a_match(least, more, gap, atom):
    pattern = f"a{atom}{{{least},{least + more}}}b"
    text = f"a{gap}b"
    if re.search(pattern, text):
        assert re.search(widened(pattern), text)
    assert bool(Matcher([sign(pattern)]).match(text, [], None)) is bool(re.search(pattern, text))


def test_each_place_is_searched_for_its_own_patterns():
    places = ["body", "title", "header.location", "header"]
    matcher = Matcher([sign("stop", "contains", place, name=place) for place in places])
    assert matcher.match("stop", [], None) == ["body"]
    assert matcher.match("", [], "stop") == ["title"]
    assert matcher.match("", [("LOCATION", "stop")], None) == ["header.location", "header"]
    assert matcher.match("", [("Via", "stop")], None) == ["header"]
    assert matcher.match("stop", [("location", "stop")], "stop") == places
    assert matcher.match("go", [("location", "go")], "go") == []


def test_text_that_is_not_unicode_does_no_harm():
    assert Matcher([sign("stop", "contains")]).match("\ud800 stop \udfff", [], "\ud800") != []


def test_a_short_text_pattern_is_not_looked_for_in_a_long_text():
    matcher = Matcher([sign("stop", "contains", within=10), sign("halt", "contains")])
    assert matcher.match("stop halt!", [], None) == ["contains:stop", "contains:halt"]
    assert matcher.match("stop halt!!", [], None) == ["contains:halt"]
