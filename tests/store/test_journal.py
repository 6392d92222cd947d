"""What stands in no other log survives a store's own log: whatever becomes of it, each transaction is applied once."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.errors import StoreFullError
from monitor.store import Store
from monitor.store.journal import Entry, Journal, Statement, journal_of
from tests.store.conftest import NOON, make_turn

#: Twelve journaled transactions, each of them beside one of a stream, then an end without a checkpoint. It says what it has
#: been told is kept.
_WRITE = """
import os, sys
from datetime import datetime
from monitor.records import Turn
from monitor.store import Store

def turn(name, one):
    return Turn(turn_id=f"{name}{one}", user_text=f"question {one}", created_at=datetime(2026, 3, 1), conversation_id=name)

store = Store.open(sys.argv[1])
for one in range(12):
    with store.transaction():
        store.turns.append([turn("http", 2 * one), turn("http", 2 * one + 1)])
    print(one, flush=True)
    with store.transaction(journaled=False):
        store.turns.append([turn("kafka", one)])
        store.offsets.advance("kafka:turns", "0", expected=one, to=one + 1)
os._exit(9)
"""


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "store.duckdb"
    done = subprocess.run([sys.executable, "-c", _WRITE, str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 9 and done.stdout.split() == [str(one) for one in range(12)], done.stderr
    return path


def copied(died: Path, folder: Path) -> Path:
    for name in ("store.duckdb", "store.duckdb.wal", "store.duckdb.journal"):
        shutil.copy(died.with_name(name), folder / name)
    return folder / "store.duckdb"


def flip(file: Path, at: int, bit: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1 << bit
    file.write_bytes(data)


def held(store: Store) -> tuple[int, int]:
    """Turns from HTTP and from the stream; the stream's stand with their offset."""
    ids = store.turns.read(columns=("turn_id",)).column(0).to_pylist()
    assert len(set(ids)) == len(ids)
    streamed = sum(one.startswith("kafka") for one in ids)
    assert store.offsets.next("kafka:turns", "0") == streamed
    return len(ids) - streamed, streamed


def test_a_sound_log_needs_no_journal(died: Path, tmp_path: Path) -> None:
    path = copied(died, tmp_path)
    with Store.open(str(path)) as store:
        assert held(store) == (24, 12)
        assert store.recovery.replayed == 0 and store.recovery.news == ""
    assert not journal_of(path).exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_flipped_bit_in_the_log_loses_nothing_that_was_journaled(died: Path, tmp_path: Path, seed: int) -> None:
    path = copied(died, tmp_path)
    log = path.with_name("store.duckdb.wal")
    rng = random.Random(seed)
    flip(log, rng.randrange(log.stat().st_size), rng.randrange(8))
    with Store.open(str(path)) as store:
        requested, streamed = held(store)
        assert requested == 24
        if store.damage is not None:
            assert str(store.damage.aside) in store.recovery.news
            assert store.recovery.replayed == 0 or "were written from the journal" in store.recovery.news
        # Counting goes on behind what was replayed.
        store.turns.append([make_turn("http-later")])
        shutil.copy(path, tmp_path / "alone.duckdb")
        shutil.copy(journal_of(path), tmp_path / "alone.duckdb.journal")
    with Store.open(str(path)) as store:
        assert held(store) == (25, streamed) and store.recovery.replayed == 0
    with Store.open(str(tmp_path / "alone.duckdb")) as store:
        assert held(store)[0] == 25


def test_a_log_that_duckdb_drops_in_silence_is_made_good(died: Path, tmp_path: Path) -> None:
    path = copied(died, tmp_path)
    path.with_name("store.duckdb.wal").unlink()
    with Store.open(str(path)) as store:
        assert held(store) == (24, 0)
        assert store.recovery.replayed == 12 and store.damage is None


def test_what_was_not_told_as_kept_may_be_cut_short(died: Path, tmp_path: Path) -> None:
    for cut in (1, 9, 200):
        path = copied(died, tmp_path)
        path.with_name("store.duckdb.wal").unlink()
        journal = journal_of(path)
        os.truncate(journal, journal.stat().st_size - cut)
        with Store.open(str(path)) as store:
            assert held(store) == (22, 0)
            assert store.recovery.replayed == 11 and store.recovery.journal is None
        path.unlink()


