"""The same list through two vantages, side by side."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import msgspec
import pytest

from gatewatch.lab.certificates import Office
from gatewatch.probe.experiments.blockdiff import Recorded, Row, Side, alike, blockdiff, row
from gatewatch.probe.proxy import parse_proxy
from gatewatch.probe.seat import Seat
from tests.probe.experiments.street import PATIENCE, RESOLVER, Json, serve_tls, site
from tests.probe.town import (
    PROBE,
    Replies,
    Stream,
    Town,
    closes,
    http,
    pages,
    resets,
    says,
    silence,
    zone,
)

param = pytest.param
NAME, SITE, ELSEWHERE = "www.example.org", "93.184.216.34", "93.184.216.35"
URL = f"https://{NAME}/"
THERE = "130.192.3.53"
"The other seat's resolver, which leads to a site of its own."
PAGE = b"<title>An ordinary site</title>" + b"word " * 100


def seat(town: Town, office: Office, resolver: str) -> Seat:
    return Seat(
        asn=137, country="IT", network="", addresses=(PROBE,), resolver=resolver,
        ca=office.ca_file, reach=town, patience=PATIENCE,
    )  # fmt: skip


FINE = site(200, PAGE)


@pytest.mark.parametrize(
    ("here", "there", "names", "verdict", "differs"),
    [
        param(FINE, FINE, None, "same", None, id="the same page"),
        param(resets, FINE, None, "fails_here", "tls", id="reset here"),
        param(None, FINE, None, "fails_here", "tcp", id="refused here"),
        param(FINE, FINE, says(rcode="NXDOMAIN"), "fails_here", "dns", id="denied here"),
        param(FINE, resets, None, "fails_there", "tls", id="reset there"),
        param(resets, resets, None, "fails_at_both", None, id="reset at both"),
        param(None, resets, None, "fails_at_both", "tcp", id="failing at both, not alike"),
        param(site(403, b"<title>Forbidden</title>no"), FINE, None, "other_page", "page",
              id="another page here"),
        param(site(200, PAGE + b" more"), FINE, None, "same", None, id="nearly the same page"),
    ],
)  # fmt: skip
def test_two_seats(here, there, names: Replies | None, verdict, differs, office):
    async def go() -> Row:
        async with Town() as town:
            await town.udp(RESOLVER, 53, names or zone({NAME: (SITE,)}))
            await town.udp(THERE, 53, zone({NAME: (ELSEWHERE,)}))
            for address, stream in ((SITE, here), (ELSEWHERE, there)):
                if stream is resets:
                    await town.tcp(address, 443, stream)
                elif stream is not None:
                    await serve_tls(town, office, address, NAME, stream)
            (found,) = await blockdiff(
                [URL],
                seat(town, office, RESOLVER),
                seat(town, office, THERE),
                rng=random.Random(1),
            )
            return found

    found = asyncio.run(go())
    assert (found.verdict, found.differs) == (verdict, differs), found.words
    assert found.words.startswith("here ")


def socks(allowed: dict[tuple[str, int], tuple[str, int]], town: Town) -> Stream:
    """A SOCKS5 proxy that connects to what it knows by name."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\5\0")
        head = await reader.readexactly(5)
        name = (await reader.readexactly(head[4])).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        place = allowed.get((name, port))
        if place is None:
            writer.write(b"\5\5\0\1\0\0\0\0\0\0")
            await writer.drain()
            return
        ip, at, _ = town.reach(None, *place, "tcp")
        inner_reader, inner_writer = await asyncio.open_connection(ip, at)
        writer.write(b"\5\0\0\1\0\0\0\0\0\0")
        await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))

    return serve


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # one side has gone
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("here", "known", "listening", "verdict"),
    [
        param(resets, True, True, "fails_here", id="reset here, and fine from the proxy"),
        param(FINE, True, True, "same", id="fine from both"),
        param(FINE, False, True, "fails_there", id="the proxy cannot connect"),
        param(resets, True, False, "unknown", id="no proxy: nothing is known"),
    ],
)
def test_a_proxy(here, known, listening, verdict, office):
    async def go() -> Row:
        async with Town() as town:
            await town.udp(RESOLVER, 53, zone({NAME: (SITE,)}))
            if here is resets:
                await town.tcp(SITE, 443, here)
            else:
                await serve_tls(town, office, SITE, NAME, here)
            await serve_tls(town, office, ELSEWHERE, NAME, FINE)
            if listening:
                allowed = {(NAME, 443): (ELSEWHERE, 443)} if known else {}
                await town.tcp("127.0.0.1", 1080, socks(allowed, town))
            (found,) = await blockdiff(
                [URL], seat(town, office, RESOLVER), parse_proxy("socks5://127.0.0.1:1080")
            )
            return found

    found = asyncio.run(go())
    assert found.verdict == verdict, found.words


def recorded(**keys: object) -> Json:
    return {"input": URL, "test_keys": keys}


