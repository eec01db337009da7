"""The outer part of an OONI measurement: who submitted what, when, from where.

Decodes a record's JSON with the parts nobody reads skipped, and reads the envelope into a
`Measurement`. What stands in `test_keys` is for the adapter of each test.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec

from gatewatch.archive.adapters.lenient import Fields
from gatewatch.archive.adapters.lens import Lens
from gatewatch.archive.reader import RawRecord
from gatewatch.model.errors import MalformedRecord
from gatewatch.model.records import Measurement


class TestKeys(msgspec.Struct):
    """The fields of `test_keys` that are read; the rest is never decoded."""

    queries: Any = None
    tcp_connect: Any = None
    tls_handshakes: Any = None
    quic_handshakes: Any = None
    requests: Any = None
    control: Any = None
    control_failure: Any = None
    dns_experiment_failure: Any = None
    http_experiment_failure: Any = None
    x_dns_duplicate_responses: Any = None
    x_experiments: Any = None
    failure: Any = None


class Envelope(msgspec.Struct):
    test_keys: TestKeys | None = None
    test_name: Any = None
    test_version: Any = None
    software_name: Any = None
    software_version: Any = None
    report_id: Any = None
    measurement_uid: Any = None
    input: Any = None
    probe_cc: Any = None
    probe_asn: Any = None
    probe_network_name: Any = None
    probe_id: Any = None
    resolver_asn: Any = None
    resolver_ip: Any = None
    measurement_start_time: Any = None
    test_start_time: Any = None


_decode = msgspec.json.Decoder(Envelope).decode


def decode(raw: RawRecord) -> tuple[Envelope, list[str]]:
    """Read a record's JSON.

    Returns:
        The envelope, and the flaws met: what was of the wrong type and read as null.

    Raises:
        MalformedRecord: not a JSON object, or none of a measurement.
    """
    where = where_of(raw)
    flaws: list[str] = []
    try:
        return _decode(raw.data), flaws
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # lone surrogates, NaN, a mistyped test_keys: the slower readers below take them
    try:
        loose = json.loads(raw.data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        got = f"{error}: {raw.data[:80].decode('utf-8', 'replace')}"
        raise MalformedRecord(where, "record", got=got, want="one JSON object") from None
    if not isinstance(loose, dict):
        raise MalformedRecord(where, "record", got=type(loose).__name__, want="a JSON object")
    keys = loose.get("test_keys")
    if keys is not None and not isinstance(keys, dict):
        flaws.append(f"test_keys: {type(keys).__name__} where an object is wanted")
        loose["test_keys"] = None
    return msgspec.convert(loose, Envelope), flaws


def where_of(raw: RawRecord) -> str:
    """File, member, line and byte offset of a record, in words."""
    file = raw.file if raw.member is None else f"{raw.file}!{raw.member}"
    return f"{file}, line {raw.line}, byte {raw.offset}"


def measurement_of(raw: RawRecord, envelope: Envelope, lens: Lens, flaws: list[str]) -> Measurement:
    """The envelope as a `Measurement`; `flaws` grows by what could not be read.

    Raises:
        MalformedRecord: without a test name nobody can say what was measured.
    """
    fields = Fields(msgspec.structs.asdict(envelope), "", flaws)
    test_name = fields.text("test_name")
    if not test_name:
        raise MalformedRecord(
            where_of(raw), "test_name", got=envelope.test_name, want="the name of a nettest"
        )
    keys = envelope.test_keys or TestKeys()
    given = _input(envelope.input, fields)
    target = lens.target_of(given) if given else None
    record_id = blake2b(raw.data, digest_size=16).hexdigest()
    uid = fields.text("measurement_uid")
    software = " ".join(
        filter(None, (fields.text("software_name"), fields.text("software_version")))
    )
    return Measurement(
        record_id=record_id,
        measurement_id=uid or f"gw-{record_id}",
        source_file=raw.file,
        source_member=raw.member,
        source_line=raw.line,
        source_offset=raw.offset,
        source_length=len(raw.data),
        test_name=test_name,
        test_version=fields.text("test_version"),
        software=software or None,
        report_id=fields.text("report_id") or "",
        input=given,
        target=target.host if target else None,
        domain=target.domain if target else None,
        service=target.service if target else None,
        probe_cc=_country(fields.text("probe_cc")),
        probe_asn=asn_of(fields.raw("probe_asn")),
        probe_network=fields.text("probe_network_name") or None,
        resolver_asn=asn_of(fields.raw("resolver_asn")),
        resolver_ip=fields.text("resolver_ip") or None,
        measured_at=_time(fields, "measurement_start_time") or _time(fields, "test_start_time"),
        received_at=_received(uid),
        control_failure=_words(keys.control_failure),
        probe_failure=_words(keys.failure),
        probe_id=fields.text("probe_id") or None,
        flaws=flaws,
    )


def _input(value: object, fields: Fields) -> str | None:
    """The input; the oldest reports hold a list."""
    if isinstance(value, list):
        texts = [entry for entry in value if isinstance(entry, str)]
        return ", ".join(texts)[:4000] or None
    return fields.text("input") or None


def asn_of(value: object) -> int | None:
    """An AS number written `AS123`, `123` or 123; None for AS0 and for anything else.

    >>> asn_of("AS137"), asn_of("AS0"), asn_of(None), asn_of("ASx")
    (137, None, None, None)
    """
    if isinstance(value, str):
        digits = value.strip().upper().removeprefix("AS")
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 11 else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**32:
        return value
    return None


def _words(failure: object) -> str | None:
    """A stated failure as found; false, as old reports write it, is none."""
    if not failure:
        return None
    return failure[:200] if isinstance(failure, str) else type(failure).__name__


def _country(value: str | None) -> str | None:
    if value is None or not re.fullmatch(r"[A-Za-z]{2}", value) or value.upper() == "ZZ":
        return None
    return value.upper()


def _time(fields: Fields, key: str) -> datetime | None:
    """`YYYY-MM-DD HH:MM:SS`, UTC by the format's rule; also with T, fraction and Z."""
    words = fields.text(key)
    if not words:
        return None
    try:
        time = datetime.fromisoformat(words.strip())
    except ValueError:
        fields.flaws.append(f"{key}: {words[:40]!r} where YYYY-MM-DD HH:MM:SS is wanted")
        return None
    if time.tzinfo is not None:
        try:
            time = time.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            return None
    return time


_RECEIVED = re.compile(r"(\d{14})\.\d+_")


def _received(uid: str | None) -> datetime | None:
    """The archive's clock, which OONI writes into the id it gives."""
    found = _RECEIVED.match(uid) if uid else None
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], "%Y%m%d%H%M%S")
    except ValueError:
        return None