def test_a_damaged_journal_is_kept_aside_and_told(died: Path, tmp_path: Path) -> None:
    path = copied(died, tmp_path)
    path.with_name("store.duckdb.wal").unlink()
    journal = journal_of(path)
    flip(journal, journal.stat().st_size // 2, 1)
    damaged = journal.read_bytes()
    with Store.open(str(path)) as store:
        requested, _ = held(store)
        assert 0 < requested < 24
        aside = store.recovery.journal
        assert aside is not None and aside.read_bytes() == damaged
        assert str(aside) in store.recovery.news and store.damaged_logs() == [aside]


def test_a_damaged_journal_beside_a_whole_log_costs_nothing(died: Path, tmp_path: Path) -> None:
    path = copied(died, tmp_path)
    flip(journal_of(path), journal_of(path).stat().st_size // 2, 1)
    with Store.open(str(path)) as store:
        assert held(store) == (24, 12) and store.recovery.news == ""


def test_the_journal_of_another_store_is_not_run(died: Path, tmp_path: Path) -> None:
    copied(died, tmp_path)
    with Store.open(str(tmp_path / "other.duckdb")) as store:
        assert store.turns.count() == 0
    content = Journal(tmp_path / "store.duckdb.journal").read()
    # The first entries are missing: what follows was made on something that is not here.
    later = Journal(tmp_path / "other.duckdb.journal")
    for entry in content.entries[5:]:
        later.append(entry)
    later.close()
    with Store.open(str(tmp_path / "other.duckdb")) as store:
        assert store.turns.count() == 0 and store.recovery.journal is not None


def test_an_entry_that_fails_is_not_half_run(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    Store.open(str(path)).close()
    journal = Journal(journal_of(path))
    good = Statement("INSERT INTO erasures VALUES (?)", ["2026-03-01"], {})
    journal.append(Entry(1, (good, Statement("INSERT INTO nowhere VALUES (1)", [], {}))))
    journal.close()
    with Store.open(str(path)) as store:
        assert store.recovery.replayed == 0 and store.recovery.journal is not None
        assert store._database.value("SELECT count(*) FROM erasures") == 0


@pytest.mark.slow
def test_a_checkpoint_empties_it_while_others_read(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(str(path)) as store:
        store.turns.append([make_turn(turn_id=f"t{one}") for one in range(50)])
        stop = threading.Event()

        def reading() -> None:
            while not stop.is_set():
                assert store.turns.read().num_rows >= 50

        readers = [threading.Thread(target=reading) for _ in range(3)]
        for one in readers:
            one.start()
        for round_ in range(30):
            store.turns.append([make_turn(turn_id=f"r{round_}")])
            assert journal_of(path).stat().st_size > 0
            store.checkpoint()
            assert journal_of(path).stat().st_size == 0
        stop.set()
        for one in readers:
            one.join()
        # As after a power cut that took the log: what was checkpointed while others read is in the file.
        shutil.copy(path, tmp_path / "alone.duckdb")
    with Store.open(str(tmp_path / "alone.duckdb")) as store:
        assert store.turns.count() == 80


def test_a_large_transaction_is_checkpointed_and_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.duckdb"
    for module in ("journal", "local"):
        monkeypatch.setattr(f"monitor.store.{module}.MOST_OF_AN_ENTRY", 20_000)
    with Store.open(str(path)) as store:
        store.turns.append([make_turn(turn_id=f"t{one}") for one in range(500)])
        assert not journal_of(path).exists()
        shutil.copy(path, tmp_path / "alone.duckdb")
    with Store.open(str(tmp_path / "alone.duckdb")) as store:
        assert store.turns.count() == 500


def test_a_disk_without_room_for_the_journal_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(str(path)) as store:
        store.turns.append([make_turn(turn_id="first")])
        before = journal_of(path).stat().st_size
        size = path.with_name("store.duckdb.wal").stat().st_size
        with file_limit(max(size, before) + 400), pytest.raises(StoreFullError, match="journal"):
            store.turns.append([make_turn(turn_id=f"t{one}", user_text="a long question " * 20) for one in range(40)])
        assert journal_of(path).stat().st_size == before
        assert store.turns.count() == 1
        # Whether the failed one is in the store is not known for sure, so the next is followed by a checkpoint.
        store.turns.append([make_turn(turn_id="second")])
        assert journal_of(path).stat().st_size == 0
        store.turns.append([make_turn(turn_id="third")])
        shutil.copy(path, tmp_path / "alone.duckdb")
        shutil.copy(journal_of(path), tmp_path / "alone.duckdb.journal")
    with Store.open(str(tmp_path / "alone.duckdb")) as store:
        assert store.turns.count() == 3 and store.recovery.replayed == 1


def test_a_transaction_that_fails_leaves_no_entry(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(str(path)) as store:
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.turns.append([make_turn(turn_id="t")])
            raise ZeroDivisionError
        store.turns.count()
        assert Journal(journal_of(path)).read().entries == ()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(str(path)) as store:
        store.turns.append([make_turn(turn_id="t")])
        assert journal_of(path).stat().st_mode & 0o777 == 0o600


def test_what_is_forgotten_is_not_in_it(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with Store.open(str(path)) as store:
        store.turns.append([make_turn(turn_id="t", user_id="u", user_text="the word xylophone")])
        assert b"xylophone" in journal_of(path).read_bytes()
        store.deletion.forget(user="u", at=NOON)
        assert b"xylophone" not in b"".join(one.read_bytes() for one in tmp_path.iterdir() if one.is_file())


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
