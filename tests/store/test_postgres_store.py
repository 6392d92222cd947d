"""A store whose catalog is in PostgreSQL, and processes that share it: the second finds out, and nothing is there twice."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.errors import (
    MissingExtraError,
    OffsetMovedError,
    SettingError,
    StoreBusyError,
    StoreConflictError,
    StoreError,
    UsageError,
)
from monitor.settings import load
from monitor.store import Store, catalog_lock
from monitor.store.attachment import Attachment
from monitor.store.backup import back_up, restore
from monitor.store.erasure import Erasure
from monitor.store.local import LocalDatabase
from monitor.store.migrations import MIGRATIONS, version
from tests.store.conftest import NOON, make_turn
from tests.store.postgres_support import Postgres, catalog_dump, postgres_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OPEN = "import sys; from monitor.store import Store; Store.open(sys.argv[1], threads=1).close()"


@pytest.fixture
def shared(postgres: Postgres, tmp_path: Path) -> str:
    return postgres.new_store(tmp_path)


@pytest.fixture
def two(shared: str) -> Iterator[tuple[Store, Store]]:
    """Two instances, as two processes have them: they share no lock but PostgreSQL's."""
    with Store.open(shared, threads=1) as first, Store.open(shared, threads=1) as second:
        yield first, second


def database_of(store: Store) -> LocalDatabase:
    assert isinstance(store._database, LocalDatabase)
    return store._database


def frozen_out(*stores: Store) -> None:
    """As a process that was frozen until PostgreSQL let its lock go: it goes on without one."""
    for store in stores:
        database_of(store)._lock = None


def test_processes_that_make_the_same_store_at_once(shared: str) -> None:
    command = [sys.executable, "-c", OPEN, shared]
    makers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [maker.communicate(timeout=120)[1] for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0, 0], errors
    with Store.open(shared, create=False) as store:
        assert version(database_of(store)) == len(MIGRATIONS)
        applied = store._database.query("SELECT version FROM schema_version ORDER BY version").column(0).to_pylist()
        assert applied == list(range(1, len(MIGRATIONS) + 1))


def test_what_one_stores_the_other_sees(two: tuple[Store, Store]) -> None:
    first, second = two
    assert first.turns.append([make_turn("t1")]).inserted == 1
    assert second.turns.append([make_turn("t1"), make_turn("t2")]).repeated == 1
    assert first.turns.count() == second.turns.count() == 2
    assert first.many_processes and first.share() is None and first.size() > 1_000_000
    assert first.damaged_logs() == []


def test_the_same_turn_is_not_stored_twice_without_the_lock(two: tuple[Store, Store]) -> None:
    first, second = two
    frozen_out(first)
    with (
        pytest.raises(StoreConflictError, match=r"changed the store .* run the same command again"),
        first.transaction(),
    ):
        assert first.turns.append([make_turn("t1")]).inserted == 1
        # The other one takes its whole turn meanwhile.
        other = threading.Thread(target=second.turns.append, args=([make_turn("t1")],))
        other.start()
        other.join(60)
    assert first.turns.count() == 1
    assert first.turns.append([make_turn("t1")]).repeated == 1


