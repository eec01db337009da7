"""What censors do, one file for each action, and the table of them all.

The interface is in `sight`; what goes into a forged packet is in `forging`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gatewatch.lab.censors import (
    alert,
    block_page,
    close_quic,
    divert,
    drop,
    fin,
    forge_dns,
    icmp,
    null_route,
    redirect,
    refuse,
    reset,
    throttle,
)
from gatewatch.lab.censors.sight import Effect, Sight
from gatewatch.lab.rules import Action

ACTIONS: Mapping[str, Callable[[Any, Sight], Effect]] = {
    "null_route": null_route.act,
    "divert": divert.act,
    "refuse": refuse.act,
    "icmp": icmp.act,
    "forge_dns": forge_dns.act,
    "block_page": block_page.act,
    "redirect": redirect.act,
    "alert": alert.act,
    "close_quic": close_quic.act,
    "fin": fin.act,
    "reset": reset.act,
    "throttle": throttle.act,
    "drop": drop.act,
}
"""By their names in `lab.rules.Action`, and in the order in which they are taken."""


def swallows(action: Action) -> bool:
    """Whether the triggering packet does not go on, so that its receiver does not know of it."""
    drops = action.drop is not None and not action.drop.after_packets
    stalls_later = action.drop is not None and action.drop.after_kb is not None
    return (drops and not stalls_later) or any(
        getattr(rule, "swallow", False) for _, rule in action.given()
    )
