"""Writing the Parquet files of one commit, part by part, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from gatewatch.archive import durable
from gatewatch.archive.arrow import schema_of
from gatewatch.model.tables import TABLES

if TYPE_CHECKING:
    from gatewatch.archive.store import Store

ROW_GROUP_ROWS = 1 << 17
"""Our choice: what DuckDB works on per thread; smaller groups cost it speed, larger cost memory."""


class PartWriter:
    """The tables of one commit while they are written; made by `Store.writer`."""

    def __init__(self, store: Store, stage: str, key: str) -> None:
        self._store, self._stage, self._key = store, stage, key
        self._before = store.committed(stage, key)
        self._generation = 1 + (self._before.generation if self._before else 0)
        self._marker = store.root / "pending" / f"{stage}.{key}"
        self._marker.touch()
        self._open: dict[str, pq.ParquetWriter] = {}
        self._rows: dict[str, int] = {}
        self._done = False

    def write(self, table: str, data: pa.RecordBatch | pa.Table) -> None:
        """Add rows to a table of this commit; they count once `commit` has returned.

        Raises:
            NotFound: there is no table of that name.
        """
        folder = self._store.table_folder(table, self._stage)
        self._rows.setdefault(table, 0)
        if not data.num_rows:
            return
        schema = schema_of(TABLES[table].noun)
        rows = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
        if table not in self._open:
            durable.make_folder(folder)
            self._open[table] = pq.ParquetWriter(
                folder / self._file(table), schema, compression="zstd"
            )
        # Columns by name, so that metadata and order are the schema's own in every file.
        rows = pa.Table.from_arrays([rows.column(name) for name in schema.names], schema=schema)
        self._open[table].write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self._rows[table] += rows.num_rows

    def commit(self, facts: dict[str, Any]) -> None:
        """Make what was written the content of (stage, key), at one instant."""
        from gatewatch.archive.store import Commit, Part

        self.close()
        assert not self._done, "a commit happens once"
        self._done = True
        for table in self._open:
            folder = self._store.table_folder(table, self._stage)
            durable.sync_file(folder / self._file(table))
            durable.sync_folder(folder)
        tables = {
            table: [Part(self._file(table), rows)] if rows else []
            for table, rows in self._rows.items()
        }
        path = self._store.commit_path(self._stage, self._key)
        durable.make_folder(path.parent)
        durable.write(path, msgspec.json.encode(Commit(self._generation, tables, facts)))
        if self._before is None:
            # Otherwise the marker stays: the next writer removes the files now replaced, which
            # a reader may still be at.
            self._marker.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files; without a commit they are leftovers."""
        for writer in self._open.values():
            writer.close()

    def _file(self, table: str) -> str:
        return f"{self._key}.{self._generation}-0.parquet"


def rows_digest(batches: Iterable[pa.RecordBatch]) -> str:
    """A digest of rows as a multiset: 256 bits, in hex, blind to their order.

    The sum of the rows' SHA-256 modulo 2^256, so that any number of rows needs no memory.
    """
    total = count = 0
    for batch in batches:
        for row in batch.to_pylist():
            data = msgspec.json.encode(row)
            total += int.from_bytes(hashlib.sha256(data).digest(), "big")
            count += 1
    return f"{count}-{total % (1 << 256):064x}"
