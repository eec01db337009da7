"""LabSession worlds for a command: where they are kept, full or reduced, and a command in one."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

from gatewatch.cli.exits import ExitCode, UsageFault
from gatewatch.cli.session import Session
from gatewatch.flow.lab import LabCheck
from gatewatch.flow.lab_check import check_lab, run_lab
from gatewatch.lab.enclosure import Enclosure, Tell
from gatewatch.lab.namespaces import CannotSeal
from gatewatch.lab.reduced import CANNOT_DO, needs_packets, run_reduced
from gatewatch.lab.runs import prepare, run_in_world, run_world
from gatewatch.lab.scenario import Scenario, unhurried, with_loss
from gatewatch.lab.trial import why_not
from gatewatch.lab.visits import Client
from gatewatch.lab.world import WorldFailed
from gatewatch.model.errors import NoData

WORLDS_PER_CORE = 6
"Worlds mostly wait. Our choice: more of them and the machine begins to show in their timing."


class LabSession:
    """What the commands that run worlds share."""

    def __init__(
        self,
        session: Session,
        *,
        seed: int,
        folder: Path | None,
        client: Client,
        loss: float,
        pcap: bool,
        reduced: bool,
    ) -> None:
        self.session = session
        self.seed = seed
        self._temporary = tempfile.TemporaryDirectory(prefix="gatewatch-lab-")
        self.folder = folder or Path(self._temporary.name)
        self._client, self.pcap, self._loss = client, pcap, loss
        self.reduced = reduced or not self._can_be_full()

    def __enter__(self) -> Self:
        for end in (signal.SIGTERM, signal.SIGHUP):  # so that what is temporary is removed
            signal.signal(end, lambda number, _: sys.exit(128 + number))
        if self.reduced and self.pcap:
            self.session.say("the reduced lab has no packets to keep: --pcap is of no use")
        return self

    def __exit__(self, *_: object) -> None:
        self._temporary.cleanup()

    def _can_be_full(self) -> bool:
        lacking = why_not()
        if lacking is not None:
            self.session.say(f"the full lab cannot run here: {lacking}")
            self.session.say("running the reduced lab:")
            for words in CANNOT_DO:
                self.session.say(f"  {words}")
        return lacking is None

    def check(self, scenarios: Sequence[Scenario], *, at_once: int | None) -> LabCheck:
        """Run worlds and hold the judge against them.

        Raises:
            UsageFault: two scenarios of one name, which would share a folder.
            NoData: no scenario at all.
        """
        twice = [name for name, n in Counter(one.id for one in scenarios).items() if n > 1]
        if twice:
            raise UsageFault(f"more than one scenario is called {twice[0]!r}")
        if not scenarios:
            raise NoData("no scenario is of that kind")
        scenarios = [with_loss(one, self._loss) for one in scenarios] if self._loss else scenarios
        if self._client.deep:
            scenarios = [unhurried(one) for one in scenarios]
        kept = [one for one in scenarios if not self.reduced or self._runs_reduced(one)]
        if not kept:
            raise NoData("nothing of it runs in the reduced lab")
        if self.reduced:
            run = partial(run_reduced, client=self._client, seed=self.seed)
        else:
            run = partial(run_world, client=self._client, seed=self.seed, capture=self.pcap)
        with self.session.progress() as tell:
            ran = run_lab(
                kept,
                self.folder,
                run,
                at_once=at_once or WORLDS_PER_CORE * (os.cpu_count() or 1),
                enclosed=not self.reduced,
                progress=tell,
            )
        return check_lab(kept, self.folder, ran, self.session.refdata)

    def _runs_reduced(self, scenario: Scenario) -> bool:
        reason = needs_packets(scenario)
        if reason is not None:
            self.session.say(f"{scenario.id} left out: {reason}")
        return reason is None


def run_command(
    running: LabSession, scenario: Scenario, network: str | None, command: list[str]
) -> int:
    """Run a command at a vantage point of a world; its exit status.

    Raises:
        CannotSeal: only the full lab has machines that a command can run on.
        UsageFault: no such vantage point.
        FolderTaken: the world's folder holds something.
    """
    if running.reduced:
        raise CannotSeal(
            "a command needs the full lab; the reduced one has no machine to run it on"
        )
    at = network or scenario.vantages[0]
    if at not in scenario.vantages:
        raise UsageFault(f"no vantage point {at!r}; there are: {', '.join(scenario.vantages)}")

    home = running.folder / scenario.id
    prepare(home)

    def work(tell: Tell) -> int:
        try:
            return run_in_world(
                scenario, home, at, command, seed=running.seed, capture=running.pcap
            )
        except WorldFailed as failed:
            tell(str(failed))
            return ExitCode.FAILED

    # The terminal's interrupt is for the command: it decides whether to end.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Enclosure(work) as enclosure:
            for failure in enclosure:
                running.session.say(f"gatewatch: {failure}")
            return enclosure.wait()
    finally:
        signal.signal(signal.SIGINT, before)
