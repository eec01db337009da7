"""What the controls of other measurements say of a host that has no control in its own.

Redirect hops and measurements whose helper failed have nothing to be compared with. Other
people's controls can serve, if no single submitter can make them say what he likes: a report
has one voice however many measurements it holds, and a host is spoken for only by a quorum of
reports from several networks that all but agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from hashlib import blake2b
from typing import NamedTuple

from gatewatch.judge.control import Control, Seen
from gatewatch.judge.day import day_of
from gatewatch.model.records import Observed

MIN_REPORTS = 5
MIN_NETWORKS = 3
AGREEMENT = 0.9
"Our choices: lower ones let fewer submitters speak for a host, higher ones leave more hosts mute."

WINDOW = timedelta(days=7)
"How far from a measurement's day a control may have been taken. Our choice: sites come and go."


class Voice(NamedTuple):
    """What one measurement's control says of its own input's host."""

    host: str
    report: str
    network: int | None
    resolves: bool | None
    reaches: bool | None
    day: date | None = None
    "UTC; a voice without a day is heard on no day."


def voice_of(observed: Observed) -> Voice | None:
    """The control's word on the input's host; None when there was no control."""
    measurement = observed.measurement
    control = Control(observed)
    if measurement.target is None or not control.present:
        return None
    lookup = control.lookup
    return Voice(
        host=measurement.target,
        report=measurement.report_id,
        network=measurement.probe_asn,
        resolves=None if lookup is None else bool(control.addresses),
        reaches=None if control.page_seen is Seen.NONE else control.page is not None,
        day=day_of(measurement),
    )


class Pool:
    """Voices by host, each report counted once, under the first network it names."""

    def __init__(self, voices: Iterable[Voice] = ()) -> None:
        self._by_host: dict[str, dict[str, Voice | None]] = {}
        for voice in voices:
            self.add(voice)

    def add(self, voice: Voice) -> None:
        """A report that contradicts itself about a host, or names no id, loses its voice there."""
        if not voice.report:
            return
        reports = self._by_host.setdefault(voice.host, {})
        known = reports.setdefault(voice.report, voice)
        if known is not None and known != voice:
            reports[voice.report] = None

    def seen(self, host: str, layer: str, day: date | None) -> Seen:
        """What the quorum says around a day: of the host's resolution for `dns`, of its page
        for any other layer."""
        if day is None:
            return Seen.NONE
        near = [
            v
            for v in self._by_host.get(host, {}).values()
            if v is not None and v.network is not None and v.day and abs(v.day - day) <= WINDOW
        ]
        words = [(v.network, v.resolves if layer == "dns" else v.reaches) for v in near]
        words = [(network, word) for network, word in words if word is not None]
        if len(words) < MIN_REPORTS or len({network for network, _ in words}) < MIN_NETWORKS:
            return Seen.NONE
        enough = AGREEMENT * len(words)
        yes = sum(word for _, word in words)
        if yes >= enough:
            return Seen.REACHES
        return Seen.FAILS if len(words) - yes >= enough else Seen.NONE

    def digest(self, wanted: Iterable[str]) -> str:
        """A digest of what is said of these, to tell whether a verdict must be redone.

        Args:
            wanted: as made by `want`.
        """
        words: list[str] = []
        for want in sorted(set(wanted)):
            host, _, day = want.rpartition("@")
            at = date.fromisoformat(day)
            words.append(f"{want} {self.seen(host, 'dns', at)} {self.seen(host, 'http', at)}")
        return blake2b("\n".join(words).encode(), digest_size=8).hexdigest() if words else ""


def want(host: str, day: date) -> str:
    """How a verdict names a control that it would hear: `host@day`."""
    return f"{host}@{day.isoformat()}"


NO_POOL = Pool()
