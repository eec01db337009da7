"""The stage: raw records in, observations out, and what could not be read beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatewatch.archive.adapters import ooni
from gatewatch.archive.adapters.lens import Lens
from gatewatch.archive.reader import RawRecord
from gatewatch.model.errors import MalformedRecord
from gatewatch.model.records import Observed, SetAside


def observe(
    records: Iterable[RawRecord | SetAside], lens: Lens
) -> Iterator[tuple[RawRecord, Observed] | SetAside]:
    """Read every record.

    Returns:
        As many items as records came in, in their order: each either read, with its raw
        record, or set aside with the reason.
    """
    for record in records:
        if isinstance(record, SetAside):
            yield record
            continue
        try:
            yield record, ooni.observe(record, lens)
        except MalformedRecord as error:
            yield set_aside(record, error)


def set_aside(record: RawRecord, error: MalformedRecord) -> SetAside:
    return SetAside(
        source_file=record.file,
        source_member=record.member,
        source_line=record.line,
        source_offset=record.offset,
        source_length=len(record.data),
        field=error.field,
        got=error.got,
        want=error.want,
    )
