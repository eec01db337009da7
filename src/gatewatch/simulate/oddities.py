"""What goes wrong with records after they were made, and what some people submit on purpose."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from gatewatch.simulate import probe
from gatewatch.simulate.atlas import SITES
from gatewatch.simulate.network import Answer, Handshake, Network, Place, Server
from gatewatch.simulate.recorded import Recorded, compact, report_id, uid
from gatewatch.simulate.scene import Probe, Truth, home_page

MISTYPED_EVERY, BROKEN_EVERY, REPEATED_EVERY, RESUBMITTED_EVERY = 397, 1499, 499, 613
"""One record in so many; primes, so that they seldom meet."""

HOSTILE_SHARE = 0.5
"""Fabricated records, relative to a day's measurements."""

HOSTILE_PLACE = Place("US", 7018, "AT&T Services, Inc.", "68.94.156.1", 7018, "AT&T Services, Inc.")


@dataclass(slots=True)
class Oddities:
    """Makes records odd at fixed intervals and counts them."""

    rng: Random
    counts: Counter[str]
    seen: int = 0

    def lines(self, recorded: Recorded) -> Iterator[str]:
        """The lines that reach the file in place of one record: none is lost, some come twice."""
        self.seen += 1
        line = recorded.line()
        if self.seen % BROKEN_EVERY == 7:
            self.counts["broken lines"] += 1
            yield line[: len(line) // 3]
        if self.seen % MISTYPED_EVERY == 5:
            self.counts["mistyped records"] += 1
            line = _mistype(line)
        yield line
        if self.seen % REPEATED_EVERY == 11:
            self.counts["repeated lines"] += 1
            yield line

    def resubmitted(self, recorded: list[Recorded]) -> list[Recorded]:
        """Copies that a probe sent again, a little later and under another uid."""
        again: list[Recorded] = []
        for r in recorded[3::RESUBMITTED_EVERY]:
            received = r.received + timedelta(seconds=self.rng.uniform(20, 90))
            name = uid(received, r.probe.place.cc, self.rng)
            again.append(replace(r, received=received, uid=name))
        self.counts["submitted twice"] += len(again)
        return again

    def hostile(self, midnight: datetime, count: int) -> list[Recorded]:
        """One report that claims, over and over, that a site is blocked where it is not."""
        site = SITES[0]
        who = Probe(id=0, place=HOSTILE_PLACE)
        net = Network(
            names={site.host: Answer(addresses=site.addresses)},
            servers=dict.fromkeys(site.addresses, Server(asn=site.asn, org=site.org)),
            tampered_tls={site.host: Handshake(failure="connection_reset")},
            pages={site.host: home_page(site)},
        )
        made = probe.measure(net, site.url, HOSTILE_PLACE, seed="hostile")
        keys = compact(made["test_keys"])
        start = midnight + timedelta(hours=11)
        report = report_id(start, "US", HOSTILE_PLACE.asn, self.rng)
        truth = Truth(
            situation="fabricated", outcomes=("blocked", "unclear", "down"), mechanisms=("tls",)
        )
        out: list[Recorded] = []
        for n in range(count):
            started = start + timedelta(seconds=3 * n)
            received = started + timedelta(seconds=2, microseconds=n)
            out.append(
                Recorded(
                    received=received,
                    started=started,
                    run_started=start,
                    report=report,
                    uid=uid(received, "US", self.rng),
                    probe=who,
                    site=site,
                    truth=truth,
                    test_keys=keys,
                    runtime=made["test_runtime"],
                )
            )
        self.counts["fabricated under one report"] += count
        return out


def _mistype(line: str) -> str:
    """A number as text, a list as a number, a name as a number: none of it decides anything."""
    record = json.loads(line)
    record["test_runtime"] = str(record["test_runtime"])
    record["annotations"]["platform"] = 7
    record["test_keys"]["network_events"] = 0
    record["test_keys"]["agent"] = ["redirect"]
    return compact(record)
