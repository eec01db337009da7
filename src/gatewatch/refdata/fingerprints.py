"""Tables of fingerprints: our own, and those published by others, read and checked.

How they are matched is `matcher`'s part; what a match means is for `judge` to say.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import date

from gatewatch.model.errors import MalformedRecord
from gatewatch.refdata.nouns import PATTERN_TYPES, SCOPES, Fingerprint
from gatewatch.refdata.tables import read_table

COLUMNS = [
    "id",
    "scope",
    "location",
    "pattern_type",
    "within",
    "countries",
    "pattern",
    "source",
    "note",
]
PUBLIC_COLUMNS = ["name", "scope", "location_found", "pattern_type", "pattern"]
FOREIGN_SCOPES = {"prov": "server", "injb": "portal"}
"""Published scopes we call otherwise: `prov` is a site that obeys orders itself; `injb`, one row,
a router announcing its own update."""
COUNTRY = re.compile(r"[A-Z]{2}")
LOCATION = re.compile(r"body|title|dns|header|header\.[a-z0-9-]+")
PATTERN_LENGTH_MAX = 4_000
"Our choice, five times the longest published; longer is not a pattern but a page."
NOWHERE = "ZZ"
"Published tables write ZZ for no country in particular."


def read_own(content: bytes, where: str) -> tuple[date, list[Fingerprint]]:
    """Our own table: its date and its rows.

    Raises:
        MalformedRecord: at the first row that is not sound.
    """
    table = read_table(content, where, COLUMNS)
    found: dict[str, Fingerprint] = {}
    for row in table.rows:
        fingerprint = Fingerprint(
            id=row["id"],
            scope=row["scope"],
            location=row["location"],
            pattern_type=row["pattern_type"],
            pattern=row["pattern"],
            countries=row["countries"].split(",") if row["countries"] else [],
            source=row["source"],
            note=row["note"],
            within=_length(row["within"], f"{where}: {row['id']}"),
        )
        here = f"{where}: {fingerprint.id}"
        wrong = fault_of(fingerprint)
        if wrong is not None:
            raise MalformedRecord(here, "row", got=row, want=wrong)
        if fingerprint.id in found:
            raise MalformedRecord(here, "id", got=fingerprint.id, want="an id used once")
        found[fingerprint.id] = fingerprint
    return table.date, list(found.values())


def read_public(content: bytes, where: str) -> tuple[list[Fingerprint], list[str]]:
    """A table in the published CSV format: its sound rows, and what was set aside, in words.

    The format is that of github.com/ooni/blocking-fingerprints.

    Raises:
        MalformedRecord: when it is no such CSV at all.
    """
    found: dict[str, Fingerprint] = {}
    aside: list[str] = []
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = reader.fieldnames or []
        if not set(PUBLIC_COLUMNS) <= set(header):
            raise MalformedRecord(where, "header", got=header, want=", ".join(PUBLIC_COLUMNS))
        for row in reader:
            here = f"{where}:{reader.line_num}: {str(row['name'])[:80]}"
            fingerprint = _public_row(row)
            wrong = "every column" if fingerprint is None else fault_of(fingerprint)
            if wrong is None and fingerprint is not None and fingerprint.id in found:
                wrong = "an id used once"
            if fingerprint is None or wrong is not None:
                aside.append(f"{here}: wanted {wrong}")
            else:
                found[fingerprint.id] = fingerprint
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedRecord(where, "text", got=str(error), want="CSV in UTF-8") from error
    return list(found.values()), aside


def fault_of(fingerprint: Fingerprint) -> str | None:
    """What a sound row would have instead; None when this one is sound.

    Whether a pattern compiles is for `matcher` to find.
    """
    pattern = fingerprint.pattern
    if not fingerprint.id.strip() or len(fingerprint.id) > 200:
        return "an id of 1 to 200 characters"
    if fingerprint.scope not in SCOPES:
        return f"a scope of {', '.join(SCOPES)}"
    if not LOCATION.fullmatch(fingerprint.location):
        return "a location: body, title, dns, header or header.<name>"
    if fingerprint.pattern_type not in PATTERN_TYPES:
        return f"a pattern type of {', '.join(PATTERN_TYPES)}"
    if not pattern.strip() or len(pattern) > PATTERN_LENGTH_MAX:
        return f"a pattern of 1 to {PATTERN_LENGTH_MAX} characters"
    if fingerprint.location == "dns" and fingerprint.pattern_type not in ("full", "prefix"):
        return "full or prefix, the pattern types that answers are looked up by"
    if "\ufffd" in pattern:
        return "a pattern without U+FFFD, which stands for every undecodable byte of a page"
    if not all(COUNTRY.fullmatch(country) for country in fingerprint.countries):
        return "countries of two letters"
    return None


def _length(text: str, where: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise MalformedRecord(where, "within", got=text, want="a number of characters, or nothing")
    return int(text)


def _public_row(row: dict[str, str | None]) -> Fingerprint | None:
    if any(row[column] is None for column in PUBLIC_COLUMNS):
        return None
    name, scope, location, pattern_type, pattern = (row[column] or "" for column in PUBLIC_COLUMNS)
    countries = [part.strip() for part in (row.get("expected_countries") or "").split(",")]
    return Fingerprint(
        id=name,
        scope=FOREIGN_SCOPES.get(scope, scope),
        location=location.lower(),
        pattern_type=pattern_type,
        pattern=pattern,
        countries=[country for country in countries if country and country != NOWHERE],
        source=row.get("exp_url") or row.get("source") or "",
        note=row.get("notes") or "",
    )
