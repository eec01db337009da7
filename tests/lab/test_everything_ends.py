"""Where nothing answers: how far packets get, which is not why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as replaced

from gatewatch.lab.rules import Action, Censor, Drop, Icmp, NullRoute, Trigger
from gatewatch.lab.scenario import Host, Network, Resolver, Scenario
from gatewatch.probe.experiments import everything_ends, tcp_port
from gatewatch.probe.experiments.attempts import finding
from gatewatch.probe.experiments.mechanism import Bench, Suspicion
from gatewatch.probe.finding import Finding
from tests.lab.test_timing_experiments import HOSTS, found_in, suspected
from tests.lab.test_where_experiments import Knowing
from tests.lab.worlds import ACCESS, GOOGLE, HOSTING, NATIONAL, scenario

param = pytest.param

QUAD = Network(
    asn=19281, name="Quad9", country="US", prefixes=("9.9.9.0/24",), hops=(("9.9.9.1",),)
)
HERE = replaced(ACCESS, resolver="130.192.1.53")
RESOLVERS = {
    name: Host(addresses=(address,), names=(name,), resolver=Resolver())
    for name, address in (("dns.google", "8.8.8.8"), ("dns.quad9.net", "9.9.9.9"))
}
BORDER, EVERYTHING = "79.0.0.1", Trigger(everything=True)
TCP = replace(suspected("tls"), layer="tcp", failure="generic_timeout_error")
NAMELESS = replace(TCP, layer="dns", address=None)


def shut(at: str, action: Action, trigger: Trigger = EVERYTHING) -> Censor:
    return Censor(id="shut", at=at, trigger=trigger, action=action)


def world(*censors: Censor, access: Network = HERE, resolvers: int = 2) -> Scenario:
    networks = {"access": access, "national": NATIONAL, "hosting": HOSTING, "google": GOOGLE}
    return scenario(
        networks={**networks, "quad9": QUAD},
        hosts={**HOSTS, **dict([*RESOLVERS.items()][:resolvers])},
        censors=censors,
    )


class After(Knowing):
    """It, after another experiment that gave an answer."""

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        before = finding(tcp_port.EXPERIMENT, suspicion, self.answer, "", [], **self.more)
        bench.findings.append(before)
        return await self.experiment.run(bench, suspicion)


def asked(answer: str, suspicion: Suspicion = TCP, **more: Any) -> tuple[After, Suspicion]:
    return After(everything_ends.EXPERIMENT, answer, more), suspicion


DROPS = Action(drop=Drop())


@pytest.mark.parametrize(
    ("censor", "hop"),
    [
        param(shut("national/1", DROPS), (4, BORDER), id="silence at the border"),
        param(shut("national/1", Action(null_route=NullRoute())), (4, BORDER), id="no route"),
        param(shut("national/1", Action(icmp=Icmp(code="net"))), (4, BORDER), id="it says so"),
        param(shut("access/2", DROPS), (1, "130.192.0.1"), id="at a hop that is silent itself"),
    ],
)
def test_where_all_ways_end_is_found_and_nobody_is_accused(censor, hop):
    found = found_in(world(censor), asked("everything"), asked("resolver_silent", NAMELESS))
    for one in found:
        assert one is not None
        assert (one.answer, (one.hop_ttl, one.hop_address)) == ("everything_ends", hop), one.words
        assert (one.mechanism, one.trigger, one.placement) == (None, None, "in_path")
        assert "accuses nobody" in one.words
        assert one.layer == "tcp"
        assert all(trial.failure == "generic_timeout_error" for trial in one.trials)


HOME = replaced(HERE, hops=(("192.168.1.1", "2001:760::1"), ()), via=None)


@pytest.mark.parametrize(
    ("lab", "answer"),
    [
        param(world(), "goes_on", id="nothing is wrong"),
        param(
            world(shut("national/1", DROPS, Trigger(ip=("93.184.216.0/24",)))),
            "goes_on",
            id="one network is out of reach",
        ),
        param(world(shut("access/2", DROPS), access=HOME), "own_line", id="behind our own router"),
        param(world(shut("national/1", DROPS), resolvers=0), "inconclusive", id="few are known"),
    ],
)
def test_what_may_be_one_site_or_our_own_line_is_given_no_hop(lab, answer):
    (found,) = found_in(lab, asked("everything"))
    assert found is not None
    assert (found.answer, found.hop_ttl, found.placement) == (answer, None, None), found.words


def test_it_is_not_asked_where_something_answers_or_the_hop_is_known():
    told = replace(TCP, reached=True)
    found = found_in(
        world(),
        asked("address", told),
        asked("everything", replace(told, kind="unasked")),
        asked("everything", told, hop_ttl=3),
    )
    assert found == [None, None, None]
