"""Files as they come: compressed, packed, cut, damaged, hostile."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import resource
import subprocess
import sys
import tarfile
import textwrap
import zlib
from typing import BinaryIO, cast

import lz4.frame
import pytest
import zstandard

from gatewatch.archive.pull import Limits
from gatewatch.archive.reader import RawRecord, read_one, read_records
from gatewatch.model.errors import NotFound
from gatewatch.model.records import SetAside

param = pytest.param
NOISE = random.Random(1)
LINES = [b'{"n":%d,"x":"%s"}' % (n, NOISE.randbytes(n % 90).hex().encode()) for n in range(3000)]
TEXT = b"\n".join(LINES) + b"\n"


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def lz4_frame(data: bytes) -> bytes:
    return lz4.frame.compress(data, content_checksum=True, block_size=lz4.frame.BLOCKSIZE_MAX64KB)


COMPRESS = {
    "gzip": gzip.compress,
    "zstd": zstd,
    "lz4": lz4_frame,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


class Drip(io.RawIOBase):
    """A stream that gives one byte at a time, as a slow pipe may."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        buffer[:1] = data = self._data.read(1)
        return len(data)


def read(data: bytes | BinaryIO, limits: Limits | None = None):
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    found = list(read_records(stream, file="f", limits=limits))
    records = [item for item in found if isinstance(item, RawRecord)]
    asides = [item for item in found if isinstance(item, SetAside)]
    return [record.data for record in records], asides