@pytest.mark.parametrize("locked", [True, False])
def test_two_that_add_the_same_turns_in_a_hurry(two: tuple[Store, Store], locked: bool) -> None:
    if not locked:
        frozen_out(*two)
    inserted: list[int] = []
    turns = [[make_turn(f"t{number}-{part}") for part in range(3)] for number in range(8)]

    def add(store: Store) -> None:
        for batch in turns:
            inserted.append(store.retrying(lambda batch=batch: store.turns.append(batch), times=20).inserted)

    threads = [threading.Thread(target=add, args=(store,)) for store in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(inserted) == 16 and sum(inserted) == 24
    assert two[0].turns.count() == 24


def test_first_offsets_and_owners_that_were_replaced(two: tuple[Store, Store]) -> None:
    first, second = two
    frozen_out(first, second)
    met = threading.Barrier(2, timeout=60)
    conflicts: list[str] = []

    def begin(store: Store) -> None:
        try:
            with store.transaction():
                assert store.offsets.next("kafka:turns", "0") == 0
                met.wait()
                store.offsets.begin("kafka:turns", "0")
        except StoreConflictError as error:
            conflicts.append(str(error))

    threads = [threading.Thread(target=begin, args=(store,)) for store in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(conflicts) == 1
    assert first._database.value("SELECT count(*) FROM ingest_offsets") == 1
    # An owner that was replaced, and moves the same offset in the same moment; and one that comes late.
    with pytest.raises(StoreConflictError), first.transaction():
        first.offsets.advance("kafka:turns", "0", expected=0, to=5)
        first.turns.append([make_turn("of the old owner")])
        other = threading.Thread(
            target=second.offsets.advance, args=("kafka:turns", "0"), kwargs={"expected": 0, "to": 3}
        )
        other.start()
        other.join(60)
    assert (first.offsets.next("kafka:turns", "0"), first.turns.count()) == (3, 0)
    with pytest.raises(OffsetMovedError):
        first.offsets.advance("kafka:turns", "0", expected=0, to=5)


def test_who_waits_too_long_is_told(two: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = two
    monkeypatch.setattr(catalog_lock, "_WAITS", 1)
    with database_of(first).turn():
        with pytest.raises(StoreBusyError, match="another process has been writing to the store for more than 1 s"):
            second.turns.append([make_turn("t1")])
        assert second.turns.count() == 0  # who reads waits for nobody
    assert second.turns.append([make_turn("t1")]).inserted == 1


def test_a_frozen_holder_loses_its_turn_and_cannot_commit(two: tuple[Store, Store]) -> None:
    first, second = two
    with pytest.raises(StoreConflictError), first.transaction():
        first.turns.append([make_turn("t1")])
        database_of(first)._lock._ask(  # type: ignore[union-attr]
            "SELECT set_config('idle_in_transaction_session_timeout', '500', true) AS holds"
        )
        assert second.turns.append([make_turn("t1")]).inserted == 1  # after half a second
    assert first.turns.count() == 1
    assert first.turns.append([make_turn("t2")]).inserted == 1  # it takes part again


def test_forgetting_reaches_what_another_process_left_and_has_in_hand(shared: str, two: tuple[Store, Store]) -> None:
    first, second = two
    folder = Attachment.parse(shared).file.parent
    second.turns.append([make_turn("t1", user_text="aa HIDEME", user_id="ann"), make_turn("t2", user_text="mm")])
    frozen_out(first)
    with pytest.raises(StoreConflictError), first.transaction():
        # Frozen in the middle of it: its file is an orphan now, and must not be in the store when it wakes up.
        first.turns.append([make_turn("t3", user_text="zz HIDEME", user_id="ann")])
        forgetting = threading.Thread(target=second.deletion.forget, kwargs={"user": "ann", "at": NOON})
        forgetting.start()
        forgetting.join(120)
    assert second.turns.append([make_turn("t4", user_text="mmm")]).inserted == 1
    assert [one.turn_id for one in second.turns.fetch(second.turns.read()["turn_key"].to_pylist())]
    assert first.turns.append([make_turn("t5", user_text="mmmm")]).inserted == 1
    texts = set(first.turns.read(columns=["user_text"])["user_text"].to_pylist())
    assert texts == {"mm", "mmm", "mmmm"}
    assert "HIDEME" not in catalog_dump(Attachment.parse(shared).server)
    assert not [path for path in folder.rglob("*") if path.is_file() and b"HIDEME" in path.read_bytes()]
    assert (folder / "offmap.deletions").exists()


def test_an_erasure_that_was_cut_short_is_done_at_the_next_opening(
    shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(shared, threads=1) as store:
        store.turns.append([make_turn("t1", user_text="HIDEME", user_id="ann"), make_turn("t2")])
        with monkeypatch.context() as patched:
            patched.setattr(Erasure, "_drop_old_files", lambda *_: (_ for _ in ()).throw(OSError("died")))
            with pytest.raises(OSError, match="died"):
                store.deletion.forget(user="ann", at=NOON)
        assert store._database.value("SELECT count(*) FROM erasures") == 1
    server = Attachment.parse(shared).server
    assert "HIDEME" in catalog_dump(server)
    Store.open(shared, threads=1).close()
    assert "HIDEME" not in catalog_dump(server)


def test_backup_and_restore(shared: str, tmp_path: Path) -> None:
    with Store.open(shared, threads=1) as store:
        store.turns.append([make_turn("t1"), make_turn("t2")])
        store.offsets.advance("kafka:turns", "0", expected=0, to=2)
        made = back_up(store, tmp_path / "backups", at=NOON)
    assert made.turns == 2
    with pytest.raises(UsageError, match="restored as a DuckDB file"):
        restore(made.path, shared)
    assert restore(made.path, str(tmp_path / "again.duckdb")).turns == 2
    with Store.open(str(tmp_path / "again.duckdb")) as store:
        assert store.offsets.next("kafka:turns", "0") == 2


def test_a_server_that_was_restarted(tmp_path: Path) -> None:
    with postgres_server() as server, Store.open(server.new_store(tmp_path), threads=1) as store:
        store.turns.append([make_turn("t1")])
        server.restart()
        end = time.monotonic() + 60
        while True:
            try:
                store.turns.append([make_turn("t2")])
                break
            except StoreError:
                assert time.monotonic() < end
        assert store.turns.count() == 2


def test_a_server_that_is_away(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not reach its catalog in PostgreSQL: .*start the server"):
        Store.open(f"ducklake:postgres:dbname=a host={tmp_path} data_path={tmp_path / 'data'}")


def test_the_wrong_database_and_the_wrong_folder(postgres: Postgres, tmp_path: Path) -> None:
    name, other = postgres.new_store(tmp_path), postgres.new_store(tmp_path)
    with pytest.raises(StoreError, match=r"does not exist: its data_path .* holds no Parquet files"):
        Store.open(name, create=False)
    Store.open(name, threads=1).close()
    wrong = other.partition(" data_path")[0] + " data_path" + name.partition(" data_path")[2]
    with pytest.raises(StoreError, match="has no catalog in this database"):
        Store.open(wrong)
    with pytest.raises(StoreError, match="keeps its Parquet files in another folder than its data_path"):
        Store.open(f"{name.partition(' data_path')[0]} data_path={tmp_path / 'elsewhere'}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ducklake:postgres:dbname=offmap", "add data_path=FOLDER"),
        ("ducklake:postgres:data_path=/srv/offmap", "names no database"),
        ("ducklake:postgres:dbname=offmap data_path=s3://bucket/x", "is no folder"),
        ("ducklake:postgres:offmap", "at character 1 is none"),
        ("ducklake:postgres:dbname='offmap data_path=/srv", "at character 1 is none"),
        ("ducklake:mysql:offmap", "names a catalog in mysql"),
        ("ducklake:postgres:dbname=a password=HIDEME data_path=/srv", "holds a password"),
        ("ducklake:postgres:dbname=a sslpassword = 'HIDEME' data_path=/srv", "holds a password"),
        ("ducklake:postgres:postgresql://ann:HIDEME@db/offmap", "holds a password"),
        ("ducklake:postgresql://ann:HIDEME@db/offmap", "holds a password"),
    ],
)
def test_names_that_are_wrong(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        Attachment.parse(name)
    assert "HIDEME" not in str(caught.value)
    if "HIDEME" in name:
        with pytest.raises(SettingError, match=r"setting store.path .OFFMAP_STORE. holds a password") as refused:
            load({"OFFMAP_STORE": name}, file=Path("/dev/null"))
        assert "HIDEME" not in str(refused.value) and "PGPASSWORD" in str(refused.value)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "postgres" in name else real(name))
    with pytest.raises(MissingExtraError, match=r"pip install 'offmap\[postgres\]'"):
        Store.open(f"ducklake:postgres:dbname=a data_path={tmp_path / 'data'}")
