"""Compressed files from strangers."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from gatewatch.model.errors import MalformedRecord
from gatewatch.refdata.unpack import Tar, gunzip, is_tar


def test_members_of_a_gzip_file_are_joined_and_plain_bytes_come_back():
    assert gunzip(gzip.compress(b"one") + gzip.compress(b"two"), "x") == b"onetwo"
    assert gunzip(b"plain", "x") == b"plain"


def test_a_bomb_ends_at_the_limit():
    bomb = gzip.compress(b"\0" * 1_000_000)
    with pytest.raises(MalformedRecord, match="<= 1000 bytes"):
        gunzip(bomb, "x", limit=1000)
    with pytest.raises(MalformedRecord, match="<= 1000 bytes"):
        gunzip(gzip.compress(b"a" * 600) * 2, "x", limit=1000)


@pytest.mark.parametrize("cut", [3, 12, -1, -8])
def test_a_truncated_gzip_file_is_refused(cut):
    with pytest.raises(MalformedRecord, match="x: gzip"):
        gunzip(gzip.compress(b"some text" * 30)[:cut], "x")


def test_only_regular_files_of_an_archive_are_seen():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        link = tarfile.TarInfo("a/link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hosts"
        archive.addfile(link)
        file = tarfile.TarInfo("a/file.csv")
        file.size = 2
        archive.addfile(file, io.BytesIO(b"ok"))
    assert is_tar(packed.getvalue())
    tar = Tar(packed.getvalue(), "x")
    assert tar.names() == ["a/file.csv"]
    assert tar.ending("file.csv", "x") == b"ok"
    with pytest.raises(MalformedRecord, match="one such file"):
        tar.ending("link.csv", "x")
