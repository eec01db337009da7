"""Files or standard input to verdicts, with no store in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from gatewatch.archive.reader import find_inputs, read_records
from gatewatch.flow.progress import Progress, ProgressTo, silent
from gatewatch.judge.pool import Pool, voice_of
from gatewatch.judge.verdict import judge
from gatewatch.model.records import Measurement, Observed, SetAside, Source
from gatewatch.model.verdict import Verdict
from gatewatch.observe.lens import RefDataLens
from gatewatch.observe.stage import observe
from gatewatch.refdata.snapshot import RefData

WAITING = 50_000
"Measurements that may wait for other measurements' controls; later ones are judged alone."


class Judged(msgspec.Struct, frozen=True):
    source: Source
    verdict: Verdict


def judge_paths(
    inputs: list[str],
    refdata: RefData,
    *,
    stdin: BinaryIO | None = None,
    progress: ProgressTo = silent,
) -> Iterator[Judged | SetAside]:
    """Judge every record of files, or of standard input as it arrives.

    Of files, the few measurements that need other measurements' controls come last, when all
    controls have been seen; everything else comes at once and in order. What comes from
    standard input is judged by itself, for it may never end.
    """
    lens = RefDataLens(refdata)
    if stdin is not None:
        for item in observe(read_records(stdin, file="-"), lens):
            yield item if isinstance(item, SetAside) else _judged(item[1], judge(item[1], refdata))
        return
    pool, waiting = Pool(), list[Observed]()
    paths = find_inputs(inputs)
    sizes = [path.stat().st_size for path in paths]
    records = set_aside = 0
    for number, path in enumerate(paths):
        for item in observe(read_records(path, file=str(path)), lens):
            if isinstance(item, SetAside):
                set_aside += 1
                yield item
                continue
            records += 1
            observed = item[1]
            voice = voice_of(observed)
            if voice is not None:
                pool.add(voice)
            verdict = judge(observed, refdata)
            if verdict.wanted_controls and len(waiting) < WAITING:
                waiting.append(observed)
            else:
                yield _judged(observed, verdict)
            if records % 1000 == 0:
                progress(Progress("judge", sum(sizes[:number]), sum(sizes), records, set_aside))
    progress(Progress("judge", sum(sizes), sum(sizes), records, set_aside))
    for observed in waiting:
        yield _judged(observed, judge(observed, refdata, pool))


def _judged(observed: Observed, verdict: Verdict) -> Judged:
    return Judged(source_of(observed.measurement), verdict)


def source_of(measurement: Measurement) -> Source:
    member = measurement.source_member
    return Source(
        file=measurement.source_file if member is None else f"{measurement.source_file}!{member}",
        line=measurement.source_line,
        offset=measurement.source_offset,
        length=measurement.source_length,
    )
