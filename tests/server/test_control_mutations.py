"""Ten thousand requests that were valid once: the vantage answers each, or refuses it in words."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from tests.server.control import ABOUT, measurement, post, stored, with_control
from tests.server.helped import Answer, call
from tests.server.test_mutations import PACKERS, other_bytes, other_values

MANY = 10_000
AT_ONCE = 50
REFUSALS = {400, 401, 404, 405, 408, 413, 415, 429, 503}


def valid(report: str, client_id: str) -> list[tuple[str, str, object]]:
    """One of every request."""
    content = measurement(report_id=report)
    return [
        ("POST", "/report", {**ABOUT, "format": "json"}),
        ("POST", f"/report/{report}", {"format": "json", "content": content}),
        ("POST", f"/report/{report}", {"format": "json", "content": measurement()}),
        ("POST", f"/report/{report}/close", {}),
        ("POST", "/api/v1/submit_measurement", {"content": json.dumps(content), "nym": None}),
        ("POST", "/api/v1/submit_measurement", {"content": measurement(7)}),
        ("POST", "/api/v1/check-in", {"probe_cc": "IT", "probe_asn": "AS1", "charging": True,
                                      "web_connectivity": {"category_codes": ["NEWS"]}}),
        ("POST", "/api/v1/register", {"password": "secret", "platform": "linux"}),
        ("POST", "/api/v1/login", {"username": client_id, "password": "secret"}),
        ("POST", "/api/v1/geolookup", {"addresses": ["8.8.8.8", "2001:4860::1"]}),
        ("POST", "/bouncer/net-tests", {"net-tests": [{"name": "ndt", "version": "1"}]}),
        ("POST", "/api/v2/oonirun/links/1/engine-descriptor/1", {"probe_cc": "IT"}),
        ("GET", "/api/v1/test-list/urls?probe_cc=IT&category_codes=NEWS&limit=5", {}),
        ("GET", "/api/v1/test-list/tor-targets?country_code=IT", {}),
        ("GET", "/api/v1/test-helpers", {}),
        ("GET", "/api/v2/oonirun/links/1/full-descriptor/1", {}),
        ("GET", "/health", {}),
    ]  # fmt: skip


def mutant(rng: Random, requests: list[tuple[str, str, object]]) -> dict[str, Any]:
    method, path, question = rng.choice(requests)
    for _ in range(rng.randrange(3)):
        question = other_values(rng, question)
    body = json.dumps(question).encode()
    if rng.random() < 0.3:
        body = other_bytes(rng, body)
    headers = {"Host": rng.choice(["control.example"] * 9 + ["", "a b", "[::1]:80", "x" * 300])}
    if rng.random() < 0.2:
        headers["Content-Encoding"] = encoding = rng.choice(list(PACKERS))
        body = PACKERS[encoding](body)
        if rng.random() < 0.3:
            body = other_bytes(rng, body)
    if rng.random() < 0.2:
        path = other_bytes(rng, path.encode()).decode("utf-8", "replace")
    if rng.random() < 0.1:
        headers["Content-Length"] = rng.choice(["-1", "٣", "99999999999", "x", "0", "1e9"])
    if rng.random() < 0.05:
        method = rng.choice(["PUT", "DELETE", "HEAD", "X", "OPTIONS"])
    path, _, query = path.partition("?")
    return {
        "body": body,
        "method": method,
        "path": path,
        "query": quote(query, safe="=&%").encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),  # whose rate is not limited
        "pieces": rng.randrange(1, 4),
    }


def test_no_mutation_of_a_valid_request_is_more_than_refused(tmp_path: Path):
    rng = Random(5)

    async def talk(control):
        report = (await post(control, "/report", ABOUT)).json["report_id"]
        client_id = (await post(control, "/api/v1/register", {"password": "secret"})).json
        requests = valid(report, client_id["client_id"])
        mutants = [mutant(rng, requests) for _ in range(MANY)]
        told: list[Answer] = []
        for at in range(0, MANY, AT_ONCE):
            batch = mutants[at : at + AT_ONCE]
            told += await asyncio.gather(*(call(control, **one) for one in batch))
        good = {"content": measurement(10_001)}
        return told, mutants, await post(control, f"/report/{report}", good)

    told, mutants, good = with_control(tmp_path, talk)
    counts = Counter(answer.status for answer in told)
    assert set(counts) <= {200, *REFUSALS}, counts
    assert min(counts[200], counts[400]) > MANY / 10, counts
    for answer, asked in zip(told, mutants, strict=True):
        if answer.status != 200 and asked["method"] != "HEAD":
            assert list(answer.json) == ["error"]
            assert answer.json["error"].isprintable()
            assert answer.json["error"].isascii()
    assert good.status == 200
    # What was acknowledged is stored, each once, and nothing else is.
    said = [
        answer.json.get("measurement_uid")
        for answer in told
        if answer.status == 200 and answer.body
    ]
    acknowledged = {uid for uid in said if uid} | {good.json["measurement_uid"]}
    kept = [one["measurement_uid"] for one in stored(tmp_path)]
    assert sorted(kept) == sorted(acknowledged)
    assert len(kept) > 100
