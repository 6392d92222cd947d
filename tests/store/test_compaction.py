"""Small Parquet files of a DuckLake become few, by themselves, and nobody who reads is disturbed."""

from __future__ import annotations

import pytest

from monitor.errors import StoreConflictError
from monitor.store import Store, compaction, local
from monitor.store.compaction import Compaction
from tests.store.conftest import make_turn

pytestmark = pytest.mark.slow
KEYS = "SELECT count(*), sum(turn_key) FROM turns"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_MANY", 10)
    monkeypatch.setattr(local, "_COMMITS", 5)


def files(store: Store) -> int:
    sql = "SELECT file_count FROM ducklake_table_info('store') WHERE table_name = 'turns'"
    return int(store._database.value(sql) or 0)


def batch(store: Store, number: int) -> None:
    with store.transaction(journaled=False):
        store.offsets.advance("kafka:t", "0", expected=2 * number, to=2 * number + 2)
        store.turns.append([make_turn(f"t{number}"), make_turn(f"u{number}")])


def test_a_long_stream_of_small_batches_leaves_few_files(name: str) -> None:
    with Store.open(name) as store:
        most = 0
        for number in range(40):
            batch(store, number)
            if store.kind == "ducklake":
                most = max(most, files(store))
        assert store.turns.count() == 80 and store.offsets.next("kafka:t", "0") == 80
        assert most <= 15
        # The last look may be up to four transactions ago: one more finds little left, and the next nothing.
        Compaction(store._database).run_if_due()
        assert Compaction(store._database).run_if_due() is False
        assert store.turns.count() == 80
    with Store.open(name) as store:
        assert {turn.turn_id for turn in store.turns.fetch([make_turn("t0").key, make_turn("u39").key])} == {
            "t0",
            "u39",
        }


def test_who_began_to_read_before_goes_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(name) as store:
        if store.kind == "duckdb":
            assert Compaction(store._database).run_if_due() is False
            return
        monkeypatch.setattr(local, "_COMMITS", 1_000)
        for number in range(12):
            batch(store, number)
        reader = store._database.root.cursor()
        reader.execute("USE store")
        reader.execute("BEGIN TRANSACTION")
        before = reader.execute(KEYS).fetchall()
        assert Compaction(store._database).run_if_due() is True
        assert files(store) == 1
        batch(store, 12)
        assert reader.execute(KEYS).fetchall() == before
        reader.execute("COMMIT")
        reader.close()
        assert store.turns.count() == 26


def test_another_process_that_was_faster_is_no_failure(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def overtaken(self: Compaction) -> bool:
        asked.append(1)
        raise StoreConflictError("another process was faster")

    monkeypatch.setattr(Compaction, "run_if_due", overtaken)
    with Store.open(name) as store:
        for number in range(11):
            batch(store, number)
        assert store.turns.count() == 22
        assert bool(asked) == (store.kind == "ducklake")
