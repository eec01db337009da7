"""Arrow tables that share key columns: put in order, matched row to row, gathered into lists.

DuckDB or Spark do the counting; what is left here is laying their results side by side without
a Python step per row. Nulls are equal to nulls.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def in_order(table: Any, keys: list[str], *, largest_first: str | None = None) -> Any:
    """The table by its keys; within equal keys by one more column, largest first, then the rest."""
    order = [(key, "ascending") for key in keys]
    if largest_first is not None:
        rest = [n for n in table.column_names if n not in (*keys, largest_first)]
        order += [(largest_first, "descending"), *((name, "ascending") for name in rest)]
    return table.sort_by(order).combine_chunks()


def rows_of(table: Any, other: Any, keys: list[str]) -> NDArray[np.int64]:
    """For each row of `other`, the row of `table` with the same keys, which must be there.

    Each key column becomes small integers over both tables, and the columns one mixed-radix
    number, so that the match is one sorted search whatever the number of rows.
    """
    size = table.num_rows
    code = np.zeros(size + other.num_rows, np.int64)
    for key in keys:
        kind = table.schema.field(key).type
        both = pa.chunked_array([*table[key].chunks, *other[key].cast(kind).chunks], kind)
        encoded = both.combine_chunks().dictionary_encode(null_encoding="encode")
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        mixed = code * (len(encoded.dictionary) + 1) + encoded.indices.to_numpy()
        code = np.unique(mixed, return_inverse=True)[1]
    order = np.argsort(code[:size])
    return order[np.searchsorted(code[:size], code[size:], sorter=order)]


def rows_with(table: Any, column: str, values: Iterable[str]) -> Any:
    """The rows whose column holds one of these strings, in their order."""
    wanted = pa.array(sorted(values), pa.string())
    return table.filter(pc.call_function("is_in", [table[column]], pc.SetLookupOptions(wanted)))


def lists(rows: NDArray[np.int64], values: Any, size: int) -> Any:
    """One list a row: `values[i]` goes to the list of row `rows[i]`; `rows` must not decrease."""
    offsets = np.searchsorted(rows, np.arange(size + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.combine_chunks())


def table_of(schema: Any, columns: dict[str, Any]) -> Any:
    """A table of this schema; NaN and None are null."""
    arrays = [
        column
        if isinstance(column, (pa.Array, pa.ChunkedArray))
        else pa.array(column, from_pandas=True)
        for column in (columns[name] for name in schema.names)
    ]
    return pa.table(arrays, names=schema.names).cast(schema)
