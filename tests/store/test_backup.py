"""Backups made while ingest runs, and stores that come back from them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest

from consumers.source import Memory, Message
from consumers.stream import Stream
from monitor.errors import StoreBusyError, StoreError, UsageError
from monitor.records import Event, Turn
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.backup import back_up, restore

NOON = datetime(2026, 3, 1, 12)
SOURCE = "kafka:turns"


def clocks() -> Iterator[datetime]:
    at = NOON
    while True:
        at += timedelta(seconds=1)
        yield at


def turn(number: int, **fields: object) -> Turn:
    values = {
        "turn_id": f"t{number}",
        "user_text": f"question {number}",
        "created_at": NOON,
        "conversation_id": f"c{number // 2}",
        "user_id": f"u{number % 5}",
    }
    return Turn(**{**values, **fields})  # type: ignore[arg-type]


def fill(store: Store, first: int, end: int) -> None:
    with store.transaction():
        store.turns.append([turn(number) for number in range(first, end)])
        store.offsets.advance(SOURCE, "0", expected=first, to=end)


def held(store: Store) -> int:
    count = store.turns.count()
    assert store.offsets.next(SOURCE, "0") == count
    return count


def test_a_backup_of_a_store_that_is_written_to_is_one_moment(name: str, tmp_path: Path) -> None:
    stop = threading.Event()
    with Store.open(name) as store:
        fill(store, 0, 20)

        def write() -> None:
            end = 20
            while not stop.is_set():
                fill(store, end, end + 20)
                end += 20

        writer = threading.Thread(target=write)
        writer.start()
        try:
            moments = clocks()
            made = [back_up(store, tmp_path / "backups", at=next(moments)) for _ in range(4)]
        finally:
            stop.set()
            writer.join()
    assert [one.path.parent.name for one in made] == ["backups"] * 4
    assert sorted(path.name for path in (tmp_path / "backups").iterdir()) == [one.path.name for one in made]
    for number, backup in enumerate(made):
        restored = restore(backup.path, str(tmp_path / f"restored-{number}.duckdb"))
        with Store.open(str(tmp_path / f"restored-{number}.duckdb"), create=False) as store:
            assert held(store) == backup.turns == restored.turns
    assert made[-1].turns > made[0].turns


@pytest.mark.slow
def test_a_restored_store_reads_on_from_its_own_offsets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.stream._QUIET", 0.1)
    # No ids: what is read twice counts twice.
    log = [Message(0, at, NOON, orjson.dumps({"user_text": f"question {at}"})) for at in range(50)]

    def read(path: Path, end: int) -> int:
        with Store.open(str(path)) as store:
            source = {0: log[:end]}
            Stream(
                store,
                Settings(),
                lambda start: Memory(source, start),
                clock=lambda: NOON,
                stop=threading.Event(),
                until_end=True,
            ).run()
            return held(store)

    path = tmp_path / "store.duckdb"
    assert read(path, 20) == 20
    with Store.open(str(path)) as store:
        backup = back_up(store, tmp_path / "b", at=NOON).path
    assert read(path, 50) == 50
    done = restore(backup, str(path), replace=True)
    assert (done.turns, done.forgotten) == (20, 0) and done.aside is not None
    assert read(path, 50) == 50
    with Store.open(str(done.aside)) as store:
        assert held(store) == 50


@pytest.mark.slow
@pytest.mark.parametrize("old_store", ["is there", "is lost", "is broken"])
def test_what_was_forgotten_since_is_forgotten_again(tmp_path: Path, old_store: str) -> None:
    path = tmp_path / "store.duckdb"
    late = NOON + timedelta(days=1)
    with Store.open(str(path)) as store:
        fill(store, 0, 20)
        store.events.append([Event(kind="outcome", turn_id="t7", created_at=NOON, fields={"rolled_back": True})])
        backup = back_up(store, tmp_path / "b", at=NOON).path
        store.deletion.forget(user="u1", at=late)  # t1 t6 t11 t16
        store.deletion.forget(conversation="c0", at=late)  # t0, and t1 is gone
        store.deletion.forget(turn="t7", tenant="", at=late)
        store.turns.append([turn(100, user_id="u1", created_at=late + timedelta(days=1))])
    log = path.with_name("store.duckdb.deletions").read_bytes()
    assert b"u1" not in log and b"t7" not in log, "hashes alone"
    if old_store == "is lost":
        path.unlink()
    elif old_store == "is broken":
        path.write_bytes(b"no store" * 2_000)
    done = restore(backup, str(path), replace=True)
    assert (done.turns, done.forgotten) == (14, 6)
    gone = {"t0", "t1", "t6", "t7", "t11", "t16"}
    with Store.open(str(path)) as store:
        ids = set(store.turns.read(columns=["turn_id"]).column(0).to_pylist())
        assert ids == {f"t{number}" for number in range(20)} - gone
        assert store.events.read().num_rows == 0
        # And what the log of the stream brings again stays away.
        assert store.turns.append([turn(1), turn(7), turn(22)]).forgotten == 2
        second = back_up(store, tmp_path / "c", at=NOON).path
    assert b"question 6" not in path.read_bytes(), "its bytes are gone too"
    assert restore(second, str(tmp_path / "other.duckdb")).turns == 15


def test_a_line_of_the_deletion_log_that_a_crash_cut_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(str(path)) as store:
        fill(store, 0, 10)
        backup = back_up(store, tmp_path / "b", at=NOON).path
        store.deletion.forget(turn="t3", at=NOON + timedelta(days=1))
        log = path.with_name("store.duckdb.deletions")
        log.write_bytes(log.read_bytes() + b'{"kind": "turn", "subj')
        store.deletion.forget(turn="t4", at=NOON + timedelta(days=1))
    path.unlink()
    assert restore(backup, str(path)).forgotten == 2


def test_bad_backups_and_stores_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(str(path)) as store:
        fill(store, 0, 10)
        backup = back_up(store, tmp_path / "b", at=NOON).path
        with pytest.raises(StoreError, match="wait a second"):
            back_up(store, tmp_path / "b", at=NOON)
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot be written"):
            back_up(store, tmp_path / "file" / "b", at=NOON)
    with pytest.raises(UsageError, match="add --replace"):
        restore(backup, str(path))
    with pytest.raises(UsageError, match="there is no backup"):
        restore(tmp_path / "nothing.duckdb", str(path), replace=True)
    with pytest.raises(UsageError, match="is a DuckLake"):
        restore(backup, "ducklake:other.ducklake")
    for content, word in ((b"", "no backup"), (b"x" * 9_000, "no DuckDB file")):
        (tmp_path / "bad.duckdb").write_bytes(content)
        with pytest.raises(StoreError, match=word):
            restore(tmp_path / "bad.duckdb", str(path), replace=True)
    with Store.open(str(path)) as store:
        assert held(store) == 10
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["bad.duckdb", "file", "store.duckdb"]


def test_a_store_that_is_in_use_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(str(path)) as store:
        fill(store, 0, 10)
        backup = back_up(store, tmp_path / "b", at=NOON).path
        script = "import sys; from monitor.store.backup import restore; from pathlib import Path;"
        script += "restore(Path(sys.argv[1]), sys.argv[2], replace=True)"
        ran = subprocess.run([sys.executable, "-c", script, str(backup), str(path)], capture_output=True, text=True)
        assert ran.returncode == 1 and StoreBusyError.__name__ in ran.stderr
        assert held(store) == 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_kill_in_the_middle_of_a_restore_leaves_the_old_store_or_the_new_one(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(str(path)) as store:
        fill(store, 0, 4_000)
        backup = back_up(store, tmp_path / "b", at=NOON).path
        fill(store, 4_000, 4_100)
        store.deletion.forget(user="u1", at=NOON + timedelta(days=1))
    script = "import sys; from monitor.store.backup import restore; from pathlib import Path; print(1, flush=True);"
    script += "restore(Path(sys.argv[1]), sys.argv[2], replace=True)"
    process = subprocess.Popen([sys.executable, "-c", script, str(backup), str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    time.sleep(0.12 * seed)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    names = [path, path.with_name("store.duckdb.replaced-1")]
    found = next(one for one in names if one.exists())
    with Store.open(str(found)) as store:
        assert store.turns.count() in (3_200, 3_280)
    if not path.exists():  # killed between two renames: nothing is lost, and the same command again does it
        restore(backup, str(path))
    elif found == path:
        restore(backup, str(path), replace=True)
    with Store.open(str(path)) as store:
        assert store.turns.count() == 3_200
