"""Ten thousand requests that were valid once: each answered or refused with words, none fatal."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import zstandard

from gatewatch.probe.seat import Patience
from tests.server.helped import NAME, SITE, Answer, World, bare, call, with_helper
from tests.server.test_helper import FOREIGN, RECORDED

MANY = 10_000
AT_ONCE = 20

VALID: list[dict[str, Any]] = [
    json.loads(FOREIGN),
    {"http_request": f"http://{NAME}/", "x_quic_enabled": True},
    {
        "http_request": f"https://{NAME}:8443/p?q=1",
        "http_request_headers": {"Accept": ["*/*"], "Accept-Language": ["fa"], "User-Agent": ["x"]},
        "tcp_connect": [f"{SITE}:8443", "[2606:4700::1]:8443"],
        "x_tls": {f"{SITE}:8443": NAME},
    },
    {
        "http_request": f"https://{NAME}/",
        "tcp_connect": ["157.240.1.1:5222"],
        "x_endpoints_only": True,
    },
]
ODD: list[Any] = [
    None, True, False, 0, -1, 1 << 70, 1.5, "", "\x00", "\n", "ж", "::1", "127.0.0.1:80", "http://",
    "http://127.0.0.1/", "http://[::1]/", "https://x.example:22/", "a" * 5000, [], [[]], [None],
    {}, {"": None}, ["a"] * 300, {"User-Agent": ["a\r\nb"]}, {"Accept": "text"}, {"1.1.1.1:1": 1},
]  # fmt: skip
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
    "br": bytes,
    "gzip, gzip": bytes,
}


def other_values(rng: Random, question: Any) -> Any:
    """A question with one of its values, at any depth, in some other way."""
    if isinstance(question, dict) and question and rng.random() < 0.8:
        key = rng.choice(list(question))
        changed = dict(question)
        match rng.randrange(4):
            case 0:
                del changed[key]
            case 1:
                changed[rng.choice(["x_tls", "tcp_connect", "http_request", "", "x"])] = rng.choice(
                    ODD
                )
            case _:
                changed[key] = other_values(rng, question[key])
        return changed
    if isinstance(question, list) and question and rng.random() < 0.7:
        at = rng.randrange(len(question))
        return [*question[:at], other_values(rng, question[at]), *question[at:]]
    if isinstance(question, str) and question and rng.random() < 0.6:
        at = rng.randrange(len(question))
        return (
            question[:at]
            + rng.choice(["", "\u0661", ":", "/", "@", "%", "\\", "."])
            + question[at + rng.randrange(2) :]
        )
    return rng.choice(ODD)


def other_bytes(rng: Random, body: bytes) -> bytes:
    """A body with a few bytes changed, lost, doubled or put in."""
    changed = bytearray(body)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del changed[at : at + rng.randrange(1, 20)]
            case 2:
                changed[at:at] = changed[at : at + 30]
            case 3:
                changed[at:at] = rng.choice(
                    [
                        b"\\ud800",
                        b"NaN",
                        b"[" * 2000,
                        b"\xff",
                        b"\xed\xa0\x80",
                        b"\x00",
                        b'"',
                        b"1e999",
                    ]
                )
            case 4:
                del changed[at:]
    return bytes(changed)


def mutant(rng: Random) -> dict[str, Any]:
    """One request."""
    question = rng.choice(VALID)
    for _ in range(rng.randrange(3)):
        question = other_values(rng, question)
    body = json.dumps(question).encode()
    if rng.random() < 0.5:
        body = other_bytes(rng, body)
    headers = {"User-Agent": rng.choice(["ooniprobe-cli/3.24.0", "", "x" * 3000])}
    if rng.random() < 0.3:
        headers["Content-Encoding"] = encoding = rng.choice(list(PACKERS))
        body = PACKERS[encoding](body)
        if rng.random() < 0.4:
            body = other_bytes(rng, body)
    method = rng.choice(["POST"] * 30 + ["GET", "HEAD", "PUT", "DELETE", "X"])
    return {"body": body, "headers": headers, "method": method, "pieces": rng.randrange(1, 4)}


IMPATIENT = Patience(
    dns_s=0.2, connect_s=0.2, tls_s=0.2, quic_s=0.2, http_s=0.4, control_s=4.0, late_s=0.0
)


def test_no_mutation_of_a_valid_request_is_more_than_refused(tmp_path: Path):
    rng = Random(4)
    mutants = [mutant(rng) for _ in range(MANY)]

    async def talk(helper, witness):
        told: list[Answer] = []
        for at in range(0, MANY, AT_ONCE):
            batch = mutants[at : at + AT_ONCE]
            told += await asyncio.gather(*(call(helper, **one) for one in batch))
        after = await call(helper, FOREIGN)
        left = [task for task in asyncio.all_tasks() if "visit" in repr(task.get_coro())]
        return told, after, left, set(witness.seen)

    told, after, left, seen = with_helper(tmp_path, talk, World(patience=IMPATIENT))
    counts = Counter(answer.status for answer in told)
    assert set(counts) <= {200, 400, 413, 415}, counts
    assert min(counts[200], counts[400]) > MANY / 10, counts
    for answer in told:
        said = answer.json
        if answer.status != 200:
            assert list(said) == ["error"]
            assert said["error"].isprintable()
            assert said["error"].isascii()
        else:
            assert bare(said).keys() in ({"message"}, RECORDED.keys())
    assert (after.status, bare(after.json)) == (200, RECORDED)
    assert left == []
    assert not {address for address, _ in seen} & {"127.0.0.1", "::1"}