TITLE = "<title>An ordinary site</title>"
ANSWERED = {
    "request": {"url": URL},
    "failure": None,
    "response": {"code": 200, "body": TITLE + "word " * 100},
}
FAILED = {"request": {"url": URL}, "failure": "connection_reset", "response": {"code": 0}}


@pytest.mark.parametrize(
    ("measurement", "verdict", "step"),
    [
        param(recorded(requests=[ANSWERED]), "same", None, id="a page"),
        param(recorded(requests=[FAILED]), "fails_there", "http", id="a request that failed"),
        param(
            recorded(
                requests=[FAILED], tls_handshakes=[{"failure": "connection_reset"}]
            ),
            "fails_there", "tls", id="in the handshake",
        ),
        param(
            recorded(tcp_connect=[{"status": {"failure": "generic_timeout_error"}}]),
            "fails_there", "tcp", id="no connection",
        ),
        param(
            recorded(queries=[{"failure": "dns_nxdomain_error"}]), "fails_there", "dns",
            id="no address",
        ),
        param(recorded(), "unknown", None, id="nothing in it"),
        param({"input": "https://other.example/", "test_keys": {}}, "unknown", None,
              id="another URL"),
        param(recorded(requests=[None, 7], queries="x"), "unknown", None, id="odd lists"),
    ],
)  # fmt: skip
def test_what_a_second_machine_wrote_down(measurement, verdict, step, office, tmp_path: Path):
    file = tmp_path / "there.jsonl"
    lines = ["not json", "[]", "null", json.dumps({"input": None}), json.dumps(measurement)]
    file.write_text("\n".join(lines))

    async def go() -> Row:
        async with Town() as town:
            await town.udp(RESOLVER, 53, zone({NAME: (SITE,)}))
            await serve_tls(town, office, SITE, NAME, FINE)
            (found,) = await blockdiff([URL], seat(town, office, RESOLVER), file)
            return found

    found = asyncio.run(go())
    assert (found.verdict, found.differs) == (verdict, step), found.words


def test_a_step_that_fails_once_is_no_difference(office):
    failed: list[int] = []

    async def go() -> Row:
        async with Town() as town:
            await town.udp(RESOLVER, 53, zone({NAME: (SITE,)}))
            await town.udp(THERE, 53, zone({NAME: (ELSEWHERE,)}))
            await serve_tls(town, office, ELSEWHERE, NAME, FINE)

            async def flaky(reader, writer):
                if not failed:
                    failed.append(1)
                    return await closes(reader, writer)
                return await FINE(reader, writer)

            await serve_tls(town, office, SITE, NAME, flaky)
            (found,) = await blockdiff(
                [URL], seat(town, office, RESOLVER), seat(town, office, THERE)
            )
            return found

    assert asyncio.run(go()).verdict == "same"
    assert failed


def test_redirects_are_followed_and_end(office):
    async def go() -> list[Row]:
        async with Town() as town:
            await town.udp(RESOLVER, 53, zone({NAME: (SITE,)}))
            await town.tcp(SITE, 80, pages(lambda h, p: http(301, location=URL)))
            loop = pages(
                lambda h, p: http(302, location=URL + "x") if p != "/" else http(200, PAGE)
            )
            await serve_tls(town, office, SITE, NAME, loop)
            mine = seat(town, office, RESOLVER)
            return await blockdiff([f"http://{NAME}/", URL + "loop", "nonsense"], mine, mine)

    rows = asyncio.run(go())
    assert [one.url for one in rows] == [f"http://{NAME}/", URL + "loop", "nonsense"]
    assert rows[0].here.url == URL
    assert rows[0].here.status == 200
    assert rows[1].verdict == "same"
    assert rows[2].verdict == "fails_at_both"


def test_the_last_measurement_of_a_url_counts():
    first, last = recorded(requests=[FAILED]), recorded(requests=[ANSWERED])
    reading = Recorded.read([json.dumps(first), json.dumps(last).encode()])
    side = asyncio.run(reading.look(URL, rng=random.Random(1)))
    assert side.failed is None


OK = Side(failed=None, failure=None, url=URL, status=200, title="A", body_length=1000)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        param({"title": "A", "body_length": 10}, True, id="the title says it"),
        param({"title": None}, True, id="as long, and no title to differ"),
        param({"title": "B"}, False, id="another title"),
        param({"status": 403}, False, id="another status"),
        param({"title": None, "body_length": 100}, False, id="much shorter"),
    ],
)
def test_alike(other, same):
    assert alike(OK, msgspec.structs.replace(OK, **other)) is same
    assert row(URL, OK, msgspec.structs.replace(OK, **other)).verdict == (
        "same" if same else "other_page"
    )


def test_silence_is_written_as_what_it_is(office):
    async def go() -> Row:
        async with Town() as town:
            await town.udp(RESOLVER, 53, silence)
            mine = seat(town, office, RESOLVER)
            (found,) = await blockdiff([URL], mine, mine)
            return found

    found = asyncio.run(go())
    assert found.words == ("here generic_timeout_error at dns; there generic_timeout_error at dns")