def tar(members: dict[str, bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("codec", COMPRESS)
@pytest.mark.parametrize(
    "wrap",
    [
        param(lambda c: c(TEXT), id="one member"),
        param(lambda c: c(TEXT[:5000]) + c(b"") + c(TEXT[5000:]), id="several, cut anywhere"),
        param(lambda c: c(c(TEXT)), id="compressed twice"),
    ],
)
def test_compressed_records_are_read(codec, wrap):
    assert read(wrap(COMPRESS[codec])) == (LINES, [])


@pytest.mark.parametrize("codec", COMPRESS)
def test_it_does_not_matter_how_the_bytes_arrive(codec):
    data = COMPRESS[codec](b"\n".join(LINES[:40]))
    records, asides = read(cast(BinaryIO, Drip(data)))
    assert (records, asides) == (LINES[:40], [])


@pytest.mark.parametrize("codec", COMPRESS)
@pytest.mark.parametrize("share", [0.001, 0.3, 0.77, 0.99, 1.0])
def test_a_cut_file_gives_what_is_whole_and_says_where_it_ends(codec, share):
    whole = COMPRESS[codec](TEXT)
    cut = min(int(len(whole) * share) + 8, len(whole) - 1)
    records, asides = read(whole[:cut])
    assert records == LINES[: len(records)]
    [aside] = asides
    assert aside.field == codec
    assert f"byte {cut}" in aside.got
    assert "rest of the member" in aside.want
    assert aside.source_line == len(records) + 1
    # The records and what is said to be lost add up to all that was decompressed.
    assert aside.source_offset == sum(len(record) + 1 for record in records)
    if codec == "gzip" and share < 1:
        inflated = zlib.decompressobj(31).decompress(whole[:cut])
        # One symbol of deflate, at most 258 bytes, may be read a step later by one library.
        assert 0 <= len(inflated) - aside.source_offset - aside.source_length <= 258


def test_a_record_that_is_whole_at_the_cut_is_kept():
    text = b'{"a":1}\n{"b":2}'
    cut = gzip.compress(text)[:-8]
    records, [aside] = read(cut)
    assert records == [b'{"a":1}', b'{"b":2}']
    assert (aside.source_offset, aside.source_length) == (len(text), 0)


def test_half_a_document_at_the_cut_is_set_aside_with_the_cut():
    text = b'{"a":1}\n{\n "b": [\n'
    records, [aside] = read(gzip.compress(text)[:-8])
    assert records == [b'{"a":1}']
    assert (aside.source_line, aside.source_offset, aside.source_length) == (2, 8, 10)
    records, [aside] = read(gzip.compress(b'[{"a":1},\n{"b":')[:-8])
    assert records == [b'{"a":1}']
    assert (aside.source_line, aside.source_offset, aside.source_length) == (2, 10, 5)


def test_a_wrong_checksum_costs_no_record_and_no_later_member():
    one = gzip.compress(TEXT)
    bad = one[:-8] + b"\0\0\0\0" + one[-4:]
    records, [aside] = read(bad + one)
    assert records == LINES * 2
    assert "CRC-32" in aside.got
    records, [aside] = read(one[:-4] + b"\0\0\0\1")
    assert records == LINES
    assert "trailer" in aside.got


@pytest.mark.parametrize("codec", ["gzip", "zstd", "lz4", "bzip2", "xz"])
def test_damage_in_the_middle_ends_the_file_and_is_said(codec):
    lines = [b'{"x":"%s"}' % NOISE.randbytes(200).hex().encode() for _ in range(5000)]
    whole = bytearray(COMPRESS[codec](b"\n".join(lines)))
    at = len(whole) * 3 // 4
    whole[at : at + 100] = bytes(100)
    records, asides = read(bytes(whole))
    assert [aside.field for aside in asides if aside.field != "record"] == [codec]
    assert len(set(lines) & set(records)) > 1000


@pytest.mark.parametrize("codec", COMPRESS)
def test_garbage_behind_a_member_is_said_once(codec):
    records, [aside] = read(COMPRESS[codec](TEXT) + b"garbage")
    assert records == LINES
    assert "garb" in aside.got


def test_zeros_behind_and_between_members_are_padding():
    one = gzip.compress(TEXT)
    assert read(one + bytes(100) + one + bytes(1000)) == (LINES * 2, [])


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("codec", [None, "gzip", "zstd", "lz4"])
def test_the_files_in_an_archive_are_read_under_their_names(kind, codec):
    deep = "a/" + "b" * 90 + "/" + "d" * 60 + ".json"
    data = tar({"x/1.jsonl": TEXT, deep: b'{"a":1}', "z.gz": gzip.compress(TEXT), "e": b""}, kind)
    data = COMPRESS[codec](data) if codec else data
    found = list(read_records(io.BytesIO(data), file="f"))
    by_member: dict[str | None, list[bytes]] = {}
    for item in found:
        assert isinstance(item, RawRecord)
        by_member.setdefault(item.member, []).append(item.data)
    assert by_member == {"x/1.jsonl": LINES, deep: [b'{"a":1}'], "z.gz": LINES}


def test_names_that_repeat_are_told_apart():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for text in (b'{"a":1}', b'{"b":2}'):
            info = tarfile.TarInfo("same")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    found = list(read_records(io.BytesIO(out.getvalue()), file="f"))
    assert [(r.member, r.data) for r in found if isinstance(r, RawRecord)] == [
        ("same", b'{"a":1}'),
        ("same#2", b'{"b":2}'),
    ]


def test_odd_members_are_counted_and_never_followed(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in [("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in ("/etc/cron.d/x", "../../x"):
            info = tarfile.TarInfo(name)
            info.size = 7
            archive.addfile(info, io.BytesIO(b'{"a":1}'))
    before = sorted(tmp_path.rglob("*"))
    found = list(read_records(io.BytesIO(out.getvalue()), file="f"))
    assert [item.member for item in found if isinstance(item, RawRecord)] == [
        "/etc/cron.d/x",
        "../../x",
    ]
    [aside] = [item for item in found if isinstance(item, SetAside)]
    assert aside.got == "1 × hard link, 1 × symbolic link, not read"
    assert sorted(tmp_path.rglob("*")) == before


def test_archives_behind_each_other_are_both_read():
    assert read(tar({"a": TEXT}) + tar({"b": TEXT})) == (LINES * 2, [])


@pytest.mark.parametrize("codec", [None, "gzip"])
@pytest.mark.parametrize("cut", [512, 5000, 200_000, 290_000])
def test_a_cut_archive_is_said_once(codec, cut):
    data = tar({"a.json": TEXT, "b.json": TEXT})
    data = data[:cut]
    if codec:
        data = gzip.compress(data)[:-8]
    records, asides = read(data)
    assert records == (LINES * 2)[: len(records)]
    assert [aside.field for aside in asides] == [codec or "tar"]


def test_a_broken_header_ends_an_archive_and_is_said():
    data = bytearray(tar({"a": TEXT, "b": TEXT}))
    second = 512 + len(TEXT) + -len(TEXT) % 512
    data[second + 3] ^= 0xFF
    records, [aside] = read(bytes(data))
    assert records == LINES
    assert f"byte {second}" in aside.got


def test_containers_in_containers_have_an_end():
    data = TEXT
    for _ in range(6):
        data = gzip.compress(data)
    records, [aside] = read(data)
    assert records == []
    assert (aside.field, aside.want) == ("depth", "at most 4")


def test_too_large_a_file_is_left_where_the_limit_is():
    records, [aside] = read(gzip.compress(TEXT * 50), Limits(file_bytes=3 * len(TEXT)))
    assert aside.field == "size"
    assert 0 < len(records) <= 3 * len(LINES)
    wide = Limits(ratio=5, ratio_from=1 << 20)
    bomb = gzip.compress(b'{"a":"' + b" " * (8 << 20) + b'"}\n{"b":2}\n')
    records, [aside] = read(bomb, wide)
    assert aside.field == "ratio"
    assert records == []


def test_a_bomb_in_one_member_stops_only_its_file():
    data = tar({"a": TEXT, "bomb": zstd(bytes(200 << 20)), "b": TEXT})
    records, asides = read(data, Limits(ratio=100))
    assert records == LINES * 2
    records, asides = read(data, Limits(ratio=100, ratio_from=64 << 20))
    assert records == LINES
    assert sorted(aside.field for aside in asides) == ["file", "ratio"]
    assert {aside.source_member for aside in asides} == {"bomb"}


HUNGRY = textwrap.dedent(
    """
    import gzip, io, resource, sys
    import lz4.frame, zstandard, isal.igzip_lib
    from gatewatch.archive.reader import RawRecord, read_records, Limits

    kind = sys.argv[1]
    class Long(io.RawIOBase):
        left = 200
        def readable(self): return True
        def readinto(self, buffer):
            self.left -= 1
            data = {199: b'{"a":1}\\n{"x":"', 0: b'"}\\n{"b":2}\\n'}.get(self.left)
            if data is None:
                data = b"x" * min(len(buffer), 1 << 20) if self.left > 0 else b""
            buffer[: len(data)] = data
            return len(data)

    if kind == "line":
        source = io.BufferedReader(Long(), 1 << 20)
    elif kind == "gzip":
        packer, data = __import__("zlib").compressobj(1, 8, 31), []
        for n in range(200):
            data.append(packer.compress(bytes(1 << 20)))
        source = io.BytesIO(b"".join(data) + packer.flush())
    else:
        packer, data = zstandard.ZstdCompressor().compressobj(), []
        for n in range(400):
            data.append(packer.compress(bytes(1 << 20)))
        source = io.BytesIO(b"".join(data) + packer.flush())
    now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    for item in read_records(source, file="f", limits=Limits(record_bytes=16 << 20)):
        print(type(item).__name__, item.data if isinstance(item, RawRecord) else item.field)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10) - now
    print(grown >> 20, file=sys.stderr)
    """
)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        param("line", "RawRecord b'{\"a\":1}'\nSetAside record\nRawRecord b'{\"b\":2}'\n"),
        param("gzip", "SetAside file\n"),
        param("zstd", "SetAside ratio\n"),
    ],
)
def test_memory_does_not_grow_with_what_is_thrown_at_us(kind, told):
    done = subprocess.run(
        [sys.executable, "-c", HUNGRY, kind],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
    )
    assert done.returncode == 0, done.stderr
    assert told.splitlines()[0] in done.stdout
    assert int(done.stderr) < 120, f"{done.stderr} MiB for a limit of 16 MiB a record"


def test_what_cannot_be_opened_or_read_is_set_aside_with_the_systems_words(tmp_path):
    [gone] = read_records(tmp_path / "gone.jsonl", file="gone.jsonl")
    assert isinstance(gone, SetAside)
    assert "No such file" in gone.got
    [folder] = read_records(str(tmp_path), file="folder")
    assert isinstance(folder, SetAside)
    assert "directory" in folder.got

    class Failing(io.RawIOBase):
        given = False

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            if self.given:
                raise OSError(5, "Input/output error")
            self.given = True
            buffer[:11] = b'{"a":1}\n{"b'
            return 11

    record, failed = read_records(cast(BinaryIO, Failing()), file="disk")
    assert isinstance(record, RawRecord)
    assert isinstance(failed, SetAside)
    assert (failed.field, failed.source_offset, failed.source_length) == ("file", 8, 3)
    assert "Input/output error after 11 bytes" in failed.got


@pytest.mark.parametrize(
    "pack",
    [
        param(lambda: TEXT, id="plain"),
        param(lambda: gzip.compress(TEXT), id="gzip"),
        param(lambda: tar({"a": b'{"q":1}', "b/c": TEXT}), id="tar"),
        param(lambda: zstd(tar({"in.tar": tar({"x": TEXT}), "y": gzip.compress(TEXT)})), id="deep"),
    ],
)
def test_the_very_bytes_can_be_had_again(pack, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(pack())
    for record in list(read_records(path, file="f"))[::97]:
        assert isinstance(record, RawRecord)
        again = read_one(path, member=record.member, offset=record.offset, length=len(record.data))
        assert again == record.data


def test_bytes_that_are_not_there_are_not_found(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(TEXT))
    with pytest.raises(NotFound, match="no 10 bytes from byte"):
        read_one(path, member=None, offset=len(TEXT) - 5, length=10)
    with pytest.raises(NotFound, match=r"file\.gz!x"):
        read_one(path, member="x", offset=0, length=10)
    with pytest.raises(NotFound, match="No such file"):
        read_one(tmp_path / "gone", member=None, offset=0, length=1)
