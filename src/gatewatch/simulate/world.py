"""Several days of measurements of the `atlas` in OONI's S3-like layout, with the truth beside them.

Under the given directory:

    raw/YYYYMMDD/HH/CC/webconnectivity/YYYYMMDDHH_CC_webconnectivity.n0.0.jsonl.gz
    truth.jsonl     one row a record: its uid, and what it honestly shows
    filters.jsonl   one row a censor and host: who filters what, how, since and until when

The same arguments give the same bytes. Memory does not grow with the number of days.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from random import Random

from gatewatch.model.errors import GatewatchError
from gatewatch.simulate import legacy, probe
from gatewatch.simulate.atlas import CENSORS, SITES, Site
from gatewatch.simulate.oddities import HOSTILE_SHARE, Oddities
from gatewatch.simulate.population import Run, population, runs
from gatewatch.simulate.recorded import Recorded, compact, report_id, uid
from gatewatch.simulate.scene import Probe, Scene, scene

PER_DAY = 550
"""Measurements a day of the demo's world."""

VARIANTS = 3
"""How many different timings a scene is recorded with before they repeat."""

MOST_CACHED = 8000
"""Scenes whose observations are kept for reuse; at some 10 KB each."""


@dataclass(slots=True)
class WorldSummary:
    """What was written."""

    days: int
    lines: int = 0
    "Lines in the raw files, odd ones included."
    files: int = 0
    bytes: int = 0
    "Size of the raw files, compressed."
    situations: Counter[str] = field(default_factory=Counter)
    "Situation → measurements."
    oddities: Counter[str] = field(default_factory=Counter)

    def sentence(self) -> str:
        odd = ", ".join(f"{n} {name}" for name, n in sorted(self.oddities.items()) if n)
        return (
            f"{self.situations.total()} synthetic measurements over {self.days} days in "
            f"{self.files} files, {self.bytes / 1e6:.1f} MB; {self.situations['filtered']} met a "
            f"filter; odd on purpose: {odd or 'none'}"
        )


def write_world(
    out: Path,
    *,
    seed: int,
    days: int,
    measurements_per_day: int | None = None,
    now: datetime,
) -> WorldSummary:
    """Write the world of the `days` days that end at `now`.

    Args:
        measurements_per_day: defaults to `PER_DAY`.
        now: with a time zone; the period ends at the midnight (UTC) before it.

    Raises:
        GatewatchError: a world is there already; two of them in one place would have one truth.
    """
    if (out / "raw").exists():
        raise GatewatchError(f"{out / 'raw'} exists already; a world wants a directory of its own")
    end = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = end - timedelta(days=days)
    per_day = PER_DAY if measurements_per_day is None else measurements_per_day
    maker = _Maker(seed, begin, days, per_day)
    oddities = Oddities(Random(f"{seed}/odd"), Counter())
    summary = WorldSummary(days=days, oddities=oddities.counts)
    out.mkdir(parents=True, exist_ok=True)
    pending: list[Recorded] = []
    with (out / "truth.jsonl").open("w", encoding="utf-8") as truth:
        for day in range(days):
            recorded = maker.day(day)
            pending += recorded + oddities.resubmitted(recorded)
            if day == days // 2:
                midnight = begin + timedelta(days=day)
                pending += oddities.hostile(midnight, round(per_day * HOSTILE_SHARE))
            due = begin + timedelta(days=day + 1 if day + 1 < days else days + 2)
            ready = sorted((r for r in pending if r.received < due), key=_place_in_files)
            pending = [r for r in pending if r.received >= due]
            _write_files(out, ready, oddities, summary)
            for recorded_one in ready:
                truth.write(compact(recorded_one.truth_row()) + "\n")
                summary.situations[recorded_one.truth.situation] += 1
    _write_filters(out / "filters.jsonl", begin, days)
    return summary


