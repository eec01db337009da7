"""The collector's API as OONI's clients use it, and what becomes of a measurement.

The exchanges are written from the documented protocol: requests as `ooniprobe` sends them, with
fields that nobody here reads.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from datetime import timedelta

import pytest
import zstandard

from gatewatch.archive.store import Store
from gatewatch.flow import analyze
from gatewatch.server.app import Settings
from gatewatch.server.door import DoorLimits
from tests.server.control import (
    ABOUT,
    CLIENT,
    NOW,
    ROOMY,
    Known,
    get,
    measurement,
    post,
    stored,
    with_control,
)

CHECK_IN = {
    "charging": True,
    "on_wifi": True,
    "platform": "linux",
    "probe_asn": "AS30722",
    "probe_cc": "IT",
    "run_type": "timed",
    "software_name": "ooniprobe-cli",
    "software_version": "3.24.0",
    "web_connectivity": {"category_codes": None},
}
OPEN = {**ABOUT, "format": "json"}
UID = re.compile(r"\d{14}\.\d{6}_IT_webconnectivity_[0-9a-f]{16}")
REPORT = re.compile(r"20260311T120000Z_webconnectivity_IT_30722_n[0-9a-f]{4}_[A-Za-z0-9]{16}")


async def opened(control, **other) -> str:
    return (await post(control, "/report", {**OPEN, **other})).json["report_id"]


def test_a_foreign_client_checks_in_opens_a_report_submits_and_closes(tmp_path):
    async def talk(control):
        told = (await post(control, "/api/v1/check-in", CHECK_IN)).json
        assert told["v"] == 1
        assert told["utc_time"] == "2026-03-11T12:00:00Z"
        assert told["conf"]["features"]["webconnectivity_0.5"] is True
        (helper,) = told["conf"]["test_helpers"]["web-connectivity"]
        assert helper == {"address": "https://control.example", "type": "https"}
        web = told["tests"]["web_connectivity"]
        assert REPORT.fullmatch(web["report_id"])
        assert set(web["urls"][0]) == {"category_code", "country_code", "url"}
        assert {"telegram", "tor", "dnscheck", "whatsapp"} <= told["tests"].keys()

        report = (await post(control, "/report", OPEN, {"Accept-Encoding": "gzip"})).json
        assert set(report) == {"backend_version", "report_id", "supported_formats"}
        assert "json" in report["supported_formats"]
        assert REPORT.fullmatch(report["report_id"])
        assert report["report_id"] != web["report_id"]

        content = measurement(report_id=report["report_id"])
        body = zstandard.compress(json.dumps({"format": "json", "content": content}).encode())
        headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
        answer = await post(control, f"/report/{report['report_id']}", body, headers)
        assert answer.status == 200
        assert list(answer.json) == ["measurement_uid"]
        assert UID.fullmatch(answer.json["measurement_uid"])

        # A report that a check-in opened takes measurements like any other.
        more = {"format": "json", "content": measurement(2, report_id=web["report_id"])}
        assert (await post(control, f"/report/{web['report_id']}", more)).status == 200

        closed = await post(control, f"/report/{report['report_id']}/close", b"")
        assert (closed.status, closed.json) == (200, {})
        return content, answer.json["measurement_uid"]

    content, uid = with_control(tmp_path, talk)
    found = {one["measurement_uid"]: one for one in stored(tmp_path)}
    assert len(found) == 2
    assert found[uid] == {**content, "measurement_uid": uid}


def test_what_was_submitted_is_judged_by_the_next_analysis_and_can_be_asked_for(tmp_path):
    async def submit(control):
        report = await opened(control)
        content = measurement(report_id=report)
        return (await post(control, f"/report/{report}", {"content": content})).json

    uid = with_control(tmp_path, submit)["measurement_uid"]
    store = Store.open(tmp_path / "store")
    assert analyze(store, Known()).verdicts == 1
    row = store.database().execute(
        "SELECT measurement_id, received_at, probe_cc, probe_asn FROM measurements"
    )
    assert row.fetchall() == [(uid, NOW.replace(tzinfo=None, microsecond=0), "IT", 30722)]

    async def ask(control):
        meta = (await get(control, f"/api/v1/measurement_meta?measurement_uid={uid}&full=1")).json
        by_report = f"/api/v1/measurement_meta?report_id={meta['report_id']}&input={meta['input']}"
        return meta, (await get(control, by_report)).json

    meta, by_report = with_control(tmp_path, ask)
    raw = json.loads(meta.pop("raw_measurement"))
    assert raw["measurement_uid"] == uid
    assert meta == by_report
    assert meta["probe_asn"] == 30722
    assert meta["x_verdict"]["outcome"] in ("open", "unclear")


def test_a_measurement_can_be_asked_for_at_once_and_is_not_judged_yet(tmp_path):
    async def talk(control):
        report = await opened(control)
        told = (await post(control, f"/report/{report}", {"content": measurement()})).json
        path = f"/api/v1/measurement_meta?measurement_uid={told['measurement_uid']}"
        unknown = (
            "/api/v1/measurement_meta?measurement_uid=20260101000000.000000_IT_ndt_" + "0" * 16
        )
        return (await get(control, path)).json, (await get(control, unknown)).json

    meta, unknown = with_control(tmp_path, talk)
    assert meta["input"] == "https://site1.example/"
    assert (meta["anomaly"], meta["confirmed"], meta["failure"]) == (None, None, None)
    assert unknown == {}


def test_numbers_and_texts_stay_as_they_were_sent(tmp_path):
    sent = b'{"x": 1.10, "y": 123456789012345678901234567890, "z": "\\u00e8\\n", "e": 1E+2}'

    async def talk(control):
        report = await opened(control)
        start = json.dumps(measurement(report_id=report)).encode()[:-1]
        pretty = b'{"format": "json",\r\n "content": ' + start + b',\n"sent":\n' + sent + b"\n}}"
        assert (await post(control, f"/report/{report}", pretty)).status == 200

    with_control(tmp_path, talk)
    store = Store.open(tmp_path / "store")
    (raw,) = store.raw_files()
    line = store.raw_path(raw.sha256).read_bytes()
    assert line.count(b"\n") == 1
    assert sent in line


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"content": "TEXT"}, id="content as a text"),
        pytest.param({"content": "OBJECT"}, id="content as an object"),
        pytest.param(
            {
                "content": "TEXT",
                "nym": "c29tZQ==",
                "zkp_request": "x" * 6900,
                "manifest_version": "1",
                "protocol_version": "1.0",
            },
            id="with an anonymous credential",
        ),
        pytest.param(
            {
                "content": "TEXT",
                "nym": None,
                "zkp_request": None,
                "manifest_version": None,
                "protocol_version": None,
            },
            id="without a credential, as anonymous clients say it",
        ),
    ],
)
def test_a_measurement_without_a_report_is_kept_and_called_unverified(tmp_path, body):
    content = measurement()
    given = {"TEXT": json.dumps(content), "OBJECT": content}[body["content"]]

    async def talk(control):
        return (
            await post(
                control,
                "/api/v1/submit_measurement",
                {**body, "format": "json", "content": given},
            )
        ).json

    told = with_control(tmp_path, talk)
    assert told["verification_status"] == "unverified"
    assert told["error"] is None
    assert UID.fullmatch(told["measurement_uid"])
    (kept,) = stored(tmp_path)
    assert kept["report_id"] == told["report_id"]
    assert {**kept, "report_id": 0, "measurement_uid": 0} == {
        **content,
        "report_id": 0,
        "measurement_uid": 0,
    }


def test_measurements_of_one_run_without_a_report_have_one_voice(tmp_path):
    contents = [
        measurement(1),
        measurement(2),
        measurement(3, test_start_time="2026-03-11 12:30:00"),
    ]

    async def talk(control):
        answers = [
            await post(control, "/api/v1/submit_measurement", {"content": json.dumps(content)})
            for content in contents
        ]
        ids = [answer.json["report_id"] for answer in answers]
        # And the id that was given can be used from then on.
        again = measurement(4, report_id=ids[0])
        last = await post(control, "/api/v1/submit_measurement", {"content": json.dumps(again)})
        return [*ids, last.json["report_id"]]

    one, two, other, again = with_control(tmp_path, talk)
    assert one == two == again != other


FOREIGN_ID = "20260311T115900Z_webconnectivity_IT_30722_n1_AbCdEfGhIjKlMnOp"


def test_a_report_id_of_another_collector_is_replaced_and_remembered(tmp_path):
    async def talk(control):
        text = json.dumps(measurement(report_id=FOREIGN_ID))
        return (await post(control, "/api/v1/submit_measurement", {"content": text})).json

    told = with_control(tmp_path, talk)
    (kept,) = stored(tmp_path)
    assert kept["report_id"] == told["report_id"] != FOREIGN_ID
    assert kept["x_report_id_given"] == FOREIGN_ID


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda c: c.pop("probe_cc"), "Incorrect format: probe_cc", id="no country"),
        pytest.param(lambda c: c.update(probe_cc="it"), "Incorrect format: probe_cc", id="case"),
        pytest.param(lambda c: c.update(probe_cc=7), "Incorrect format: probe_cc", id="a number"),
        pytest.param(lambda c: c.update(probe_asn="30722"), "Incorrect format", id="bare number"),
        pytest.param(lambda c: c.update(probe_asn="AS030722"), "Incorrect format", id="zero first"),
        pytest.param(lambda c: c.update(test_name="Web"), "Incorrect format", id="upper case"),
        pytest.param(lambda c: c.update(test_name="x" * 31), "Incorrect format", id="long name"),
        pytest.param(lambda c: c.update(probe_cc="FR"), "Inconsistent measurement", id="country"),
        pytest.param(lambda c: c.update(probe_asn="AS1"), "Inconsistent measurement", id="network"),
        pytest.param(lambda c: c.update(test_name="ndt"), "Inconsistent measurement", id="test"),
    ],
)
def test_a_measurement_must_be_of_its_report(tmp_path, change, words):
    async def talk(control):
        report = await opened(control)
        content = measurement(report_id=report)
        change(content)
        return await post(control, f"/report/{report}", {"format": "json", "content": content})

    answer = with_control(tmp_path, talk)
    assert answer.status == 400
    assert words in answer.json["error"]
    assert stored(tmp_path) == []


def forged(report: str) -> list[tuple[str, str]]:
    last = "B" if report[-1] == "A" else "A"
    return [
        ("one letter of the proof", report[:-1] + last),
        ("another country", report.replace("_IT_", "_FR_")),
        ("another network", report.replace("_30722_", "_3072_")),
        ("another test", report.replace("webconnectivity", "ndt")),
        ("another time", report.replace("20260311T12", "20260311T13")),
        ("another collector's", FOREIGN_ID),
        ("the old style", "20190313T131942Z_AS30722_" + "x" * 50),
        ("none", "x"),
        ("very long", report + "A" * 5000),
        ("a path", "..%2f..%2fsecret"),
    ]


def test_a_forged_report_id_is_refused_everywhere(tmp_path):
    async def talk(control):
        report = await opened(control)
        told = []
        for name, id_ in forged(report):
            body = {"format": "json", "content": measurement(report_id=id_)}
            into = await post(control, f"/report/{id_}", body)
            close = await post(control, f"/report/{id_}/close", b"")
            told.append((name, into.status, close.status))
        inside = measurement(report_id=forged(report)[1][1])
        alone = await post(control, "/api/v1/submit_measurement", {"content": json.dumps(inside)})
        other = measurement(report_id=await opened(control))
        mixed = await post(control, f"/report/{report}", {"content": other})
        return told, alone, mixed

    told, alone, mixed = with_control(tmp_path, talk)
    assert {(into, close) for _, into, close in told} <= {(400, 400), (404, 404)}, told
    assert (alone.status, "not given out" in alone.json["error"]) == (400, True)
    assert (mixed.status, "another report" in mixed.json["error"]) == (400, True)
    assert stored(tmp_path) == []


@pytest.mark.parametrize("place", [{"probe_asn": "AS0"}, {"probe_cc": "ZZ"}])
def test_a_measurement_of_no_known_network_is_acknowledged_counted_and_dropped(tmp_path, place):
    async def talk(control):
        report = await opened(control, **place)
        content = measurement(**place)
        into = await post(control, f"/report/{report}", {"content": content})
        text = json.dumps(content)
        alone = await post(control, "/api/v1/submit_measurement", {"content": text})
        health = (await get(control, "/health")).json
        return into, alone, health["submissions"]

    into, alone, counts = with_control(tmp_path, talk)
    assert (into.status, into.json) == (200, {})
    assert (alone.status, alone.json["measurement_uid"]) == (200, None)
    assert counts["discarded, of no known network"] == 2
    assert stored(tmp_path) == []


def test_what_is_submitted_again_has_the_same_uid_also_after_a_restart(tmp_path):
    clock = [NOW]

    async def first(control):
        report = await opened(control)
        body = {"format": "json", "content": measurement(report_id=report)}
        at_once = await asyncio.gather(
            *(post(control, f"/report/{report}", body) for _ in range(9))
        )
        clock[0] += timedelta(days=1)
        later = await post(control, f"/report/{report}", body)
        return report, body, {answer.json["measurement_uid"] for answer in [*at_once, later]}

    report, body, uids = with_control(tmp_path, first, now=lambda: clock[0])
    assert len(uids) == 1

    async def again(control):
        return (await post(control, f"/report/{report}", body)).json["measurement_uid"]

    assert {with_control(tmp_path, again, now=lambda: clock[0])} == uids
    assert [one["measurement_uid"] for one in stored(tmp_path)] == [*uids]


def test_no_address_of_a_client_is_in_any_file(tmp_path, capfd):
    async def talk(control):
        await post(control, "/api/v1/check-in", {**CHECK_IN, "probe_cc": "ZZ", "probe_asn": "AS0"})
        report = await opened(control)
        await post(control, f"/report/{report}", {"content": measurement()})
        await post(control, f"/report/{report}", b"{")
        await get(control, "/nowhere")
        return (await get(control, "/health")).body

    health = with_control(tmp_path, talk)
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert len(written) > 1000
    out, err = capfd.readouterr()
    for text in (CLIENT[0], str(CLIENT[1])):
        assert text.encode() not in written + health
        assert text not in out + err


BOMB = zstandard.compress(bytes(200 << 20))
SMALL = Settings(intake=ROOMY, door=DoorLimits(body_bytes=1 << 20))


@pytest.mark.parametrize(
    ("body", "encoding", "status", "words"),
    [
        pytest.param(b"", "", 400, "body", id="nothing"),
        pytest.param(b"{", "", 400, "body", id="half a JSON"),
        pytest.param(b"[1]", "", 400, "object", id="a list"),
        pytest.param(b'{"content": 7}', "", 400, "content", id="content is a number"),
        pytest.param(b'{"content": NaN}', "", 400, "malformed", id="NaN"),
        pytest.param(b'{"content": {"a": "\xff"}}', "", 400, "UTF-8", id="not UTF-8"),
        pytest.param(b'{"content":' + b"[" * 9999, "", 400, "body", id="deep"),
        pytest.param(b'{"content":{"a":' + b"[" * 9999, "", 400, "deep", id="deep within"),
        pytest.param(b'{"format": "yaml", "content": {}}', "", 400, "json", id="YAML"),
        pytest.param(b"x" * (1 << 21), "", 413, "longer", id="too long"),
        pytest.param(BOMB, "zstd", 413, "unpacked", id="zstd bomb"),
        pytest.param(gzip.compress(bytes(9 << 20)), "gzip", 413, "unpacked", id="gzip bomb"),
        pytest.param(b"(\xb5/\xfd junk", "zstd", 400, "unpacked", id="broken zstd"),
        pytest.param(b"{}", "br", 415, "Content-Encoding", id="an encoding unknown here"),
    ],
)
def test_a_bad_body_is_refused_with_words_and_the_next_good_one_taken(
    tmp_path, body, encoding, status, words
):
    async def talk(control):
        report = await opened(control)
        headers = {"Content-Encoding": encoding} if encoding else {}
        bad = await post(control, f"/report/{report}", body, headers)
        good = await post(control, f"/report/{report}", {"content": measurement()})
        return bad, good

    bad, good = with_control(tmp_path, talk, SMALL)
    assert bad.status == status
    assert list(bad.json) == ["error"]
    assert words in bad.json["error"]
    assert good.status == 200


def test_a_client_that_asks_too_much_is_told_when_to_come_again(tmp_path):
    few = Settings(intake=ROOMY, door=DoorLimits(per_s=1.0, burst=5.0))

    async def talk(control):
        return [await get(control, "/api/v1/test-helpers") for _ in range(7)]

    answers = with_control(tmp_path, talk, few)
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    assert answers[-1].headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/report", 405),
        ("PUT", "/report/x", 405),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/manifest", 404),
        ("POST", "/api/v1/sign_credential", 404),
        ("POST", "/api/v2/oonirun/links", 401),
        ("GET", "/api/v1/measurement_meta", 400),
        ("GET", "/health/", 404),
    ],
)
def test_what_is_not_here_is_refused_in_json(tmp_path, method, path, status):
    from tests.server.helped import call

    async def talk(control):
        return await call(control, method=method, path=path)

    answer = with_control(tmp_path, talk)
    assert answer.status == status
    assert list(answer.json) == ["error"]
