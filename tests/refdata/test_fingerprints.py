"""Our patterns find the pages they are for, and nothing in pages that only look like them."""

from __future__ import annotations

import pytest

from gatewatch.model.errors import MalformedRecord
from gatewatch.refdata.fingerprints import COLUMNS, read_own, read_public
from gatewatch.refdata.nouns import SCOPES, Fingerprint
from gatewatch.refdata.snapshot import load
from tests.refdata.benign import BENIGN, TITLES_OF_REAL_PAGES
from tests.refdata.examples import BLOCK_HOSTS, BODIES, HEADERS, LOCATIONS, TITLES

REFDATA = load()
ROWS = REFDATA.fingerprints()
PATTERNS = [one for one in ROWS if one.location != "dns"]


def shown_for(one: Fingerprint) -> tuple[str, list[tuple[str, str]], str | None]:
    """Body, headers and title of a page that the pattern was written for."""
    stem, _, last = one.id.removeprefix("gw.").rpartition(".")
    if stem in BLOCK_HOSTS:
        url = f"http://{BLOCK_HOSTS[stem]}/page?from=a"
        if last == "location":
            return "", [("Location", url)], None
        return f'<html><frame src="{url}"></html>', [], None
    if one.id in LOCATIONS:
        return "", [("Location", LOCATIONS[one.id])], None
    if one.id in HEADERS:
        return "", [HEADERS[one.id]], None
    if one.id in TITLES:
        return "", [], TITLES[one.id]
    if one.id in BODIES:
        return BODIES[one.id], [], None
    assert one.pattern_type != "regexp", f"{one.id} has no example"
    tail = "" if one.pattern_type == "full" else " and more"
    if one.location == "title":
        return "", [], one.pattern + tail
    if one.location.startswith("header."):
        return "", [(one.location.removeprefix("header.").upper(), one.pattern + tail)], None
    return f"<html><body>{one.pattern}{tail}</body></html>", [], None


@pytest.mark.parametrize("one", PATTERNS, ids=lambda one: one.id)
def test_a_pattern_finds_the_page_it_is_for(one):
    assert one.id in REFDATA.match_page(*shown_for(one))


@pytest.mark.parametrize("name", BENIGN)
def test_nothing_accuses_an_innocent_page(name):
    page = BENIGN[name]
    found = REFDATA.match_page(page.body, page.headers, page.title)
    assert [one for one in found if REFDATA.fingerprint(one).scope != page.may_be] == []


@pytest.mark.parametrize("title", TITLES_OF_REAL_PAGES)
def test_a_title_that_tells_of_blocking_is_not_a_block_page(title):
    assert REFDATA.match_page("<p>an article</p>", [], title) == []


def test_words_of_a_block_page_quoted_in_a_long_page_do_not_count():
    one = REFDATA.fingerprint("gw.es.authority")
    assert one.within is not None
    quoted = f"<p>{BODIES[one.id]}</p>"
    assert one.id in REFDATA.match_page(quoted, [], None)
    assert one.id not in REFDATA.match_page(quoted + "x" * one.within, [], None)


def test_a_link_to_a_block_page_is_not_one():
    linked = '<p>Read about <a href="http://warning.or.kr/">the page</a></p>'
    assert REFDATA.match_page(linked, [], None) == []


@pytest.mark.parametrize(
    "host", ["warning.or.kr.example", "notwarning.or.kr", "example/warning.or.kr"]
)
def test_a_redirect_to_a_host_that_only_resembles_one_does_not_count(host):
    assert REFDATA.match_page("", [("Location", f"http://{host}/")], None) == []


def test_the_table_compiles_whole_and_every_row_names_its_source():
    assert REFDATA.skipped_patterns() == []
    assert [one.id for one in ROWS if not one.source] == []
    assert {one.scope for one in ROWS} <= set(SCOPES)
    assert all(one.within for one in ROWS if one.scope == "vbw" and one.location == "body")


