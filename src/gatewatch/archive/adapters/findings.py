"""What a probe's own experiments found: `test_keys.x_experiments`, as ours writes it."""

from __future__ import annotations

from gatewatch.archive.adapters.lenient import Fields
from gatewatch.archive.adapters.ooni_entries import address_of
from gatewatch.model.mechanism import ALL, PLACEMENTS, TRIGGERS
from gatewatch.model.records import Finding
from gatewatch.model.target import canonical_host

MOST_FINDINGS = 200
WORDS_LENGTH = 1000
"Characters. Both are our choice, several times what the probe writes."


def findings(keys: Fields, record_id: str) -> list[Finding]:
    """Every finding that can be read; what is outside the vocabularies is read as null."""
    entries = keys.objects("x_experiments")[:MOST_FINDINGS]
    return [_finding(entry, record_id) for entry in entries if entry.text("experiment")]


def _finding(entry: Fields, record_id: str) -> Finding:
    host = entry.text("host") or ""
    mechanism = entry.text("mechanism")
    return Finding(
        record_id=record_id,
        vantage="probe",
        hop=entry.integer("depth", 0, 1000) or 0,
        transaction_id=None,
        elapsed_ms=None,
        failure=None,
        failure_words=None,
        experiment=(entry.text("experiment") or "")[:64],
        layer=(entry.text("layer") or "")[:16],
        host=canonical_host(host) or host[:253],
        answer=(entry.text("answer") or "")[:64],
        mechanism=mechanism if mechanism in ALL else None,
        trigger=_of(entry.text("trigger"), TRIGGERS),
        placement=_of(entry.text("placement"), PLACEMENTS),
        hop_address=address_of(entry.text("hop_address")),
        hop_ttl=entry.integer("hop_ttl", 0, 255),
        residual_s=entry.number("residual_s"),
        effect=entry.number("effect"),
        effect_low=entry.number("effect_low"),
        effect_high=entry.number("effect_high"),
        trials=entry.size("trials"),
        words=(entry.text("words") or "")[:WORDS_LENGTH],
    )


def _of(value: str | None, known: frozenset[str]) -> str | None:
    return value if value in known else None