class _Maker:
    """Makes the measurements of one day after the other."""

    def __init__(self, seed: int, begin: datetime, days: int, per_day: int) -> None:
        self.seed, self.begin, self.days, self.per_day = seed, begin, days, per_day
        self.people = population(seed, per_day / PER_DAY)
        self.cache: dict[Hashable, tuple[str, float]] = {}

    def day(self, day: int) -> list[Recorded]:
        rng = Random(f"{self.seed}/day/{day}")
        moment = (day + 0.5) / self.days
        out: list[Recorded] = []
        for run in runs(self.people, moment, rng):
            if len(out) >= self.per_day:
                break
            started = self.begin + timedelta(days=day, seconds=rng.uniform(0, 86_000))
            out += self._run(run, started, rng)[: self.per_day - len(out)]
        return out

    def _run(self, run: Run, started: datetime, rng: Random) -> list[Recorded]:
        who = run.probe
        report = report_id(started, who.place.cc, who.place.asn, rng)
        clock = started + timedelta(seconds=rng.uniform(2, 8))
        out: list[Recorded] = []
        for site in run.sites:
            moment = (clock - self.begin) / timedelta(days=self.days)
            met = scene(site, who, moment, rng, portal=run.portal)
            keys, runtime = self._observations(met, site, who, rng.randrange(VARIANTS))
            received = clock + timedelta(seconds=runtime + rng.uniform(0.3, 3))
            out.append(
                Recorded(
                    received=received,
                    started=clock,
                    run_started=started,
                    report=report,
                    uid=uid(received, who.place.cc, rng),
                    probe=who,
                    site=site,
                    truth=met.truth,
                    test_keys=keys,
                    runtime=runtime,
                )
            )
            clock = received + timedelta(seconds=rng.uniform(0.2, 2))
        return out

    def _observations(self, met: Scene, site: Site, who: Probe, variant: int) -> tuple[str, float]:
        """Test keys as JSON, and the run time; made once for each scene and variant."""
        key = (met.key, who.engine, variant)
        found = self.cache.get(key)
        if found is None:
            net, seed = met.build(), f"{self.seed}/{site.host}/{variant}"
            if who.engine == "0.4":
                made = legacy.measure_04(net, site.url, who.place, seed=seed)
            else:
                made = probe.measure(net, site.url, who.place, seed=seed, doh=variant > 0)
            found = (compact(made["test_keys"]), made["test_runtime"])
            if len(self.cache) >= MOST_CACHED:
                del self.cache[next(iter(self.cache))]
            self.cache[key] = found
        return found


def _place_in_files(recorded: Recorded) -> tuple[str, str, datetime, str]:
    hour = f"{recorded.received:%Y%m%d%H}"
    return hour, recorded.probe.place.cc, recorded.received, recorded.uid


def _write_files(
    out: Path, recorded: list[Recorded], oddities: Oddities, summary: WorldSummary
) -> None:
    """One file an hour and country, in the order received."""
    for (hour, cc), group in groupby(recorded, key=lambda r: _place_in_files(r)[:2]):
        folder = out / "raw" / hour[:8] / hour[8:] / cc / "webconnectivity"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{hour}_{cc}_webconnectivity.n0.0.jsonl.gz"
        with (
            path.open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=4, fileobj=raw, mtime=0) as packed,
        ):
            for one in group:
                for line in oddities.lines(one):
                    packed.write(line.encode("utf-8") + b"\n")
                    summary.lines += 1
        summary.files += 1
        summary.bytes += path.stat().st_size


def _write_filters(path: Path, begin: datetime, days: int) -> None:
    """Who filters what in this world, for those who want to score events and not only records."""
    sites = {s.host: s for s in SITES}
    with path.open("w", encoding="utf-8") as file:
        for censor in CENSORS:
            for host in censor.hosts:
                site = sites[host]
                effect = censor.act(host, site.addresses)
                row = {
                    "cc": censor.cc,
                    "asns": list(censor.asns),
                    "host": host,
                    "since": _at(begin, days, censor.since) if censor.since > 0 else None,
                    "until": _at(begin, days, censor.until) if censor.until < 1 else None,
                    "mechanisms": list(
                        effect.secure if site.url.startswith("https") else effect.clear
                    ),
                    "own_resolver_only": effect.own_resolver,
                }
                file.write(compact(row) + "\n")


def _at(begin: datetime, days: int, share: float) -> str:
    return f"{begin + timedelta(days=days) * share:%Y-%m-%dT%H:%M:%SZ}"
