"""A table of any size to a file or a pipe, batch by batch, never whole in memory."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, BinaryIO

from gatewatch.cli import sheet as formats
from gatewatch.cli.exits import UsageFault
from gatewatch.cli.session import Format, Session

if TYPE_CHECKING:
    import pyarrow as pa


def export_table(session: Session, rows: pa.RecordBatchReader) -> int:
    """Write every row in the format asked for, and count them.

    Raises:
        UsageFault: a format that has to be held whole, or Parquet to a terminal.
    """
    if session.fields or session.sort or session.limit is not None:
        raise UsageFault("export writes whole tables; `gatewatch query` chooses and sorts")
    wanted = session.format
    if wanted is Format.TABLE and session.output is None:
        wanted = Format.TSV
    if wanted in (Format.TABLE, Format.MD, Format.JSON):
        raise UsageFault(f"export writes parquet, csv, tsv or jsonl, not {wanted}")
    if wanted is Format.PARQUET and session.output is None and sys.stdout.isatty():
        raise UsageFault("Parquet is binary; give it a file with -o")
    with session.sink() as sink:
        return _parquet(sink, rows) if wanted is Format.PARQUET else _text(sink, rows, wanted)


def _parquet(sink: BinaryIO, rows: pa.RecordBatchReader) -> int:
    import pyarrow.parquet as pq

    written = 0
    with pq.ParquetWriter(sink, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)
            written += batch.num_rows
    return written


def _text(sink: BinaryIO, rows: pa.RecordBatchReader, wanted: Format) -> int:
    import pyarrow as pa

    written = 0
    if wanted is not Format.JSONL:
        sink.write(_encoded(formats.Sheet(list(rows.schema.names), []), wanted))
    for batch in rows:
        sheet = formats.sheet_of_arrow(pa.Table.from_batches([batch]))
        encoded = _encoded(sheet, wanted)
        sink.write(encoded if wanted is Format.JSONL else encoded.split(b"\n", 1)[1])
        written += batch.num_rows
    return written


def _encoded(sheet: formats.Sheet, wanted: Format) -> bytes:
    if wanted is Format.JSONL:
        return formats.as_jsonl(sheet)
    made = formats.as_csv(sheet) if wanted is Format.CSV else formats.as_tsv(sheet)
    return made.encode("utf-8", "backslashreplace")
