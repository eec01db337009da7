"""From a fetched file to a dataset: one recipe each, which reads the whole of it and checks it.

A recipe sets unsound rows aside and says so; it raises when the file is not what it should be.
How many sound rows are enough is for `update` to say.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from ipaddress import ip_address
from typing import NamedTuple

from gatewatch.model.errors import MalformedRecord
from gatewatch.refdata.fingerprints import read_public
from gatewatch.refdata.matcher import Matcher
from gatewatch.refdata.ranges import V4_TOP, V6_TOP, Range, number_of, pack, steps_of
from gatewatch.refdata.suffixes import FILE as SUFFIX_FILE
from gatewatch.refdata.suffixes import read_suffixes
from gatewatch.refdata.testlists import Listed, read_list, write_lists
from gatewatch.refdata.unpack import Tar, gunzip, is_tar

ASN_MAX = 2**32 - 1
COUNTRY = re.compile(r"[A-Z]{2}")
NPM_DATE = re.compile(r"\.(\d{8})\d{2}$")
"Versions of the @ip-location-db packages end in the hour they were made, YYYYMMDDHH."
NAME_LENGTH_MAX = 200


class Made(NamedTuple):
    """A dataset ready to be written."""

    date: date | None
    "None when the file does not say of what day it is."
    rows: int
    files: dict[str, bytes]
    set_aside: list[str]
    note: str = ""


class Row(NamedTuple):
    where: str
    first: str
    last: str
    value: str
    name: str


def networks(content: bytes, where: str) -> Made:
    """Network (ASN) of every address and name of every network.

    Reads a tarball with `asn-ipv4-num.csv` and `asn-ipv6-num.csv`, or ip2asn's TSV, gzipped or not.
    """
    dated, rows = _range_rows(content, where, "asn", value_field=2)
    names: dict[int, str] = {}

    def number(row: Row) -> int | None:
        if not row.value.isascii() or not row.value.isdecimal() or int(row.value) > ASN_MAX:
            return None
        if row.name and int(row.value):
            names.setdefault(int(row.value), row.name[:NAME_LENGTH_MAX])
        return int(row.value)

    made = _ranges(rows, number, "asn", labels=False)
    files = {**made.files, "names.parquet": _names(names)}
    return made._replace(date=dated, files=files)


def countries(content: bytes, where: str) -> Made:
    """Country every address is registered in.

    Reads a tarball with `…-country-ipv4-num.csv` and `…-ipv6-num.csv`, or ip2asn's TSV.
    """
    dated, rows = _range_rows(content, where, "country", value_field=3)

    def code(row: Row) -> int | None:
        if row.value in ("None", "Unknown", ""):
            return 0
        return number_of(row.value) if COUNTRY.fullmatch(row.value) else None

    return _ranges(rows, code, "country", labels=True)._replace(date=dated)


def fingerprints(content: bytes, where: str) -> Made:
    """A published table of fingerprints; each pattern is compiled."""
    rows, aside = read_public(content, where)
    skipped = Matcher(rows).skipped
    aside += [f"{where}: {one.id}: wanted a pattern that compiles: {one.why}" for one in skipped]
    return Made(None, len(rows) - len(skipped), {"fingerprints.csv": content}, aside)


def test_lists(content: bytes, where: str) -> Made:
    """Test lists: a tarball of `lists/<country>.csv`, or one such CSV."""
    content = gunzip(content, where)
    rows: list[Listed] = []
    aside: list[str] = []
    if not is_tar(content):
        rows, aside = read_list(content, where.rpartition("/")[2].removesuffix(".csv"), where)
        return Made(None, len(rows), {"lists.tsv": write_lists(rows)}, aside)
    tar = Tar(content, where)
    for name in tar.names():
        found = re.search(r"(?:^|/)lists/(global|[a-z]{2})\.csv$", name)
        if found:
            kept, unsound = read_list(tar.get(name), found[1], f"{where}: {name}")
            rows += kept
            aside += unsound
    dated = datetime.fromtimestamp(tar.newest, UTC).date() if tar.newest > 0 else None
    note = f"commit {tar.comment}" if tar.comment else ""
    return Made(dated, len(rows), {"lists.tsv": write_lists(rows)}, aside, note)


def suffixes(content: bytes, where: str) -> Made:
    """The public suffix list."""
    dated, rules, _ = read_suffixes(content, where)
    return Made(dated, rules, {SUFFIX_FILE: content}, [])


RECIPES: dict[str, Callable[[bytes, str], Made]] = {
    "networks": networks,
    "countries": countries,
    "fingerprints_http": fingerprints,
    "fingerprints_dns": fingerprints,
    "test_lists": test_lists,
    "suffixes": suffixes,
}


def _range_rows(
    content: bytes, where: str, kind: str, *, value_field: int
) -> tuple[date | None, Iterator[Row]]:
    content = gunzip(content, where)
    if not is_tar(content):
        return None, _tsv_rows(content, where, value_field)
    tar = Tar(content, where)
    try:
        package = json.loads(tar.ending("package/package.json", where))
        stamp = NPM_DATE.search(str(package.get("version")))
        dated = datetime.strptime(stamp[1], "%Y%m%d").date() if stamp else None
    except (ValueError, AttributeError) as error:
        raise MalformedRecord(
            where, "package.json", got=str(error), want="an npm package"
        ) from error
    families = [tar.ending(f"{kind}-ipv{family}-num.csv", where) for family in (4, 6)]
    return dated, (row for family in families for row in _csv_rows(family, where))


def _csv_rows(content: bytes, where: str) -> Iterator[Row]:
    """Rows `first,last,value[,name]`, addresses as numbers."""
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
        for fields in reader:
            here = f"{where}:{reader.line_num}"
            yield Row(here, *(fields[:4] + [""] * (4 - len(fields))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedRecord(where, "text", got=str(error), want="CSV in UTF-8") from error


def _tsv_rows(content: bytes, where: str, value_field: int) -> Iterator[Row]:
    """Rows `first, last, asn, country, name`, addresses as text."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRecord(where, "text", got=str(error), want="TSV in UTF-8") from error
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("\t")
        fields += [""] * (5 - len(fields))
        yield Row(f"{where}:{number}", fields[0], fields[1], fields[value_field], fields[4])


