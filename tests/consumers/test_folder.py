"""The watched folder: what is taken when, once, wherever a kill falls, and what is left alone."""

from __future__ import annotations

import gzip
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_support import NOW, write_lines

from consumers import growing
from consumers.batches import Counts
from consumers.folder import Folder
from monitor.errors import StoreFullError
from monitor.settings import Settings
from monitor.store import Store


@dataclass
class Watch:
    """A folder that is looked at step by step, with a clock of its own."""

    store: Store
    path: Path
    now: datetime = NOW
    states: list[tuple[str, str]] = field(default_factory=list)
    counted: Counts = field(default_factory=Counts)
    stop: threading.Event = field(default_factory=threading.Event)
    folder: Folder = field(init=False)

    def __post_init__(self) -> None:
        self.path.mkdir(exist_ok=True)
        self.begin()

    def begin(self) -> None:
        """As after a start of the process: nothing is remembered."""
        settings = Settings().with_value("ingest.folder", str(self.path), source="test")
        settings = settings.with_value("ingest.batch_rows", 3, source="test")
        self.folder = Folder(
            self.store,
            settings,
            clock=lambda: self.now,
            stop=self.stop,
            say=lambda state, detail: self.states.append((state, detail)),
            on_stored=self.count,
        )

    def count(self, done: Counts) -> None:
        self.counted += done

    def look(self, *, after: float = 0) -> None:
        self.now += timedelta(seconds=after)
        self.folder.look()

    def settle(self) -> None:
        self.look()
        self.look(after=11)

    @property
    def texts(self) -> list[str]:
        return sorted(self.store.turns.read(columns=["user_text"]).column(0).to_pylist())

    def names(self, folder: str = "") -> set[str]:
        place = self.path / folder
        return {one.name for one in place.iterdir() if one.is_file() or one.is_symlink()} if place.exists() else set()


@pytest.fixture
def watch(store: Store, tmp_path: Path) -> Watch:
    return Watch(store, tmp_path / "in")


def line(text: str, **more: Any) -> bytes:
    """A record without an id or a time: whatever is read twice is counted twice."""
    return orjson.dumps({"user_text": text, **more}) + b"\n"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


def test_a_log_is_read_as_it_grows_and_stays(watch: Watch) -> None:
    log = watch.path / "app.jsonl"
    expected: list[str] = []
    for round_ in range(4):
        texts = [f"r{round_} q{number}" for number in range(5)]
        append(log, b"".join(map(line, texts)))
        expected += texts
        watch.look(after=1)
        assert watch.texts == sorted(expected)
        if round_ % 2:
            watch.begin()
            watch.look(after=1)
            assert watch.texts == sorted(expected), "a start reads nothing twice"
    assert watch.names() == {"app.jsonl"}
    assert watch.counted.turns == 20 and watch.states[-1][0] == "running"


def test_half_a_line_waits_for_its_end(watch: Watch) -> None:
    log = watch.path / "app.jsonl"
    append(log, line("first") + line("second")[:12])
    watch.settle()
    assert watch.texts == ["first"]
    assert watch.states[-1] == (
        "failing",
        "app.jsonl ends in the middle of a line, which waits for its end; last read app.jsonl",
    )
    append(log, line("second")[12:])
    watch.look()
    assert watch.texts == ["first", "second"] and watch.states[-1][0] == "running"
    assert watch.store.dead_letters.count() == 0


def test_a_last_line_without_its_end_is_taken_when_nobody_writes(watch: Watch) -> None:
    log = watch.path / "app.jsonl"
    append(log, line("only").rstrip())
    watch.look()
    assert watch.texts == []
    watch.settle()
    assert watch.texts == ["only"]
    append(log, b"\n" + line("next"))
    watch.look()
    watch.begin()
    watch.settle()
    assert watch.texts == ["next", "only"]


def test_rotation_and_cutting(watch: Watch) -> None:
    log = watch.path / "app.jsonl"
    append(log, line("one") + line("two"))
    watch.look()
    append(log, line("three"))
    log.rename(watch.path / "app.jsonl.1")  # before it was looked at again
    append(log, line("four"))
    watch.look()
    assert watch.texts == ["four", "one", "three", "two"]
    watch.begin()
    watch.look()
    log.write_bytes(line("five"))  # cut in place, another first line
    watch.look()
    assert watch.texts == ["five", "four", "one", "three", "two"]
    append(log, line("six"))
    watch.look()
    log.write_bytes(line("five"))  # cut in place, the same first line
    watch.look()
    append(log, line("seven"))
    watch.begin()
    watch.look()
    assert watch.texts == ["five", "five", "four", "one", "seven", "six", "three", "two"]


def test_whole_files_are_taken_when_they_are_complete_and_moved(watch: Watch) -> None:
    (watch.path / "a.csv").write_text("user_text\nfrom csv\n")
    (watch.path / "b.json").write_bytes(b"[" + line("from array").strip() + b"]")
    (watch.path / "c.jsonl.gz").write_bytes(gzip.compress(line("from gzip")))
    pq.write_table(pa.table({"user_text": ["from parquet"]}), watch.path / "d.parquet")
    (watch.path / "e.jsonl").write_bytes(gzip.compress(line("only named so")))
    watch.look()
    watch.look(after=9)
    assert watch.texts == []
    append(watch.path / "a.csv", b"and more\n")
    watch.look(after=2)
    assert watch.texts == ["from array", "from gzip", "from parquet", "only named so"]
    watch.look(after=11)
    assert watch.texts == ["and more", "from array", "from csv", "from gzip", "from parquet", "only named so"]
    assert watch.names() == set()
    assert watch.names("done") == {"a.csv", "b.json", "c.jsonl.gz", "d.parquet", "e.jsonl"}
    (watch.path / "a.csv").write_text("user_text\nanother of that name\n")
    watch.settle()
    assert watch.names("done") >= {"a.csv", "2-a.csv"}


