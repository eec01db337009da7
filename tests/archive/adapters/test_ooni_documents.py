"""Whole measurements of three generations of probes, field by field."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import pytest

from gatewatch.archive.arrow import to_table
from gatewatch.model.errors import MalformedRecord
from gatewatch.model.records import Connect, Exchange, Handshake, Lookup, Measurement, Observed
from tests.archive.adapters.documents import (
    LEGACY,
    SECURE,
    Glass,
    Json,
    changed,
    observe,
    raw,
)


def by(vantage: str, records: list[Any]) -> list[Any]:
    return [o for o in records if o.vantage == vantage]


def of_probe(records: list[Any]) -> list[Any]:
    return by("probe", records)


# -- the envelope --------------------------------------------------------------------------------


def test_a_measurement_is_read_with_where_its_bytes_are():
    seen = observe(SECURE).measurement
    assert (seen.source_file, seen.source_line, seen.source_offset) == ("here.jsonl", 7, 4096)
    assert seen.source_length == len(raw(SECURE).data)
    assert seen.measurement_id == SECURE["measurement_uid"]
    assert (seen.input, seen.target) == ("https://site.example/", "site.example")
    assert (seen.probe_cc, seen.probe_asn, seen.resolver_asn) == ("IR", 64510, 64511)
    assert seen.software == "ooniprobe-cli 3.25.0"
    assert seen.measured_at == datetime(2024, 5, 6, 7, 8, 9)
    assert seen.received_at == datetime(2024, 5, 6, 7, 9, 10)
    assert seen.flaws == []


def test_two_records_have_one_id_when_their_bytes_are_the_same_and_only_then():
    again = changed(SECURE, "test_runtime", 3.5)
    ids = [observe(d).measurement.record_id for d in (SECURE, SECURE, again)]
    assert ids[0] == ids[1] != ids[2]


def test_without_an_archives_id_a_record_is_named_by_its_bytes():
    seen = observe(changed(SECURE, "measurement_uid", None)).measurement
    assert seen.measurement_id == f"gw-{seen.record_id}"
    assert seen.received_at is None


@pytest.mark.parametrize(
    ("field", "given", "read_as"),
    [
        ("probe_asn", "AS0", None),
        ("probe_asn", 64510, 64510),
        ("probe_asn", "ASx", None),
        ("probe_asn", "AS99999999999", None),
        ("probe_asn", 2**40, None),
        ("probe_cc", "ZZ", None),
        ("probe_cc", "ir", "IR"),
        ("probe_cc", "Iran", None),
        ("resolver_asn", "AS0", None),
        ("report_id", None, ""),
        ("probe_id", "pseudonym", "pseudonym"),
        ("probe_network_name", "", None),
    ],
)
def test_a_field_of_the_envelope_is_read_or_unknown(field: str, given: object, read_as: object):
    name = {"probe_network_name": "probe_network"}.get(field, field)
    assert getattr(observe({**SECURE, field: given}).measurement, name) == read_as


@pytest.mark.parametrize(
    ("given", "time"),
    [
        ("2024-05-06 07:08:09", datetime(2024, 5, 6, 7, 8, 9)),
        ("2024-05-06T07:08:09Z", datetime(2024, 5, 6, 7, 8, 9)),
        ("2024-05-06T10:38:09+03:30", datetime(2024, 5, 6, 7, 8, 9)),
        ("0001-01-01 00:00:00+14:00", None),
        ("9999-12-31 23:59:59-12:00", None),
        ("yesterday", datetime(2024, 5, 6, 7, 0)),
        (None, datetime(2024, 5, 6, 7, 0)),
    ],
)
def test_a_time_is_utc_and_falls_back_to_the_start_of_the_run(given: object, time: datetime | None):
    seen = observe({**SECURE, "measurement_start_time": given}).measurement
    assert seen.measured_at == (time or datetime(2024, 5, 6, 7, 0))


@pytest.mark.parametrize("uid", ["20240506", "99999999999999.1_IR", "x", "20240230000000.1_IR"])
def test_an_id_that_holds_no_time_leaves_the_time_of_receipt_unknown(uid: str):
    assert observe({**SECURE, "measurement_uid": uid}).measurement.received_at is None


def test_the_oldest_reports_hold_their_input_in_a_list():
    listed = observe({**SECURE, "input": ["https://site.example/"]}).measurement
    assert (listed.input, listed.target) == ("https://site.example/", "site.example")
    assert observe({**SECURE, "input": []}).measurement.input is None


@pytest.mark.parametrize("keys", ["text", 5, [], True, None])
def test_test_keys_of_another_type_leave_a_measurement_without_attempts(keys: object):
    seen = observe({**SECURE, "test_keys": keys})
    assert seen.measurement.target == "site.example"
    assert [seen.lookups, seen.connects, seen.handshakes, seen.exchanges] == [[]] * 4


def test_missing_test_keys_do_too():
    document = {name: value for name, value in SECURE.items() if name != "test_keys"}
    assert observe(document).exchanges == []


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b'"text"', b"{}", b'{"test_name": 5}', b'{"test_name": ""}',
     b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 100_000],
    ids=repr,
)  # fmt: skip
def test_what_is_no_measurement_is_refused_with_where_and_what(data: bytes):
    with pytest.raises(MalformedRecord, match=r"here\.jsonl, line 7, byte 4096: .* wants"):
        observe(data)


def _field_refused(data: bytes) -> str | None:
    """The field for which a record is refused; None when it is read."""
    try:
        observe(data)
    except MalformedRecord as error:
        return error.field
    return None


NESTABLE = ("test_name", "input", "test_keys", "measurement_uid")


@pytest.mark.parametrize("field", [*NESTABLE, "test_keys.control_failure", "test_keys.failure",
                                   "test_keys.queries.0.failure"])  # fmt: skip
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_no_depth_of_nesting_stops_the_reader(field: str, brackets: str):
    left, right = brackets[:-1], brackets[-1]
    document = json.dumps(changed(SECURE, field, "@"))
    for depth in range(800, 1010):
        data = document.replace('"@"', left * depth + "1" + right * depth).encode()
        assert _field_refused(data) in (None, "record", "test_name")


def test_a_test_without_an_adapter_is_kept_without_attempts():
    seen = observe({**SECURE, "test_name": "telegram"})
    assert seen.measurement.test_name == "telegram"
    assert seen.exchanges == []


# -- version 0.5 ---------------------------------------------------------------------------------


def test_each_resolver_asked_is_a_lookup_of_its_own():
    system, udp, doh = of_probe(observe(SECURE).lookups)
    assert (system.resolver, system.transport) == ("system", "system")
    assert (udp.resolver, udp.transport) == ("8.8.8.8:53", "udp")
    assert (doh.resolver, doh.transport) == ("https://dns.example/dns-query", "doh")
    assert doh.failure == "generic_timeout_error"
    assert udp.late_addresses == ["198.51.100.9"]
    assert system.elapsed_ms == 250.0


def test_an_answer_holds_addresses_only_in_one_spelling_with_the_networks_it_states():
    system = observe(SECURE).lookups[0]
    assert system.addresses == ["192.0.2.7", "2001:db8::7"]
    assert system.asns == [64999, 64500], "as stated, and ours where nothing is"


def test_connects_and_handshakes_keep_their_endpoint():
    seen = observe(SECURE)
    assert [(o.address, o.port, o.failure) for o in of_probe(seen.connects)] == [
        ("192.0.2.7", 443, None),
        ("2001:db8::7", 443, "network_unreachable"),
    ]
    (handshake,) = of_probe(seen.handshakes)
    assert (handshake.address, handshake.port, handshake.sni) == ("192.0.2.7", 443, "site.example")
    assert (handshake.transport, handshake.chain_state) == ("tcp", "valid")


def test_a_chain_is_read_at_the_time_the_archive_received_it():
    """The probe's clock may be years off; the archive's is not."""
    glass = Glass()
    observe(changed(SECURE, "measurement_start_time", "2031-01-01 00:00:00"), glass)
    assert glass.chains == [([b"\x00\x01\x02"], "site.example", datetime(2024, 5, 6, 7, 9, 10))]


def test_the_control_is_read_by_endpoint_and_port():
    seen = observe(SECURE)
    assert [(o.address, o.port, o.failure) for o in by("control", seen.connects)] == [
        ("192.0.2.7", 443, None),
        ("192.0.2.7", 80, "connection_refused"),
    ]
    (lookup,) = by("control", seen.lookups)
    assert (lookup.hostname, lookup.addresses) == ("site.example", ["192.0.2.7"])
    (page,) = by("control", seen.exchanges)
    assert (page.status, page.title, page.body_length) == (200, "A site", 21)
    assert page.headers == ["server: nginx"]


def test_a_control_that_got_no_page_says_so_by_its_failure():
    failed = {"failure": "connection_refused_error", "status_code": -1, "body_length": -1,
              "title": "", "headers": {}}  # fmt: skip
    seen = observe(changed(SECURE, "test_keys.control.http_request", failed))
    (page,) = by("control", seen.exchanges)
    assert (page.failure, page.status, page.body_length) == ("connection_refused", None, None)


def test_what_the_controls_lookup_lists_besides_addresses_is_left_out():
    cnames = ["cdn.site.example.", "192.0.2.7", "", "not an address"]
    seen = observe(changed(SECURE, "test_keys.control.dns.addrs", cnames))
    assert by("control", seen.lookups)[0].addresses == ["192.0.2.7"]


@pytest.mark.parametrize("part", [0, "text", [], True, 1.5])
@pytest.mark.parametrize("name", ["dns", "http_request"])
def test_a_part_of_the_control_that_cannot_be_read_is_no_part(name: str, part: object):
    """Read as null, as any field; an answer of nothing at all would be a word of the control's."""
    seen = observe(changed(SECURE, f"test_keys.control.{name}", part))
    assert f"test_keys.control.{name}" in " ".join(seen.measurement.flaws)
    read = seen.lookups if name == "dns" else seen.exchanges
    assert by("control", read) == []


