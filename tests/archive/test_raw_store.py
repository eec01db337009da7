"""What the store promises to those who read it and to the one who writes."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from gatewatch.archive.store import Store
from gatewatch.model.errors import GatewatchError, NotFound
from gatewatch.model.tables import TABLES
from tests.archive.rows import aside, connect, measurement, tables


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store", create=True)


def files_below(store: Store, folder: str) -> list[str]:
    return sorted(path.name for path in (store.root / folder).rglob("*") if path.is_file())


# Opening.


def test_a_store_is_made_only_when_asked_and_only_where_nothing_is(tmp_path):
    with pytest.raises(GatewatchError, match="no such folder"):
        Store.open(tmp_path / "gone")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("x")
    with pytest.raises(GatewatchError, match="not a gatewatch store"):
        Store.open(tmp_path / "other")
    with pytest.raises(GatewatchError, match="something else"):
        Store.open(tmp_path / "other", create=True)
    (tmp_path / "half" / "raw").mkdir(parents=True)
    Store.open(tmp_path / "half", create=True)
    Store.open(tmp_path / "half")
    Store.open(tmp_path / "half", create=True)


def test_a_store_of_a_newer_layout_is_refused(store):
    (store.root / "gatewatch-store.json").write_text('{"layout": 3}')
    with pytest.raises(GatewatchError, match="layout 3; this gatewatch reads up to 2"):
        Store.open(store.root)
    (store.root / "gatewatch-store.json").write_text("{")
    with pytest.raises(GatewatchError, match="wanted a JSON object"):
        Store.open(store.root)


# Raw files.


def test_raw_bytes_are_kept_as_they_are_under_their_hash(store, tmp_path):
    data = os.urandom(3_000_000)
    path = tmp_path / "some.gz"
    path.write_bytes(data)
    raw = store.add_raw(path, name="some.gz")
    sha256 = hashlib.sha256(data).hexdigest()
    assert raw == (sha256, len(data), "some.gz", True)
    assert store.raw_path(sha256).read_bytes() == data
    assert store.raw_path(sha256).relative_to(store.root).parts == ("raw", sha256[:2], sha256)


def test_the_same_bytes_are_kept_once_under_their_first_name(store):
    store.add_raw(io.BytesIO(b"x"), name="first")
    again = store.add_raw(io.BytesIO(b"x"), name="second")
    assert (again.new, again.name) == (False, "first")
    store.add_raw(io.BytesIO(b"y"), name="third")
    assert [raw.name for raw in store.raw_files()] == sorted(
        ["first", "third"], key=lambda n: hashlib.sha256({"first": b"x", "third": b"y"}[n]).digest()
    )
    assert files_below(store, "pending") == []


def test_a_source_that_fails_half_way_leaves_nothing(store):
    class Failing(io.RawIOBase):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        store.add_raw(Failing(), name="disk")
    assert store.raw_files() == []
    assert files_below(store, "raw") == []


def test_a_name_that_is_no_hash_is_not_a_path(store):
    with pytest.raises(NotFound):
        store.raw_path("../../../etc/passwd")


# Commits.


def test_a_commit_is_read_back_with_its_facts(store):
    given = tables(measurements=[measurement("a")], connects=[connect("a", 80)], lookups=[])
    store.commit("observations", "k", given, {"records": 1})
    assert store.facts("observations", "k") == {"records": 1}
    assert store.keys("observations") == ["k"]
    assert store.stages() == ["observations"]
    for name, table in given.items():
        assert store.read("observations", "k", name).equals(table, check_metadata=True)
    assert store.read("observations", "k", "set_aside").num_rows == 0


def test_what_was_never_committed_is_absent_and_not_empty(store):
    assert store.facts("observations", "k") is None
    assert store.keys("observations") == []
    with pytest.raises(NotFound, match="nothing committed"):
        store.read("observations", "k", "connects")
    with pytest.raises(NotFound, match="no table"):
        store.read("observations", "k", "nonsense")


def test_a_commit_replaces_all_of_the_one_before(store):
    store.commit("s", "k", tables(connects=[connect("a", 1)], set_aside=[aside(1)]), {"n": 1})
    store.commit("s", "k", tables(connects=[connect("a", 2)]), {"n": 2})
    assert store.facts("s", "k") == {"n": 2}
    assert store.read("s", "k", "connects")["port"].to_pylist() == [2]
    assert store.read("s", "k", "set_aside").num_rows == 0
    assert len(store.files("connects")) == 1
    assert store.files("set_aside") == []


def test_replaced_files_stay_until_somebody_else_writes(store):
    store.commit("s", "k", tables(connects=[connect("a", 1)]), {})
    [before] = store.files("connects")
    store.commit("s", "k", tables(connects=[connect("a", 2)]), {})
    assert before.exists(), "a reader may be at it"
    store.commit("s", "other", tables(connects=[connect("a", 3)]), {})
    assert not before.exists()
    assert [path.exists() for path in store.files("connects")] == [True, True]


def test_a_writer_that_fails_changes_nothing(store):
    store.commit("s", "k", tables(connects=[connect("a", 1)]), {"n": 1})
    before = store.logical_digest()

    def fail_half_way() -> None:
        with store.writer("s", "k") as writer:
            writer.write("connects", tables(connects=[connect("a", 2)])["connects"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with store.writer("s", "new") as writer:
        writer.write("connects", tables(connects=[connect("a", 2)])["connects"])
    assert store.logical_digest() == before
    assert store.keys("s") == ["k"]
    with store.lock():
        assert files_below(store, "tables") == [path.name for path in store.files("connects")]
        assert files_below(store, "pending") == []


def test_parts_written_one_by_one_are_one_table(store):
    with store.lock(), store.writer("s", "k") as writer:
        for port in range(10):
            table = tables(connects=[connect("a", port)])["connects"]
            writer.write("connects", table.to_batches()[0] if port % 2 else table)
        writer.commit({})
    assert store.read("s", "k", "connects")["port"].to_pylist() == list(range(10))
    [path] = store.files("connects")
    assert pq.read_table(path)["port"].to_pylist() == list(range(10))


# One writer.

WRITE = """
import sys
from pathlib import Path
from gatewatch.archive.store import Store
from gatewatch.model.errors import GatewatchError
try:
    with Store.open(Path(sys.argv[1])).lock():
        print("mine", flush=True)
        sys.stdin.read()
