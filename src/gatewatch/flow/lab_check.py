"""From scenarios to a report on the judge: run worlds, derive truth, judge, compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from gatewatch.flow.lab import LabCheck, check, verdicts_of
from gatewatch.flow.lab_deep import Found, depths, findings_in, particulars
from gatewatch.flow.progress import Counted, ProgressTo, silent
from gatewatch.lab.box import Act
from gatewatch.lab.enclosure import Enclosure, Tell
from gatewatch.lab.particulars import Particulars, particulars_of
from gatewatch.lab.runs import VISITS, Ran, Runner, prepare, run_many
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.truth import Truth, UnconfirmedTruth, acts_on, truth_of
from gatewatch.lab.visits import Visit, expected_on
from gatewatch.lab.world import LOG
from gatewatch.model.verdict import Verdict
from gatewatch.refdata.snapshot import RefData

TRUTHS = "truth.jsonl"


def run_lab(
    scenarios: Sequence[Scenario],
    folder: Path,
    run: Runner,
    *,
    at_once: int,
    enclosed: bool = True,
    progress: ProgressTo = silent,
) -> list[Ran]:
    """Run worlds, each leaving what it leaves in `folder/ID`.

    Args:
        run: runs one world.
        at_once: worlds at a time; most of their time is waiting.
        enclosed: in namespaces, which the full lab needs.

    Raises:
        CannotSeal: the system does not let us make the namespaces.
        FolderTaken: a world's folder holds something else.
    """
    found = list[Ran]()
    for scenario in scenarios:
        prepare(folder / scenario.id)

    def work(tell: Tell) -> None:
        run_many(scenarios, folder, run, tell, at_once=at_once)

    with Enclosure(work, namespaces=enclosed) as messages:
        for message in messages:
            found.append(msgspec.convert(message, Ran))
            progress(Counted("lab", len(found), len(scenarios), f"{found[-1].scenario} done"))
    if len(found) < len(scenarios):
        ended = {ran.scenario for ran in found}
        found += [
            Ran(scenario=s.id, failure="the lab ended before it was run")
            for s in scenarios
            if s.id not in ended
        ]
    return found


def check_lab(
    scenarios: Sequence[Scenario], folder: Path, ran: Sequence[Ran], refdata: RefData
) -> LabCheck:
    """Hold the judge against the truth of worlds that have run."""
    truths, verdicts, doubts = list[Truth](), dict[str, Verdict](), list[str]()
    details, findings = dict[str, Particulars](), dict[str, list[Found]]()
    failures = {world.scenario: world.failure for world in ran}
    for scenario in scenarios:
        failure = failures.get(scenario.id)
        if failure is not None:
            doubts.append(f"{scenario.id}: {failure}")
            continue
        home = folder / scenario.id
        own = list[Truth]()
        for truth in truths_of(scenario, folder):
            if isinstance(truth, str):
                doubts.append(truth)
                continue
            known, more = truth
            own.append(known)
            details[known.measurement] = more
            findings[known.measurement] = findings_in(home / f"{known.measurement}.jsonl")
        encoder = msgspec.json.Encoder()
        (home / TRUTHS).write_bytes(b"".join(encoder.encode(t) + b"\n" for t in own))
        truths += own
        measured = [home / f"{truth.measurement}.jsonl" for truth in own]
        verdicts |= verdicts_of([file for file in measured if file.is_file()], refdata)
    found = check(truths, verdicts, unconfirmed=doubts)
    more = particulars(found.comparisons, details, findings)
    return msgspec.structs.replace(found, depths=tuple(depths(more)), particulars=tuple(more))


def acts_of(scenario: Scenario, folder: Path) -> list[Act]:
    """What was done in a world, as it was logged; nothing in one that was not run."""
    log = folder / scenario.id / LOG
    return [msgspec.json.decode(line, type=Act) for line in _lines(log)] if log.exists() else []


def truths_of(scenario: Scenario, folder: Path) -> Iterator[tuple[Truth, Particulars] | str]:
    """The truth of each visit to a world that has run, or why there is none."""
    acts = acts_of(scenario, folder)
    lines = _lines(folder / scenario.id / VISITS)
    visits = [msgspec.json.decode(line, type=Visit) for line in lines]
    for network in scenario.vantages:
        own = [visit for visit in visits if visit.network == network]
        for expectation, visit in zip(expected_on(scenario, network), own, strict=True):
            done = acts_on(scenario, network, acts, visit.began, visit.ended)
            name = Path(visit.file).stem
            if visit.failure is not None:
                yield f"{name}: {visit.failure}"
                continue
            try:
                truth = truth_of(scenario, expectation, network, done, measurement=name)
                yield truth, particulars_of(scenario, expectation, network, done)
            except UnconfirmedTruth as doubt:
                yield str(doubt)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()
