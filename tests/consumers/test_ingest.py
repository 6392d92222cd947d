"""The ingest loop on a real store: nothing lost, nothing twice, whatever is in the file and whenever it stops."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ingest_support import FIXTURES, NOW, clock, write_lines

from consumers.batches import Counts
from consumers.ingest import IngestResult, ingest_file, preview
from monitor.errors import InputError, UsageError
from monitor.store import Store


def lines(count: int) -> list[dict[str, Any]]:
    return [
        {"conversation_id": f"c{number // 3}", "turn_index": number % 3, "user_text": f"q{number}"}
        for number in range(count)
    ]


def ids(store: Store) -> list[str]:
    return sorted(store.turns.read(columns=["turn_id"]).column("turn_id").to_pylist())


def steady() -> Callable[[], datetime]:
    """A clock that moves a second at each look."""
    seconds = itertools.count()
    return lambda: NOW + timedelta(seconds=next(seconds))


def test_a_file_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    first = ingest_file(store, FIXTURES / "turns.jsonl", clock=clock)
    assert (first.format, first.times) == ("offmap", "now")
    assert (first.counts, first.skipped) == (Counts(records=6, turns=4, events=2), 0)
    copy = tmp_path / "another-name"
    copy.write_bytes((FIXTURES / "turns.jsonl").read_bytes())
    again = ingest_file(store, copy, clock=steady())
    assert again == IngestResult(copy, "offmap", "now", skipped=6, seconds=again.seconds)
    assert again.complete_before
    assert store.turns.count() == 4
    assert store.turns.conflicts() == 0


def test_the_same_turns_in_another_file_are_repeated(store: Store, tmp_path: Path) -> None:
    ingest_file(store, write_lines(tmp_path / "a.jsonl", lines(9)), times="at:2026-03-01")
    more = ingest_file(store, write_lines(tmp_path / "b.jsonl", lines(12)), times="at:2026-03-01")
    assert (more.counts.turns, more.counts.repeated, more.counts.conflicts) == (3, 9, 0)
    assert store.turns.count() == 12


def test_bad_records_are_kept_and_stop_nothing(store: Store, tmp_path: Path) -> None:
    records = [
        {"user_text": "a"},
        b"{broken",
        {"user_text": "b", "latency_ms": "fast"},
        b'{"user_text": "\xff"}',
        {"user_text": "c"},
    ]
    result = ingest_file(store, write_lines(tmp_path / "x.jsonl", records), clock=clock)
    assert (result.counts.records, result.counts.turns, result.counts.dead_letters) == (5, 2, 3)
    letters = sorted(store.dead_letters.read(), key=lambda letter: letter.coordinates.position)
    assert [letter.coordinates.position for letter in letters] == [1, 2, 3]
    assert letters[0].payload == b"{broken"
    assert letters[1].reason == "latency_ms: expected a number, got 'fast'"
    assert letters[2].payload == b'{"user_text": "\xff"}'
    assert letters[0].coordinates.source.startswith("file:")
    assert letters[0].coordinates.partition == "offmap"
    assert letters[0].received_at == NOW


def test_a_cut_file_costs_its_last_record(store: Store) -> None:
    result = ingest_file(store, FIXTURES / "sharegpt_cut.json", times="spread:2026-03-01/2026-03-08")
    # abc-3 stands at the end of one part without a reply and at the start of the next with one.
    assert result.counts == Counts(records=6, turns=3, filled=1, empty=2, dead_letters=2)
    turn = store.turns.find("abc-3")
    assert turn is not None
    assert turn.assistant_text == "Because ```<p>code</p>```"
    assert {letter.reason.partition(":")[0] for letter in store.dead_letters.read()} == {
        "conversations[0].from",
        "the file ends inside this record",
    }


class Stop(Exception):
    """What a kill looks like from inside."""


class StopAfter:
    """Progress that breaks the run off after some batches."""

    def __init__(self, batches: int) -> None:
        self._left = batches
        self.names: list[str] = []

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[StopAfter]:
        self.names.append(name)
        yield self

    def advance(self, n: int, note: str = "", *, left: int | None = None) -> None:
        assert n >= 0
        self._left -= 1
        if self._left == 0:
            raise Stop


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_a_run_that_broke_off_goes_on_where_it_stopped(store: Store, tmp_path: Path, batches: int) -> None:
    path = write_lines(tmp_path / "x.jsonl", [*lines(20), b"{", {"user_text": "last"}])
    with pytest.raises(Stop):
        ingest_file(store, path, batch_rows=7, progress=StopAfter(batches))
    stored = store.turns.count()
    assert stored == min(7 * batches, 20 if batches == 3 else 21)
    rest = ingest_file(store, path, batch_rows=7)
    assert (rest.skipped, rest.counts.turns) == (7 * batches, 21 - stored)
    assert store.turns.count() == 21
    assert store.dead_letters.count() == 1
    assert ingest_file(store, path).skipped == 22


def test_a_batch_fails_whole(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", lines(6))
    looks = itertools.count()

    def broken_clock() -> datetime:
        if next(looks) == 5:
            raise Stop
        return NOW

    with pytest.raises(Stop):
        ingest_file(store, path, batch_rows=4, clock=broken_clock)
    assert store.turns.count() == 4
    assert ingest_file(store, path, clock=clock).counts.turns == 2


RUN = """
import sys
from pathlib import Path
from consumers.ingest import ingest_file
from monitor.store import Store
with Store.open(sys.argv[1]) as store:
    ingest_file(store, Path(sys.argv[2]), times="at:2026-03-01", batch_rows=200)
