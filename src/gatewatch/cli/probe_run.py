"""Running a plan: measurements into the spool, and what they came to."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec

from gatewatch.cli.exits import ExitCode
from gatewatch.cli.probe_live import Seen, Watcher, watching
from gatewatch.cli.session import Session
from gatewatch.flow.live import LiveJudge
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.probe.experiments.registry import EXPERIMENTS
from gatewatch.probe.experiments.web_connectivity import NAME as WEB
from gatewatch.probe.experiments.web_connectivity import measure
from gatewatch.probe.ooni import Json
from gatewatch.probe.runner import Done, Job, Limits, run_now
from gatewatch.probe.seat import Seat
from gatewatch.probe.spool import Run, Spool
from gatewatch.probe.visits import Visits


class ProbeRun:
    """One run, from its first measurement to its last."""

    def __init__(
        self,
        session: Session,
        jobs: Sequence[Job],
        seat: Seat,
        *,
        spool: Spool,
        out: BinaryIO | None,
        deep: bool,
        investigate: bool,
        limits: Limits,
        seed: int | None,
    ) -> None:
        """
        Args:
            out: where every measurement is written besides, a line each, as it is made.
        """
        self._session, self._jobs, self._seat = session, jobs, seat
        self._spool, self._out = spool, out
        self._deep, self._investigate, self._limits = deep, investigate, limits
        self._rng = random.Random(seed)
        self._judge = LiveJudge(session.refdata)
        self._began: dict[Job, float] = {}
        self.found: list[Seen] = []
        self.failures: list[str] = []
        self.without_control: Counter[str] = Counter()
        "Why no control vantage answered, of how many measurements."
        self.interrupted = False
        self.broken: OSError | None = None
        "Why nothing more can be kept."

    def go(self) -> Run:
        """Measure everything; what was measured is in the run that is returned."""
        now = datetime.now(UTC)
        tests = tuple(dict.fromkeys(job.test for job in self._jobs))
        self._run = self._spool.begin(
            planned=len(self._jobs), tests=tests, country=self._seat.country, asn=self._seat.asn,
            now=now,
        )  # fmt: skip
        self._visits = Visits(began=now, rng=self._rng)
        try:
            with watching(self._session, len(self._jobs)) as self._watcher:
                self.interrupted = run_now(
                    self._jobs, self._measure, self._done, limits=self._limits
                )
        except OSError as error:
            if error is not self.broken:
                raise
        ended = datetime.now(UTC)
        if self.broken is None:
            self._run.finish(ended, interrupted=self.interrupted)
        else:
            with suppress(OSError):  # a disk that is full is so for this too
                self._run.finish(ended, interrupted=True)
        return self._run

    @property
    def left(self) -> int:
        """Measurements that were planned, and of which nothing came."""
        return len(self._jobs) - len(self.found)

    async def _measure(self, job: Job) -> Json:
        self._began[job] = time.monotonic()
        watcher: Watcher = self._watcher
        name = job.input or job.test
        rng = random.Random(self._rng.random())

        def tell(words: str) -> None:
            watcher.doing(name, words)

        tell("begins")
        if job.test == WEB:
            return await measure(
                job.input or "", self._seat, visits=self._visits, deep=self._deep,
                investigate=self._investigate, rng=rng, tell=tell,
            )  # fmt: skip
        return await EXPERIMENTS[job.test].run(job.input, self._seat, rng, tell, self._visits)

    def _done(self, done: Done) -> None:
        if self.broken is not None:
            return
        try:
            self._kept(done)
        except OSError as error:
            self.broken = error
            raise

    def _kept(self, done: Done) -> None:
        job, seconds = done.job, round(time.monotonic() - self._began[done.job], 3)
        if done.measurement is None:
            self.failures.append(f"{job.input or job.test}: {done.failure}")
            self._tell(Seen(test=job.test, input=job.input, outcome="failed", reason=done.failure,
                            seconds=seconds))  # fmt: skip
            return
        measurement = self._seat.scrubber.clean(done.measurement)
        self._run.append(measurement)
        failure = (measurement.get("test_keys") or {}).get("control_failure")
        if failure is not None and self._seat.controls:
            self.without_control[failure] += 1
        self._tell(self._seen(job, measurement, seconds))
        self._write(msgspec.json.encode(measurement) + b"\n")

    def _tell(self, seen: Seen) -> None:
        self.found.append(seen)
        self._watcher.done(seen)

    def _write(self, line: bytes) -> None:
        """To whoever reads along; who has seen enough does not end the run."""
        if self._out is None:
            return
        try:
            self._out.write(line)
            self._out.flush()
        except BrokenPipeError:
            self._out = None
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._out.name) from error

    def _seen(self, job: Job, measurement: Json, seconds: float) -> Seen:
        keys = measurement.get("test_keys") or {}
        service = keys.get("x_service")
        if isinstance(service, dict):
            return _service_seen(job, service, seconds)
        verdict = self._judge.verdict(measurement)
        why = keys.get("why") if verdict.reason == Reason.UNSUPPORTED_TEST else None
        return Seen(
            test=job.test,
            input=job.input,
            outcome=verdict.outcome,
            reason=verdict.reason,
            mechanisms=tuple(verdict.mechanisms),
            words=why if isinstance(why, str) else verdict.sentence,
            seconds=seconds,
        )


def _service_seen(job: Job, service: dict[str, Any], seconds: float) -> Seen:
    """A test of a service says itself what it found."""
    blocked = service.get("blocked")
    outcome = Outcome.UNCLEAR
    if isinstance(blocked, bool):
        outcome = Outcome.BLOCKED if blocked else Outcome.OPEN
    words = str(service.get("why") or "")
    return Seen(test=job.test, input=job.input, outcome=outcome, words=words, seconds=seconds)


def exit_code(run: ProbeRun) -> ExitCode:
    if run.interrupted:
        return ExitCode.INTERRUPTED
    if not run.failures:
        return ExitCode.DONE
    return ExitCode.PARTIAL if len(run.failures) < len(run.found) else ExitCode.FAILED
