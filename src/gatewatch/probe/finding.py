"""What an experiment found out: its answer, what that proves, and every attempt behind it.

Written into a measurement as `test_keys.x_experiments`, a list of findings; the reader's noun is
`model.records.Finding`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gatewatch.model.mechanism import Placement, Trigger


class Trial(Struct, frozen=True, kw_only=True):
    """One attempt of an experiment."""

    arm: str
    "Which of the things compared: `suspect`, `innocent_name`, `innocent_address`, `hop 5`, …"
    step: Literal["dns", "tcp", "tls", "quic", "http", "packet"]
    "How deep the attempt went, or would have gone."
    address: str
    port: int
    name: str | None
    "The name sent: question, server name or Host; None when none was."
    failure: str | None
    "None: the step was reached and went well."
    t0: float
    t: float
    "Seconds since the measurement began."
    bytes: int | None = None
    "Received, where that is what is measured."
    words: str = ""
    "Whatever else there is to say of it."


class Finding(Struct, frozen=True, kw_only=True):
    """The answer of one experiment about one suspicion."""

    experiment: str
    version: int
    question: str
    "One sentence, as the experiment asks it."
    layer: str
    "Of the suspicion: dns, tcp, tls, quic or http."
    depth: int
    "Redirects followed before it."
    host: str
    "Whose blocking was suspected."
    url: str
    answer: str
    "Snake case, of the experiment's own closed set; `inconclusive` is in every one."
    words: str
    "Why: the answer as a sentence with its numbers."
    mechanism: str | None = None
    "The deepest node of the taxonomy that this proves by itself; None when it proves none."
    trigger: Trigger | None = None
    placement: Placement | None = None
    hop_address: str | None = None
    "Address of the machine that did it, or of the last one before it."
    hop_ttl: int | None = None
    "Its distance in hops."
    residual_s: float | None = None
    "How long innocent traffic stays blocked after the trigger; best estimate."
    residual_s_low: float | None = None
    residual_s_high: float | None = None
    residual_ends: Literal["2-tuple", "3-tuple", "4-tuple"] | None = None
    effect: float | None = None
    "Throughput of the suspect over that of the neutral name, 0..1 and more."
    effect_low: float | None = None
    effect_high: float | None = None
    "95 % interval."
    trials: tuple[Trial, ...] = ()
    schema: str = "gatewatch.finding/1"
