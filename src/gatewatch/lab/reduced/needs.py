"""What the reduced lab cannot do, and which scenarios call for it."""

from __future__ import annotations

from gatewatch.lab.scenario import Scenario
from gatewatch.model.errors import GatewatchError

CANNOT_DO = (
    "It runs the probe alone: a command of yours cannot be led onto loopback.",
    "It has no packets to capture, no TTLs and no ICMP, so nothing that traces a path works.",
    "It knows no NAT that gives running flows other ports.",
    "A connection is opened at once, however long its way; what is said over it takes its time.",
    "Loss and throttling meet a simple TCP of the lab's own, not the system's.",
    "It is not sealed: it listens on 127.0.0.0/8, where other programs of this machine could call.",
)
"What it lacks beside the full lab, a sentence each."


class CannotReduce(GatewatchError):
    """The reduced lab was asked for something that only the full one can do."""


def needs_packets(scenario: Scenario) -> str | None:
    """Why a scenario cannot run reduced, as a clause; None: it can."""
    for censor in scenario.censors:
        left = censor.residual and censor.residual.action
        if censor.action.icmp or (left and left.icmp):
            return f"{censor.id} answers with ICMP errors, which need packets"
    if scenario.rebind_every_s is not None:
        return "a NAT gives its flows other ports, which needs packets"
    return None