def test_what_is_killed_between_its_rows_and_its_move_is_not_doubled(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    (watch.path / "a.csv").write_text("user_text\none\ntwo\nthree\nfour\n")

    def killed(*_: object, **__: object) -> None:
        raise Killed

    for place in ("checkpoint", "_away"):
        with monkeypatch.context() as patched:
            patched.setattr(watch.store if place == "checkpoint" else Folder, place, killed, raising=True)
            watch.look()
            with pytest.raises(Killed):
                watch.look(after=11)
        assert len(watch.texts) == 4 and watch.names() == {"a.csv"}
        watch.begin()
    watch.settle()
    assert len(watch.texts) == 4 and watch.names("done") == {"a.csv"}


def test_what_cannot_be_read_fails_with_its_reason(watch: Watch) -> None:
    (watch.path / "bad.parquet").write_bytes(b"PAR1 and then nothing")
    (watch.path / "no\ncolumn\x1b[31m.csv").write_text("speech\nhello\n")
    append(watch.path / "good.jsonl", line("good") + b"{broken\n")
    watch.settle()
    assert watch.texts == ["good"] and watch.store.dead_letters.count() == 1
    assert watch.names("failed") == {
        "bad.parquet",
        "bad.parquet.reason",
        "no\ncolumn\x1b[31m.csv",
        "no\ncolumn\x1b[31m.csv.reason",
    }
    assert "cannot be read as Parquet" in (watch.path / "failed" / "bad.parquet.reason").read_text()
    state, detail = watch.states[-1]
    assert state == "running" and "2 files in failed/" in detail
    assert all("\n" not in words and "\x1b" not in words for _, words in watch.states)


def test_what_is_left_alone(watch: Watch, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jsonl"
    outside.write_bytes(line("secret"))
    (watch.path / "link.jsonl").symlink_to(outside)
    (watch.path / "link.csv").symlink_to(outside)
    for name in (".hidden.jsonl", "a.jsonl.part", "a.csv.tmp", "a.jsonl.2.gz", "notes.txt", ".a.csv.swp"):
        (watch.path / name).write_bytes(line("not mine"))
    (watch.path / "sub.jsonl").mkdir()
    os.mkfifo(watch.path / "pipe.jsonl")
    before = watch.names()
    watch.settle()
    watch.settle()
    assert watch.texts == [] and watch.names() == before and not (watch.path / "done").exists()
    assert watch.states[-1][0] == "running"


def test_a_file_that_is_replaced_while_it_is_read_is_not_lost(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    path = watch.path / "a.csv"
    path.write_text("user_text\nold\n")
    checkpoint = watch.store.checkpoint

    def replaced() -> None:
        checkpoint()
        path.write_text("user_text\nnewer\n")

    watch.look()
    with monkeypatch.context() as patched:
        patched.setattr(watch.store, "checkpoint", replaced)
        watch.look(after=11)
    assert watch.names() == {"a.csv"}
    watch.settle()
    assert watch.texts == ["newer", "old"] and watch.names("done") == {"a.csv"}


def test_a_store_that_fails_is_nobodys_bad_file(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    (watch.path / "a.csv").write_text("user_text\none\n")
    append(watch.path / "b.jsonl", line("two"))

    def full(turns: object) -> object:
        raise StoreFullError("no room left on the disk")

    watch.look()
    assert watch.texts == ["two"]
    append(watch.path / "b.jsonl", line("three"))
    with monkeypatch.context() as patched:
        patched.setattr(watch.store.turns, "append", full)
        with pytest.raises(StoreFullError):
            watch.look(after=11)
    assert watch.names() == {"a.csv", "b.jsonl"}
    watch.begin()
    watch.settle()
    assert watch.texts == ["one", "three", "two"]


def test_a_folder_that_is_not_there_is_waited_for(watch: Watch) -> None:
    watch.path.rmdir()
    watch.look()
    state, detail = watch.states[-1]
    assert state == "waiting" and "ingest.folder" in detail
    watch.path.mkdir()
    append(watch.path / "a.jsonl", line("there"))
    watch.look()
    assert watch.texts == ["there"] and watch.states[-1][0] == "running"


def test_a_line_without_end_is_one_dead_letter(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "MAX_RECORD", 1000)
    log = watch.path / "a.jsonl"
    append(log, line("before") + line("x" * 5_000) + line("y" * 2_500)[:-1])
    watch.settle()
    assert watch.texts == ["before"] and watch.store.dead_letters.count() == 1
    append(log, b"\n" + line("after"))
    watch.settle()
    assert watch.texts == ["after", "before"] and watch.store.dead_letters.count() == 2


def test_lines_of_the_shared_formats(watch: Watch) -> None:
    write_lines(
        watch.path / "mixed.ndjson",
        [
            {"id": "c1", "created": 1_772_355_600, "messages": [{"role": "user", "content": "as chat"}]},
            {"turn_id": "t1", "user_text": "as offmap"},
        ],
    )
    watch.look()
    assert watch.texts == ["as chat", "as offmap"]