def _ranges(
    rows: Iterable[Row], value_of: Callable[[Row], int | None], column: str, *, labels: bool
) -> Made:
    families: dict[int, list[Range]] = {V4_TOP: [], V6_TOP: []}
    aside: list[str] = []
    for row in rows:
        first, last = _address(row.first), _address(row.last)
        value = value_of(row)
        if value is None or first is None or last is None or first[0] != last[0]:
            shown = ",".join((row.first, row.last, row.value))[:120]
            aside.append(f"{row.where}: {shown!r}: wanted first, last and {column}")
        elif first[1] > last[1]:
            aside.append(f"{row.where}: first {row.first[:50]} lies after last {row.last[:50]}")
        elif value:
            families[first[0]].append(Range(first[1], last[1], value))
    v4, v6 = (steps_of(ranges, top) for top, ranges in families.items())
    count = sum(len(ranges) for ranges in families.values())
    return Made(None, count, pack(v4, v6, column=column, labels=labels), aside)


def _address(text: str) -> tuple[int, int] | None:
    """Highest address of its family, and the address as a number.

    A plain number is IPv4 below 2**32; IPv6 addresses that low are not assigned to anyone.
    """
    if text.isascii() and text.isdecimal() and len(text) <= 39:
        number = int(text)
        return (V4_TOP if number <= V4_TOP else V6_TOP, number) if number <= V6_TOP else None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return V4_TOP if address.version == 4 else V6_TOP, int(address)


def _names(names: dict[int, str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    asns = sorted(names)
    table = pa.table(
        {
            "asn": pa.array(asns, pa.uint32()),
            "name": pa.array([names[asn] for asn in asns], pa.string()),
        }
    )
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        column_encoding={"asn": "DELTA_BINARY_PACKED", "name": "DELTA_LENGTH_BYTE_ARRAY"},
        row_group_size=1 << 22,
        data_page_size=1 << 26,
        write_statistics=False,
    )
    return sink.getvalue()
