"""What is kept of a page, and that no page is too odd to be kept."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from gatewatch.archive.adapters.lens import Page
from gatewatch.observe.pages import features_of
from gatewatch.wire.html import TITLE_LENGTH

Pairs = list[tuple[str, str]]


def shows(*ids: str):
    """A matcher that finds each id where its name stands in body, headers or title."""

    def match(text: str, headers: Pairs, title: str | None) -> list[str]:
        everything = " ".join([text, title or "", *(f"{n}: {v}" for n, v in headers)])
        return [name for name in ids if name in everything]

    return match


NOTHING = shows()


def test_a_body_is_kept_as_length_and_hash_of_its_bytes():
    found = features_of("é", [], NOTHING)
    assert (found.length, found.sha256) == (2, sha256(b"\xc3\xa9").hexdigest())
    assert features_of(b"\xc3\xa9", [], NOTHING) == found


def test_an_empty_body_is_a_body():
    assert features_of("", [], NOTHING).length == 0
    assert features_of(None, [], NOTHING) == Page(None, None, None, [])


def test_fingerprints_are_sought_in_body_title_and_headers():
    match = shows("body", "title", "header")
    found = features_of("<title>title</title> body", [("x", "header")], match)
    assert found.fingerprints == ["body", "title", "header"]


def test_fingerprints_in_headers_are_found_without_a_body():
    assert features_of(None, [("location", "there")], shows("there")).fingerprints == ["there"]
    assert features_of("", [("location", "there")], shows("there")).fingerprints == ["there"]


def test_bytes_that_are_no_text_are_searched_as_what_can_be_read():
    assert features_of(b"\xff\xfe stop \x00", [], shows("stop")).fingerprints == ["stop"]


@given(st.text(st.characters(exclude_categories=())) | st.binary())
def test_every_body_has_its_features(body: str | bytes):
    found = features_of(body, [], NOTHING)
    assert found.length is not None
    assert found.sha256 is not None
    assert found.title is None or len(found.title) <= TITLE_LENGTH
