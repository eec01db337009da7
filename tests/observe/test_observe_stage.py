"""Records in, observations out; what cannot be read is set aside beside them, and all add up."""

from __future__ import annotations

from gatewatch.archive.frames import RawRecord
from gatewatch.model.records import Observed, SetAside
from gatewatch.observe.certificates import ChainReader
from gatewatch.observe.lens import RefDataLens
from gatewatch.observe.stage import observe
from tests.archive.adapters.documents import SECURE, Glass, raw
from tests.judge.build import WORLD
from tests.observe.authority import NOW, chain, root

BROKEN = RawRecord("here.jsonl", "inner.jsonl", 3, 99, b'{"test_name": "web_conn')
EARLIER = SetAside(
    source_file="here.jsonl",
    source_member=None,
    source_line=1,
    source_offset=0,
    source_length=0,
    field="gzip",
    got="truncated",
    want="a whole stream",
)


def test_as_many_come_out_as_went_in_and_in_their_order():
    given = [raw(SECURE), EARLIER, BROKEN, raw(SECURE)]
    found = list(observe(given, Glass()))
    assert [type(one) for one in found] == [tuple, SetAside, SetAside, tuple]


def test_a_record_that_is_read_comes_with_its_bytes():
    record = raw(SECURE)
    ((same, seen),) = [one for one in observe([record], Glass()) if not isinstance(one, SetAside)]
    assert same is record
    assert isinstance(seen, Observed)


def test_what_was_set_aside_before_is_handed_on():
    assert list(observe([EARLIER], Glass())) == [EARLIER]


def test_what_cannot_be_read_says_where_it_is_and_what_was_wanted():
    (aside,) = observe([BROKEN], Glass())
    assert isinstance(aside, SetAside)
    assert (aside.source_member, aside.source_line, aside.source_offset) == ("inner.jsonl", 3, 99)
    assert aside.source_length == len(BROKEN.data)
    assert (aside.field, aside.want != "") == ("record", True)


def test_nothing_is_read_before_it_is_asked_for():
    def endless():
        while True:
            yield raw(SECURE)

    assert next(iter(observe(endless(), Glass())))


def test_the_lens_reads_certificates_pages_and_addresses():
    lens = RefDataLens(WORLD, ChainReader(root().pem))
    assert lens.chain(chain("site.example"), "site.example", NOW).state == "valid"
    assert lens.page("[nat.ir]", []).fingerprints == ["nat.ir"]
    assert lens.asns_of(["192.0.2.7"], None) == [64500]
    assert lens.asns_of([], None) == []
    target = lens.target_of("https://site.example/")
    assert target is not None
    assert target.host == "site.example"