@pytest.mark.parametrize("addresses", [5, "192.0.2.7", {}, [5], [None, True]])
def test_addresses_of_the_control_that_cannot_be_read_are_not_an_empty_answer(addresses: object):
    seen = observe(changed(SECURE, "test_keys.control.dns.addrs", addresses))
    assert not any(o.failure is None for o in by("control", seen.lookups))


def test_a_unicode_host_has_one_spelling_on_both_sides():
    unicode_, ascii_ = "яндекс.рф", "xn--d1acpjx3f.xn--p1ai"
    text = json.dumps(SECURE, ensure_ascii=False)
    document = json.loads(text.replace("site.example", ascii_))
    document["input"] = f"https://{unicode_.upper()}/"
    document["test_keys"]["queries"][0]["hostname"] = unicode_
    document["test_keys"]["control"]["tls_handshake"]["192.0.2.7:443"]["server_name"] = unicode_
    seen = observe(document)
    assert seen.measurement.target == ascii_
    assert {o.hostname for o in seen.lookups} == {ascii_}
    assert {o.sni for o in seen.handshakes} == {ascii_}


def test_attempts_that_reuse_a_transaction_id_are_attempts_all_the_same():
    document = changed(SECURE, "test_keys.tcp_connect.1.transaction_id", 50001)
    assert len(of_probe(observe(document).connects)) == 2
    assert len(of_probe(observe(document).exchanges)) == 1


