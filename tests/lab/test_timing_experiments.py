"""Experiments that wait or measure a rate, against censors whose numbers are known."""

from __future__ import annotations

import asyncio
import os
import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from msgspec.structs import replace as replaced

from gatewatch.lab.enclosure import Enclosure, Tell, spawn
from gatewatch.lab.rules import Action, BlockPage, Censor, Drop, Reset, Residual, Throttle, Trigger
from gatewatch.lab.scenario import Host, Link, Route, Scenario, Web
from gatewatch.lab.visits import seat_at
from gatewatch.lab.world import CA, World
from gatewatch.probe.experiments import injection, residual, throughput
from gatewatch.probe.experiments.mechanism import Bench, Experiment, Layer, Suspicion
from gatewatch.probe.finding import Finding
from gatewatch.probe.net import Vantage
from tests.lab.full import requires_full_lab
from tests.lab.worlds import ACCESS, HOSTING, NATIONAL, SITE, scenario

param = pytest.param

LISTED = "www.example.com"
LAYERS: tuple[Layer, ...] = ("tls", "http", "quic")
Kind = Literal["failed", "page", "slow", "unasked"]
ANCHORS = tuple(f"93.184.216.{n}" for n in range(100, 112))
HOSTS = {
    "anchor": Host(
        addresses=ANCHORS,
        names=("anchor.lab",),
        web=Web(h3=True, routes=(Route(path="/bytes*", size=262_144),)),
    ),
    "site": Host(
        addresses=(SITE,),
        names=(LISTED,),
        web=Web(
            routes=(
                Route(path="/big", size=65_536),
                Route(path="/thought-over", delay_ms=6000.0, size=65_536),
            )
        ),
    ),
}


def world(*censors: Censor, access: Link = ACCESS.access) -> Scenario:
    networks = {
        "access": replaced(ACCESS, access=access),
        "national": NATIONAL,
        "hosting": HOSTING,
    }
    return scenario(hosts=HOSTS, networks=networks, censors=censors)


Asked = tuple[Experiment, Suspicion]


def suspected(
    layer: Layer, kind: Kind = "failed", *, path: str = "/", scheme: str | None = None
) -> Suspicion:
    scheme = scheme or ("http" if layer == "http" else "https")
    return Suspicion(
        layer=layer,
        kind=kind,
        failure=None,
        url=f"{scheme}://{LISTED}{path}",
        host=LISTED,
        address=SITE,
        port=80 if scheme == "http" else 443,
        depth=0,
    )


def found_in(lab: Scenario, *asked: Asked) -> list[Finding | None]:
    """What experiments find that run beside each other, each with a share of the anchors."""

    def measure(running: World) -> list[Finding | None]:
        seat = seat_at(lab, "access", running.enter_vantage("access"), running.folder / CA)
        share = len(seat.anchors) // len(asked)

        async def go() -> list[Finding | None]:
            zero = asyncio.get_running_loop().time()
            vantage = Vantage(reach=seat.reach, addresses=seat.addresses, zero=zero)
            benches = [
                Bench(
                    seat=replace(seat, anchors=seat.anchors[n * share :][:share]),
                    vantage=vantage,
                    rng=random.Random(n),
                    deadline=60.0,
                    deep=True,
                )
                for n in range(len(asked))
            ]
            runs = [e.run(b, s) for (e, s), b in zip(asked, benches, strict=True)]
            return list(await asyncio.gather(*runs))

        return asyncio.run(go())

    return _without_taps(lab, measure)


def _without_taps(
    lab: Scenario, measure: Callable[[World], list[Finding | None]]
) -> list[Finding | None]:
    """What is measured at the vantage point of a world: more than a tap could hold passes here."""
    requires_full_lab()
    with TemporaryDirectory() as temporary:
        left = Path(temporary, "found")

        def work(_: Tell) -> int:
            with World(lab, Path(temporary, "world")) as running:
                child = spawn(lambda: _leave(left, pickle.dumps(measure(running))))
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        with Enclosure(work) as enclosure:
            assert list(enclosure) == []
        assert enclosure.status == 0, "the world failed, and says why on stderr"
        return pickle.loads(left.read_bytes())


def _leave(file: Path, data: bytes) -> None:
    file.write_bytes(data)


LINGERING = (
    Censor(
        id="sni",
        at="national",
        trigger=Trigger(sni=(LISTED,)),
        action=Action(reset=Reset()),
        residual=Residual(seconds=4.0, ends="3-tuple", action=Action(drop=Drop())),
    ),
    Censor(
        id="host",
        at="national",
        trigger=Trigger(host=(LISTED,)),
        action=Action(reset=Reset(to="both")),
        residual=Residual(seconds=6.0, ends="4-tuple", extends=False),
    ),
    Censor(
        id="quic",
        at="national",
        trigger=Trigger(quic_sni=(LISTED,)),
        action=Action(drop=Drop(to="server")),
        residual=Residual(seconds=5.0, ends="2-tuple", action=Action(drop=Drop())),
    ),
)


