"""What was acknowledged is kept once, whatever becomes of the process, the machine or the disk."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers, lists

from gatewatch.archive.incoming import Incoming, Kept, Submission, Taken, state_of, take_in
from gatewatch.archive.reader import RawRecord, read_records
from gatewatch.archive.store import Store
from gatewatch.model.errors import GatewatchError, NotFound

NOW = datetime(2026, 3, 11, 12, 0, 0, 123456, tzinfo=UTC)


def submission(number: int, *, size: int = 10, cc: str = "IT") -> Submission:
    given = f"https://site{number}.example/"
    content = {"input": given, "probe_cc": cc, "pad": "x" * size}
    return Submission(json.dumps(content).encode(), cc, "webconnectivity", given)


def store_in(folder: Path) -> Store:
    return Store.open(folder / "store", create=True)


def stored(store: Store) -> list[dict]:
    """Every record of the raw files."""
    found = []
    for raw in store.raw_files():
        for record in read_records(store.raw_path(raw.sha256), file=raw.sha256):
            assert isinstance(record, RawRecord)
            found.append(json.loads(record.data))
    return found


def abandon(incoming: Incoming) -> Path:
    """Leave a incoming as a killed process does; its open segment."""
    (segment,) = incoming.root.glob("*.jsonl")
    incoming._index.close()
    os.close(incoming._lock)
    return segment


def test_what_is_kept_can_be_read_again_before_and_after_it_is_in_the_store(tmp_path):
    store = store_in(tmp_path)
    incoming = Incoming(store)
    (kept,) = incoming.append([submission(1)], NOW)
    assert kept.new
    assert kept.uid.startswith("20260311120000.123456_IT_webconnectivity_")
    before = incoming.line_of(kept.uid)
    assert json.loads(before)["measurement_uid"] == kept.uid
    incoming.seal(NOW)
    assert incoming.line_of(kept.uid) == before
    assert incoming.hand_over() == 1
    assert incoming.line_of(kept.uid) == before
    incoming.close(NOW)
    assert [record["measurement_uid"] for record in stored(store)] == [kept.uid]
    with pytest.raises(NotFound, match="no measurement"):
        Incoming(store).line_of(kept.uid.replace("IT", "FR"))


def test_the_same_content_has_one_uid_for_ever(tmp_path):
    store = store_in(tmp_path)
    incoming = Incoming(store)
    twice = incoming.append([submission(1), submission(2), submission(1)], NOW)
    assert twice[0] == Kept(twice[2].uid, True)
    assert not twice[2].new
    later = NOW + timedelta(days=400)
    assert incoming.append([submission(1)], later) == [Kept(twice[0].uid, False)]
    incoming.close(later)
    take_in(store)
    again = Incoming(store)
    assert again.append([submission(2)], later) == [Kept(twice[1].uid, False)]
    again.close(later)
    take_in(store)
    assert len(stored(store)) == 2


def test_other_content_at_the_same_instant_has_another_uid(tmp_path):
    kept = Incoming(store_in(tmp_path)).append([submission(n) for n in range(100)], NOW)
    assert len({one.uid for one in kept}) == 100


@pytest.mark.parametrize("lost", ["index.sqlite", "all of the index"])
def test_a_lost_index_is_made_again_from_the_segments(tmp_path, lost):
    store = store_in(tmp_path)
    incoming = Incoming(store)
    kept = incoming.append([submission(1)], NOW)  # one that is in the store already
    incoming.seal(NOW)
    incoming.hand_over()
    kept += incoming.append([submission(2)], NOW + timedelta(seconds=1))  # one that waits
    incoming.seal(NOW)
    kept += incoming.append([submission(3)], NOW + timedelta(seconds=2))  # one that is open
    abandon(incoming)
    for path in incoming.root.glob("index*"):
        if lost == path.name:
            path.write_bytes(b"no database " * 1000)
        else:
            path.unlink()
    again = Incoming(store)
    found = again.append([submission(n) for n in (1, 2, 3)], NOW + timedelta(days=1))
    assert found == [Kept(one.uid, False) for one in kept]
    again.close(NOW)
    take_in(store)
    assert len(stored(store)) == 3


@given(sizes=lists(integers(0, 60), min_size=1, max_size=6), cut=integers(1, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_segment_cut_anywhere_keeps_what_stands_before(tmp_path_factory, sizes, cut):
    """As a power cut leaves it: what was never synced may be missing from any byte on."""
    store = store_in(tmp_path_factory.mktemp("cut"))
    incoming = Incoming(store)
    batch = [submission(n, size=size) for n, size in enumerate(sizes)]
    kept = incoming.append(batch, NOW)
    segment = abandon(incoming)
    (incoming.root / "index.sqlite").unlink()  # it too goes back to before
    for path in incoming.root.glob("index*"):
        path.unlink()
    data = segment.read_bytes()
    left = data[: -(cut % len(data)) or None]
    segment.write_bytes(left)
    whole = left.count(b"\n")
    again = Incoming(store)
    found = again.append(batch, NOW + timedelta(hours=1))
    assert [one.new for one in found] == [False] * whole + [True] * (len(batch) - whole)
    assert found[:whole] == [Kept(one.uid, False) for one in kept[:whole]]
    again.close(NOW)
    take_in(store)
    assert len(stored(store)) == len(batch)


@pytest.mark.parametrize(
    ("harm", "kept", "aside"),
    [
        pytest.param(lambda d: d + b'{"half": 1', 3, False, id="a line never finished"),
        pytest.param(lambda d: d + b"\0" * 4096, 3, False, id="a page of zeros at the end"),
        pytest.param(lambda d: d.replace(b"site1", b"sitex"), 2, True, id="a bit turned"),
        pytest.param(lambda d: b"junk\n" + d, 3, True, id="junk before the rest"),
        pytest.param(lambda d: d + d, 3, False, id="written twice"),
        pytest.param(lambda d: b"", 0, False, id="empty"),
    ],
)
def test_a_harmed_segment_costs_what_is_harmed_and_nothing_else(tmp_path, harm, kept, aside):
    store = store_in(tmp_path)
    incoming = Incoming(store)
    before = incoming.append([submission(n) for n in range(3)], NOW)
    segment = abandon(incoming)
    segment.write_bytes(harm(segment.read_bytes()))
    assert take_in(store) == (1 if kept else 0)
    uids = {record["measurement_uid"] for record in stored(store)}
    assert len(uids) == kept == len(stored(store))
    assert uids <= {one.uid for one in before}
    assert bool([*incoming.root.glob("*.damaged")]) is aside
    assert [*incoming.root.glob("*.jsonl")] == []


def test_a_copy_that_was_never_acknowledged_is_dropped(tmp_path):
    """A write that failed half way, repeated in another segment after the disk had come back."""
    store = store_in(tmp_path)
    incoming = Incoming(store)
    (kept,) = incoming.append([submission(1)], NOW)
    line = incoming.line_of(kept.uid) + b"\n"
    incoming.seal(NOW)
    incoming.hand_over()
    incoming.close(NOW)
    (incoming.root / "20260101T000000.000000Z.jsonl").write_bytes(line)
    take_in(store)
    assert len(stored(store)) == 1
    assert state_of(store).open_bytes == 0


@contextmanager
def disk_full_at(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: the system refuses the write, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_refuses_the_batch_and_keeps_all_before_and_after(tmp_path):
    store = store_in(tmp_path)
    incoming = Incoming(store)
    kept = incoming.append([submission(n, size=60_000) for n in range(10)], NOW)
    late = [submission(n, size=60_000) for n in range(10, 20)]
    with disk_full_at(900_000), pytest.raises(OSError, match="too large"):
        incoming.append(late, NOW)
    kept += incoming.append(late, NOW + timedelta(seconds=1))
    assert all(one.new for one in kept)
    incoming.close(NOW)
    take_in(store)
    assert {record["measurement_uid"] for record in stored(store)} == {one.uid for one in kept}
    assert len(stored(store)) == 20


def test_one_process_at_a_time_and_the_next_when_it_is_dead(tmp_path):
    store = store_in(tmp_path)
    code = (
        "import sys, json; from pathlib import Path; from datetime import datetime, UTC\n"
        "from gatewatch.archive.store import Store; from gatewatch.archive.incoming import *\n"
        "incoming = Incoming(Store.open(Path(sys.argv[1])))\n"
        "one = Submission(b'{\"a\": 1}', 'IT', 'ndt', None)\n"
        "print(incoming.append([one], datetime.now(UTC))[0].uid, flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout
        uid = other.stdout.readline().decode().strip()
        assert state_of(store).served
        with pytest.raises(Taken, match="another process"):
            Incoming(store)
        assert take_in(store) == 0  # it writes to its segment still
        other.kill()
    assert not state_of(store).served
    assert take_in(store) == 1
    assert [record["measurement_uid"] for record in stored(store)] == [uid]


def test_a_segment_waits_while_somebody_else_writes_to_the_store(tmp_path):
    store = store_in(tmp_path)
    incoming = Incoming(store)
    incoming.append([submission(1)], NOW)
    incoming.seal(NOW)
    code = (
        "import sys; from pathlib import Path; from gatewatch.archive.store import Store\n"
        "with Store.open(Path(sys.argv[1])).lock():\n print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        with pytest.raises(GatewatchError, match="is writing to this store"):
            incoming.hand_over()
        assert state_of(store).segments == 1
        writer.communicate()
    assert incoming.hand_over() == 1
    assert len(stored(store)) == 1


def test_a_segment_is_sealed_when_it_is_full(tmp_path):
    store = store_in(tmp_path)
    incoming = Incoming(store, segment_bytes=5_000)
    for number in range(20):
        incoming.append([submission(number, size=1_000)], NOW)
    assert state_of(store).segments == 4
    incoming.close(NOW)
    assert take_in(store) == 4
    assert len(stored(store)) == 20


@pytest.mark.parametrize(
    ("days", "counted"),
    [
        pytest.param(0, 1, id="this week"),
        pytest.param(7, 1, id="last week"),
        pytest.param(14, 0, id="long ago"),
    ],
)
def test_measurements_are_counted_for_two_weeks(tmp_path, days, counted):
    incoming = Incoming(store_in(tmp_path))
    incoming.append([submission(1)], NOW)
    later = NOW + timedelta(days=days)
    asked = [("IT", "https://site1.example/"), ("FR", "https://site1.example/")]
    assert incoming.counts(asked, later) == [counted, 0]
