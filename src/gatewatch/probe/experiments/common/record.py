"""Test keys that OONI's tests have in common."""

from __future__ import annotations

from gatewatch.probe.journal import Journal
from gatewatch.probe.ooni import Json


def common_keys(journal: Journal) -> Json:
    """What the tests made of OONI's urlgetter have, besides how they ended."""

    def in_order(entries: list[Json]) -> list[Json]:
        return sorted(entries, key=lambda entry: entry["t"])

    return {
        "agent": "redirect",
        "network_events": in_order(journal.events),
        "queries": in_order(journal.queries),
        "requests": journal.requests[::-1],
        "socksproxy": None,
        "tcp_connect": in_order(journal.connects),
        "tls_handshakes": in_order(journal.handshakes),
        **({"quic_handshakes": journal.quic_handshakes} if journal.quic_handshakes else {}),
        **(
            {"x_dns_duplicate_responses": in_order(journal.duplicates)}
            if journal.duplicates
            else {}
        ),
    }
