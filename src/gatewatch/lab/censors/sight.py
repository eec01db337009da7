"""What an action is given and what it gives back: the interface of every file in this package.

An action is a function `(rule, sight) -> Effect`. It keeps nothing of its own: what must be
remembered is in `sight.flow.kept` (of the flow) or `sight.post.kept` (of the censor).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gatewatch.lab.flows import Flow
from gatewatch.lab.scenario import Host
from gatewatch.lab.triggers.reading import Reading
from gatewatch.wire.packet import Packet

KB = 1_000
"Bytes in what `lab.rules` calls kb."


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One censor, as its actions know it."""

    id: str
    seed: int
    react_ms: float
    hosts: Mapping[str, Host]
    addresses: tuple[bytes, ...] = ()
    "Of the hop that it sits on; none of a version whose hop is silent."
    kept: dict[Any, Any] = field(default_factory=dict)
    "Whatever its actions share between flows."


class Sight(NamedTuple):
    """One packet of a flow that a trigger went off on, seen by one action."""

    post: Post
    flow: Flow
    packet: Packet
    to_server: bool
    now: float
    "Seconds since the world began."
    subject: str
    "What set the trigger off: a name, an address, a keyword."
    fresh: bool
    "The packet set the trigger off itself, now or when it was first sent; injectors act on these."
    packets: int
    "How many packets of the flow came before it, from the triggering one on, either way."
    answered: int
    "Payload bytes sent to the client from the triggering packet on, this one's included."
    swallowed: bool
    "The censor does not let the packet go on, so its receiver does not know of it."
    reading: Reading | None = None
    "What the packet completed, if the flow is being read."


class Effect(NamedTuple):
    """What becomes of a packet, and what else is sent from the hop."""

    drop: bool = False
    take: bool = False
    "Dropped, and with it all that follows in its TCP flow: the ends no longer agree on it."
    delay_ms: float = 0.0
    "Before the packet goes on."
    hand_to: bytes | None = None
    "The flow goes to this machine in the server's place."
    inject: tuple[tuple[bytes, float], ...] = ()
    "Packets of the censor's own, each with its delay in milliseconds."


PASS = Effect()
"The action does nothing about this packet."
DROP = Effect(drop=True)
