"""An anchor answers to any name with a page, and with as much noise as is asked for."""

from __future__ import annotations

import asyncio

import pytest

from gatewatch.server.anchor import BYTES_MAX, LEAST, PAGE, Anchor
from gatewatch.server.limits import Rates
from tests.server.helped import Answer, call


def fetched(path: str, query: bytes, anchor: Anchor | None = None) -> Answer:
    app = anchor or Anchor(rates=None)
    return asyncio.run(call(app, method="GET", path=path, query=query))


@pytest.mark.parametrize("host", ["anchor.example", "www.blocked.example", "", "1.2.3.4:99"])
def test_every_name_gets_the_same_page(host: str):
    told = asyncio.run(call(Anchor(), method="GET", path="/any", headers={"Host": host}))
    assert (told.status, told.body) == (200, PAGE)


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 100_000, BYTES_MAX])
def test_noise_is_as_long_as_asked_and_never_the_same(size: int):
    query = f"n={size}".encode()
    one, other = fetched("/bytes", query), fetched("/bytes", query)
    assert len(one.body) == size == int(one.headers["Content-Length"])
    assert one.body != other.body or size < 2


@pytest.mark.parametrize(
    "query", [b"", b"n=", b"n=-1", b"n=1e3", b"n=4194305", b"n=99999999999", b"n=\xff", b"m=1"]
)
def test_other_lengths_are_refused(query: bytes):
    told = fetched("/bytes", query)
    assert told.status == 400
    assert "wanted" in told.json["error"]


def test_a_client_that_fetches_too_much_is_told_when_to_come_again():
    anchor = Anchor(rates=Rates(1.0, 3.0 * LEAST))
    many = [fetched("/bytes", b"n=10", anchor).status for _ in range(4)]
    assert many == [200, 200, 200, 429]


def test_a_head_has_no_body():
    told = asyncio.run(call(Anchor(), method="HEAD", path="/bytes", query=b"n=500"))
    assert (told.headers["Content-Length"], told.body) == ("500", b"")


def test_nothing_can_be_posted():
    told = asyncio.run(call(Anchor(), b"x", method="POST"))
    assert told.status == 400
