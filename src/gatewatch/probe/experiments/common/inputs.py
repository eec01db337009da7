"""The frame of tests that measure one input, which the user names or the reference data does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from gatewatch.model.target import canonical_host
from gatewatch.probe.experiments.common.services import known_endpoints
from gatewatch.probe.experiments.common.session import Session, conduct
from gatewatch.probe.experiments.nettest import Tell, say_nothing
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.visits import Visits
from gatewatch.refdata.endpoints import Endpoints

BAD_INPUT = "unknown_failure: the input is not what the test takes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often something is repeated, and how long is waited between."""

    times: int = 10
    gap_s: float = 1.0
    timeout_s: float = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a test of one input has to work with."""

    session: Session
    input: str
    table: Endpoints
    pace: Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class InputTest:
    """A test of one input."""

    name: str
    version: str
    question: str
    work: Callable[[Asked], Awaitable[Json]]
    "The test keys."
    kinds: tuple[tuple[str, str], ...] = ()
    "Service and class of the reference data that give the inputs."
    besides: tuple[tuple[str, str], ...] = ()
    "Those that it contacts whatever its input."
    takes: Literal["nothing", "url", "maybe"] = "maybe"
    helper: bool = False
    "The input is a test helper, which OONI names in `test_helpers` and not as the input."
    pace: Pace = Pace()
    table: Endpoints | None = None

    def inputs(self, endpoints: Endpoints) -> list[str]:
        return [one.url for kind in self.kinds for one in endpoints.of(*kind)]

    def contacts(self, endpoints: Endpoints) -> list[str]:
        hosts = [one.host for kind in (*self.kinds, *self.besides) for one in endpoints.of(*kind)]
        return list(dict.fromkeys(hosts))

    async def run(
        self,
        input: str | None,
        seat: Seat,
        rng: random.Random,
        tell: Tell = say_nothing,
        visits: Visits | None = None,
    ) -> Json:
        table = self.table or known_endpoints()
        given = input or next(iter(self.inputs(table)), "")

        async def work(session: Session) -> Json:
            return await self.work(Asked(session=session, input=given, table=table, pace=self.pace))

        return await conduct(
            seat,
            rng,
            tell,
            test=(self.name, self.version),
            input=None if self.helper or self.takes == "nothing" else given,
            work=work,
            helper=given if self.helper else None,
            visits=visits,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """An input, taken apart."""

    scheme: str
    host: str
    port: int
    path: str


def place_of(url: str, *, schemes: dict[str, int]) -> Place | None:
    """A URL of one of these schemes, with the port that each has where none is said.

    >>> place_of("stun://stun.example:3478", schemes={"stun": 3478})
    Place(scheme='stun', host='stun.example', port=3478, path='')
    >>> place_of("http://x", schemes={"stun": 3478}), place_of("://", schemes={"": 1})
    (None, None)
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = canonical_host(parts.hostname or "")
    except ValueError:
        return None
    if host is None or parts.scheme not in schemes:
        return None
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, host, port or schemes[parts.scheme], path)


@dataclass(frozen=True, slots=True)
class Located:
    """An input, and where it is to be found."""

    place: Place
    addresses: tuple[str, ...]
    "At least one."


async def locate(asked: Asked, *, schemes: dict[str, int]) -> tuple[Located | None, str | None]:
    """The place that the input names and its addresses, and the failure in their stead.

    Args:
        schemes: as of `place_of`.
    """
    place = place_of(asked.input, schemes=schemes)
    if place is None:
        return None, BAD_INPUT
    addresses, failure = await addresses_of(asked.session, place.host)
    return (Located(place, addresses), None) if addresses else (None, failure)


async def addresses_of(session: Session, host: str) -> tuple[tuple[str, ...], str | None]:
    """The addresses of a host, and the failure in their place."""
    looked = await session.resolve(host, [])
    if looked is None:
        return (host,), None
    return looked.addresses, looked.failure


async def repeat(pace: Pace, ping: Callable[[int], Awaitable[Json]]) -> list[Json]:
    """One attempt every so often, whether or not those before it have ended; in order."""

    async def at(number: int) -> Json:
        await asyncio.sleep(number * pace.gap_s)
        return await ping(number)

    return [*await asyncio.gather(*map(at, range(pace.times)))]
