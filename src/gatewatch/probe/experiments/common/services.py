"""What the tests of services are made of: endpoints of the reference data, and a second opinion.

A test of a service is its name, the service's id, and a function from what was reached to the test
keys that OONI gives it; all else is the same for all of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gatewatch.probe.experiments.common.reached import Reached
from gatewatch.probe.experiments.common.second import second_opinion
from gatewatch.probe.experiments.common.session import Session, conduct
from gatewatch.probe.experiments.nettest import Tell, say_nothing
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.visits import Visits
from gatewatch.refdata.endpoints import Endpoints
from gatewatch.refdata.snapshot import load

ByKind = dict[str, list[Reached]]


def known_endpoints() -> Endpoints:
    """Those of the reference data in force."""
    return load().endpoints()


def by_kind(reached: Sequence[Reached]) -> ByKind:
    """What was reached, by the class of its endpoint, in order.

    >>> by_kind([])
    {}
    """
    found: ByKind = {}
    for one in reached:
        found.setdefault(one.endpoint.kind, []).append(one)
    return found


def first_failure(reached: Sequence[Reached]) -> tuple[str | None, str | None]:
    """The failure and failed operation of the first that failed; none where all went well."""
    return next(((r.failure, r.operation) for r in reached if not r.well), (None, None))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTest:
    """The test of a service that several endpoints make."""

    name: str
    version: str
    question: str
    service: str
    "Id in the reference data."
    read: Callable[[ByKind, Seat], Json]
    "OONI's keys of the test, from the first attempts by class."
    parallel: int = 3
    table: Endpoints | None = None
    "Other endpoints than those of the reference data."
    takes: Literal["nothing", "url", "maybe"] = "nothing"

    def inputs(self, endpoints: Endpoints) -> list[str]:
        return []

    def contacts(self, endpoints: Endpoints) -> list[str]:
        return list(dict.fromkeys(one.host for one in endpoints.of(self.service)))

    async def run(
        self,
        input: str | None,
        seat: Seat,
        rng: random.Random,
        tell: Tell = say_nothing,
        visits: Visits | None = None,
    ) -> Json:
        table = self.table or known_endpoints()
        targets = table.of(self.service)

        async def work(session: Session) -> Json:
            shuffled = rng.sample(targets, len(targets))  # so that no place is always the first
            order = {target: at for at, target in enumerate(targets)}
            reached = await session.reach_all(shuffled, parallel=self.parallel)
            reached.sort(key=lambda one: order[one.endpoint])
            keys = session.keys()  # the lists hold the first pass
            _, said = await second_opinion(session, reached, table.classes(self.service))
            again = session.keys()
            failure, operation = first_failure([r for r in reached if r.endpoint.protocol != "dns"])
            return {
                **keys,
                "failed_operation": operation,
                "failure": failure,
                **self.read(by_kind(reached), seat),
                **said,
                "x_again": {name: rest_of(again[name], keys[name]) for name in _LISTS},
                "x_endpoints_version": table.version,
            }

        authorities = tuple(one.pem for one in table.authorities(self.service))
        return await conduct(
            seat,
            rng,
            tell,
            test=(self.name, self.version),
            input=None,
            work=work,
            authorities=authorities,
            visits=visits,
        )


_LISTS = ("queries", "tcp_connect", "tls_handshakes", "requests")


def rest_of(all: list[Json], first: list[Json]) -> list[Json]:
    """Entries that came after the first pass.

    >>> rest_of([{"a": 1}, {"a": 2}], [{"a": 1}])
    [{'a': 2}]
    """
    return [entry for entry in all if entry not in first]