def test_tags_tell_how_many_redirects_came_before():
    document = changed(SECURE, "test_keys.queries.1.tags", ["depth=3"])
    assert [o.hop for o in of_probe(observe(document).lookups)] == [0, 3, 0]


@pytest.mark.parametrize("tags", [None, [], "depth=1", [5], ["depth=x"], ["depth=99999"]])
def test_without_a_readable_tag_the_hop_is_that_of_the_name(tags: object):
    document = changed(SECURE, "test_keys.queries.1.tags", tags)
    assert [o.hop for o in of_probe(observe(document).lookups)] == [0, 0, 0]


# -- before 0.5 ----------------------------------------------------------------------------------


def test_requests_are_written_newest_first_and_read_oldest_first():
    pages = of_probe(observe(LEGACY).exchanges)
    assert [(o.hop, o.url, o.status) for o in pages] == [
        (0, "http://site.example/", 301),
        (1, "http://www.site.example/", 200),
    ]
    assert pages[0].location == "http://www.site.example/"


def test_a_failure_of_false_is_success():
    (connect,) = of_probe(observe(LEGACY).connects)
    assert connect.failure is None


def test_a_connect_that_names_no_failure_and_did_not_succeed_failed():
    document = changed(LEGACY, "test_keys.tcp_connect.0.status.success", False)
    (connect,) = of_probe(observe(document).connects)
    assert connect.failure == "connect_error"


def test_headers_are_read_from_the_map_where_there_is_no_list():
    assert of_probe(observe(LEGACY).exchanges)[1].headers == ["server: nginx"]


