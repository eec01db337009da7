"""The control vantage's side of a measurement, asked one question at a time.

Every answer keeps apart: the control reached it, the control failed too, and there is no
control for it. The last is never read as one of the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.model.records import Connect, Exchange, Handshake, Lookup, Observed


class Seen(StrEnum):
    """What a control says of a step that failed for the probe."""

    REACHES = "reaches"
    FAILS = "fails"
    ELSEWHERE = "elsewhere"
    "It fails at this address too, and has the page from another one."
    NONE = "none"


class Control:
    """One measurement's own control.

    Endpoints are keyed by address *and* port, handshakes also by server name; names are
    canonical on both sides, whatever spelling the helper was asked by.
    """

    def __init__(self, observed: Observed) -> None:
        self.lookup: Lookup | None = next(
            (o for o in observed.lookups if o.vantage == "control"), None
        )
        self._connects: dict[tuple[str, int], Connect] = {
            (o.address, o.port): o for o in observed.connects if o.vantage == "control"
        }
        self._handshakes: dict[tuple[str | None, int | None, str | None], Handshake] = {
            (o.address, o.port, o.sni): o
            for o in observed.handshakes
            if o.vantage == "control" and o.transport == "tcp"
        }
        self.exchange: Exchange | None = next(
            (o for o in observed.exchanges if o.vantage == "control"), None
        )

    @property
    def present(self) -> bool:
        return self.lookup is not None or self.exchange is not None or bool(self._connects)

    @property
    def page(self) -> Exchange | None:
        """The control's final answer; None when it got none."""
        exchange = self.exchange
        answered = exchange is not None and exchange.failure is None and exchange.status is not None
        return exchange if answered else None

    @property
    def page_seen(self) -> Seen:
        if self.page is not None:
            return Seen.REACHES
        failed = self.exchange is not None and self.exchange.failure is not None
        return Seen.FAILS if failed else Seen.NONE

    @property
    def addresses(self) -> list[str]:
        return self.lookup.addresses if self.lookup and self.lookup.failure is None else []

    @property
    def name_missing(self) -> bool:
        """The control was told that the name has no address."""
        if self.lookup is None:
            return False
        if self.lookup.failure is None:
            return not self.lookup.addresses
        return kind_of(self.lookup.failure) in (FailureKind.NXDOMAIN, FailureKind.NO_ANSWER)

    def connects(self, tried: Iterable[Connect]) -> Seen:
        """Of the endpoints tried, did the control reach one, or fail at all it tried?"""
        found = [self._connects.get((o.address, o.port)) for o in tried]
        return _seen([o.failure for o in found if o is not None])

    def handshakes(self, tried: Iterable[Handshake]) -> Seen:
        found = [self._handshakes.get((o.address, o.port, o.sni)) for o in tried]
        return _seen([o.failure for o in found if o is not None])


def _seen(failures: list[str | None]) -> Seen:
    if not failures:
        return Seen.NONE
    return Seen.REACHES if None in failures else Seen.FAILS