except GatewatchError as error:
    print(error)
"""


def other_writer(root, **options):
    command = [sys.executable, "-c", WRITE, str(root)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, **options)


def test_a_second_writer_is_told_who_is_writing(store):
    other = other_writer(store.root)
    assert other.stdout is not None
    assert other.stdout.readline() == "mine\n"
    with pytest.raises(GatewatchError, match=f"process {other.pid} is writing"):
        store.add_raw(io.BytesIO(b"x"), name="x")
    assert store.raw_files() == []
    other.communicate("")
    assert store.add_raw(io.BytesIO(b"x"), name="x").new


def test_a_killed_writer_leaves_no_lock(store):
    other = other_writer(store.root)
    assert other.stdout is not None
    assert other.stdout.readline() == "mine\n"
    other.kill()
    other.communicate()
    store.commit("s", "k", {}, {})


def _commit_one(root, key: str) -> None:
    Store.open(root).commit("s", key, tables(connects=[connect("a", int(key))]), {})


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_that_the_writer_starts_write_for_it(store, method):
    context = multiprocessing.get_context(method)
    with store.lock():
        # Two at once, and nothing of one is cleared away by the other.
        started = [context.Process(target=_commit_one, args=(store.root, key)) for key in "123"]
        for process in started:
            process.start()
        for process in started:
            process.join()
    assert [process.exitcode for process in started] == [0, 0, 0]
    assert store.keys("s") == ["1", "2", "3"]
    assert len(store.files("connects")) == 3


# Questions.


def test_an_empty_store_has_every_table_with_its_columns(store):
    database = store.database()
    for name, table in TABLES.items():
        found = database.execute(f"SELECT * FROM {name}")
        assert [column[0] for column in found.description] == [c.name for c in table.columns]
        assert found.fetchall() == []


def types_of(store: Store) -> dict[str, list]:
    database = store.database()
    return {name: database.execute(f"DESCRIBE {name}").fetchall() for name in TABLES}


def test_types_do_not_depend_on_whether_there_are_rows(store):
    empty = types_of(store)
    store.commit("s", "k", tables(measurements=[measurement("a")], connects=[connect("a", 1)]), {})
    assert types_of(store) == empty


def test_the_same_measurement_in_two_files_counts_once(store):
    for key in ("b", "a"):
        given = tables(
            measurements=[measurement("x", file=key), measurement(f"only {key}", file=key)],
            connects=[connect("x", 80), connect("x", 443), connect(f"only {key}", 1)],
        )
        store.commit("observations", key, given, {})
    database = store.database()
    rows = database.execute("SELECT record_id, source_file FROM measurements ORDER BY ALL")
    assert rows.fetchall() == [("only a", "a"), ("only b", "b"), ("x", "a")]
    rows = database.execute("SELECT record_id, port FROM connects ORDER BY ALL").fetchall()
    assert rows == [("only a", 1), ("only b", 1), ("x", 80), ("x", 443)]


def test_the_same_measurement_twice_in_one_file_counts_once(store):
    given = tables(
        measurements=[measurement("x", offset=0), measurement("x", offset=50)],
        connects=[connect("x", 80), connect("x", 80), connect("x", 80), connect("x", 80)],
    )
    store.commit("observations", "k", given, {})
    database = store.database()
    assert database.execute("SELECT source_offset FROM measurements").fetchall() == [(0,)]
    # Each copy had two alike: both are kept, once.
    assert database.execute("SELECT port FROM connects").fetchall() == [(80,), (80,)]


def test_times_are_utc(store):
    zone = store.database().execute("SELECT current_setting('TimeZone')").fetchone()
    assert zone == ("UTC",)


def test_a_path_with_signs_in_it_is_only_a_path(tmp_path):
    store = Store.open(tmp_path / "it's a=b, {x}", create=True)
    store.commit("s", "k", tables(connects=[connect("a", 1)]), {})
    assert store.read("s", "k", "connects").num_rows == 1
    assert store.database().execute("SELECT port FROM connects").fetchall() == [(1,)]


# The digest.


def test_the_digest_is_of_what_is_held_and_of_nothing_else(tmp_path):
    one, two = (Store.open(tmp_path / name, create=True) for name in "12")
    rows = [connect("a", port) for port in range(5)]
    one.add_raw(io.BytesIO(b"x"), name="x")
    one.commit("s", "k", tables(connects=rows), {"at": "noon"})
    one.commit("s", "l", tables(connects=[]), {})
    two.commit("s", "l", {}, {})
    two.commit("s", "k", tables(connects=[connect("z", 0)]), {})
    with two.writer("s", "k") as writer:
        for row in reversed(rows):
            writer.write("connects", tables(connects=[row])["connects"])
        writer.commit({"at": "night"})
    two.add_raw(io.BytesIO(b"x"), name="another name")
    assert one.logical_digest() == two.logical_digest()
    two.commit("s", "k", tables(connects=[*rows, rows[0]]), {})
    assert one.logical_digest() != two.logical_digest()
