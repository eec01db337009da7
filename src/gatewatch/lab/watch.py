"""One censor at its hop: what it listens for in each flow, and what it does from then on.

A `Sentry` is a censor of the scenario, ready for work. It has a `Watch` on every flow that it may
concern; a `Treatment` is what a flow gets once its trigger went off. All that is remembered of a
flow is in these, so that no flow arms or disarms a censor for another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import NamedTuple

from gatewatch.lab import censors
from gatewatch.lab.censors.sight import DROP, PASS, Effect, Post, Sight
from gatewatch.lab.chance import draw
from gatewatch.lab.flows import Flow, length
from gatewatch.lab.rules import Action, Censor, Residual
from gatewatch.lab.scenario import Host
from gatewatch.lab.triggers.contents import Asked, conditions
from gatewatch.lab.triggers.schedule import in_force
from gatewatch.lab.triggers.scope import Scope
from gatewatch.wire.packet import RST, TCP, UDP, Packet

DEEDS_MAX = 1_000
"""What is told of a flow after one trigger. Our choice: no measurement comes near it, and a flood
whose every packet is answered cannot fill a disk."""


class Deed(NamedTuple):
    """Something that a censor did to a flow, for the log."""

    censor: str
    "Its id."
    action: str
    subject: str
    diverts: bool
    again: bool
    "The same in answer to a TCP segment that comes once more."


@dataclass(slots=True)
class Residue:
    """What is left of a trigger: whoever has these ends is blocked until then."""

    until: float
    subject: str


class Sentry:
    """One censor of a box.

    Raises:
        ValueError: the censor diverts flows that it can only tell when they have begun.
    """

    def __init__(
        self,
        censor: Censor,
        *,
        inside: Callable[[bytes], str | None],
        seed: int,
        clock: datetime,
        hosts: Mapping[str, Host],
        addresses: tuple[bytes, ...] = (),
    ) -> None:
        self.post = Post(
            id=censor.id, seed=seed, react_ms=censor.react_ms, hosts=hosts, addresses=addresses
        )
        self.action, self.residual = censor.action, censor.residual
        self.conditions = conditions(censor.trigger)
        if censor.action.divert and not all(isinstance(c, Asked) for c in self.conditions):
            raise ValueError(f"{censor.id}: only a flow's ends or its DNS question can divert it")
        if censor.action.divert and self.conditions and censor.trigger.transport != "udp":
            raise ValueError(f"{censor.id}: over TCP the question comes too late to divert a flow")
        schedule = censor.trigger.schedule
        self.in_force = in_force(schedule, clock) if schedule else None
        self.residues: dict[tuple[object, ...], Residue] = {}
        self._scope = Scope(censor.trigger, inside)
        self._probability = censor.trigger.probability
        self._times: Counter[str] = Counter()
        "How often each subject has been met."

    def watch(self, flow: Flow) -> Watch | None:
        """A watch on a new flow; None if nothing in it can ever concern this censor."""
        watch = Watch(self, flow, listening=self._scope.covers(flow))
        return None if watch.spent else watch

    def acts_on(self, subject: str) -> bool:
        """Whether this occurrence of a subject is among the share that is acted upon."""
        if self._probability >= 1.0:
            return True
        self._times[subject] += 1
        drawn = draw(self.post.seed, self.post.id, subject, self._times[subject])
        return drawn < self._probability

    def leave_residue(self, flow: Flow, subject: str, now: float) -> None:
        if self.residual:
            until = now + self.residual.seconds
            self.residues[shared_ends(self.residual, flow)] = Residue(until, subject)

    def residue(self, flow: Flow, now: float, *, extend: bool) -> Residue | None:
        """What an earlier trigger left for flows like this one, if it is not over.

        Args:
            extend: let the time begin anew, if that is the censor's way.
        """
        residual = self.residual
        assert residual, "only a residual censor leaves something"
        key = shared_ends(residual, flow)
        found = self.residues.get(key)
        if found is None:
            return None
        if now >= found.until:
            del self.residues[key]
            return None
        if residual.extends and extend:
            found.until = now + residual.seconds
        return found


def shared_ends(residual: Residual, flow: Flow) -> tuple[object, ...]:
    """What flows must share to be blocked along with one that was."""
    addresses = (flow.client, flow.server)
    if residual.ends == "2-tuple":
        return addresses
    service = (*addresses, flow.protocol, flow.server_port)
    return service if residual.ends == "3-tuple" else (*service, flow.client_port)


class Treatment:
    """What is done to a flow, from the packet on that set it off."""

    def __init__(self, post: Post, flow: Flow, action: Action, prefix: str = "") -> None:
        self._post, self._flow, self._prefix = post, flow, prefix
        self._actions = [(name, censors.ACTIONS[name], rule) for name, rule in action.given()]
        self._swallows = censors.swallows(action)
        self._taken = False
        self._packets = self._answered = 0
        self._begun: set[str] = set()
        "Names of actions that have been told of since the trigger last went off."
        self._deeds = 0
        "How many times, since then."

    def begin_anew(self) -> None:
        """The trigger went off, perhaps not for the first time: what now begins is told of."""
        self._begun.clear()
        self._deeds = 0

    def treat(
        self,
        packet: Packet,
        to_server: bool,
        now: float,
        subject: str,
        fresh: bool,
        deeds: list[Deed],
    ) -> Effect:
        """Everything that the censor's actions do about one packet, together.

        Args:
            deeds: gets what is to be told of it.
        """
        if not to_server:
            self._answered += packet.end - packet.payload_at
        sight = Sight(
            post=self._post,
            flow=self._flow,
            packet=packet,
            to_server=to_server,
            now=now,
            subject=subject,
            fresh=fresh,
            packets=self._packets,
            answered=self._answered,
            swallowed=self._swallows,
            reading=self._flow.reading,
        )
        self._packets += 1
        whole = DROP if self._taken else PASS
        if self._taken and not fresh:
            return whole
        for name, act, rule in self._actions:
            effect = act(rule, sight)
            if effect is PASS:
                continue
            whole = both(whole, effect)
            begun = name in self._begun
            if (effect.inject or not begun) and self._deeds < DEEDS_MAX:
                self._begun.add(name)
                self._deeds += 1
                deeds.append(
                    Deed(
                        self._post.id,
                        self._prefix + name,
                        subject,
                        diverts=effect.hand_to is not None,
                        again=begun and packet.protocol == TCP,
                    )
                )
        self._taken |= whole.take
        return whole


def both(one: Effect, other: Effect) -> Effect:
    return Effect(
        drop=one.drop or other.drop or other.take,
        take=one.take or other.take,
        delay_ms=one.delay_ms + other.delay_ms,
        hand_to=one.hand_to or other.hand_to,
        inject=one.inject + other.inject,
    )


class Watch:
    """One censor's eye on one flow."""

    def __init__(self, sentry: Sentry, flow: Flow, *, listening: bool) -> None:
        self._sentry, self._flow = sentry, flow
        self.listening = listening
        "The trigger may still go off."
        self._heard: list[str | None] = [None] * len(sentry.conditions)
        self._drawn: dict[str, bool] = {}
        "Whether to act, by subject: chance is asked once, not again for each copy of a packet."
        self._subject = ""
        self._treatment: Treatment | None = None
        self._trigger_at: tuple[bool, int] | None = None
        "Direction and sequence number of the triggering segment."
        self._residual: Treatment | None = None

    @property
    def spent(self) -> bool:
        """Nothing that is still to come can matter."""
        return not self.listening and self._treatment is None and not self._sentry.residual

    @property
    def reads(self) -> bool:
        return self.listening and bool(self._sentry.conditions)

    def meet(self, packet: Packet, to_server: bool, now: float, deeds: list[Deed]) -> Effect:
        """What the censor does about the next packet of the flow."""
        sentry = self._sentry
        if sentry.in_force and not sentry.in_force(now):
            return PASS
        left = PASS
        if sentry.residues and self._treatment is None:
            left = self._meet_residue(packet, to_server, now, deeds)
            if left.drop:
                return left
        goes_off = self._goes_off(packet, to_server)
        fresh = goes_off or self._is_again(packet, to_server)
        if fresh:
            sentry.leave_residue(self._flow, self._subject, now)
        if goes_off:
            self._treatment = self._treatment or Treatment(sentry.post, self._flow, sentry.action)
            self._treatment.begin_anew()
        if self._treatment is None:
            return left
        done = self._treatment.treat(packet, to_server, now, self._subject, fresh, deeds)
        return done if left is PASS else both(left, done)

    def _goes_off(self, packet: Packet, to_server: bool) -> bool:
        """Whether this packet sets the trigger off."""
        subject = self._hear() if self.listening else None
        if subject is None:
            return False
        if subject not in self._drawn:
            self._drawn[subject] = self._sentry.acts_on(subject)
        if not self._drawn[subject]:
            return False
        self._subject, self._trigger_at = subject, (to_server, packet.seq)
        return True

    def _hear(self) -> str | None:
        """What this packet completes of what is listened for, if it completes all of it."""
        listened = self._sentry.conditions
        if not listened:
            self.listening = False
            return str(ip_address(self._flow.server))
        reading = self._flow.reading
        assert reading, "a flow is read as long as somebody listens"
        news = False
        for index, condition in enumerate(listened):
            word = condition.hears(reading)
            if word is not None:
                self._heard[index], news = word, True
        still = [condition for condition in listened if not condition.over(reading)]
        missed = any(
            word is None and condition not in still
            for word, condition in zip(self._heard, listened, strict=True)
        )
        self.listening = bool(still) and not missed
        return self._heard[0] if news and None not in self._heard else None

    def _is_again(self, packet: Packet, to_server: bool) -> bool:
        """The triggering segment sent once more; a datagram stands for itself each time."""
        if self._treatment is None:
            return False
        if packet.protocol == TCP:
            return self._trigger_at == (to_server, packet.seq) and length(packet) > 0
        return packet.protocol == UDP and to_server and not self._sentry.conditions

    def _meet_residue(
        self, packet: Packet, to_server: bool, now: float, deeds: list[Deed]
    ) -> Effect:
        sentry = self._sentry
        says = to_server and length(packet) > 0 and not packet.flags & RST
        residue = sentry.residue(self._flow, now, extend=says)
        if residue is None or sentry.residual is None:
            self._residual = None
            return PASS
        if self._residual is None:
            action = sentry.residual.action or sentry.action
            self._residual = Treatment(sentry.post, self._flow, action, "residual:")
        return self._residual.treat(packet, to_server, now, residue.subject, says, deeds)
