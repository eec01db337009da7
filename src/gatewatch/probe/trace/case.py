"""A case to be read: a name tested at a server, what it is compared to, and the reading of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from gatewatch.model.mechanism import Placement
from gatewatch.probe.trace.path import Path, is_own
from gatewatch.probe.trace.probes import Probe
from gatewatch.probe.trace.replies import Reply
from gatewatch.wire.pcap import Frame

Verdict = Literal["blocked", "none", "unusable"]
Answers = list[tuple[Probe, Reply]]

SCHEMA = "gatewatch.trace/1"
ENDED_MOST = 2
"So many of the control's requests that are reset or closed upon are no accident. Our choice."
FAILED_LEAST = 3
"So many connections must have failed before their share counts: one of four is an accident."


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a capture says, as printed by `gatewatch trace`."""

    server: str | None
    "Address; None where the capture holds no request to any."
    name: str | None
    verdict: Verdict
    mechanism: str | None = None
    "A node of the taxonomy, as deep as it is proved; None unless blocked."
    placement: Placement = "unknown"
    hop: str | None = None
    "Address of the first hop at which it happened: the box is there or just before it."
    hop_ttl: int | None = None
    "Its distance."
    evidence: tuple[str, ...] = ()
    schema: str = SCHEMA


@dataclass(slots=True)
class Case:
    """A name tested at a server, with what it is compared to."""

    server: str
    name: str | None
    test: Path
    control: Path | None
    failed: list[Probe]
    "Connections to the server on which no request was sent."
    control_failed: list[Probe]
    block_page: Callable[[Reply], str | None]
    ttls: set[int] = field(default_factory=set)
    "Of the server's own packets."
    pairs: list[tuple[Probe, Reply]] = field(default_factory=list)
    "What was answered, by probe."
    limited: bool = False
    "The requests were sent with limited TTLs."

    @property
    def distance(self) -> int | None:
        """Of the server, as far as a name shows it that nobody interferes with."""
        return self.control.distance if self.control else None

    @property
    def nearest(self) -> int | None:
        """How far the server is at least: farther than the control's requests that did not get
        there. Between that and `distance`, requests may only have been lost."""
        control = self.control
        if control is None or control.distance is None:
            return None
        return min(control.distance, control.short + 1)

    @property
    def answered(self) -> bool:
        """The control's name is answered by the server itself, and is not ended as well."""
        control = self.control
        return control is not None and bool(control.answers) and control.ended < ENDED_MOST

    @property
    def share_failed(self) -> float:
        return _share(self.failed, self.test)

    @property
    def share_failed_control(self) -> float:
        return _share(self.control_failed, self.control) if self.control else 0.0

    def own(self, probe: Probe, frames: Iterable[Frame]) -> bool:
        return is_own(self.ttls, probe, frames)


def _share(failed: list[Probe], path: Path) -> float:
    """Of connections that did not come up; a few are none."""
    return len(failed) / (len(failed) + len(path.probes)) if len(failed) >= FAILED_LEAST else 0.0


def reading(
    case: Case,
    verdict: Verdict,
    evidence: Sequence[str],
    *,
    mechanism: str | None = None,
    placement: Placement = "unknown",
    hop: str | None = None,
    hop_ttl: int | None = None,
) -> Reading:
    return Reading(
        server=case.server,
        name=case.name,
        verdict=verdict,
        mechanism=mechanism,
        placement=placement,
        hop=hop,
        hop_ttl=hop_ttl,
        evidence=tuple(evidence),
    )
