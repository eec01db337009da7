"""What every test of the probe is to the rest: one question, whom it contacts, one measurement.

The tests of this room write OONI's record, key for key, so that whoever reads OONI's data reads
ours; what OONI's does not say stands in keys that begin with `x_`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal, Protocol

from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.visits import Visits
from gatewatch.refdata.endpoints import Endpoints

Tell = Callable[[str], None]
"What is happening, for whoever watches."


def say_nothing(words: str) -> None:
    """For those whom nobody watches."""


class Nettest(Protocol):
    """One test. Modules of `probe.experiments` give one each, as `EXPERIMENT`."""

    @property
    def name(self) -> str:
        """OONI's name of the test, or ours where OONI has none."""
        ...

    @property
    def version(self) -> str: ...

    @property
    def question(self) -> str:
        """One sentence for people."""
        ...

    @property
    def takes(self) -> Literal["nothing", "url", "maybe"]:
        """Whether a measurement has an input: never, always, or a default where none is given."""
        ...

    def inputs(self, endpoints: Endpoints) -> list[str]:
        """The inputs to measure where the user names none; empty where it takes none."""
        ...

    def contacts(self, endpoints: Endpoints) -> list[str]:
        """Whom it contacts besides the resolvers and the controls, for the consent text."""
        ...

    async def run(
        self,
        input: str | None,
        seat: Seat,
        rng: random.Random,
        tell: Tell = say_nothing,
        visits: Visits | None = None,
    ) -> Json:
        """A whole measurement. Never raises for the network.

        Args:
            visits: of the run that it is part of.
        """
        ...