"""


@pytest.mark.slow
def test_a_killed_process_loses_and_repeats_nothing(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [*lines(20_000), b"{"])
    database = str(tmp_path / "killed.duckdb")
    for delay in (1.5, 2.0, 2.5):
        process = subprocess.Popen([sys.executable, "-c", RUN, database, str(path)])
        time.sleep(delay)
        process.kill()
        process.wait(10)
        with Store.open(database) as store:
            assert store.turns.count() % 200 == 0
    with Store.open(database) as store:
        result = ingest_file(store, path, times="at:2026-03-01")
        assert store.turns.count() == 20_000
        assert store.dead_letters.count() == 1
        assert result.counts.records + result.skipped == 20_001
        assert (result.counts.repeated, result.counts.conflicts) == (0, 0)


def test_progress_ends_at_the_size_of_the_file(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", lines(50))
    seen: list[int] = []

    class Listener:
        @contextmanager
        def task(self, name: str, total: int | None, unit: str) -> Iterator[Listener]:
            assert (name, total, unit) == ("ingest x.jsonl", path.stat().st_size, "bytes")
            yield self

        def advance(self, n: int, note: str = "", *, left: int | None = None) -> None:
            seen.append(n)

    ingest_file(store, path, batch_rows=10, progress=Listener())
    assert sum(seen) == path.stat().st_size


def test_deletions_apply_in_the_order_of_the_log(store: Store, tmp_path: Path) -> None:
    records = [
        {"turn_id": "a", "user_text": "the old words", "created_at": "2026-03-01"},
        {"turn_id": "b", "user_text": "stays", "created_at": "2026-03-01"},
        {"event": "feedback", "turn_id": "a", "created_at": "2026-03-02", "feedback_score": 1},
        {"event": "deletion", "turn_id": "a", "created_at": "2026-03-03"},
        {"turn_id": "a", "user_text": "replayed", "created_at": "2026-03-01"},
        {"turn_id": "a", "user_text": "the new words", "created_at": "2026-03-04"},
    ]
    result = ingest_file(store, write_lines(tmp_path / "x.jsonl", records))
    assert (result.counts.turns, result.counts.forgotten, result.counts.events) == (3, 1, 2)
    assert ids(store) == ["a", "b"]
    turn = store.turns.find("a")
    assert turn is not None
    assert turn.user_text == "the new words"
    assert store.events.read().num_rows == 0
    other = ingest_file(store, write_lines(tmp_path / "y.jsonl", records[:1]))
    assert (other.counts.turns, other.counts.forgotten) == (0, 1)


def test_redaction_comes_before_the_store(store: Store, tmp_path: Path) -> None:
    records = [
        {"user_text": "I am ann@example.org", "user_id": "ann@example.org", "metadata": {"m": "ann@example.org"}},
        {"user_text": "card 4111 1111 1111 1111", "latency_ms": "ann@example.org"},
        b'{"user_text": "ann@example.org',
    ]
    path = write_lines(tmp_path / "x.jsonl", records)
    result = ingest_file(store, path, redact=True)
    assert (result.counts.turns, result.counts.dead_letters) == (1, 2)
    (turn,) = store.turns.fetch(store.turns.read(columns=["turn_key"]).column("turn_key").to_pylist())
    assert turn.user_text == "I am [email]"
    assert turn.metadata is not None
    assert turn.metadata["m"] == "[email]"
    assert turn.user_id is not None
    assert turn.user_id.startswith("[email]-")
    for letter in store.dead_letters.read():
        assert b"ann@" not in letter.payload
        assert "ann@" not in letter.reason
        assert b"4111" not in letter.payload


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_table_without_the_column_is_one_error(store: Store, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_text("usertext\nhello\n" if suffix == "csv" else '{"usertext": "hello"}\n', "utf-8")
    with pytest.raises(InputError, match="usertext"):
        ingest_file(store, path)
    if suffix == "csv":
        with pytest.raises(InputError, match="rename usertext to user_text"):
            ingest_file(store, path, format="offmap")
    else:
        assert ingest_file(store, path, format="offmap").counts.dead_letters == 1
    assert store.turns.count() == 0


def test_wrong_use_is_said_before_anything_is_written(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", lines(3))
    with pytest.raises(UsageError, match="--times"):
        ingest_file(store, path, times="soon")
    with pytest.raises(UsageError, match="--format"):
        ingest_file(store, path, format="csv2")
    with pytest.raises(InputError, match="does not exist"):
        preview(tmp_path / "absent")
    assert store.turns.count() == 0


def test_the_preview_is_what_would_be_stored(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [b"{", *lines(9)])
    shown = preview(path, limit=4, clock=clock)
    ingest_file(store, path, clock=clock)
    assert len(shown) == 4
    for turn in shown:
        stored = store.turns.find(turn.turn_id)
        assert stored is not None
        assert replace(stored, metadata=None) == replace(turn, metadata=None)
