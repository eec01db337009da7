"""`probe run` and `probe submit`: from options to a seat, a plan, consent, and a summary."""

from __future__ import annotations

import re
import signal
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import msgspec

from gatewatch.cli.exits import ExitCode, UsageFault
from gatewatch.cli.probe_plan import contacts_of, plan
from gatewatch.cli.probe_run import ProbeRun, consented, exit_code, spool_at
from gatewatch.cli.session import Format, Session, heed_sockets
from gatewatch.probe.backend import Handing, Kind, Refused, submit_now
from gatewatch.probe.consent import consent_text
from gatewatch.probe.machine import UNKNOWN_COUNTRY, seat_of_machine
from gatewatch.probe.ooni import Json
from gatewatch.probe.runner import Limits
from gatewatch.probe.seat import Anchor, Control, Seat
from gatewatch.probe.spool import Opened, Run, Submitted
from gatewatch.probe.whereabouts import Network, settled

OONI_HELPERS = tuple(f"https://{n}.th.ooni.org/" for n in range(4))
"OONI's public test helpers, as its backend lists them (/api/v1/test-helpers)."
ASIDE_SHOWN = 5
"Lines of files that are no URLs, of which each is told."
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
    import random

    from gatewatch.cli.views.probe import show_found

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
            seat = _placed(session, seat_of(options))  # anew: a laptop may have moved
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


class Aside:
    """What of the inputs could not be taken: the first few are told, the others counted."""

    def __init__(self, session: Session) -> None:
        self._session, self.count = session, 0

    def add(self, words: str) -> None:
        self.count += 1
        if self.count <= ASIDE_SHOWN:
            self._session.say(f"set aside: {words}")

    def tell(self) -> None:
        if self.count > ASIDE_SHOWN:
            self._session.say(f"set aside: {self.count:,} lines in all")


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


def diff(
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
    import random

    from gatewatch.cli.views.probe import show_diff
    from gatewatch.probe.experiments.blockdiff import diff_now
    from gatewatch.probe.proxy import NotAProxy, parse_proxy

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
    seat = _placed(session, seat)
    inputs = [job.input for job in jobs if job.input]
    rows = diff_now(inputs, seat, there, rng=random.Random(), tell=session.detail)
    show_diff(session, rows)
    return ExitCode.PARTIAL if aside.count else ExitCode.DONE


def seat_of(options: ProbeOptions) -> Seat:
    """This machine, with the helpers that the user names."""
    return seat_of_machine(
        asn=asn_of(options.asn),
        country=country_of(options.country),
        controls=tuple(one for text in options.controls for one in controls_of(text)),
        anchors=tuple(anchor_of(text) for text in options.anchors),
        ca=trusted(options.ca),
    )


def country_of(text: str | None) -> str:
    """
    >>> country_of("it"), country_of(None)
    ('IT', 'ZZ')
    """
    if text is None:
        return UNKNOWN_COUNTRY
    if not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise UsageFault(f"--country is {text!r}; a code of two letters such as IT is wanted")
    return text.upper()


def trusted(ca: Path | None) -> Path | None:
    """The same file, once it is known to be one of authorities."""
    if ca is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
    except OSError as error:  # of which ssl's is a kind
        why = error.strerror or "no certificates"
        raise UsageFault(
            f"--ca is {str(ca)!r} ({why}); a PEM file of certificates is wanted"
        ) from None
    return ca


def _placed(session: Session, seat: Seat) -> Seat:
    """The seat in its network, which its public address tells; the address is kept secret."""

    def network_of(found: str) -> Network:
        asn = session.refdata.asn_of(found)
        name = session.refdata.network_name(asn) if asn else None
        return Network(asn, session.refdata.country_of(found), name)

    seat, address = settled(seat, network_of)
    if address is None:
        session.say("nobody tells under which address this machine is seen from outside")
    session.detail(f"measuring from AS{seat.asn} in {seat.country}")
    return seat


def asn_of(text: str | None) -> int:
    """
    >>> asn_of("AS137"), asn_of("137"), asn_of(None)
    (137, 137, 0)
    """
    if text is None:
        return 0
    digits = text.upper().removeprefix("AS")
    if not (digits.isascii() and digits.isdigit() and int(digits) < 2**32):
        raise UsageFault(f"--asn is {text!r}; a number such as AS137 is wanted")
    return int(digits)


def controls_of(text: str) -> list[Control]:
    """Control vantages from an option: a URL, or a name for known ones.

    >>> [control.url for control in controls_of("https://th.example.net:4443")]
    ['https://th.example.net:4443/']
    """
    if text == "ooni":
        return [one for url in OONI_HELPERS for one in controls_of(url)]
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if not host or parts.scheme not in ("http", "https"):
        raise UsageFault(f"--control is {text!r}; a URL such as https://th.example.net/ is wanted")
    scheme = "http" if parts.scheme == "http" else "https"
    return [
        Control(
            name=host,
            address=host if _is_address(host) else None,
            port=port or {"http": 80, "https": 443}[scheme],
            scheme=scheme,
            path=parts.path or "/",
        )
    ]


def anchor_of(text: str) -> Anchor:
    """
    >>> anchor_of("anchor.example.net=192.0.2.1")
    Anchor(name='anchor.example.net', address='192.0.2.1')
    """
    name, _, address = text.partition("=")
    if not name or not _is_address(address):
        raise UsageFault(f"--anchor is {text!r}; NAME=ADDRESS is wanted")
    return Anchor(name=name, address=str(ip_address(address)))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


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