def test_residual_blocking_has_its_ends_and_its_seconds():
    asked = [(residual.EXPERIMENT, suspected(layer)) for layer in LAYERS]
    found = found_in(world(*LINGERING), *asked)
    assert [one and (one.answer, one.residual_ends) for one in found] == [
        ("residual", "3-tuple"),
        ("residual", "4-tuple"),
        ("residual", "2-tuple"),
    ]
    assert [one and one.residual_s for one in found] == [
        pytest.approx(4.0, rel=0.2),
        pytest.approx(6.0, rel=0.2),
        pytest.approx(5.0, rel=0.2),
    ]


@pytest.mark.parametrize(
    ("censors", "answers"),
    [
        param((), {"inconclusive"}, id="nothing is blocked"),
        param(
            tuple(Censor(id=c.id, at=c.at, trigger=c.trigger, action=c.action) for c in LINGERING),
            {"none"},
            id="what is blocked is blocked, and nothing after it",
        ),
    ],
)
def test_where_nothing_lingers_nothing_is_said_to(censors, answers):
    asked = [(residual.EXPERIMENT, suspected(layer)) for layer in LAYERS]
    found = found_in(world(*censors), *asked)
    assert {one.answer if one else None for one in found} == answers
    assert {one.residual_s for one in found if one} == {None}


SLOW = Throttle(rate_kbps=140.0, burst_kb=8.0)
BY_NAME = Censor(
    id="name", at="national", trigger=Trigger(sni=(LISTED,)), action=Action(throttle=SLOW)
)
BY_HOST = Censor(
    id="host", at="national", trigger=Trigger(host=(LISTED,)), action=Action(throttle=SLOW)
)
STALLS = Censor(
    id="stall",
    at="national",
    trigger=Trigger(ip=(SITE,)),
    action=Action(drop=Drop(after_kb=16.0)),
)


def test_a_throttled_name_is_told_from_an_innocent_one():
    found = found_in(
        world(BY_NAME, BY_HOST),
        (throughput.EXPERIMENT, suspected("http", "slow", scheme="https")),
        (throughput.EXPERIMENT, suspected("http", "slow")),
    )
    assert [one and (one.answer, one.mechanism, one.trigger) for one in found] == [
        ("slowed_by_name", "tls.throttle.sni", "name"),
        ("slowed_by_name", "http.throttle.host", "name"),
    ]
    assert all(one and one.effect_high and one.effect_high < 0.2 for one in found)


@pytest.mark.parametrize(
    ("access", "censors", "answer"),
    [
        param(ACCESS.access, (), "not_slowed", id="a good line"),
        param(
            Link(delay_ms=8.0, rate_kbps=2000.0), (), "not_slowed", id="a thin line, for all alike"
        ),
        param(ACCESS.access, (STALLS,), "stalled_at_address", id="an address, whatever the name"),
    ],
)
def test_what_is_slow_under_any_name_accuses_no_name(access, censors, answer):
    slow = suspected("http", "slow", path="/big", scheme="https")
    (found,) = found_in(world(*censors, access=access), (throughput.EXPERIMENT, slow))
    assert found
    assert (found.answer, found.mechanism) == (answer, None)


@pytest.mark.parametrize(
    ("censors", "path"),
    [
        param((), "/thought-over", id="a server that thinks"),
        param((STALLS,), "/big", id="an address that stalls"),
    ],
)
def test_nobody_on_the_way_is_said_to_hold_back_what_a_server_may_hold_back(censors, path):
    slow = replace(suspected("http", "slow", path=path, scheme="https"), reached=True)
    (found,) = found_in(world(*censors), (throughput.EXPERIMENT, slow))
    assert found
    assert (found.trigger, found.placement) == (None, None)
    assert (found.answer == "stalled_at_address") == bool(censors)


def test_what_was_not_slow_is_measured_only_where_all_is_asked():
    asked = replace(suspected("http", "failed"), failure="connection_reset")
    assert found_in(world(), (throughput.EXPERIMENT, asked)) == [None]


SWAPS = Censor(
    id="cannon",
    at="national",
    trigger=Trigger(url=(f"{LISTED}/counter.js",)),
    action=Action(block_page=BlockPage(page="<script>attack(target)</script>", swallow=True)),
)


@pytest.mark.parametrize(
    ("path", "answer"),
    [param("/counter.js", "injected", id="swapped"), param("/", "none", id="left as it is")],
)
def test_a_script_in_place_of_another_is_seen_against_the_page_over_tls(path, answer):
    site = HOSTS["site"]
    counted = Web(routes=(Route(path="/counter.js", page="<script>count(this.visit)</script>"),))
    hosts = {**HOSTS, "site": replaced(site, web=counted)}
    lab = replaced(world(SWAPS), hosts={"site": hosts["site"]})
    (found,) = found_in(lab, (injection.EXPERIMENT, suspected("http", "unasked", path=path)))
    assert found
    assert (found.answer, found.mechanism) == (
        answer,
        "http.injection" if answer == "injected" else None,
    )
