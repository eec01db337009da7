"""The experiments that name the trigger, in whole worlds: first pass, suspicions, findings."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from msgspec.structs import replace

from gatewatch.lab.load import load
from gatewatch.lab.rules import Action, Censor, ForgeDns, Trigger
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.visits import seat_at
from gatewatch.lab.world import CA, World
from gatewatch.probe.experiments.investigate import investigate
from gatewatch.probe.experiments.web_connectivity import measure
from gatewatch.probe.finding import Finding
from gatewatch.probe.net import Vantage
from tests.lab.full import in_world

param = pytest.param


def found_in(lab: Scenario, url: str, *, network: str = "garr") -> list[Finding]:
    """What the experiments find that need no packets of their own, after a whole first pass."""

    def client(world: World) -> list[Finding]:
        seat = seat_at(lab, network, world.enter_vantage(network), world.folder / CA)

        async def go() -> list[Finding]:
            keys: dict[str, Any] = (await measure(url, seat, investigate=False))["test_keys"]
            zero = asyncio.get_running_loop().time()
            vantage = Vantage(reach=seat.reach, addresses=seat.addresses, zero=zero)
            return await investigate(url, keys, seat, vantage, rng=random.Random(1), alone=())

        return asyncio.run(go())

    return in_world(lab, {network: client}).results[network]


def proved(found: list[Finding]) -> set[tuple[str, str | None]]:
    return {(one.mechanism, one.trigger) for one in found if one.mechanism is not None}


EXAMPLE = "www.example.com"


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        param("tls-reset-residual", f"https://{EXAMPLE}/", {("tls.reset.sni", "name")},
              id="a name, with residual blocking after it"),
        param("tls-reset-other", f"https://{EXAMPLE}/",
              {("tls.reset", "address"), ("tls.reset.other", "address")}, id="an address"),
        param("http-reset-keyword", f"http://{EXAMPLE}/search?q=forbidden-word",
              {("http.reset.keyword", "keyword")}, id="a word"),
        param("russia-quic", "https://www.google.com/", {("quic.timeout", "protocol")},
              id="a protocol"),
        param("dns-injection-other", f"https://{EXAMPLE}/",
              {("dns.injection", "name"), ("dns.injection.other", "name")},
              id="a question, answered with strangers' addresses"),
        param("ip-null-route", f"https://{EXAMPLE}/", {("ip.null_route", "address")},
              id="an address that nothing reaches"),
        param("innocent-captive-portal-redirect", f"http://{EXAMPLE}/", set(), id="a portal"),
    ],
)  # fmt: skip
def test_the_trigger_is_found_where_there_is_one(name, url, expected):
    lab = load(name)
    network = "rostelecom" if name == "russia-quic" else lab.vantages[0]
    assert proved(found_in(lab, url, network=network)) == expected


def test_a_forger_in_the_path_is_told_from_one_beside_it():
    def forger(swallow: bool) -> Scenario:
        action = Action(forge_dns=ForgeDns(a=("127.0.0.1",), swallow=swallow))
        trigger = Trigger(dns=(EXAMPLE,))
        censor = Censor(id="forger", at="garr/1", trigger=trigger, action=action)
        return replace(load("dns-injection-bogon"), censors=(censor,))

    for swallow, placement in ((True, "in_path"), (False, "on_path")):
        found = found_in(forger(swallow), f"https://{EXAMPLE}/")
        (nobody,) = [one for one in found if one.experiment == "dns_nobody"]
        assert (nobody.answer, nobody.placement) == ("injector", placement)
