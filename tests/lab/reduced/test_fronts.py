"""Flows past censors without packets: what programs at either end of them meet."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gatewatch.lab.box import Act
from gatewatch.lab.hosts import serve
from gatewatch.lab.reduced.corner import Corner
from gatewatch.lab.reduced.fronts import Fronts
from gatewatch.lab.rules import (
    Action,
    BlockPage,
    Censor,
    Divert,
    Drop,
    Fin,
    ForgeDns,
    NullRoute,
    Refuse,
    Reset,
    Residual,
    Throttle,
    Trigger,
)
from gatewatch.lab.scenario import Host, Link, Middlebox, Resolver, Scenario, Web
from gatewatch.probe.net import Failed, Stream, Vantage
from gatewatch.probe.steps import connect, lookup
from tests.lab.dialogue import get
from tests.lab.worlds import ACCESS, PROBE, SITE, scenario

ECHO, CLOSED, PROXY = 7, 9, "130.192.0.80"
WORD = b"a word\n"
SOON_S, LATE_S = 0.4, 10.0
"How long to wait for what does not come, and for what does, on however busy a machine."
TIMEOUT = "generic_timeout_error"

ANSWERS = Trigger(endpoint=(f"{SITE}:{ECHO}/tcp",))
SAYS = Trigger(keyword=("word",))
ASKED = Trigger(dns=(".example.com",))


@dataclass
class Lab:
    """A vantage point in a running world."""

    vantage: Vantage
    acts: list[Act]

    async def dial(
        self, address: str = SITE, port: int = ECHO, *, within_s: float = SOON_S
    ) -> Stream:
        """
        Raises:
            Failed: in the attempt.
        """
        reached = await connect(self.vantage, address, port, timeout_s=within_s)
        if reached.stream is None:
            raise Failed(str(reached.failure))
        return reached.stream

    async def hears(self, said: bytes, size: int, *, port: int = ECHO, within_s: float) -> bytes:
        """What comes back to a program that says something: so many bytes, or until the end.

        Raises:
            Failed: on the way.
        """
        stream = await self.dial(port=port, within_s=within_s)
        deadline = self.vantage.now() + within_s
        heard = bytearray()
        try:
            await stream.write(said, deadline)
            while len(heard) < size and (more := await stream.read(deadline)):
                heard += more
        finally:
            stream.close()
        return bytes(heard)


def world(*censors: Censor, **networks) -> Scenario:
    """The small world with an echo, a proxy, and a resolver; `networks` replace some of it."""
    base = scenario()
    return scenario(
        networks={**base.networks, **networks},
        hosts={
            "site": Host(
                addresses=(SITE,), names=("www.example.com",), tcp={str(ECHO): "echo"}, web=Web()
            ),
            "proxy": Host(
                addresses=(PROXY,),
                middlebox=Middlebox(names=("www.example.com",), page="<p>Not for you.</p>"),
            ),
            "resolver": Host(addresses=("8.8.8.8",), resolver=Resolver()),
            "gone": Host(addresses=("93.184.216.99",), down=True),
        },
        censors=censors,
    )


def censor(trigger: Trigger, action: Action, **more) -> Censor:
    return Censor(id="censor", at="access/1", trigger=trigger, action=action, **more)


@asynccontextmanager
async def running(given: Scenario, folder: Path) -> AsyncIterator[Lab]:
    began, acts = time.monotonic(), list[Act]()
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    work = set[asyncio.Task]()

    def start(coroutine) -> None:
        work.add(loop.create_task(coroutine))

    with Corner(given) as corner:
        fronts = Fronts(
            given,
            corner,
            seed=1,
            clock=lambda: time.monotonic() - began,
            tell=acts.append,
            start=start,
        )
        start(
            serve(
                given, fronts, folder,
                ready=ready.set, tell=acts.append, original=fronts.original,
            )
        )  # fmt: skip
        async with asyncio.timeout(LATE_S):
            await ready.wait()
        try:
            yield Lab(Vantage(reach=fronts, addresses=(PROBE,), zero=loop.time()), acts)
        finally:
            for task in work:
                task.cancel()
            await asyncio.wait(work)


def met(folder: Path, given: Scenario, act: Callable[[Lab], Awaitable[object]]) -> Any:
    """What a program brings home from a world, be it a failure."""

    async def live() -> object:
        async with running(given, folder) as lab:
            try:
                return await act(lab)
            except Failed as failed:
                return failed.failure

    return asyncio.run(live())


@pytest.mark.parametrize(
    ("trigger", "action", "heard"),
    [
        pytest.param(Trigger(keyword=("another",)), Action(drop=Drop()), WORD, id="free"),
        pytest.param(SAYS, Action(reset=Reset()), "connection_reset", id="reset"),
        pytest.param(
            SAYS, Action(reset=Reset(to="both", swallow=True)), "connection_reset", id="swallowed"
        ),
        pytest.param(
            SAYS, Action(reset=Reset(offsets=(1_460,))), WORD, id="a reset out of place"
        ),
        pytest.param(SAYS, Action(fin=Fin()), b"", id="a forged end"),
        pytest.param(SAYS, Action(drop=Drop()), TIMEOUT, id="dropped"),
        pytest.param(
            SAYS, Action(drop=Drop(to="client")), TIMEOUT, id="no echo"
        ),
        pytest.param(SAYS, Action(drop=Drop(after_packets=3)), WORD, id="dropped later"),
        pytest.param(
            SAYS,
            Action(block_page=BlockPage(page="<p>", status=None, close="none")),
            b"<p>ord\n",
            id="forged bytes come first, and the true ones in their place do not count",
        ),
        pytest.param(SAYS, Action(throttle=Throttle(delay_ms=50)), WORD, id="late"),
        pytest.param(ANSWERS, Action(refuse=Refuse()), "connection_refused", id="refused"),
        pytest.param(ANSWERS, Action(reset=Reset()), "connection_refused", id="a reset SYN"),
        pytest.param(ANSWERS, Action(drop=Drop()), TIMEOUT, id="a dropped SYN"),
        pytest.param(
            ANSWERS, Action(drop=Drop(to="client")), TIMEOUT, id="a dropped SYN/ACK"
        ),
        pytest.param(
            Trigger(ip=(SITE,)), Action(null_route=NullRoute()), TIMEOUT,
            id="an address routed to nowhere",
        ),
    ],
)  # fmt: skip
def test_a_program_meets_what_packets_would_have_done_to_it(tmp_path, trigger, action, heard):
    given = world(censor(trigger, action))
    within_s = SOON_S if heard == TIMEOUT else LATE_S
    found = met(tmp_path, given, lambda lab: lab.hears(WORD, len(WORD), within_s=within_s))
    assert found == heard


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize(
    ("address", "port", "failure"),
    [
        (SITE, CLOSED, "connection_refused"),
        ("93.184.216.99", 80, TIMEOUT),
        ("93.184.216.98", 80, TIMEOUT),
        ("10.0.0.1", 80, TIMEOUT),
    ],
)
def test_closed_ports_refuse_and_machines_that_are_down_or_nowhere_are_silent(
    tmp_path, guarded, address, port, failure
):
    given = world(censor(SAYS, Action(drop=Drop()))) if guarded else world()
    assert met(tmp_path, given, lambda lab: lab.dial(address, port)) == failure


def test_a_stream_arrives_whole_over_a_way_that_loses_and_reorders_much(tmp_path):
    lossy = replace(ACCESS, access=Link(delay_ms=1.0, jitter_ms=3.0, loss=0.05))
    throttle = Throttle(rate_kbps=4_000, burst_kb=8)
    given = world(censor(ANSWERS, Action(throttle=throttle)), access=lossy)
    said = random.Random(4).randbytes(60_000)
    assert met(tmp_path, given, lambda lab: lab.hears(said, len(said), within_s=3 * LATE_S)) == said


def test_what_an_earlier_flow_left_behind_blocks_the_next_from_its_first_packet(tmp_path):
    given = world(
        censor(
            SAYS,
            Action(reset=Reset()),
            residual=Residual(seconds=60.0, action=Action(drop=Drop())),
        )
    )

    async def twice(lab: Lab) -> list[object]:
        found: list[object] = []
        for _ in range(2):
            try:
                found.append(await lab.hears(WORD, len(WORD), within_s=2 * SOON_S))
            except Failed as failed:
                found.append(failed.failure)
        return [*found, [act.action for act in lab.acts]]

    assert met(tmp_path, given, twice) == [
        "connection_reset",
        TIMEOUT,
        ["reset", "residual:drop"],
    ]


def test_a_diverted_flow_reaches_the_middlebox_which_knows_where_it_was_going(tmp_path):
    given = world(censor(Trigger(port=(80,)), Action(divert=Divert(to="proxy"))))

    async def visit(lab: Lab) -> tuple[bytes, list[tuple[str, str, str]]]:
        page = await lab.hears(get("www.example.com"), 1 << 20, port=80, within_s=LATE_S)
        return page, [(act.place, act.action, act.server) for act in lab.acts]

    page, acts = met(tmp_path, given, visit)
    assert page.endswith(b"<p>Not for you.</p>")
    assert acts == [
        ("access/1", "divert", f"{SITE}:80"),
        ("proxy", "block_page", f"{SITE}:80"),
    ]


@pytest.mark.parametrize(
    ("action", "first", "late"),
    [
        pytest.param(
            Action(forge_dns=ForgeDns(a=("203.0.113.1",), copies=2)),
            "203.0.113.1",
            ["203.0.113.1", SITE],
            id="answers in a race",
        ),
        pytest.param(
            Action(forge_dns=ForgeDns(rcode="NXDOMAIN", swallow=True)),
            "dns_nxdomain_error",
            [],
            id="an answer in the true one's place",
        ),
        pytest.param(Action(drop=Drop()), TIMEOUT, [], id="no answer"),
    ],
)
def test_forged_answers_come_before_the_true_one(tmp_path, action, first, late):
    given = world(censor(ASKED, action))
    total_s = SOON_S if first == TIMEOUT else LATE_S

    async def ask(lab: Lab) -> tuple[str, list[str]]:
        found = await lookup(
            lab.vantage, "8.8.8.8", "www.example.com", "A", total_s=total_s, late_s=0.2
        )
        return found.failure or found.addresses[0], [reply.addresses[0] for reply in found.late]

    assert met(tmp_path, given, ask) == (first, late)
