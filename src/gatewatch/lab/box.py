"""A box: the censors of one hop, and every packet that passes it.

The router asks it what goes on from the hop, and when. It has no socket and no clock, and with
the same packets, times and seed it does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from gatewatch.lab.censors.sight import PASS
from gatewatch.lab.diversion import error_handed_back, handed_back, handed_over
from gatewatch.lab.flows import Flow, Flows, endpoint
from gatewatch.lab.rules import Censor
from gatewatch.lab.scenario import Host
from gatewatch.lab.triggers.reading import Reading
from gatewatch.lab.watch import Deed, Sentry
from gatewatch.wire.packet import ICMP, ICMPV6, Packet


class Act(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the truth log: a censor acted on a flow.

    What lasts, such as drops, is told of when it begins and with each new trigger; what is sent,
    each time.
    """

    t: float
    "Seconds since the world began."
    place: str
    censor: str
    action: str
    "As in `lab.rules.Action`; `residual:` before it where an earlier flow set it off."
    client: str
    "`192.0.2.1:50000`, `[2001:db8::1]:50000`; what has no ports has port 0."
    server: str
    "Whom the client wanted, also where the flow is diverted."
    transport: str
    subject: str
    "What matched: a name, an address, a keyword."
    again: bool = False
    """Nothing new: a segment of a TCP flow that was met already came once more, perhaps long after
    its program has turned to something else."""
    peer: str | None = None
    "Of a diversion: the client as the middlebox sees it, whose port may be another."


class Box:
    """The censors of one hop.

    Args:
        place: the hop, as the log names it.
        censors: in the order in which they see packets; the first that drops one ends it.
        inside: the name of the network below this hop that a packed address is in, None for
            addresses outside.
        clock: the scenario's time when the world begins.
        tell: is told of each act before the packet that it is about goes on.
        hosts: where flows may be diverted to.
        addresses: the hop's own, packed, from which its ICMP errors come.

    Raises:
        ValueError: a censor that cannot work, and why.
    """

    def __init__(
        self,
        place: str,
        censors: Sequence[Censor],
        *,
        inside: Callable[[bytes], str | None],
        seed: int,
        clock: datetime,
        tell: Callable[[Act], None],
        hosts: Mapping[str, Host],
        addresses: tuple[bytes, ...] = (),
    ) -> None:
        self.place = place
        self.censors = tuple(censors)
        self._tell = tell
        self._flows = Flows()
        self._sentries = [
            Sentry(censor, inside=inside, seed=seed, clock=clock, hosts=hosts, addresses=addresses)
            for censor in censors
        ]

    def handle(self, packet: Packet, outward: bool, now: float) -> list[tuple[bytes, float]]:
        """What goes on from this hop: the packet or not, and what the censors send themselves.

        Args:
            outward: the packet travels away from the machines of the place's network.
            now: seconds since the world began; never less than before.

        Returns:
            Packets, each with an extra delay in milliseconds and routed by its own destination.
        """
        if packet.protocol in (ICMP, ICMPV6):
            packet = error_handed_back(self._flows, packet)
        flow, to_server = self._flows.find(packet, now) or self._begin(packet, outward, now)
        if not flow.watches and flow.diverted_to is None:
            return [(packet.data, 0.0)]
        if flow.diverted_to == packet.src and not to_server:
            packet = handed_back(flow, packet)
        return self._examine(flow, packet, to_server, now)

    def _begin(self, packet: Packet, outward: bool, now: float) -> tuple[Flow, bool]:
        flow, to_server = self._flows.begin(packet, outward, now)
        flow.watches = [watch for s in self._sentries if (watch := s.watch(flow)) is not None]
        if any(watch.reads for watch in flow.watches):
            flow.reading = Reading(flow)
        return flow, to_server

    def _examine(
        self, flow: Flow, packet: Packet, to_server: bool, now: float
    ) -> list[tuple[bytes, float]]:
        flow.advance(packet, to_server)
        if flow.reading:
            flow.reading.see(packet, to_server)
        delay_ms, dropped = 0.0, False
        injected: list[tuple[bytes, float]] = []
        deeds: list[Deed] = []
        for watch in flow.watches:
            effect = watch.meet(packet, to_server, now, deeds)
            if effect is PASS:
                continue
            injected += effect.inject
            delay_ms += effect.delay_ms
            if effect.hand_to:
                self._flows.divert(flow, effect.hand_to)
            if effect.drop:
                dropped = True
                break
        for deed in deeds:
            self._log(flow, deed, now)
        if flow.reading:
            _let_go(flow)
        if dropped:
            return injected
        data = packet.data
        if flow.diverted_to and to_server:
            data = handed_over(flow, packet)
        return [(data, delay_ms), *injected]

    def _log(self, flow: Flow, deed: Deed, now: float) -> None:
        self._tell(
            Act(
                t=now,
                place=self.place,
                censor=deed.censor,
                action=deed.action,
                client=endpoint(flow.client, flow.client_port),
                server=endpoint(flow.server, flow.server_port),
                transport=flow.transport,
                subject=deed.subject,
                again=deed.again,
                peer=endpoint(flow.client, flow.diverted_port) if deed.diverts else None,
            )
        )


def _let_go(flow: Flow) -> None:
    """Stop watching and reading a flow for those who can learn nothing more from it."""
    flow.watches = [watch for watch in flow.watches if not watch.spent]
    if not any(watch.reads for watch in flow.watches):
        flow.reading = None