@pytest.mark.parametrize(
    ("answer", "id"),
    [
        ("10.10.34.34", "gw.ir.dns.34"),
        ("::ffff:10.10.34.34", "gw.ir.dns.34"),
        ("d0:0:0::0011", "gw.ir.dns.v6"),
        ("Internet-Positif.ORG.", "gw.id.dns.2"),
        ("::ffff:146.112.61.106", "gw.umbrella.dns.106"),
        ("146.112.61.106", "gw.umbrella.dns.106"),
    ],
)
def test_a_published_false_answer_is_known_however_it_is_spelt(answer, id):
    found = REFDATA.injected_answer(answer)
    assert found is not None
    assert found.id == id


@pytest.mark.parametrize("answer", ["8.8.8.8", "10.10.34.37", "", "a b", "146.112.61.1", "::1"])
def test_other_answers_are_not(answer):
    assert REFDATA.injected_answer(answer) is None


PUBLIC = b"""name,scope,other_names,location_found,pattern_type,pattern,confidence_no_fp,\
expected_countries,source,exp_url,notes
t.full,isp,,header.location,full,http://block.example/,5,AA,t,,
t.prefix,nat,,header.location,prefix,http://stop.example/,5,"AA,BB",t,https://e.example/1,
t.lines,inst,,body,contains,"<h1>Page ""stopped""</h1>\r\n<p>by us, today</p>",5,ZZ,t,,a note
t.regexp,prod,,body,regexp,<b>Stopped by .*Box [0-9]+</b>,5,,t,,
t.fp,fp,,body,contains,kitchen garden,5,,t,,
t.prov,prov,,header.location,contains,/refused?,5,AA,t,,
"""


def test_all_pattern_types_of_the_public_tables_are_read():
    rows, aside = read_public(PUBLIC, "http.csv")
    assert aside == []
    by_id = {row.id: row for row in rows}
    assert by_id["t.lines"].pattern == '<h1>Page "stopped"</h1>\r\n<p>by us, today</p>'
    assert by_id["t.lines"].countries == []
    assert by_id["t.prefix"].countries == ["AA", "BB"]
    assert by_id["t.prefix"].source == "https://e.example/1"
    assert by_id["t.prov"].scope == "server"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"t.x,isp,,body,contains,,5,AA,t,,", "pattern of 1"),
        (b"t.x,new,,body,contains,a,5,AA,t,,", "a scope"),
        (b"t.x,isp,,cookie,contains,a,5,AA,t,,", "a location"),
        (b"t.x,isp,,body,glob,a,5,AA,t,,", "a pattern type"),
        (b"t.x,isp,,body,contains,a,5,Atlantis,t,,", "countries"),
        (b"t.full,isp,,body,contains,a,5,AA,t,,", "used once"),
        ("t.x,fp,,body,regexp,\ufffd.*\ufffd,5,AA,t,,".encode(), "FFFD"),
        (b"t.x,isp,,dns,contains,10.,5,AA,t,,", "full or prefix"),
        (b"t.x,isp,,body,contains," + b"a" * 5000 + b",5,AA,t,,", "pattern of 1"),
        (b"t.x,isp", "every column"),
    ],
)
def test_an_unsound_public_row_is_set_aside_and_the_rest_kept(row, words):
    rows, aside = read_public(PUBLIC + row + b"\n", "http.csv")
    assert len(rows) == 6
    assert len(aside) == 1
    assert words in aside[0]
    assert "http.csv:9" in aside[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n", b"\xff\xfe\x00", PUBLIC + b'"never closed', PUBLIC + b"x" * 200_000 + b",\n"],
    ids=["empty", "other columns", "not UTF-8", "open quote", "giant field"],
)
def test_what_is_no_public_table_is_refused(content):
    with pytest.raises(MalformedRecord, match=r"http\.csv"):
        read_public(content, "http.csv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"within": "few"}, "number of characters"),
        ({"scope": "x"}, "a scope"),
        ({"countries": "Iran"}, "two letters"),
    ],
)
def test_an_unsound_row_of_ours_is_refused(change, words):
    fields = dict.fromkeys(COLUMNS, "") | {"id": "gw.a", "scope": "nat", "location": "body"}
    fields |= {"pattern_type": "contains", "pattern": "a"} | change
    table = "\n".join(["# date: 2026-01-31", "\t".join(COLUMNS), "\t".join(fields.values())])
    with pytest.raises(MalformedRecord, match=words):
        read_own(table.encode(), "own.tsv")
