"""Which addresses residual blocking is looked for at, on a street where some are blocked still."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatewatch.lab.certificates import Office
from gatewatch.probe.experiments.mechanism import RESIDUAL_S, Bench
from gatewatch.probe.experiments.residual_places import ENDS_PLACES, PLACES, places
from gatewatch.probe.experiments.residual_spot import Kind, TriggerTraffic
from gatewatch.probe.seat import Anchor, Seat
from tests.probe.experiments.hourglass import run
from tests.probe.town import PROBE, Stream, Town, http, pages, resets

param = pytest.param

ANCHOR, LISTED = "anchor.example", "www.example.org"
SITE = "93.184.216.34"
OURS = http(200, b"Nothing to see", content_type="text/html")
NOTICE = http(200, b"By order of the authority", content_type="text/html")
SOUND: Stream = pages(lambda host, path: OURS)


@dataclass(frozen=True, kw_only=True)
class One:
    """An address of ours: what answers there, and until when it may be remembered."""

    plain: Stream | None = SOUND
    tls: Stream | None = SOUND
    raw_tls: Stream | None = None
    "In place of TLS."
    tainted: float = 0.0


def street(*ones: One) -> dict[str, One]:
    return {f"162.55.247.{n}": one for n, one in enumerate(ones, 10)}


async def furnished(town: Town, office: Office, ones: Mapping[str, One], deadline: float) -> Bench:
    context = office.context("valid", (ANCHOR,), alpn=["http/1.1"])
    for address, one in ones.items():
        if one.plain is not None:
            await town.tcp(address, 80, one.plain)
        if one.raw_tls is not None:
            await town.tcp(address, 443, one.raw_tls)
        elif one.tls is not None:
            await town.tcp(address, 443, one.tls, context)
    seat = Seat(
        asn=137,
        country="IT",
        network="A network",
        addresses=(PROBE,),
        resolver=None,
        anchors=tuple(Anchor(name=ANCHOR, address=address) for address in ones),
        ca=office.ca_file,
        reach=town,
    )
    bench = Bench(seat=seat, vantage=town.vantage(), rng=random.Random(7), deadline=deadline)
    bench.tainted.update({a: one.tainted for a, one in ones.items() if one.tainted})
    return bench


def chosen(
    folder: Path,
    ones: Mapping[str, One],
    *,
    kind: Kind = "request",
    deadline: float = 100.0,
    then: Callable[[Bench], None] = lambda bench: None,
) -> list[str]:
    """The addresses, as numbers on the street; `then` is asked while they are held."""

    async def go() -> list[str]:
        async with Town() as town:
            bench = await furnished(town, Office(folder), ones, deadline)
            trigger = TriggerTraffic(kind, LISTED, f"http://{LISTED}/")
            async with places(bench, trigger, SITE, []) as spots:
                then(bench)
                found = [spot.address for spot in spots]
                assert bench.lent == {*found}
            assert not bench.lent
            return [address.rpartition(".")[2] for address in found]

    return asyncio.run(go())


CLEAN = One()
REMEMBERED = One(tainted=50.0)
HELD = One(plain=resets, tainted=50.0)
HELD_BESIDE = One(raw_tls=resets, tainted=50.0)
REPLACED = One(plain=pages(lambda host, path: NOTICE), tainted=50.0)
DEAD = One(plain=None, tls=None)
ONLY_CLEAR = One(tls=None)


@pytest.mark.parametrize(
    ("ones", "numbers"),
    [
        param(street(CLEAN, CLEAN, CLEAN), "10 11 12", id="nothing was sent anywhere"),
        param(street(REMEMBERED, CLEAN, CLEAN), "11 12 10", id="a trigger was sent to the first"),
        param(street(One(tainted=50.0), One(tainted=40.0)), "11 10", id="to all, nothing holds"),
        param(street(HELD, CLEAN, CLEAN), "11 12", id="something holds"),
        param(street(HELD_BESIDE, CLEAN, CLEAN), "11 12", id="something holds beside it"),
        param(street(REPLACED, CLEAN, CLEAN), "11 12", id="its page is replaced still"),
        param(street(DEAD, CLEAN, CLEAN), "11 12", id="nobody answers"),
        param(street(ONLY_CLEAR, CLEAN), "10 11", id="of the other service nothing is known"),
        param(street(*[HELD] * 9, *[REMEMBERED] * 9, CLEAN), "28 19 20 21 22 23 24 25",
              id="more than enough"),
    ],
)  # fmt: skip
def test_places_are_where_what_happens_next_is_the_next_triggers_doing(tmp_path, ones, numbers):
    assert chosen(tmp_path, ones) == numbers.split()


@pytest.mark.parametrize("kind", ["sni", "request", "esni"])
def test_whatever_was_sent_there_before_both_services_must_be_free(tmp_path, kind):
    ones = street(HELD, HELD_BESIDE, REPLACED, CLEAN, REMEMBERED)
    assert chosen(tmp_path, ones, kind=kind) == ["13", "14"]


def test_an_attempt_under_a_block_may_prolong_it_and_is_remembered(tmp_path):
    def then(bench: Bench) -> None:
        assert bench.tainted["162.55.247.10"] > RESIDUAL_S
        assert bench.tainted["162.55.247.11"] == REMEMBERED.tainted, "on another service, say"

    assert chosen(tmp_path, street(HELD, REMEMBERED, CLEAN), then=then) == ["12", "11"]


def test_all_others_are_free_for_whoever_else_measures(tmp_path):
    def then(bench: Bench) -> None:
        free = [anchor.address for anchor in bench.free(SITE)]
        assert free == [f"162.55.247.{n}" for n in range(10 + PLACES, 20)]

    assert len(chosen(tmp_path, street(*[CLEAN] * 10), then=then)) == PLACES


@pytest.mark.parametrize(
    ("deadline", "found"),
    [param(900.0, ENDS_PLACES, id="there is time"), param(190.0, 0, id="there is not")],
)
def test_a_block_is_waited_out_where_nothing_else_is_left(tmp_path, deadline, found):
    """All hold for a minute, and each attempt before that starts the minute anew."""
    ends = 60.0
    office = Office(tmp_path)

    async def holds(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ends
        now = asyncio.get_running_loop().time()
        if now < ends:
            ends = now + 60.0
            await resets(reader, writer)
        else:
            await SOUND(reader, writer)

    async def go() -> tuple[int, float]:
        async with Town() as town:
            ones = street(*[One(plain=holds, tainted=RESIDUAL_S)] * ENDS_PLACES)
            bench = await furnished(town, office, ones, deadline)
            trigger = TriggerTraffic("request", LISTED, f"http://{LISTED}/")
            async with places(bench, trigger, SITE, []) as spots:
                return len(spots), bench.vantage.now()

    many, now = run(go)
    assert many == found
    assert (now >= RESIDUAL_S) == bool(found), "it waits for something, or not at all"
