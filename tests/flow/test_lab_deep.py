"""What the probe's experiments say, held against what is true of the censor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatewatch.flow.lab import Comparison, compare
from gatewatch.flow.lab_deep import Found, depths, findings_in, particulars
from gatewatch.lab.particulars import Particulars
from tests.flow.test_lab_table import truth, verdict

RST = "tls.reset.sni"
TRUE = Particulars(
    triggers=("name",),
    placements=("on_path",),
    hop_ttls=(2,),
    hop_addresses=("193.206.130.9",),
    residuals=((60.0, "3-tuple"),),
)


def compared(*said: str) -> Comparison:
    return compare(truth("blocked", RST), verdict("blocked", *said))


def good(found: list[Found], *said: str, true: Particulars = TRUE) -> dict[str, bool]:
    rows = particulars([compared(*said)], {"m": true}, {"m": found})
    return {row.thing: row.good for row in rows}


def finding(**about: Any) -> Found:
    return Found(experiment="some", answer="yes", layer="tls", **about)


@pytest.mark.parametrize(
    ("said", "exact"), [((RST,), True), (("tls.reset",), False), (("dns", RST), True), ((), False)]
)
def test_a_mechanism_counts_at_its_own_depth_only(said, exact):
    assert good([], *said)["mechanism"] is exact


@pytest.mark.parametrize(
    ("about", "thing", "right"),
    [
        ({"trigger": "name"}, "trigger", True),
        ({"trigger": "address"}, "trigger", False),
        ({"placement": "on_path"}, "placement", True),
        ({"placement": "in_path"}, "placement", False),
        ({"placement": "unknown"}, "placement", False),
        ({"hop_ttl": 2}, "hop", True),
        ({"hop_ttl": 3}, "hop", True),
        ({"hop_ttl": 4}, "hop", False),
        ({"hop_address": "193.206.130.9"}, "hop", True),
        ({"hop_address": "192.0.2.1"}, "hop", False),
        ({"residual_s": 49.0}, "residual", True),
        ({"residual_s": 72.0}, "residual", True),
        ({"residual_s": 47.0}, "residual", False),
        ({"residual_s": 73.0}, "residual", False),
        ({}, "trigger", False),
        ({}, "placement", False),
        ({}, "hop", False),
        ({}, "residual", False),
    ],
)
def test_each_thing_is_held_against_its_own_truth(about, thing, right):
    assert good([finding(**about)], RST)[thing] is right


def test_what_is_not_there_to_find_is_no_row():
    assert set(good([], RST, true=Particulars())) == {"mechanism"}


@pytest.mark.parametrize(
    ("said", "row"), [((), {}), ((RST,), {"mechanism": True}), (("dns",), {"mechanism": False})]
)
def test_how_a_site_is_shut_where_all_is_need_not_be_told_and_must_not_be_wrong(said, row):
    assert good([], *said, true=Particulars(everything=True)) == row


def test_one_wrong_placement_beside_a_right_one_is_wrong():
    found = [finding(placement="on_path"), finding(placement="in_path")]
    assert good(found, RST)["placement"] is False


def test_what_was_not_said_is_counted_apart_from_what_was_wrong():
    rows = particulars([compared("tls.reset")], {"m": TRUE}, {"m": [finding(trigger="address")]})
    by_thing = {depth.thing: depth for depth in depths(rows)}
    trigger, hop = by_thing["trigger"], by_thing["hop"]
    assert (trigger.measurements, trigger.good, trigger.silent) == (1, 0, 0)
    assert (hop.measurements, hop.good, hop.silent) == (1, 0, 1)


def test_findings_are_read_from_the_measurement(tmp_path):
    file = tmp_path / "m.jsonl"
    one = {"experiment": "sni_swap", "answer": "name", "trigger": "name", "trials": [{}], "new": 1}
    file.write_text(json.dumps({"test_keys": {"x_experiments": [one]}}) + "\n")
    assert findings_in(file) == [Found(experiment="sni_swap", answer="name", trigger="name")]
    file.write_text(json.dumps({"test_keys": {}}) + "\n")
    assert findings_in(file) == findings_in(tmp_path / "absent.jsonl") == []


@pytest.mark.parametrize(("layer", "counts"), [("tls", True), ("http", True), ("dns", False)])
def test_only_what_is_about_the_layer_that_is_blocked_counts(layer, counts):
    found = [Found(experiment="some", answer="yes", layer=layer, trigger="name")]
    assert good(found, RST)["trigger"] is counts
