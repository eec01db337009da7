"""Which scenarios call for the full lab, and what is said of them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gatewatch.lab import load
from gatewatch.lab.reduced import CannotReduce, needs_packets, run_reduced
from gatewatch.lab.rules import Action, Censor, Drop, Icmp, Reset, Residual, Trigger
from gatewatch.lab.visits import FIRST_PASS, Client
from tests.lab.worlds import scenario

SNI = Trigger(sni=("a.example",))
ICMP = Action(icmp=Icmp())


@pytest.mark.parametrize(
    ("censor", "reason"),
    [
        (Censor(id="c", at="access", trigger=SNI, action=Action(reset=Reset())), None),
        (Censor(id="c", at="access", trigger=SNI, action=Action(drop=Drop())), None),
        (
            Censor(id="c", at="access", trigger=SNI, action=ICMP),
            "c answers with ICMP errors, which need packets",
        ),
        (
            Censor(
                id="c",
                at="access",
                trigger=SNI,
                action=Action(drop=Drop()),
                residual=Residual(seconds=9.0, action=ICMP),
            ),
            "c answers with ICMP errors, which need packets",
        ),
    ],
)
def test_only_what_no_socket_can_show_needs_packets(censor, reason):
    assert needs_packets(scenario(censors=(censor,))) == reason


def test_a_nat_that_forgets_needs_packets():
    reason = needs_packets(scenario(rebind_every_s=2.0))
    assert reason == "a NAT gives its flows other ports, which needs packets"


@pytest.mark.parametrize("family", ["dns-", "tls-", "http-", "tcp-"])
def test_one_mechanism_at_a_time_can_be_shown_without_packets(family):
    names = [name for name in load.names() if name.startswith(family)]
    assert names
    assert [needs_packets(load.load(name)) for name in names] == [None] * len(names)


def test_a_client_of_ones_own_is_refused_with_the_reason(tmp_path):
    with pytest.raises(CannotReduce, match=r"^miniooni cannot measure in the reduced lab"):
        run_reduced(scenario(), tmp_path, client=Client(command=("miniooni",)), seed=1)


def test_a_scenario_that_needs_packets_is_refused_with_the_reason(tmp_path):
    given = replace(scenario(rebind_every_s=2.0), id="nat")
    with pytest.raises(CannotReduce, match=r"^nat cannot run reduced: a NAT"):
        run_reduced(given, tmp_path, client=FIRST_PASS, seed=1)
