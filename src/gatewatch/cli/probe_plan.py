"""From a command line to the measurements to make."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from gatewatch.cli.exits import UsageFault
from gatewatch.model.errors import NoData
from gatewatch.probe.experiments.nettest import Nettest
from gatewatch.probe.experiments.registry import EXPERIMENTS, GROUPS, experiment
from gatewatch.probe.runner import Job
from gatewatch.refdata.snapshot import RefData

WEB = "web_connectivity"
LONGEST_LINE = 8192


def plan(
    refdata: RefData,
    *,
    urls: Sequence[str],
    files: Sequence[Path],
    lists: Sequence[str],
    services: Sequence[str],
    tests: Sequence[str],
    rng: random.Random | None = None,
) -> list[Job]:
    """The measurements asked for, each once.

    Args:
        lists: country codes, of the test lists.
        services: ids of services, or names of tests of one.
        tests: names of tests or of groups of them; none means web_connectivity.
        rng: shuffles the order, so that a run cut short is not always cut at the same place.

    Raises:
        UsageFault: a URL that is none, or a test without its input.
        NoData: nothing is asked for, or a list that is not installed.
        NotFound: a service or a test that nobody knows.
        OSError: a file that cannot be read.
    """
    inputs = [_url(url) for url in urls]
    inputs += [_url(line) for file in files for line in _lines(file)]
    for code in lists:
        inputs += _listed(refdata, code)
    jobs: list[Job] = []
    for name in services:
        jobs += _of_service(refdata, name)
    chosen = list(_chosen(tests or ([WEB] if inputs else [])))
    for test in chosen:
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


def _lines(file: Path) -> Iterator[str]:
    """URLs of a file, one a line; empty lines and those that begin with # are passed over."""
    text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8", "replace")
    for line in text.splitlines():
        line = line.strip()
        if line and not line.startswith("#"):
            yield line[:LONGEST_LINE]


def _url(given: str) -> str:
    """A URL as typed; a bare name is one over https.

    >>> _url("example.org"), _url("http://example.org/x")
    ('https://example.org/', 'http://example.org/x')
    """
    given = given.strip()
    if "://" in given:
        return given
    try:
        host = urlsplit(f"//{given}").hostname
    except ValueError:
        host = None
    if not host or " " in given:
        raise UsageFault(f"{given!r} is no URL; one such as https://example.org/ is wanted")
    return f"https://{given}" if "/" in given else f"https://{given}/"
