"""`probe diff`: the same list through two networks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from gatewatch.cli.exits import ExitCode, UsageFault
from gatewatch.cli.probe_machine import consented, placed
from gatewatch.cli.probe_plan import Aside, plan
from gatewatch.cli.session import Session, heed_sockets
from gatewatch.cli.views.probe import show_diff
from gatewatch.probe.consent import consent_text
from gatewatch.probe.experiments.blockdiff import diff_now
from gatewatch.probe.machine import seat_of_machine
from gatewatch.probe.proxy import NotAProxy, parse_proxy


def diff_probe(
    session: Session,
    *,
    urls: Sequence[str],
    files: Sequence[Path],
    lists: Sequence[str],
    through: str | None,
    measured: Path | None,
    ca: Path | None,
    yes: bool,
) -> ExitCode:
    """The same list here and there, side by side.

    Args:
        through: URL of a proxy.
        measured: what another machine measured, JSON Lines.
    """
    heed_sockets()
    if (through is None) == (measured is None):
        raise UsageFault("diff wants --through PROXY, or --with FILE")
    aside = Aside(session)
    jobs = plan(
        session.refdata, urls=urls, files=files, lists=lists, services=(), tests=(), aside=aside.add
    )
    aside.tell()
    try:
        there = measured or parse_proxy(through or "")
    except NotAProxy as fault:
        raise UsageFault(f"--through: {fault}") from None
    seat = seat_of_machine(ca=ca)
    contacts = [through] if through else []
    consented(session, consent_text(jobs, seat, contacts, deep=False), yes=yes)
    seat = placed(session, seat)
    inputs = [job.input for job in jobs if job.input]
    rows = diff_now(inputs, seat, there, rng=random.Random(), tell=session.detail)
    show_diff(session, rows)
    return ExitCode.PARTIAL if aside.count else ExitCode.DONE
