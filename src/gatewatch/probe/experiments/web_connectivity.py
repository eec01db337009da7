"""One measurement of one URL, compatible with web_connectivity 0.5, and then: how is it done?

The first pass is `probe.browse`. When its connections are closed, and something in it may be
interference, the mechanism experiments follow; their findings stand in `x_experiments`, and OONI's
own keys hold the first pass only.

`blocking`, `accessible` and the flags say what OONI's probe would have said. Where a 303 was
followed, which it does not do, `x_claims` says the same of all that was seen.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from gatewatch.probe.browse import Browse
from gatewatch.probe.claims import claims
from gatewatch.probe.envelope import envelope, helpers_of
from gatewatch.probe.experiments.investigate import investigate as investigated
from gatewatch.probe.finding import Finding
from gatewatch.probe.ooni import Json
from gatewatch.probe.seat import Seat
from gatewatch.probe.steps import Vantage
from gatewatch.probe.urls import wire_url
from gatewatch.probe.visits import Visits
from gatewatch.probe.whoami import NOBODY, Whoami, ask_whoami

__all__ = ["NAME", "VERSION", "Tell", "Visits", "measure", "wire_url"]

NAME, VERSION = "web_connectivity", "0.5.28"
"The version is OONI's, whose method and output these are."
INTERRUPTED = "interrupted"
TIMEOUT = "generic_timeout_error"

Tell = Callable[[str], None]
"What is happening, for whoever watches."


class Investigation(Protocol):
    """The mechanism experiments, as `investigate` runs them."""

    def __call__(
        self,
        url: str,
        keys: Json,
        seat: Seat,
        vantage: Vantage,
        *,
        deep: bool,
        rng: random.Random,
        tell: Tell,
        findings: list[Finding] | None,
    ) -> Coroutine[Any, Any, list[Finding]]: ...


def _say_nothing(words: str) -> None:
    """For those whom nobody watches."""


async def measure(
    url: str,
    seat: Seat,
    *,
    uid: str | None = None,
    report_id: str = "",
    at: datetime | None = None,
    deep: bool = False,
    investigate: bool = True,
    all_controls: bool = False,
    rng: random.Random | None = None,
    visits: Visits | None = None,
    tell: Tell = _say_nothing,
    experiments: Investigation = investigated,
) -> Json:
    """A measurement of `url` from `seat`.

    Cancelled during the first pass, it is cancelled. Cancelled during the experiments, it gives
    up these, and returns what there is.

    Args:
        uid, report_id: ids as the archive would give them.
        at: the true time, UTC; None is now. The seat's clock may be off from it.
        deep: with the experiments that take minutes.
        investigate: whether there are experiments at all.
        all_controls: every control is asked, and all answers are kept.
        rng: which public resolver is asked, and all other choices; None makes one from `uid`, or,
            without one, anew each time.
        visits: what is shared with other measurements of the same run.
        tell: is told what is happening.
        experiments: what is run after the first pass.
    """
    rng = rng or random.Random(uid)
    began = at or datetime.now(UTC)
    visits = visits or Visits(began=began, rng=rng)
    vantage = Vantage(
        reach=seat.reach, addresses=seat.addresses, zero=asyncio.get_running_loop().time()
    )
    believed = began + timedelta(days=seat.clock_skew_days)
    public = rng.choice(seat.udp_resolvers) if seat.udp_resolvers else None
    browse = Browse(
        seat=seat,
        vantage=vantage,
        visits=visits,
        rng=rng,
        resolver=public,
        clock=believed if seat.clock_skew_days else None,
        everyone=all_controls,
        tell=tell,
    )
    asked = wire_url(url)
    try:
        async with asyncio.TaskGroup() as tasks:
            known = [public] if public else []
            whoami = tasks.create_task(ask_whoami(vantage, seat, known, visits))
            if asked is not None:
                await browse.run(asked, tasks)
    finally:
        browse.close()
    keys = _test_keys(browse, whoami.result())
    runtime_s = vantage.now()
    if asked is not None and investigate:
        found: list[Finding] = []
        running = experiments(
            asked, keys, seat, vantage, deep=deep, rng=rng, tell=tell, findings=found
        )
        await _finish(running, keys, found, vantage, seat.patience.experiment_s, tell)
    first = browse.controls.first
    return envelope(
        seat,
        test_name=NAME,
        test_version=VERSION,
        input=url,
        test_keys=keys,
        clock=began,
        runtime_s=runtime_s,
        visits=visits,
        rng=rng,
        resolver=whoami.result().system,
        helpers=helpers_of(first.control if first else None, seat.controls),
        uid=uid,
        report_id=report_id,
    )


async def _finish(
    experiments: Coroutine[Any, Any, list[Finding]],
    keys: Json,
    found: list[Finding],
    vantage: Vantage,
    seconds: float,
    tell: Tell,
) -> None:
    """Run the experiments and add what they find to the test keys.

    They end when they are done, when their time is over, or when this task is cancelled; the
    cancellation goes no further, because the first pass is worth keeping.

    Args:
        found: where they put their findings as they come.
    """
    t0 = vantage.now()
    running = asyncio.ensure_future(experiments)
    failure: str | None = None
    try:
        done, _ = await asyncio.wait({running}, timeout=seconds)
        failure = None if done else TIMEOUT
    except asyncio.CancelledError:
        failure = INTERRUPTED
    if failure is not None:
        running.cancel()
        await asyncio.wait({running})
    error = None if running.cancelled() else running.exception()
    if error is not None:  # a fault of ours, and no reason to lose what was measured
        failure = f"unknown_failure: {type(error).__name__}: {error}"
        tell(f"the experiments broke: {failure}")
    keys["x_experiments"] = msgspec.to_builtins(found)
    keys["x_experiments_failure"] = failure
    keys["x_experiments_runtime"] = round(vantage.now() - t0, 6)


def _test_keys(browse: Browse, whoami: Whoami) -> Json:
    controls = browse.controls
    keys: Json = {
        "agent": "redirect",
        "client_resolver": whoami.system or NOBODY,
        "retries": None,
        "socksproxy": None,
        "x_dns_whoami": whoami.entry(),
        **browse.journal.keys(),
        "x_control_request": browse.question,
        "control": controls.answer,
        "control_failure": controls.failure if browse.question else None,
        "x_control_url": controls.first.control.url if controls.first else None,
        "x_controls": [said.entry() for said in controls.others],
        "x_conn_priority_log": browse.grants,
        "x_followed_303": browse.after_303,
    }
    keys |= claims(keys)
    if browse.after_303:
        keys["x_claims"] = claims(keys, also=lambda tags: True)
    return keys
