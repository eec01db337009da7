"""`probe run`: what is asked for is measured, once or again and again."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gatewatch.cli.exits import ExitCode, UsageFault
from gatewatch.cli.probe_machine import (
    anchor_of,
    asn_of,
    consented,
    controls_of,
    country_of,
    placed,
    spool_at,
    trusted,
)
from gatewatch.cli.probe_plan import Aside, contacts_of, plan
from gatewatch.cli.probe_run import ProbeRun, exit_code
from gatewatch.cli.session import Format, Session, heed_sockets
from gatewatch.cli.views.probe import show_found
from gatewatch.probe.consent import consent_text
from gatewatch.probe.machine import seat_of_machine
from gatewatch.probe.runner import Limits
from gatewatch.probe.seat import Seat

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """The options of `probe run`."""

    urls: tuple[str, ...]
    files: tuple[Path, ...]
    lists: tuple[str, ...]
    services: tuple[str, ...]
    tests: tuple[str, ...]
    deep: bool
    investigate: bool
    controls: tuple[str, ...]
    anchors: tuple[str, ...]
    asn: str | None
    country: str | None
    ca: Path | None
    parallel: int
    rate: float
    budget_s: float | None
    every: str | None
    shuffle: bool
    seed: int | None
    spool: Path | None
    yes: bool


def run_probe(session: Session, options: ProbeOptions) -> ExitCode:
    """Measure what is asked for, once or again and again.

    Raises:
        UsageFault, NoData, NotFound: the command line asks for what cannot be done.
    """
    heed_sockets()

    pause_s = None if options.every is None else seconds_of(options.every)
    rng = random.Random(options.seed) if options.shuffle else None
    aside = Aside(session)
    try:
        jobs = plan(
            session.refdata,
            urls=options.urls,
            files=options.files,
            lists=options.lists,
            services=options.services,
            tests=options.tests,
            rng=rng,
            aside=aside.add,
        )
    finally:
        aside.tell()
    seat = seat_of(options)
    if not seat.controls:
        session.say("no control vantage (--control): much will stay unclear")
    contacts = contacts_of(session.refdata, jobs)
    text = consent_text(jobs, seat, contacts, deep=options.deep, investigate=options.investigate)
    consented(session, text, yes=options.yes)
    limits = Limits(parallel=options.parallel, rate=options.rate, budget_s=options.budget_s)
    with _written(session) as out:
        while True:
            began = time.monotonic()
            seat = placed(session, seat_of(options))  # anew: a laptop may have moved
            running = ProbeRun(
                session, jobs, seat, spool=spool_at(options.spool), out=out, deep=options.deep,
                investigate=options.investigate, limits=limits, seed=options.seed,
            )  # fmt: skip
            kept = running.go()
            _tell(session, running, options)
            session.say(f"kept as {kept.facts.id}: gatewatch probe show {kept.facts.id}")
            if pause_s is None or running.interrupted or running.broken:
                break
            if not _sleep(session, pause_s - (time.monotonic() - began)):
                running.interrupted = True
                break
    if not _streams(session):
        session.to_stdout()
        show_found(session, running.found)
    if running.broken is not None:
        raise running.broken
    code = exit_code(running)
    return ExitCode.PARTIAL if code is ExitCode.DONE and aside.count else code


def seat_of(options: ProbeOptions) -> Seat:
    """This machine, with the helpers that the user names."""
    return seat_of_machine(
        asn=asn_of(options.asn),
        country=country_of(options.country),
        controls=tuple(one for text in options.controls for one in controls_of(text)),
        anchors=tuple(anchor_of(text) for text in options.anchors),
        ca=trusted(options.ca),
    )


def _tell(session: Session, run: ProbeRun, options: ProbeOptions) -> None:
    """What did not go as it was planned."""
    for failure in run.failures:
        session.say(f"not measured: {failure}")
    for failure, count in run.without_control.most_common():
        session.say(f"no control vantage answered in {count} of {len(run.found)}: {failure}")
    if run.left:
        spent = f"the budget of {options.budget_s} s was spent"
        broken = "nothing more can be kept" if run.broken else spent
        why = "interrupted" if run.interrupted else broken
        session.say(f"{run.left:,} of {run.left + len(run.found):,} not measured: {why}")


def seconds_of(text: str) -> float:
    """
    >>> seconds_of("6h"), seconds_of("90s")
    (21600.0, 90.0)
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None or not int(found[1]):
        raise UsageFault(f"--every is {text!r}; a time such as 30m, 6h or 1d is wanted")
    return float(int(found[1]) * _UNITS_S[found[2]])


def _sleep(session: Session, seconds: float) -> bool:
    """Wait for the next run; False where a signal ended the wait."""
    session.say(f"the next run begins in {max(seconds, 0.0):.0f} s")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        time.sleep(max(seconds, 0.0))
    except KeyboardInterrupt:
        return False
    finally:
        signal.signal(signal.SIGTERM, before)
    return True


def _streams(session: Session) -> bool:
    """Are the measurements themselves the result on standard output?"""
    return session.format is Format.JSONL and session.output is None


@contextmanager
def _written(session: Session) -> Iterator[BinaryIO | None]:
    """Where measurements go besides the spool, each as soon as it is made."""
    if session.output is not None:
        file = session.output.open("ab")
        try:
            yield file
        finally:
            with suppress(OSError):  # every line was flushed, and its failure told
                file.close()
    elif _streams(session):
        with session.sink() as sink:
            yield sink
    else:
        yield None
