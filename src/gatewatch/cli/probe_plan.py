"""From a command line to the measurements to make."""

from __future__ import annotations

import codecs
import csv
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from gatewatch.cli.exits import UsageFault
from gatewatch.cli.session import Session
from gatewatch.model.errors import NoData
from gatewatch.model.target import canonical_host, is_address
from gatewatch.probe.experiments.nettest import Nettest
from gatewatch.probe.experiments.registry import EXPERIMENTS, GROUPS, experiment
from gatewatch.probe.experiments.web_connectivity import NAME as WEB
from gatewatch.probe.runner import Job
from gatewatch.refdata.snapshot import RefData

LONGEST = 8192
"Characters of a URL."
SHOWN = 80
"Of what is none, in what is said of it."
ASIDE_SHOWN = 5
"Lines of files that are no URLs, of which each is told."
REPLACED = "\ufffd"
"What stands for bytes that are no UTF-8."
WANTED = "one such as https://example.org/ is wanted"


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


def plan(
    refdata: RefData,
    *,
    urls: Sequence[str],
    files: Sequence[Path],
    lists: Sequence[str],
    services: Sequence[str],
    tests: Sequence[str],
    rng: random.Random | None = None,
    aside: Callable[[str], object] | None = None,
) -> list[Job]:
    """The measurements asked for, each once.

    Args:
        lists: country codes, of the test lists.
        services: ids of services, or names of tests of one.
        tests: names of tests or of groups of them; none means web_connectivity.
        rng: shuffles the order, so that a run cut short is not always cut at the same place.
        aside: told of each line of a file that is no URL; without it the first ends everything.

    Raises:
        UsageFault: a URL that is none, or a test without its input.
        NoData: nothing is asked for, or a list that is not installed.
        NotFound: a service or a test that nobody knows.
        OSError: a file that cannot be read.
    """
    chosen = list(_chosen(tests))
    web = all(test.name == WEB for test in chosen)
    inputs = [_url(url, web=web) for url in urls]
    for where, line in (entry for file in files for entry in _lines(file)):
        try:
            inputs.append(_url(line, web=web))
        except UsageFault as fault:
            if aside is None:
                raise UsageFault(f"{where}: {fault}") from None
            aside(f"{where}: {fault}")
    for code in lists:
        inputs += _listed(refdata, code)
    jobs: list[Job] = []
    for name in services:
        jobs += _of_service(refdata, name)
    for test in chosen or _chosen([WEB] if inputs else []):
        jobs += _of_test(refdata, test, inputs)
    jobs = list(dict.fromkeys(jobs))
    if not jobs:
        raise NoData("nothing to measure: give -i, -f, --list, --service or --experiment")
    if rng is not None:
        rng.shuffle(jobs)
    return jobs


def contacts_of(refdata: RefData, jobs: Iterable[Job]) -> list[str]:
    """Whom the tests contact besides their inputs."""
    tests = dict.fromkeys(job.test for job in jobs)
    return [who for test in tests for who in EXPERIMENTS[test].contacts(refdata.endpoints())]


def _chosen(names: Iterable[str]) -> Iterator[Nettest]:
    for name in names:
        yield from GROUPS.get(name) or (experiment(name),)


def _of_test(refdata: RefData, test: Nettest, inputs: Sequence[str]) -> Iterator[Job]:
    if test.takes == "nothing":
        yield Job(test.name, None)
        return
    given = inputs or test.inputs(refdata.endpoints())
    if not given:
        raise UsageFault(f"{test.name} wants an input: -i or -f")
    yield from (Job(test.name, one) for one in given)


def _of_service(refdata: RefData, name: str) -> Iterator[Job]:
    """Its own test, where there is one, and its sites."""
    if name in EXPERIMENTS and EXPERIMENTS[name].takes == "nothing":
        yield Job(name, None)
        if not any(service.id == name for service in refdata.services()):
            return
    service = refdata.service(name)
    for host in service.core:
        yield Job(WEB, f"https://{host.removeprefix('.')}/")


def _listed(refdata: RefData, code: str) -> list[str]:
    """A country's test list, and the global one."""
    wanted = (code.strip().lower(), "global")
    found = [row.url for row in refdata.listed() if row.list in wanted]
    if not found:
        raise NoData(
            f"no test list for {code!r} is installed; get them by: gatewatch refdata update"
        )
    return found


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Where each entry of a file stands, and what it is: one a line, or the column `url` of a CSV.

    Empty lines and those that begin with # are passed over.
    """
    stdin = str(file) == "-"
    text = sys.stdin.read() if stdin else _decoded(file.read_bytes())
    rows = text.lstrip("\ufeff").splitlines()
    name = "standard input" if stdin else str(file)
    head = next(csv.reader(rows[:1]), [])
    at = head.index("url") if len(head) > 1 and "url" in head else None
    for number, row in enumerate(rows, 1):
        if at is not None:
            cells = next(csv.reader([row]), []) if number > 1 else []
            row = cells[at] if at < len(cells) else ""
        row = row.strip()
        if row and not row.startswith("#"):
            yield f"{name}, line {number}", row


def _decoded(data: bytes) -> str:
    """A file's text: UTF-16 where it says so, else UTF-8; what is neither stays visible."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8", "replace")


def _url(given: str, *, web: bool = True) -> str:
    """A URL as typed; a bare name or address is one over https.

    Args:
        web: only what a browser visits; other tests have schemes of their own.

    Raises:
        UsageFault: it is none, or holds what does not belong into a record that others read.

    >>> _url("example.org"), _url("http://example.org/x"), _url("2001:db8::1")
    ('https://example.org/', 'http://example.org/x', 'https://[2001:db8::1]/')
    """
    given = given.strip()
    shown = repr(given if len(given) <= SHOWN else given[:SHOWN] + "…")
    if len(given) > LONGEST or any(c.isspace() or not c.isprintable() for c in given):
        raise UsageFault(f"{shown} is no URL: {WANTED}, without spaces")
    if REPLACED in given:
        raise UsageFault(f"{shown} is not in UTF-8, so nobody can say which URL it is")
    bare = "://" not in given
    url = f"https://[{given}]" if is_address(given) and ":" in given else given
    url = f"https://{url}" if bare and "://" not in url else url
    try:
        parts = urlsplit(url)
        host, port = canonical_host(parts.hostname or ""), parts.port
    except ValueError:
        raise UsageFault(f"{shown} is no URL: {WANTED}") from None
    foreign = web and parts.scheme not in ("http", "https")
    if host is None or port == 0 or parts.netloc.endswith(":") or foreign:
        raise UsageFault(f"{shown} is no URL that can be visited: {WANTED}")
    if "@" in parts.netloc:
        raise UsageFault(
            f"{shown} names a user; measurements are for others to read, so leave it out"
        )
    return f"{url}/" if bare and "/" not in url.partition("://")[2] else url
