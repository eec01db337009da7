"""What all hosts of a world have in common."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Literal

from gatewatch.lab.attach import Attach
from gatewatch.lab.box import Act
from gatewatch.lab.certificates import Office
from gatewatch.lab.diversion import Diversion
from gatewatch.lab.hosts.where import Where, locator
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.zone import Zone
from gatewatch.wire.address import endpoint

Original = Callable[[Literal["tcp", "udp"], str], Awaitable[Diversion | None]]
"What a flow was before it was diverted: from its transport and its peer, as `address:port`."

Peer = tuple
"A client as its socket names it."


class Premises:
    """The world as its hosts know it.

    Args:
        office: issues their certificates.
        tell: told of each interference by a middlebox; times are seconds from here on.
        original: what flows were that censors divert; None: nothing is diverted.
    """

    def __init__(
        self,
        scenario: Scenario,
        attach: Attach,
        office: Office,
        tell: Callable[[Act], None],
        original: Original | None,
    ) -> None:
        self.scenario = scenario
        self.attach = attach
        self.office = office
        self.original = original
        self.where = locator(scenario)
        self.zone = Zone(scenario, lambda address: self.where(address).country)
        self._tell = tell
        self._began = time.monotonic()

    def locate(self, peer: Peer) -> Where:
        """Where a client is."""
        return self.where(self.attach.who(peer))

    def endpoint(self, peer: Peer) -> str:
        """A client as the log writes it."""
        return endpoint(self.attach.who(peer), peer[1])

    def tell(
        self,
        host: str,
        action: str,
        *,
        client: str,
        server: tuple[str, int],
        transport: Literal["tcp", "udp"],
        subject: str,
    ) -> None:
        """Logs what a host did to a flow that was not its own."""
        self._tell(
            Act(
                t=time.monotonic() - self._began,
                place=host,
                censor=host,
                action=action,
                client=client,
                server=endpoint(*server),
                transport=transport,
                subject=subject,
            )
        )
