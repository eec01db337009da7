"""What is kept of a page: alike for what looks alike, and nothing of who asked for it."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis.strategies import binary, dictionaries, integers, text

from gatewatch.probe.features import page_features, simhash, simhash_distance
from gatewatch.probe.ooni import BODY_LIMIT, scrub_bytes

NEAR, FAR = 12, 16
"Bits: of pages that are nearly the same, and of pages that have nothing in common."


def article(seed: int, words: int = 400) -> bytes:
    chosen = random.Random(seed).choices(range(5000), k=words)
    return b"<p>" + b" ".join(b"w%d" % word for word in chosen)


@given(seed=integers(0, 10**6), at=integers(0, 399))
def test_a_changed_word_hardly_moves_the_hash(seed, at):
    words = article(seed).split(b" ")
    changed = [*words[:at], b"changed", *words[at + 1 :]]
    before, after = simhash(b" ".join(words)), simhash(b" ".join(changed))
    assert simhash_distance(before or "", after or "") <= NEAR


@given(one=integers(0, 10**6), other=integers(0, 10**6))
def test_unrelated_pages_are_far_apart(one, other):
    distance = simhash_distance(simhash(article(one)) or "", simhash(article(-1 - other)) or "")
    assert distance >= FAR


def test_a_block_page_is_far_from_a_site():
    page = b"<html><title>Access denied</title>This page is blocked by order of the regulator"
    assert simhash_distance(simhash(page) or "", simhash(article(3)) or "") >= FAR


@pytest.mark.parametrize(
    "address", ["192.0.2.77", "198.51.100.4:3128", "2001:db8::77", "[2001:db8::77]:80"]
)
def test_a_page_that_prints_its_visitor_is_the_same_for_all(address):
    page = b"<title>%s</title><script src=/x?ip=%s></script> hello %s and others"
    here, there = (page_features(page.replace(b"%s", a.encode()), [])
                   for a in (address, "203.0.113.200"))  # fmt: skip
    assert address not in str(here)
    for same in ("body_sha256", "body_simhash", "title", "scripts"):
        assert here[same] == there[same]


PAGE = """<!doctype html><HTML class=x LANG='fa-IR'><head>
<title>
 \u0633\u0644\u0627\u0645 &amp; hello </title><script src="/a.js?x=1&amp;y=2"></script>
<script>var a = "<form>";</script><script src='b.js'>ignored</script><SCRIPT> </SCRIPT>
</head><body><form><iframe src="http://ads.example/"></iframe><form></body>"""


def test_a_page_is_read_as_a_reader_sees_it():
    found = page_features(PAGE.encode(), [("content-type", "text/html; charset=utf-8")])
    assert found["title"] == "\u0633\u0644\u0627\u0645 & hello"
    assert found["language"] == "fa-ir"
    assert found["scripts"] == ["/a.js?x=1&y=2", "b.js"]
    assert found["inline_scripts"] == [sha256(b'var a = "<form>";').hexdigest()]
    assert (found["forms"], found["iframes"]) == (2, 1), "what stands in a script is no form"


@pytest.mark.parametrize(
    ("body", "headers", "title"),
    [
        (b"<title>\xef\xf0</title>", [("Content-Type", "text/html; charset=windows-1251")], "пр"),
        (b'<meta charset="koi8-r"><title>\xd0</title>', [], "п"),
        (b"<title>a</title>", [("Content-Type", "text/html; charset=zlib")], "a"),
        (b"<title>a</title>", [("Content-Type", "text/html; charset=nonsense")], "a"),
        (b"<title></title>", [], None),
        (b"<title>never closed", [], "never closed"),
    ],
)
def test_a_title_is_read_in_the_pages_own_encoding(body, headers, title):
    assert page_features(body, headers)["title"] == title


def test_only_what_both_sides_keep_is_hashed():
    long = article(5, 200_000)
    assert len(long) > BODY_LIMIT
    here, there = page_features(long[:BODY_LIMIT], []), page_features(long, [])
    assert here["body_sha256"] == there["body_sha256"]
    assert (here["body_length"], there["body_length"]) == (BODY_LIMIT, len(long))
    assert here["hashed_length"] == there["hashed_length"] == BODY_LIMIT


@given(body=binary(max_size=300), headers=dictionaries(text(), text(), max_size=3))
def test_every_body_has_features(body, headers):
    found = page_features(body, headers.items())
    assert found["body_length"] == len(body)
    assert (found["body_simhash"] is None) == (simhash(scrub_bytes(body)) is None)


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (b"ad:192.0.2.7", b"ad:[scrubbed]"),
        (b"http://[2001:db8::7]:80/", b"http://[scrubbed]/"),
        (b"2001:db8:0:0:0:0:0:7,", b"[scrubbed],"),
        (b"::ffff:192.0.2.7", b"[scrubbed]"),
        (b"at 12:34:56, a::before, x:y:z, ::, 1:2", b"at 12:34:56, a::before, x:y:z, ::, 1:2"),
        (b"\xff\xfe192.0.2.7\x00", b"\xff\xfe[scrubbed]\x00"),
        (b"version 1.2.3", b"version 1.2.3"),
    ],
)
def test_addresses_are_found_in_whatever_surrounds_them(given, left):
    assert scrub_bytes(given) == left
