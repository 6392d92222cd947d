"""A damaged write-ahead log: the store opens with what is sound, and rows never part from their offsets."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from monitor.store import Store
from monitor.store.damage import Damage, damaged_logs, set_log_aside

#: Twelve transactions of twenty turns with their offset, and an end without a checkpoint.
_WRITE = """
import os, sys
from datetime import datetime
from monitor.records import Turn
from monitor.store import Store

store = Store.open(sys.argv[1])
for first in range(0, 240, 20):
    with store.transaction():
        store.turns.append([
            Turn(turn_id=f"t{one}", user_text=f"question {one}", created_at=datetime(2026, 3, 1), conversation_id="c")
            for one in range(first, first + 20)
        ])
        store.offsets.advance("kafka:turns", "0", expected=first, to=first + 20)
os._exit(9)
"""


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("died") / "store.duckdb"
    code = subprocess.run([sys.executable, "-c", _WRITE, str(path)], check=False)
    assert code.returncode == 9
    assert path.with_name("store.duckdb.wal").stat().st_size > 10_000
    return path


def copied(died: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name in ("store.duckdb", "store.duckdb.wal"):
        shutil.copy(died.with_name(name), folder / name)
    return folder / "store.duckdb"


def flip(log: Path, at: int, bit: int = 3) -> None:
    with log.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ (1 << bit)]))


def held(store: Store) -> int:
    """How many turns there are. They came with their offset, so both are there or neither."""
    count = store.turns.count()
    assert store.offsets.next("kafka:turns", "0") == count
    return count


def test_a_whole_log_is_replayed_and_nothing_is_said(died: Path, tmp_path: Path) -> None:
    with Store.open(str(copied(died, tmp_path))) as store:
        assert held(store) == 240
        assert store.damage is None and store.damaged_logs() == []


@pytest.mark.parametrize("seed", range(12))
def test_one_flipped_bit_costs_what_lies_behind_it_and_no_more(died: Path, tmp_path: Path, seed: int) -> None:
    path = copied(died, tmp_path)
    log = path.with_name("store.duckdb.wal")
    size = log.stat().st_size
    rng = random.Random(seed)
    at = rng.randrange(size // 4, size)
    flip(log, at, rng.randrange(8))
    damaged = log.read_bytes()
    with Store.open(str(path)) as store:
        count = held(store)
        assert 0 < count < 240
        # A flipped length looks to DuckDB like a log that was cut in the middle of a write, and it says nothing.
        if (damage := store.damage) is not None:
            assert damage.kept <= at and damage.kept + damage.left_out == size
            assert damage.aside.read_bytes() == damaged
            assert store.damaged_logs() == [damage.aside]
            assert "1 bytes" not in str(damage) and damage.aside.name in str(damage)
        with store.transaction():
            store.offsets.advance("kafka:turns", "0", expected=count, to=count)
    with Store.open(str(path)) as store:
        assert held(store) == count and store.damage is None


def test_a_log_damaged_at_its_head_leaves_the_last_checkpoint(died: Path, tmp_path: Path) -> None:
    path = copied(died, tmp_path)
    flip(path.with_name("store.duckdb.wal"), 80)
    with Store.open(str(path)) as store:
        assert held(store) == 0
        assert store.damage is not None and store.damage.left_out > 0


def test_a_second_damage_does_not_overwrite_the_first(died: Path, tmp_path: Path) -> None:
    path = copied(died, tmp_path)
    for _ in range(2):
        flip(path.with_name("store.duckdb.wal"), 20_000)
        with Store.open(str(path)) as store:
            assert store.damage is not None
        copied(died, tmp_path)
    assert [one.name for one in damaged_logs(path)] == [f"store.duckdb.wal.damaged-{number}" for number in (1, 2)]


def test_another_error_is_none_of_its_business(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    path.with_name("store.duckdb.wal").write_bytes(b"log")
    assert set_log_aside(path, duckdb.IOException("Could not set lock on file")) is None
    assert set_log_aside(tmp_path / "other.duckdb", duckdb.IOException("Failure while replaying WAL file")) is None
    assert path.with_name("store.duckdb.wal").read_bytes() == b"log"


@pytest.mark.parametrize("place", ["entry at byte position 8 computed checksum", "no place"])
def test_a_death_in_the_middle_leaves_the_log_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Each step may be the last one: the log is then as it was, or as it shall be."""
    error = duckdb.IOException(f"Failure while replaying WAL file: {place}")
    for last in range(12):
        folder = tmp_path / f"{last}"
        folder.mkdir()
        log = folder / "s.duckdb.wal"
        log.write_bytes(b"0123456789")
        steps = iter(range(last))

        def step(*arguments: object, real: object, steps: object = steps) -> object:
            try:
                next(steps)  # type: ignore[call-overload]
            except StopIteration:
                raise KeyboardInterrupt from None
            return real(*arguments)  # type: ignore[operator]

        with monkeypatch.context() as patched:
            for name in ("fsync",):
                real = getattr(os, name)
                patched.setattr(os, name, lambda *one, real=real: step(*one, real=real))
            for name in ("replace", "unlink"):
                real = getattr(Path, name)
                patched.setattr(Path, name, lambda *one, real=real: step(*one, real=real))
            try:
                found: Damage | None = set_log_aside(folder / "s.duckdb", error)
            except KeyboardInterrupt:
                found = None
        left = log.read_bytes() if log.exists() else b""
        whole = b"01234567" if "byte" in place else b""
        assert left in (b"0123456789", whole)
        if left == whole:
            assert [one.read_bytes() for one in damaged_logs(folder / "s.duckdb")] == [b"0123456789"]
        if found is not None:
            assert left == whole
            break
    else:
        pytest.fail("it never came to its end")
