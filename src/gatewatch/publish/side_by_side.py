"""What the probe saw against what the control saw, step by step. What follows is for `judge`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gatewatch.publish.reading import Reading
from gatewatch.publish.words import network


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One step towards the target, as each side saw it. An empty list: that side did not try."""

    layer: str
    "`dns`, `tcp`, `tls` or `http`."
    what: str
    "The name asked for, the endpoint, or the URL."
    probe: list[str]
    control: list[str]


def side_by_side(reading: Reading, record_id: str) -> list[Seen]:
    """Every step of a measurement, in the order of the layers and of the record."""
    found: list[Seen] = []
    for layer, table, what, words in _LAYERS:
        steps: dict[str, dict[str, list[str]]] = {}
        for row in reading.rows(f"select * from {table} where record_id = $id", id=record_id):
            sides = steps.setdefault(what(row), {"probe": [], "control": []})
            said = words(reading, row)
            side = sides.setdefault(row["vantage"], [])
            if said not in side:
                side.append(said)
        found.extend(
            Seen(layer=layer, what=key, probe=sides["probe"], control=sides["control"])
            for key, sides in steps.items()
        )
    return found


def _ended(row: dict[str, Any], success: str) -> str:
    return row["failure"] or success


def _lookup_words(reading: Reading, row: dict[str, Any]) -> str:
    """The answers with the networks they lie in; a query per kind of address is one step."""
    if row["failure"]:
        return f"{row['failure']} ({row['query_type']}, {row['resolver']})"
    asns = row["asns"] or [None] * len(row["addresses"])
    answers = [
        address + ("" if asn is None else f" {network(asn, reading.network_name(asn))}")
        for address, asn in zip(row["addresses"], asns, strict=False)
    ]
    late = f"; later {', '.join(row['late_addresses'])}" if row["late_addresses"] else ""
    return (", ".join(answers) or "no address") + late


def _handshake_words(reading: Reading, row: dict[str, Any]) -> str:
    agreed = row["tls_version"] or "handshake done"
    chain = "" if row["chain_state"] == "absent" else f", chain {row['chain_state']}"
    return _ended(row, agreed) + chain


def _exchange_words(reading: Reading, row: dict[str, Any]) -> str:
    if row["failure"]:
        return row["failure"]
    facts = [f"status {row['status']}"]
    if row["location"]:
        facts.append(f"to {row['location']}")
    if row["title"]:
        facts.append(f"title “{row['title']}”")
    if row["body_length"] is not None:
        cut = "" if row["body_complete"] else ", cut short"
        facts.append(f"{row['body_length']:,} bytes{cut}")
    if row["fingerprints"]:
        facts.append("fingerprint " + ", ".join(row["fingerprints"]))
    return "; ".join(facts)


def _endpoint(row: dict[str, Any]) -> str:
    address = row["address"] or "address not recorded"
    shown = f"[{address}]" if ":" in address else address
    return shown if row["port"] is None else f"{shown}:{row['port']}"


Key = Callable[[dict[str, Any]], str]
Words = Callable[[Reading, dict[str, Any]], str]

_LAYERS: tuple[tuple[str, str, Key, Words], ...] = (
    ("dns", "lookups", lambda row: row["hostname"], _lookup_words),
    ("tcp", "connects", _endpoint, lambda reading, row: _ended(row, "connected")),
    (
        "tls",
        "handshakes",
        lambda row: f"{row['sni'] or 'no name'} at {_endpoint(row)}",
        _handshake_words,
    ),
    ("http", "exchanges", lambda row: row["url"], _exchange_words),
)
