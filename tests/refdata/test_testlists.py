"""Categories of the test lists."""

from __future__ import annotations

import pytest

from gatewatch.model.errors import MalformedRecord
from gatewatch.refdata.testlists import TestLists, read_list, read_lists, write_lists

HEADER = b"url,category_code,category_description,date_added,source,notes\n"


def lists(**tables: bytes) -> TestLists:
    rows = [
        row for name, table in tables.items() for row in read_list(HEADER + table, name, name)[0]
    ]
    return TestLists(read_lists(write_lists(rows)))


@pytest.mark.parametrize(
    ("asked", "category"),
    [
        ("https://news.example/", "NEWS"),
        ("http://news.example", "NEWS"),
        ("news.example", "NEWS"),
        ("www.news.example", "NEWS"),
        ("https://news.example/sports", "HATE"),
        ("https://news.example/sports/", "HATE"),
        ("https://news.example/other", "NEWS"),
        ("https://blog.news.example/", None),
        ("", None),
        ("http://[", None),
    ],
)
def test_a_page_has_its_own_category_or_its_hosts(asked, category):
    table = b'https://www.news.example/,NEWS,,2014-04-15,x,"a, b"\nhttp://news.example/a,NEWS\n'
    assert lists(ir=table + b"https://news.example/sports,HATE\n").category_of(asked) == category


def test_of_equally_frequent_categories_the_global_lists_counts():
    tables = {"aa": b"http://a.example/,POLR\n", "global": b"http://a.example/,NEWS\n"}
    assert lists(**tables).category_of("a.example") == "NEWS"


def test_rows_without_a_host_or_a_code_are_set_aside_and_named():
    rows, aside = read_list(
        HEADER + b"http://a.example/,NEWS\nhttp://,NEWS\nb.example,n\n", "ir", "ir.csv"
    )
    assert len(rows) == 1
    assert [one.partition(": ")[0] for one in aside] == ["ir.csv:3", "ir.csv:4"]


@pytest.mark.parametrize(
    "content", [b"a,b\n", b"", b"\xff\xfe", HEADER + b'"open', HEADER + b"a" * 200_000]
)
def test_what_is_no_list_is_refused(content):
    with pytest.raises(MalformedRecord):
        read_list(content, "ir", "ir.csv")
