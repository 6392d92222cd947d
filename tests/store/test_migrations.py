"""The schema on an empty store, twice, from the version before, from a newer one, and killed halfway."""

from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from monitor.errors import StoreError, StoreVersionError, UsageError
from monitor.store import Store
from monitor.store.atlases import LineageRow
from monitor.store.attachment import Attachment
from monitor.store.local import LocalDatabase
from monitor.store.migrations import MIGRATIONS, migrate, version
from monitor.store.reports import SIGNALS
from tests.store.conftest import make_turn

FIXTURE = Path(__file__).parent.parent / "fixtures" / "store-v1.duckdb.gz"


def test_twice_is_a_no_op(name: str) -> None:
    database = LocalDatabase(Attachment.parse(name))
    assert version(database) == 0
    assert migrate(database) == len(MIGRATIONS)
    assert migrate(database) == 0
    assert version(database) == len(MIGRATIONS)
    file = database.attachment.file
    database.close()
    assert not list(file.parent.glob("*.before-*"))  # an empty store needs no copy


@pytest.fixture
def old(tmp_path: Path) -> Path:
    file = tmp_path / "old.duckdb"
    file.write_bytes(gzip.decompress(FIXTURE.read_bytes()))
    return file


def test_a_store_of_the_version_before(old: Path) -> None:
    with Store.open(str(old)) as store:
        assert store.turns.count() == 6
        turn = store.turns.find("t1")
        assert turn is not None
        assert (turn.metadata, turn.latency_ms, turn.created_at) == ({"number": 1}, 840.5, datetime(2026, 3, 1, 13))
        assert store.turns.append([turn]).repeated == 1  # the content hash of version 1 still holds
        assert store.offsets.next("file:abc", "0") == 7
        assert store.dead_letters.count() == 1
        assert len(store.eval_sets.load("support").items) == 3
        current = store.runs.current()
        assert current is not None
        assert current.run_id == "one"
        rows = [{"turn_key": turn.key, "signal": "challenge", "span_start": None, "span_end": None, "detail": ""}]
        signals = pa.Table.from_pylist(rows, SIGNALS)
        store.reports.write_signals("r2", signals)
        assert store.reports.signals("r2").equals(signals)


def test_lineage_of_a_store_that_named_no_turns(name: str) -> None:
    database = LocalDatabase(Attachment.parse(name))
    migrate(database, MIGRATIONS[:12])
    database.execute("INSERT INTO topic_lineage VALUES ('a1', 't1', 'merged', 't0', 0.5)", [])
    assert migrate(database) == len(MIGRATIONS) - 12
    assert Store(database).atlases.lineage("a1") == [LineageRow("t1", "merged", "t0", 0.5)]
    database.close()


def test_a_copy_is_made_before(old: Path) -> None:
    before = old.read_bytes()
    Store.open(str(old)).close()
    copy = old.with_name(f"old.duckdb.before-v{len(MIGRATIONS)}")
    assert copy.read_bytes() == before
    database = LocalDatabase(Attachment.parse(str(copy)))
    assert version(database) == 1
    database.close()


@pytest.mark.slow
def test_a_copy_of_a_ducklake_catalog(tmp_path: Path) -> None:
    name = f"ducklake:{tmp_path / 'lake'}"
    database = LocalDatabase(Attachment.parse(name))
    migrate(database, MIGRATIONS[:1])
    Store(database).turns.append([make_turn()])
    migrate(database)
    assert version(database) == len(MIGRATIONS)
    assert Store(database).turns.find("t1") == make_turn()
    database.close()
    assert (tmp_path / f"lake.before-v{len(MIGRATIONS)}").exists()


def test_a_store_of_a_newer_offmap(name: str) -> None:
    database = LocalDatabase(Attachment.parse(name))
    migrate(database, [*MIGRATIONS, lambda _: None])
    database.close()
    newer, known = len(MIGRATIONS) + 1, len(MIGRATIONS)
    with pytest.raises(StoreVersionError, match=f"version {newer} and this offmap knows {known}: install a newer"):
        Store.open(name)


KILLED = """
import os, sys
from monitor.store.attachment import Attachment
from monitor.store.local import LocalDatabase
from monitor.store.migrations import MIGRATIONS, migrate

def halfway(database):
    database.query("CREATE TABLE half (a INTEGER)")
    database.query("ALTER TABLE turns ADD COLUMN half INTEGER")
    os._exit(9)

migrate(LocalDatabase(Attachment.parse(sys.argv[1])), [*MIGRATIONS, halfway])
"""


def test_killed_halfway_leaves_the_version_before(name: str) -> None:
    with Store.open(name) as store:
        store.turns.append([make_turn()])
    killed = subprocess.run([sys.executable, "-c", KILLED, name], timeout=60, check=False)
    assert killed.returncode == 9
    with Store.open(name) as store:
        assert store.turns.find("t1") == make_turn()
        assert "half" not in store._database.query("SELECT * FROM turns LIMIT 0").column_names


def test_files_that_are_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist: run `offmap ingest FILE` first"):
        Store.open(str(tmp_path / "absent.duckdb"), create=False)
    with pytest.raises(StoreError, match="is a folder"):
        Store.open(str(tmp_path))
    with pytest.raises(StoreError, match="create the folder"):
        Store.open(str(tmp_path / "absent" / "a.duckdb"))
    text = tmp_path / "notes.txt"
    text.write_text("not a database " * 1000)
    with pytest.raises(StoreError, match="is no DuckDB file"):
        Store.open(str(text))
    with pytest.raises(UsageError, match="names no file"):
        Store.open("ducklake:")


@pytest.mark.slow
def test_kinds_are_not_mixed_up(tmp_path: Path) -> None:
    file, lake = tmp_path / "a.duckdb", tmp_path / "a.ducklake"
    Store.open(str(file)).close()
    Store.open(f"ducklake:{lake}").close()
    with pytest.raises(StoreError, match="leave `ducklake:` out"):
        Store.open(f"ducklake:{file}")
    with pytest.raises(StoreError, match="opened as ducklake:PATH"):
        Store.open(str(lake))
    Store.open(str(file), create=False).close()
    Store.open(f"ducklake:{lake}", create=False).close()
