"""`probe submit`: a run's measurements to a collector, each once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gatewatch.cli.exits import ExitCode, UsageFault
from gatewatch.cli.probe_machine import consented, spool_at, trusted
from gatewatch.cli.session import Session, heed_sockets
from gatewatch.probe.backend import Handing, Kind, Refused, submit_now
from gatewatch.probe.machine import seat_of_machine
from gatewatch.probe.ooni import Json
from gatewatch.probe.spool import Opened, Run, Submitted


def submit_run(
    session: Session, name: str, *, collector: str, ca: Path | None, spool: Path | None, yes: bool
) -> ExitCode:
    """Hand in what of a run the collector does not have yet."""
    heed_sockets()
    collector = collector.rstrip("/")
    try:
        parts = urlsplit(collector)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        wrong = True
    if wrong:
        raise UsageFault(f"--collector is {collector!r}; a URL is wanted")
    run = spool_at(spool).run(name)
    had = {one.line for one in run.submissions() if one.collector == collector}
    lines = list(enumerate(run.lines(), 1))
    waiting: list[tuple[int, Json]] = [
        (number, msgspec.json.decode(line)) for number, line in lines if number not in had
    ]
    if not waiting:
        session.say(f"nothing to submit: {len(had)} of {len(lines)} had been before")
        return ExitCode.DONE if lines else ExitCode.NO_DATA
    words = (
        f"{len(waiting)} of {len(lines)} measurements of {run.facts.id} will be sent to"
        f" {collector}.\nIt learns your address while you send them. What it receives it may"
        " publish;\nyour addresses are not in it, your network and country are."
    )
    consented(session, words, yes=yes, act="sent")
    record = _Record(run, collector)
    failure: str | None = None
    try:
        submit_now(collector, seat_of_machine(ca=trusted(ca)), waiting, record.handing())
    except Refused as refused:
        failure = str(refused)
    session.say(f"{record.taken} submitted, {len(had)} had been before")
    if record.nameless:
        session.say(
            f"{record.nameless} of them got no id: collectors do not keep what is of an unknown"
            " network or country (--asn, --country)"
        )
    if failure is not None:
        session.say(f"stopped: {failure}")
        return ExitCode.PARTIAL if record.taken else ExitCode.UNREACHABLE
    return ExitCode.DONE


class _Record:
    """What a collector took, in the spool as soon as it is known."""

    def __init__(self, run: Run, collector: str) -> None:
        self._run, self._collector = run, collector
        self.taken = self.nameless = 0

    def handing(self) -> Handing:
        old = [one for one in self._run.reports() if one.collector == self._collector]
        return Handing(
            reports={one.kind: one.report_id for one in old}, opened=self._opened, taken=self._took
        )

    def _opened(self, kind: Kind, report_id: str) -> None:
        self._run.opened(Opened(collector=self._collector, kind=kind, report_id=report_id))

    def _took(self, line: int, report_id: str, uid: str) -> None:
        self.taken += 1
        self.nameless += not uid
        self._run.mark(
            Submitted(
                line=line,
                collector=self._collector,
                report_id=report_id,
                measurement_uid=uid,
                at=datetime.now(UTC),
            )
        )
