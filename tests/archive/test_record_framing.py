"""Where records begin and end, whole and in chunks of any size."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewatch.archive.frames import Framer, RawRecord, split_record
from gatewatch.archive.lines import SEGMENT_BYTES
from gatewatch.archive.pull import Book, Limits, Pull
from gatewatch.archive.reader import read_records
from gatewatch.model.records import SetAside

GOOD = b'{"a":1}'
param = pytest.param


def read(
    text: bytes, step: int | None = None, limits: Limits | None = None
) -> list[RawRecord | SetAside]:
    step = step or max(1, len(text))
    chunks = iter([text[at : at + step] for at in range(0, len(text), step)])
    book = Book(limits or Limits())
    return list(Framer(Pull(chunks), book, file="f", member=None).records())


def whole(found: list[RawRecord | SetAside]) -> list[RawRecord]:
    return [item for item in found if isinstance(item, RawRecord)]


def records(text: bytes) -> list[bytes]:
    return [record.data for record in whole(read(text))]


def fields(text: bytes) -> list[str]:
    return [item.field for item in read(text) if isinstance(item, SetAside)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        param(b"", [], id="an empty file"),
        param(b"\n \r\n\t\n", [], id="blank lines"),
        param(b"[]", [], id="an empty array"),
        param(b"[\n]\n", [], id="an empty array over two lines"),
        param(b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}'], id="lines"),
        param(b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}'], id="no end of the last line"),
        param(b'{"a":1}\r\n\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}'], id="CRLF and a blank line"),
        param(b'\xef\xbb\xbf{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}'], id="byte order mark"),
        param(b'{"a":1}\n\xef\xbb\xbf{"b":2}\n', [b'{"a":1}', b'{"b":2}'], id="a mark within"),
        param(b'  {"a":1}\n\t{"b":2} \n', [b'{"a":1}', b'{"b":2}'], id="indented lines"),
        param(b'{"a":1}{"b":2}', [b'{"a":1}', b'{"b":2}'], id="no line end between"),
        param(b'{"a":1}\n{"b":"}{"}{"c":3}', [GOOD, b'{"b":"}{"}', b'{"c":3}'], id="at the end"),
        param(b'{\n "a": {\n  "b": 1\n }\n}\n', [b'{\n "a": {\n  "b": 1\n }\n}'], id="pretty"),
        param(b'{\n "a": 1\n}{\n "b": 2\n}', [b'{\n "a": 1\n}', b'{\n "b": 2\n}'], id="}{"),
        param(b'{\n "a": 1\n}\n\n{\n "b": 2\n}\n', [b'{\n "a": 1\n}', b'{\n "b": 2\n}'], id="two"),
        param(b'{"a": {\n"b": 1}}\n{"c":3}\n', [b'{"a": {\n"b": 1}}', b'{"c":3}'], id="odd style"),
        param(b'{\r\n "a": 1\r\n}\r\n', [b'{\r\n "a": 1\r\n}'], id="a document with CRLF"),
        param(b'{\n "a": "}\\"{"\n}\n{"b":2}', [b'{\n "a": "}\\"{"\n}', b'{"b":2}'], id="strings"),
        param(b'[{"a":1},{"b":2}]', [b'{"a":1}', b'{"b":2}'], id="array on one line"),
        param(b'[\n{"a":1},\n{"b":2}\n]\n', [b'{"a":1}', b'{"b":2}'], id="array over lines"),
        param(b'[{"a":1}]\n[{"b":2}]', [b'{"a":1}', b'{"b":2}'], id="two arrays"),
        param(b'[{"a":1}]\n{"b":2}\n', [b'{"a":1}', b'{"b":2}'], id="an array, then a line"),
        param(b'[{\n "a": 1\n}, {\n "b": 2\n}]', [b'{\n "a": 1\n}', b'{\n "b": 2\n}'], id="}, {"),
        param(b'{"a":1},\n{"b":2},\n', [b'{"a":1}', b'{"b":2}'], id="lines ending in commas"),
    ],
)
def test_every_way_to_write_records_down_is_read(text, wanted):
    assert records(text) == wanted
    assert fields(text) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        param(b'{"a": 1,\n{"a":1}\n{"b":2}\n', [b'{"a": 1,', GOOD, b'{"b":2}'], id="at a comma"),
        param(b'{"a": [\n{"a":1}\n{"b":2}\n', [b'{"a": [', GOOD, b'{"b":2}'], id="where { may be"),
        param(b'{"a":\n{"a":1}\n', [b'{"a":', GOOD], id="where a value must be"),
        param(b'{"a": "x\n{"a":1}\n', [b'{"a": "x', GOOD], id="in a string"),
        param(b'{"a": "x\\\n{"a":1}\n', [b'{"a": "x\\', GOOD], id="after a backslash"),
        param(b'{"a":1}\n{"a": {}\n{"b":2}\n', [GOOD, b'{"a": {}', b'{"b":2}'], id="after }"),
        param(b'{"a": {}\n{"a":1}\n', [b'{"a": {}', GOOD], id="after }, in the first line"),
        param(b'{"a"]}\n{"a":1}\n', [b'{"a"]}', GOOD], id="a wrong bracket"),
        param(b'{"a":1}\nnull\n{"b":2}\n', [GOOD, b"null", b'{"b":2}'], id="not an object"),
        param(b'{\n "a": 1,\n{"a":1}\n', [b'{\n "a": 1,', GOOD], id="a cut document"),
        param(b'{\n "a": "x\n "b": 1\n}\n{"a":1}', [b'{\n "a": "x\n "b": 1\n}', GOOD], id="broken"),
        param(b'[\n{"a":\n{"a":1},\n{"b":2}\n]', [b'{"a":', GOOD, b'{"b":2}'], id="in an array"),
        param(
            b'[\n {\n  "a": [\n {\n  "b": 2\n }\n]', [b'{\n  "a": [', b'{\n  "b": 2\n }'], id="cut"
        ),
    ],
)
def test_a_broken_record_costs_itself_and_no_neighbour(text, wanted):
    assert records(text) == wanted
    assert fields(text) == []


@pytest.mark.parametrize(
    ("text", "field", "word"),
    [
        param(b"#####\n# OONI Probe Report\n---\na: 1\n", "file", "YAML", id="an old report"),
        param(b"---\na: {}\n{x: 1}\n", "file", "YAML", id="YAML without a header"),
        param(bytes(range(256)) * 40, "file", "binary", id="binary data"),
        param('{"a":1}'.encode("utf-16"), "file", "UTF-16", id="UTF-16"),
        param(b"<html>\n<p>\n" * 1000, "record", "<html>", id="a web page"),
        param(b"\0" * 100_000, "file", "binary", id="zeros"),
        param(b'[{"a":1},', "array", "end of the file", id="an array without an end"),
    ],
)
def test_what_is_not_ours_is_set_aside_once(text, field, word):
    [aside] = [item for item in read(text) if isinstance(item, SetAside)]
    assert aside.field == field
    assert word in aside.got
    assert aside.want


def test_junk_between_records_is_given_line_by_line_and_then_summed_up():
    found = read(GOOD + b"\n" + b"junk\n" * 1000 + GOOD + b"\n")
    asides = [item for item in found if isinstance(item, SetAside)]
    assert len(found) == 1 + 8 + 1 + 1
    assert [(a.source_line, a.source_offset) for a in asides] == [(10, 8 + 8 * 5)]
    assert asides[0].source_length == 992 * 5 - 1
    assert whole(found)[-1].data == GOOD


def test_zeros_at_the_end_of_a_file_do_not_cost_its_records():
    found = read(GOOD + b"\n" + b"\0" * 5000)
    assert [item.data for item in found if isinstance(item, RawRecord)] == [GOOD]
    assert [item.source_length for item in found if isinstance(item, SetAside)] == [5000]


def test_a_file_that_starts_in_the_middle_of_a_record_loses_only_that():
    found = read(b'ail of it"}\n' + GOOD + b"\n")
    assert [type(item) for item in found] == [SetAside, RawRecord]


LIMITED = Limits(record_bytes=100)
LONG = b'{"a":"' + b"x" * 500 + b'"}'


@pytest.mark.parametrize(
    "text",
    [
        param(GOOD + b"\n" + LONG + b"\n" + GOOD + b"\n", id="a line"),
        param(b"[" + GOOD + b"," + LONG + b"," + GOOD + b"]", id="in an array on one line"),
        param(b"[\n" + GOOD + b",\n" + LONG + b",\n" + GOOD + b"\n]", id="in an array"),
        param(GOOD + b'\n{\n "a": [\n' + b"  1,\n" * 50 + b"  2]\n}\n" + GOOD, id="a document"),
    ],
)
@pytest.mark.parametrize("step", [None, 1, 7, 64])
def test_a_record_above_the_limit_is_set_aside_alone(text, step):
    found = read(text, step, LIMITED)
    assert [type(item) for item in found] == [RawRecord, SetAside, RawRecord]
    _, aside, last = found
    assert isinstance(aside, SetAside)
    assert isinstance(last, RawRecord)
    assert aside.source_offset >= len(GOOD)
    assert 0 <= last.offset - (aside.source_offset + aside.source_length) <= 2
    assert "100 bytes" in aside.want


def test_a_line_above_the_limit_inside_a_document_ends_with_the_document():
    text = b'{\n "a": "' + b"x" * 500 + b'",\n "b": 1\n}\n' + GOOD + b"\n"
    assert [type(item) for item in read(text, None, LIMITED)] == [SetAside, RawRecord]


def test_places_are_lines_and_bytes_of_the_stream():
    text = b'\xef\xbb\xbf{"a":1}\r\n\r\n {\n"b": 2\n}\n[\n'
    found = [item for item in read(text) if isinstance(item, RawRecord)]
    assert [(r.line, r.offset) for r in found[:2]] == [(1, 3), (3, 15)]
    assert all(text[r.offset : r.offset + len(r.data)] == r.data for r in found)
    array = b'\n[\n  {"a":1},\n  {\n"b": 2\n  }, {"c":3}]\n{"d":4}\n'
    found = whole(read(array))
    assert [(r.line, r.offset) for r in found] == [(3, 5), (4, 16), (6, 30), (7, 39)]


def test_several_values_in_a_line_can_be_had_apart():
    record = RawRecord("f", None, 3, 100, b'{"a":1}{"b":"}{"} tail')
    assert [(r.offset, r.data) for r in split_record(record)] == [
        (100, b'{"a":1}'),
        (107, b'{"b":"}{"}'),
        (118, b"tail"),
    ]
    whole = record._replace(data=GOOD)
    assert split_record(whole) == [whole]
    broken = record._replace(data=b'{"a":')
    assert split_record(broken) == [broken]


json_objects = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
styles = st.sampled_from(["lines", "pretty", "array", "pretty array"])


def written(objects: list, style: str, ascii_only: bool) -> bytes:
    def dump(value) -> bytes:
        indent = 2 if "pretty" in style else None
        return json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()

    if "array" in style:
        return dump(objects)
    return b"".join(dump(value) + b"\n" for value in objects)


@given(st.lists(json_objects, max_size=5), styles, st.booleans(), st.integers(1, 64))
@settings(max_examples=150, deadline=None)
def test_records_come_out_as_they_went_in_however_the_bytes_arrive(objects, style, ascii, step):
    text = written(objects, style, ascii)
    found = read(text, step)
    assert [json.loads(record.data) for record in whole(found)] == objects
    assert all(text[r.offset : r.offset + len(r.data)] == r.data for r in whole(found))
    assert found == read(text)
    assert len(whole(found)) == len(found)


broken_lines = st.sampled_from(
    [
        b'{"a": 1,',
        b'{"a": [',
        b'{"a": "x',
        b'{"a":',
        b"{",
        b'{"a": {"b": 1',
        b"garbage",
        b"]",
        b"\\",
    ]
)


@given(st.lists(st.one_of(json_objects, broken_lines), max_size=8), st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_good_lines_survive_any_broken_ones_among_them(lines, step):
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    good = [line for line, given in zip(raw, lines, strict=True) if not isinstance(given, bytes)]
    text = b"".join(line + b"\n" for line in raw)
    given_back = [item.data for item in read(text, step) if isinstance(item, RawRecord)]
    assert [line for line in given_back if line in good] == good


@given(st.binary(max_size=400), st.integers(1, 50))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_to_their_end_without_an_error(data, step):
    found = read(data, step)
    places = [
        (item.offset, len(item.data))
        if isinstance(item, RawRecord)
        else (item.source_offset, item.source_length)
        for item in found
    ]
    assert all(at >= 0 and at + size <= len(data) for at, size in places)
    ends = [at + size for at, size in places]
    assert all(end <= at for end, (at, _) in zip(ends, places[1:], strict=False))


def test_long_lines_in_an_array_are_read_in_pieces():
    text = b"[" + b",".join([b'{"a":"' + b"x" * (3 * SEGMENT_BYTES) + b'"}'] * 3) + b"]"
    assert [len(record.data) for record in whole(read(text, 1000))] == [3 * SEGMENT_BYTES + 8] * 3


def test_hostile_nesting_is_read_in_linear_time():
    # Each of these lines could be the start of a document that takes in all that follow.
    assert len(read(b'{"a":[\n' * 20_000)) == 20_000
    assert len(read(b"[" + b'{"a":[' * 50_000)) == 2


def test_a_stream_is_read_and_left_open():
    stream = io.BytesIO(GOOD)
    [record] = read_records(stream, file="-")
    assert record == RawRecord("-", None, 1, 0, GOOD)
    assert not stream.closed
