"""What the controls of other measurements say of a host that has no control in its own.

Redirect hops and measurements whose helper failed have nothing to be compared with. Other
people's controls can serve, if no single submitter can make them say what he likes: a report
has one voice however many measurements it holds, and a host is spoken for only by a quorum of
reports from several networks that all but agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

from gatewatch.judge.control import Control, Seen
from gatewatch.model.records import Observed

MIN_REPORTS = 5
MIN_NETWORKS = 3
AGREEMENT = 0.9
"Our choices: lower ones let fewer submitters speak for a host, higher ones leave more hosts mute."

LAYERS = ("dns", "page")


class Voice(NamedTuple):
    """What one measurement's control says of its own input's host."""

    host: str
    report: str
    network: int | None
    resolves: bool | None
    reaches: bool | None


def voice_of(observed: Observed) -> Voice | None:
    """The control's word on the input's host; None when there was no control."""
    measurement = observed.measurement
    control = Control(observed)
    if measurement.target is None or not control.present:
        return None
    lookup, exchange = control.lookup, control.exchange
    return Voice(
        host=measurement.target,
        report=measurement.report_id,
        network=measurement.probe_asn,
        resolves=None if lookup is None else bool(control.addresses),
        reaches=None if exchange is None else control.page is not None,
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

    def seen(self, host: str, layer: str) -> Seen:
        """What the quorum says: of its resolution for `dns`, of its page for any other layer."""
        voices = [v for v in self._by_host.get(host, {}).values() if v is not None]
        words = [
            (v.network, v.resolves if layer == "dns" else v.reaches)
            for v in voices
            if v.network is not None
        ]
        words = [(network, word) for network, word in words if word is not None]
        if len(words) < MIN_REPORTS or len({network for network, _ in words}) < MIN_NETWORKS:
            return Seen.NONE
        yes = sum(word for _, word in words) / len(words)
        if yes >= AGREEMENT:
            return Seen.REACHES
        return Seen.FAILS if yes <= 1 - AGREEMENT else Seen.NONE

    def digest(self, hosts: Iterable[str]) -> str:
        """A digest of what is said of these hosts, to tell whether a verdict must be redone."""
        words = [f"{h} {self.seen(h, 'dns')} {self.seen(h, 'page')}" for h in sorted(set(hosts))]
        return blake2b("\n".join(words).encode(), digest_size=8).hexdigest() if words else ""


NO_POOL = Pool()