def test_a_list_of_test_helpers_is_no_matter():
    assert observe(LEGACY).measurement.flaws == []


def test_a_resolver_without_an_address_is_the_systems():
    (lookup,) = of_probe(observe(LEGACY).lookups)
    assert (lookup.resolver, lookup.transport, lookup.query_type) == ("system", "system", "A")


@pytest.mark.parametrize(
    ("stated", "field"),
    [("dns_experiment_failure", "lookups"), ("http_experiment_failure", "exchanges")],
)
def test_a_failure_that_is_only_stated_is_an_attempt(stated: str, field: str):
    keys: Json = {"queries": [], "requests": [], stated: "dns_lookup_error"}
    (attempt,) = getattr(observe({**LEGACY, "test_keys": keys}), field)
    assert (attempt.vantage, attempt.failure) == ("probe", "dns_lookup_error")


# -- bodies and headers in binary ----------------------------------------------------------------


def _binary(data: bytes) -> Json:
    return {"format": "base64", "data": base64.b64encode(data).decode()}


def test_a_body_in_base64_is_read_as_the_bytes_it_stands_for():
    glass = Glass()
    document = changed(SECURE, "test_keys.requests.0.response.body", _binary(b"\xff[nat.ir]\x00"))
    (page,) = of_probe(observe(document, glass).exchanges)
    assert glass.pages[0][0] == b"\xff[nat.ir]\x00"
    assert (page.fingerprints, page.body_length) == (["nat.ir"], 10)


def test_header_values_in_base64_are_read_with_what_cannot_be_decoded_replaced():
    pairs = [["Location", _binary(b"http://stop.example/\xff")], ["Server", "nginx"]]
    document = changed(SECURE, "test_keys.requests.0.response.headers_list", pairs)
    (page,) = of_probe(observe(document).exchanges)
    assert page.location == "http://stop.example/\ufffd"
    assert page.headers == ["location: http://stop.example/\ufffd", "server: nginx"]


@pytest.mark.parametrize("pairs", [[["a"]], [["a", 5]], ["a: b"], [[1, 2]], [[]], [None], "a: b"])
def test_a_header_pair_that_is_none_leaves_the_map_to_be_read(pairs: object):
    document = changed(SECURE, "test_keys.requests.0.response.headers_list", pairs)
    assert of_probe(observe(document).exchanges)[0].headers == ["server: nginx", "date: today"]


def test_a_truncated_body_is_not_a_complete_one():
    document = changed(SECURE, "test_keys.requests.0.response.body_is_truncated", True)
    assert not of_probe(observe(document).exchanges)[0].body_complete
    assert of_probe(observe(SECURE).exchanges)[0].body_complete


# -- numbers -------------------------------------------------------------------------------------


def _as_tables(seen: Observed) -> list[int]:
    every = (
        (Measurement, [seen.measurement]),
        (Lookup, seen.lookups),
        (Connect, seen.connects),
        (Handshake, seen.handshakes),
        (Exchange, seen.exchanges),
    )
    return [to_table(noun, rows).num_rows for noun, rows in every]


@pytest.mark.parametrize("number", [-1, 65536, 2**31, 2**40, 2**63, 10**30, 1e300, -(2**62)])
@pytest.mark.parametrize(
    "path",
    [
        "requests.0.response.code",
        "requests.0.transaction_id",
        "requests.0.t",
        "tcp_connect.0.port",
        "tcp_connect.0.transaction_id",
        "queries.0.answers.1.asn",
        "control.http_request.status_code",
        "control.http_request.body_length",
    ],
)
def test_every_number_that_is_read_fits_its_column(path: str, number: float):
    assert sum(_as_tables(observe(changed(SECURE, f"test_keys.{path}", number)))) > 5


@pytest.mark.parametrize("code", [-1, 1, 99, 1000, 2**40])
def test_a_status_that_no_server_can_send_is_no_answer(code: int):
    document = changed(SECURE, "test_keys.requests.0.response.code", code)
    assert of_probe(observe(document).exchanges)[0].status is None


@pytest.mark.parametrize("port", [-1, 0, 65536, 2**40])
def test_a_port_that_does_not_exist_was_not_connected_to(port: int):
    document = changed(SECURE, "test_keys.tcp_connect.0.port", port)
    assert {o.port for o in of_probe(observe(document).connects)} == {443}
