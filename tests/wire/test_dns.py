"""DNS messages in bytes, written and read against dnspython."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, ip_addresses, lists, sampled_from

from gatewatch.wire.dns import NotDns, Question, answer, framed, messages, question


def query(name: str, kind: str = "A", **more: Any) -> bytes:
    return dns.message.make_query(name, kind, id=4711, **more).to_wire()


@pytest.mark.parametrize(
    ("payload", "name", "kind"),
    [
        pytest.param(query("example.org"), "example.org", "A"),
        pytest.param(query("WWW.Example.ORG.", "AAAA"), "www.example.org", "AAAA"),
        pytest.param(
            query("example.org", "HTTPS", use_edns=True), "example.org", "HTTPS", id="EDNS"
        ),
        pytest.param(query("example.org", "TYPE999"), "example.org", "TYPE999"),
        pytest.param(query(".", "NS"), "", "NS", id="the root"),
        pytest.param(query("xn--bcher-kva.example"), "xn--bcher-kva.example", "A"),
        pytest.param(
            query(".".join(["a" * 63] * 3 + ["b" * 61])),
            "a" * 63 + ("." + "a" * 63) * 2 + "." + "b" * 61,
            "A",
            id="as long as a name may be",
        ),
        pytest.param(
            query("a\\.b.example"), "a\\.b.example", "A", id="a dot in a label is no border"
        ),
        pytest.param(query("example.org") + b"trailing", "example.org", "A"),
    ],
)
def test_the_question_of_a_query_is_read(payload, name, kind):
    asked = question(payload)
    assert asked is not None
    assert (asked.id, asked.name, asked.type) == (4711, name, kind)


PLAIN = query("example.org")
HEADER = PLAIN[:12]


@pytest.mark.parametrize(
    "payload",
    [
        *(pytest.param(PLAIN[:size], id=f"the first {size} bytes") for size in range(len(PLAIN))),
        pytest.param(
            dns.message.make_response(dns.message.from_wire(PLAIN)).to_wire(), id="a response"
        ),
        pytest.param(HEADER[:5] + b"\0" + PLAIN[6:], id="no question"),
        pytest.param(HEADER + b"\xc0\x0c\0\1\0\1" + bytes(9), id="a name that points at itself"),
        pytest.param(HEADER + b"\x40" + b"a" * 64 + b"\0\0\1\0\1", id="a label of 64"),
        pytest.param(HEADER + b"\1a" * 126 + b"\2aa\0\0\1\0\1", id="a name of 256"),
        pytest.param(HEADER + b"\x3f" + b"a" * 40, id="a label that ends outside"),
    ],
)
def test_what_asks_nothing_has_no_question_and_no_answer(payload):
    assert question(payload) is None
    with pytest.raises(NotDns):
        answer(payload, ["192.0.2.1"])


@given(junk=binary(max_size=300), header=integers(0, 12))
def test_nothing_a_client_sends_makes_reading_fail(junk, header):
    asked = question(HEADER[:header] + junk)
    assert asked is None or isinstance(asked, Question)


@given(
    addresses=lists(ip_addresses(), max_size=5),
    cname=sampled_from([None, "alias.example.net", "a.example."]),
    rcode=sampled_from(["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"]),
    ttl_s=integers(0, 2**31 - 1),
    kind=sampled_from(["A", "AAAA", "HTTPS"]),
)
def test_a_forged_answer_is_one_to_dnspython(addresses, cname, rcode, ttl_s, kind):
    asked = dns.message.make_query("eXaMpLe.org", kind)
    forged = answer(asked.to_wire(), [*map(str, addresses)], cname=cname, rcode=rcode, ttl_s=ttl_s)
    read = dns.message.from_wire(forged)
    assert asked.is_response(read)
    assert read.question[0].name.to_text() == "eXaMpLe.org."
    assert read.rcode() == dns.rcode.from_text(rcode)
    assert read.flags & (dns.flags.RA | dns.flags.RD) == dns.flags.RA | dns.flags.RD
    records = [(sets.name, sets.ttl, record) for sets in read.answer for record in sets]
    owner = asked.question[0].name
    if cname:
        target = dns.name.from_text(cname)
        alias = next(record for record in records if record[2].rdtype == dns.rdatatype.CNAME)
        assert (alias[:2], alias[2].target) == ((owner, ttl_s), target)
        records.remove(alias)
        owner = target
    assert {ip_address(record.address) for *_, record in records} == set(addresses)
    assert {(name, ttl) for name, ttl, _ in records} <= {(owner, ttl_s)}


def test_an_answer_carries_another_id_where_a_careless_injector_sends_one():
    assert dns.message.from_wire(answer(PLAIN, ["192.0.2.1"], id=7)).id == 7


@pytest.mark.parametrize("name", ["", "a..b", "a" * 64, ".".join(["abc"] * 64), "\u4f8b.example"])
def test_an_alias_that_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match=r"domain name|latin-1"):
        answer(PLAIN, cname=name)


@given(sent=lists(binary(max_size=50), max_size=4), rest=binary(max_size=1))
def test_messages_of_a_stream_come_out_one_by_one_as_their_last_bytes_arrive(sent, rest):
    stream = b"".join(map(framed, sent)) + rest
    seen = [len(messages(stream[:size])) for size in range(len(stream) + 1)]
    assert seen == sorted(seen)
    assert messages(stream) == sent
