"""Address ranges as a step function: from each start to the next, one value; looked up by search.

Files hold the steps, not the ranges: `v4.parquet` (start: uint32, value) and `v6.parquet`
(start_high, start_low: uint64, value), ascending, null where nothing is known. Any Parquet reader
can look into them. What a value means is for the caller to say.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

V4_TOP = 2**32 - 1
V6_TOP = 2**128 - 1
HALF = 2**64 - 1


class Range(NamedTuple):
    """All addresses from `first` to `last`, both included, as numbers."""

    first: int
    last: int
    value: int
    "Above 0."


class Steps(NamedTuple):
    starts: list[int]
    values: list[int]
    "0 where nothing is known."


def steps_of(ranges: Iterable[Range], top: int) -> Steps:
    """The step function of ranges that may nest or overlap.

    Where several ranges hold an address, the one that starts last wins; of equal starts the one
    that ends first; of equal ranges the last given. So the most specific range wins.

    Args:
        ranges: any order, each with 0 <= first <= last <= top.
        top: highest address of the family.

    >>> steps_of([Range(0, 9, 1), Range(4, 5, 2)], top=9)
    Steps(starts=[0, 4, 6], values=[1, 2, 1])
    """
    starts: list[int] = []
    values: list[int] = []

    def step(at: int, value: int) -> None:
        if at > top:
            return
        if starts and starts[-1] == at:
            starts.pop()
            values.pop()
        if value != (values[-1] if values else 0):
            starts.append(at)
            values.append(value)

    open_ranges: list[Range] = []

    def close_before(address: int) -> None:
        while open_ranges and open_ranges[-1].last < address:
            ended = open_ranges.pop().last
            while open_ranges and open_ranges[-1].last <= ended:
                open_ranges.pop()
            step(ended + 1, open_ranges[-1].value if open_ranges else 0)

    for one in sorted(ranges, key=lambda one: (one.first, -one.last)):
        close_before(one.first)
        open_ranges.append(one)
        step(one.first, one.value)
    close_before(top + 1)
    return Steps(starts, values)


class AddressMap:
    """Values of IPv4 and IPv6 addresses, uint32; 0 where nothing is known."""

    def __init__(
        self,
        v4: tuple[NDArray[np.uint32], NDArray[np.uint32]],
        v6: tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint32]],
    ) -> None:
        """Take starts and values of IPv4, high and low halves of starts and values of IPv6."""
        # One step at 0 in front, so that every address has a step at or before it.
        self._v4_starts = np.concatenate((np.zeros(1, np.uint32), v4[0]))
        self._v4_values = np.concatenate((np.zeros(1, np.uint32), v4[1]))
        high, low, values = v6
        halves = np.empty((len(high) + 1, 2), dtype=">u8")
        halves[0], halves[1:, 0], halves[1:, 1] = 0, high, low
        # Sixteen big-endian bytes sort as the numbers do; trailing zero bytes do no harm.
        self._v6_starts = np.ascontiguousarray(halves).view("S16").ravel()
        self._v6_values = np.concatenate((np.zeros(1, np.uint32), values))

    def values_of(self, addresses: Sequence[str]) -> list[int]:
        """The value of each address as text; 0 for what is not an address, too."""
        found = [0] * len(addresses)
        for family, starts, values in (
            (AF_INET, self._v4_starts, self._v4_values),
            (AF_INET6, self._v6_starts, self._v6_values),
        ):
            places: list[int] = []
            packed: list[bytes] = []
            for place, address in enumerate(addresses):
                if (":" in address) != (family == AF_INET6):
                    continue
                try:
                    packed.append(inet_pton(family, address))
                except (OSError, ValueError):
                    continue
                places.append(place)
            if not places:
                continue
            kind = ">u4" if family == AF_INET else "S16"
            asked = np.frombuffer(b"".join(packed), dtype=kind).astype(starts.dtype)
            steps = np.searchsorted(starts, asked, side="right") - 1
            for place, value in zip(places, values[steps].tolist(), strict=True):
                found[place] = value
        return found


def pack(v4: Steps, v6: Steps, *, column: str, labels: bool) -> dict[str, bytes]:
    """The files `v4.parquet` and `v6.parquet`.

    Args:
        column: name of the value column.
        labels: write values as the two letters of `letters_of`, else as numbers.
    """
    high = np.array([start >> 64 for start in v6.starts], np.uint64)
    low = np.array([start & HALF for start in v6.starts], np.uint64)
    return {
        "v4.parquet": _write({"start": np.array(v4.starts, np.uint32)}, column, v4.values, labels),
        "v6.parquet": _write({"start_high": high, "start_low": low}, column, v6.values, labels),
    }


def unpack(v4: bytes, v6: bytes) -> AddressMap:
    """The map in two files made by `pack`."""
    (start,), v4_values = _read(v4)
    (high, low), v6_values = _read(v6)
    return AddressMap((start, v4_values), (high, low, v6_values))


def number_of(letters: str) -> int:
    """Two letters as a number above 0.

    >>> letters_of(number_of("IR"))
    'IR'
    """
    return ord(letters[0]) << 8 | ord(letters[1])


def letters_of(number: int) -> str:
    """The two letters that `number_of` numbered."""
    return chr(number >> 8) + chr(number & 0xFF)


def _write(starts: dict[str, NDArray[Any]], column: str, values: list[int], labels: bool) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = [value or None for value in values]
    last = (
        pa.array([value and letters_of(value) for value in known], pa.string())
        if labels
        else pa.array(known, pa.uint32())
    )
    table = pa.table({**starts, column: last})
    encodings = dict.fromkeys(starts, "DELTA_BINARY_PACKED")
    by_dictionary: Any = [column] if labels else False  # a list of columns, or none at all
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=19,
        use_dictionary=by_dictionary,
        column_encoding=encodings,
        # One page a column: with several, each begins its dictionary and window anew.
        row_group_size=1 << 22,
        data_page_size=1 << 26,
        write_statistics=False,
    )
    return sink.getvalue()


def _read(content: bytes) -> tuple[list[NDArray[Any]], NDArray[np.uint32]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(content), use_threads=False)
    *starts, last = (table.column(name).combine_chunks() for name in table.column_names)
    if pa.types.is_string(last.type):
        coded = last.dictionary_encode()
        numbers = pa.array([number_of(x) for x in coded.dictionary.to_pylist()], pa.uint32())
        last = numbers.take(coded.indices)
    values = pc.fill_null(last, pa.scalar(0, pa.uint32())).to_numpy(zero_copy_only=False)
    return [start.to_numpy(zero_copy_only=False) for start in starts], values
