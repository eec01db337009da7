"""Tor: its directories, its relays and its obfs4 bridges. OONI's test `tor`.

Bridges that speak obfs4 are connected to and no more: its handshake needs each bridge's secret.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from gatewatch.probe.experiments.common.reached import Depth, Reached
from gatewatch.probe.experiments.common.second import second_opinion
from gatewatch.probe.experiments.common.services import by_kind, known_endpoints
from gatewatch.probe.experiments.common.session import Session, conduct
from gatewatch.probe.experiments.nettest import Tell, say_nothing
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.visits import Visits
from gatewatch.refdata.endpoints import Endpoint, Endpoints
from gatewatch.wire.address import endpoint as place

KINDS = ("dir_port", "obfs4", "or_port", "or_port_dirauth")
"As OONI's keys count them, whether or not there are any."
PARALLEL = 6
"OONI tries two at a time; our choice, as each of 23 may take a time-out."
KEPT = 256
"Bytes of the consensus that OONI keeps."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tor:
    name: str = "tor"
    version: str = "0.4.0"
    question: str = "Can the Tor network be reached, directly or by public bridges?"
    takes: Literal["nothing", "url", "maybe"] = "nothing"
    table: Endpoints | None = None

    def inputs(self, endpoints: Endpoints) -> list[str]:
        return []

    def contacts(self, endpoints: Endpoints) -> list[str]:
        return list(dict.fromkeys(place(e.host, e.port) for e in endpoints.of("tor")))

    async def run(
        self,
        input: str | None,
        seat: Seat,
        rng: random.Random,
        tell: Tell = say_nothing,
        visits: Visits | None = None,
    ) -> Json:
        table = self.table or known_endpoints()
        targets = table.of("tor")

        async def work(session: Session) -> Json:
            tried = await _try_all(session, rng.sample(targets, len(targets)))
            reached = [one for one, _ in tried]
            _, said = await second_opinion(session, reached, table.classes("tor"))
            return {
                **counts(reached),
                "targets": {target_id(one.endpoint): entry for one, entry in tried},
                **said,
                "x_endpoints_version": table.version,
            }

        return await conduct(
            seat, rng, tell, test=(self.name, self.version), input=None, work=work, visits=visits
        )


async def _try_all(session: Session, targets: Sequence[Endpoint]) -> list[tuple[Reached, Json]]:
    """Each target with a record of its own."""
    forks = [session.fork() for _ in targets]
    by_target = dict(zip(targets, forks, strict=True))
    reached = await _limited(by_target)
    return [(one, _entry(one, by_target[one.endpoint])) for one in reached]


async def _limited(by_target: dict[Endpoint, Session]) -> list[Reached]:
    gate = asyncio.Semaphore(PARALLEL)

    async def one(target: Endpoint, session: Session) -> Reached:
        async with gate:
            return await session.reach(target)

    return [*await asyncio.gather(*(one(t, s) for t, s in by_target.items()))]


def _entry(one: Reached, session: Session) -> Json:
    connect = one.failure if one.operation == "connect" else None
    handshake = one.failure if one.operation == "tls_handshake" else None
    shaken = one.endpoint.protocol == "tls" and one.depth >= Depth.CONNECTED
    keys = session.keys()
    for request in keys["requests"]:
        _cut(request["response"])
    return {
        **keys,
        "failure": one.failure,
        "summary": {
            "connect": {"failure": connect},
            **({"handshake": {"failure": handshake}} if shaken else {}),
        },
        "target_address": place(one.endpoint.host, one.endpoint.port),
        "target_name": "",
        "target_protocol": one.endpoint.kind,
        "target_source": "",
    }


def _cut(response: Json) -> None:
    """Keep the beginning of a consensus, which is megabytes."""
    body = response["body"]
    text = body["data"] if isinstance(body, dict) else body
    kept = KEPT * 4 // 3 // 4 * 4 if isinstance(body, dict) else KEPT
    if len(text) > kept:
        response["body"] = {**body, "data": text[:kept]} if isinstance(body, dict) else text[:kept]
        response["body_is_truncated"] = True


def target_id(target: Endpoint) -> str:
    """What a target is called: OONI hashes bridges, so that a list of ids is no list of bridges."""
    where = place(target.host, target.port)
    return sha256(where.encode()).hexdigest() if target.kind == "obfs4" else where


def counts(reached: Sequence[Reached]) -> Json:
    """OONI's totals of each kind."""
    found: Json = {}
    kinds = by_kind(reached)
    for kind in KINDS:
        ones = kinds.get(kind, [])
        found[f"{kind}_total"] = len(ones)
        found[f"{kind}_accessible"] = sum(one.well for one in ones)
    return found


EXPERIMENT = Tor()
