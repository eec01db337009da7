"""Bodies from strangers: read whole, unpacked within bounds, and refused with words."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis.strategies import binary, integers
from msgspec import Struct

from gatewatch.server.bodies import Refused, read_body, read_json

LIMIT = 1 << 16
ZEROS = bytes(1 << 26)


def arriving(body: bytes, step: int | None = None) -> Callable[[], Awaitable[dict]]:
    """A client that sends a body in pieces, and then waits."""
    size = step or max(len(body), 1)
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]

    async def receive() -> dict:
        if not parts:
            await asyncio.get_running_loop().create_future()
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    return receive


def read(body: bytes, encoding: str = "", *, step: int | None = None, limit: int = LIMIT) -> bytes:
    return asyncio.run(read_body(arriving(body, step), limit, encoding))


def framed(body: bytes) -> bytes:
    """A zstd frame that does not say how long it is."""
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(body) + packer.flush()


PACKERS = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    " ZSTD ": zstandard.compress,
    "zstd": framed,
}


@pytest.mark.parametrize("encoding", PACKERS)
@given(body=binary(max_size=2000), step=integers(1, 500))
def test_what_was_packed_is_unpacked_however_it_arrives(encoding, body, step):
    assert read(PACKERS[encoding](body), encoding, step=step) == body


def test_several_members_are_one_body():
    assert read(gzip.compress(b"a") + gzip.compress(b"b"), "gzip") == b"ab"
    assert read(zstandard.compress(b"a") + zstandard.compress(b"b"), "zstd") == b"ab"
    assert read(zlib.compress(b"abc")[2:-4], "deflate") == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_costs_no_more_than_the_limit_and_a_little(encoding):
    bomb = PACKERS[encoding](ZEROS)
    assert len(bomb) < LIMIT < len(ZEROS)
    tracemalloc.start()
    try:
        with pytest.raises(Refused) as refused:
            read(bomb, encoding)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
    assert refused.value.status == 413


def wide_window() -> bytes:
    settings = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    return packer.compress(b"abc") + packer.flush()


@pytest.mark.parametrize(
    ("body", "encoding", "status", "words"),
    [
        pytest.param(b"x" * (LIMIT + 1), "", 413, "longer than", id="too long"),
        pytest.param(b"{}", "br", 415, "zstd", id="an unknown encoding"),
        pytest.param(b"{}", "gzip, zstd", 415, "wanted", id="two encodings"),
        pytest.param(b"nonsense", "gzip", 400, "unpacked", id="no gzip"),
        pytest.param(b"nonsense", "zstd", 400, "unpacked", id="no zstd"),
        pytest.param(gzip.compress(b"abc" * 99)[:-4], "gzip", 400, "early", id="half of a gzip"),
        pytest.param(framed(b"abc" * 99)[:-2], "zstd", 400, "early", id="half of a zstd"),
        pytest.param(gzip.compress(b"a") + b"xx", "gzip", 400, "unpacked", id="gzip and more"),
        pytest.param(gzip.compress(b"") * 100, "gzip", 400, "members", id="a hundred members"),
        pytest.param(wide_window(), "zstd", 400, "memory", id="a window of 128 MiB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(body, encoding, status, words):
    with pytest.raises(Refused) as refused:
        read(body, encoding)
    assert refused.value.status == status
    assert words in refused.value.error


def test_a_body_that_never_ends_is_not_waited_for():
    async def stalls() -> None:
        await read_body(arriving(b"x", 1), LIMIT, within_s=0.01)
        waiting = arriving(b"")
        await waiting()
        await read_body(waiting, LIMIT, within_s=0.01)

    with pytest.raises(Refused) as refused:
        asyncio.run(stalls())
    assert refused.value.status == 408
    assert refused.value.headers["Connection"] == "close"


def test_a_client_that_leaves_leaves_no_body():
    async def leaves() -> dict:
        return {"type": "http.disconnect"}

    with pytest.raises(Refused):
        asyncio.run(read_body(leaves, LIMIT))


class Form(Struct):
    name: str = ""
    numbers: list[int] = []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"", "truncated", id="nothing"),
        pytest.param(b"{", "truncated", id="half"),
        pytest.param(b"[]", "Expected `object`", id="another kind"),
        pytest.param(b'{"name": 3}', "Expected `str`, got `int` - at `$.name`", id="a wrong type"),
        pytest.param(b'{"numbers": [1, "x"]}', "$.numbers[1]", id="a wrong type within"),
        pytest.param(b'{"numbers": [NaN]}', "malformed", id="NaN"),
        pytest.param(b'{"other": NaN}', "malformed", id="NaN where nobody looks"),
        pytest.param(b'{"name": "\\ud800"}', "truncated", id="a lone surrogate"),
        pytest.param(b'{"name": "\xff"}', "not UTF-8 at byte 10", id="no UTF-8"),
        pytest.param(b'{"other": "\xed\xa0\x80"}', "not UTF-8", id="no UTF-8 where nobody looks"),
        pytest.param(b"[" * 100_000, "body", id="deep"),
        pytest.param(b'{"other":' + b"[" * 100_000, "too deeply", id="deep where nobody looks"),
        pytest.param(b"\xef\xbb\xbf{}", "malformed", id="a byte order mark"),
    ],
)
def test_a_body_that_is_not_what_was_wanted_is_told_where(body, words):
    with pytest.raises(Refused) as refused:
        read_json(body, Form)
    assert refused.value.status == 400
    assert refused.value.error.startswith("body: ")
    assert words in refused.value.error


def test_an_error_is_one_line_of_ascii_whatever_it_quotes():
    error = Refused(400, "ж\r\n\x1b[31m" * 500).error
    assert error.isascii()
    assert error.isprintable()
    assert len(error) <= 300
