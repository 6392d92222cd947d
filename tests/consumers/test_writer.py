"""The writer: what is delivered again, by whom, in what order, and what happens while the store fails or is slow."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingest_support import NOW, clock

from consumers.batches import Counts
from consumers.decoders import DECODERS
from consumers.source import Memory, Message
from consumers.stream import Stream
from consumers.writer import Intake, Writer
from monitor.errors import StoreFullError
from monitor.settings import Settings
from monitor.store import Store

SOURCE = "kafka:turns"


def messages(first: int, end: int, partition: int = 0) -> list[Message]:
    """Every fifth cannot be read, and none has an id: what is stored twice counts twice."""
    return [
        Message(
            partition,
            offset,
            NOW + timedelta(seconds=offset),
            b"{broken" if offset % 5 == 4 else orjson.dumps({"user_text": f"question {offset}"}),
            (("trace", b"abc"),),
        )
        for offset in range(first, end)
    ]


@contextmanager
def writer(store: Store, *, rows: int = 1_000, seconds: float = 60) -> Iterator[Writer]:
    intake = Intake(SOURCE, "turns", DECODERS, False, rows, seconds)
    with Writer(store, intake, clock=clock, say=lambda state, detail: None, on_stored=lambda done: None) as made:
        yield made


@contextmanager
def open_transaction(store: Store) -> Iterator[Any]:
    database: Any = store._database
    cursor = database.root.cursor()
    try:
        cursor.execute("USE store")
        cursor.execute("BEGIN TRANSACTION")
        yield cursor
    finally:
        cursor.close()


def store_now(made: Writer) -> None:
    made.quiet()
    until_idle(made)


def until_idle(made: Writer) -> None:
    end = time.monotonic() + 10
    while not made.idle:
        assert time.monotonic() < end, "it does not become idle"
        time.sleep(0.002)


def held(store: Store, partition: int = 0) -> tuple[int, int, int]:
    """Rows, dead letters, the next position."""
    return store.turns.count(), store.dead_letters.count(), store.offsets.next(SOURCE, str(partition))


def whole(end: int) -> tuple[int, int, int]:
    return end - end // 5, end // 5, end


#: Of a range that is delivered when 0 to 10 is stored: ClickHouse's sink names these ways.
WAYS = {
    "same": (0, 10, 10),
    "contained": (3, 7, 10),
    "overlapping": (5, 15, 15),
    "cropped": (0, 15, 15),
    "new": (10, 15, 15),
    "older": (0, 3, 10),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_range_that_is_delivered_again(store: Store, way: str, restarted: bool) -> None:
    first, end, then = WAYS[way]
    with writer(store) as made:
        made.take(messages(0, 10))
        store_now(made)
        if not restarted:
            made.take(messages(first, end))
    if restarted:
        with writer(store) as made:
            made.take(messages(first, end))
    assert held(store) == whole(then)


RANGES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 12), st.sampled_from(["", "store", "taken"])), max_size=12
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(RANGES)
@example([(0, 10, "store"), (5, 10, ""), (0, 12, "taken"), (10, 5, "store")])
def test_whatever_is_delivered_again_each_message_is_stored_once(ranges: list[tuple[int, int, str]]) -> None:
    """A log that is delivered in ranges: of each what lies behind the end of the ones before is new."""
    with tempfile.TemporaryDirectory() as folder, Store.open(str(Path(folder) / "s.duckdb"), threads=1) as store:
        reached = stored = 0
        with writer(store) as made:
            for first, length, then in ranges:
                first = min(first, reached)  # a log is read without holes
                made.take(messages(first, first + length))
                reached = max(reached, first + length)
                if then:
                    store_now(made)
                    stored = reached
                if then == "taken":
                    made.give_up(0)
        assert held(store) == whole(max(reached, stored))


def test_what_is_in_hand_of_a_partition_that_is_taken_away_is_left_to_the_next_owner(store: Store) -> None:
    with writer(store) as made:
        made.take(messages(0, 10))
        made.take(messages(0, 5, 1))
        made.give_up(0)
        made.take(messages(0, 3))
    assert held(store) == (3 + 4, 1, 3)
    assert store.offsets.next(SOURCE, "1") == 5


def test_an_older_owner_that_wakes_up_cannot_write_and_reads_on_from_the_store(store: Store) -> None:
    with writer(store) as old, writer(store) as new:
        old.take(messages(0, 10))
        store_now(old)
        old.take(messages(10, 20))  # in hand, and asleep
        time.sleep(0.05)
        new.take(messages(10, 15))
        store_now(new)
        assert held(store) == whole(15)
        old.quiet()
        end = time.monotonic() + 5
        while not (moved := old.moved()):
            assert time.monotonic() < end
            time.sleep(0.002)
        assert moved == {0: 15}
        assert held(store) == whole(15), "nothing of its batch was written"
        old.take(messages(15, 20))
    assert held(store) == whole(20)


def test_after_a_lost_race_nothing_is_taken_before_the_source_was_sent_back(store: Store) -> None:
    with writer(store) as old, writer(store) as new:
        old.take(messages(0, 10))
        store_now(old)
        old.take(messages(10, 20))
        time.sleep(0.05)
        new.take(messages(10, 15))
        store_now(new)
        store_now(old)
        old.take(messages(20, 25))  # polled before anybody knew: 15 to 20 would be a hole
        store_now(old)
        assert held(store) == whole(15)
        assert old.moved() == {0: 15}
        old.take(messages(15, 25))
    assert held(store) == whole(25)


def test_a_full_disk_makes_no_dead_letters_and_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []
    failing = 3
    append = store.turns.append

    def full(turns: Sequence[object]) -> object:
        nonlocal failing
        if failing:
            failing -= 1
            raise StoreFullError("no room left on the disk")
        return append(turns)  # type: ignore[arg-type]

    monkeypatch.setattr(store.turns, "append", full)
    monkeypatch.setattr("consumers.writer._PAUSE", 0.02)
    done: list[Counts] = []
    intake = Intake(SOURCE, "turns", DECODERS, False, 1_000, 60)
    with Writer(
        store,
        intake,
        clock=clock,
        say=lambda state, detail: said.append((state, detail)),
        on_stored=lambda one: done.append(one.counts),
    ) as made:
        made.take(messages(0, 10))
        made.quiet()
        until_idle(made)
    assert ("failing", "no room left on the disk; nothing is lost, and reading waits") in said
    assert held(store) == whole(10)
    assert done == [Counts(records=10, turns=8, dead_letters=2)]


def test_what_was_stored_though_the_store_says_it_failed_is_not_stored_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that finds the disk full comes after the commit, which holds."""
    transaction = store.transaction
    failing = True

    @contextmanager
    def checkpointed(*, journaled: bool) -> Iterator[None]:
        nonlocal failing
        with transaction(journaled=journaled):
            yield
        if failing:
            failing = False
            raise StoreFullError("no room left on the disk; what was written is kept in its log")

    monkeypatch.setattr(store, "transaction", checkpointed)
    monkeypatch.setattr("consumers.writer._PAUSE", 0.02)
    with writer(store) as made:
        made.take(messages(0, 10))
        store_now(made)
        assert made.moved() == {0: 10}, "read on from there"
        made.take(messages(10, 20))
    assert held(store) == whole(20)


@pytest.mark.parametrize(("meetings", "failing"), [(2, False), (5, True)])
def test_another_writer_that_was_first_is_a_failure_only_after_several_meetings(
    store: Store, monkeypatch: pytest.MonkeyPatch, meetings: int, failing: bool
) -> None:
    """The other one holds the offset's row in a transaction of its own: what the store says is what it says to two writers."""
    said: list[tuple[str, str]] = []
    met = 0
    monkeypatch.setattr("consumers.writer._PAUSE", 0.01)
    store.offsets.begin(SOURCE, "0")
    with open_transaction(store) as other:
        other.execute("UPDATE ingest_offsets SET updated_at = now()::TIMESTAMP")
        append = store.offsets.advance

        def advance(source: str, partition: str, *, expected: int, to: int) -> None:
            nonlocal met
            if met == meetings:
                other.execute("ROLLBACK")
            met += 1
            append(source, partition, expected=expected, to=to)

        monkeypatch.setattr(store.offsets, "advance", advance)
        intake = Intake(SOURCE, "turns", DECODERS, False, 1_000, 60)
        say = lambda state, detail: said.append((state, detail))  # noqa: E731
        with Writer(store, intake, clock=clock, say=say, on_stored=lambda done: None) as made:
            made.take(messages(0, 10))
            store_now(made)
    assert met == meetings + 1
    assert held(store) == whole(10)
    assert any(state == "failing" and "another writer" in detail for state, detail in said) == failing


def test_it_ends_though_the_store_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(turns: Sequence[object]) -> object:
        raise StoreFullError("no room left on the disk")

    monkeypatch.setattr(store.turns, "append", full)
    started = time.monotonic()
    with writer(store) as made:
        made.take(messages(0, 10))
        made.quiet()
        time.sleep(0.1)
    assert time.monotonic() - started < 3
    assert held(store) == (0, 0, 0), "the offset went back with the rows"


def test_a_slow_store_gets_full_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one for each poll, because the first message of each is old by the time that it is looked at."""
    append, sizes = store.turns.append, list[int]()

    def slow(turns: Sequence[Any]) -> Any:
        sizes.append(len(turns))
        time.sleep(0.1)
        return append(turns)

    monkeypatch.setattr(store.turns, "append", slow)
    with writer(store, rows=50, seconds=0.01) as made:
        for first in range(0, 200, 5):
            made.take(messages(first, first + 5))
        store_now(made)
    assert held(store) == whole(200)
    assert len(sizes) <= 6, f"the first may be small: {sizes}"


def test_it_ends_in_time_though_the_store_is_slow(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    append = store.turns.append

    def slow(turns: Sequence[Any]) -> Any:
        time.sleep(0.2)
        return append(turns)

    monkeypatch.setattr("consumers.writer._DRAIN", 0.5)
    monkeypatch.setattr(store.turns, "append", slow)
    started = time.monotonic()
    with writer(store, rows=10) as made:
        made.take(messages(0, 10))
        for first in range(10, 500, 10):
            made.take(messages(first, first + 10))
    assert time.monotonic() - started < 3
    turns, letters, position = held(store)
    assert 0 < position < 500 and (turns, letters, position) == whole(position), "what was left out was left out whole"


def test_a_bug_in_the_thread_is_raised_where_somebody_sees_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.turns, "append", lambda turns: 1 // 0)
    with pytest.raises(ZeroDivisionError), writer(store) as made:
        made.take(messages(0, 10))
        made.quiet()
        until_idle(made)


def test_a_bug_is_raised_too_where_only_room_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.turns, "append", lambda turns: 1 // 0)
    with pytest.raises(ZeroDivisionError), writer(store, rows=2) as made:
        made.take(messages(0, 10))
        end = time.monotonic() + 10
        while not made.has_room:
            assert time.monotonic() < end, "nobody would ever know"
            time.sleep(0.002)


def test_a_bug_in_the_last_batch_is_raised_on_leaving(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.turns, "append", lambda turns: 1 // 0)
    with pytest.raises(ZeroDivisionError), writer(store) as made:
        made.take(messages(0, 10))


@pytest.mark.slow
def test_a_slow_store_pauses_the_source_and_polling_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    append = store.turns.append
    gate = threading.Event()

    def slow(turns: Sequence[object]) -> object:
        gate.wait(20)
        return append(turns)  # type: ignore[arg-type]

    monkeypatch.setattr(store.turns, "append", slow)
    polls: list[bool] = []
    stop = threading.Event()

    class Watched(Memory):
        def poll(self, seconds: float, most: int) -> Sequence[Message]:
            polls.append(self.paused)
            if self.paused:
                time.sleep(0.01)
                if len(polls) > 60:
                    gate.set()
            return super().poll(seconds, min(most, 10))

    sources: list[Watched] = []

    def opened(start: object) -> Watched:
        sources.append(Watched({0: messages(0, 400)}, start))  # type: ignore[arg-type]
        return sources[-1]

    values = Settings().with_value("ingest.batch_rows", 20, source="test")
    stream = Stream(store, values, opened, clock=clock, stop=stop, until_end=True)
    monkeypatch.setattr("consumers.stream._QUIET", 0.1)
    stream.run()
    assert True in polls, "it was paused"
    assert polls.index(True) <= 20, "no more than a few batches are in hand"
    assert len(polls) > 60, "and it was polled all the while"
    assert held(store) == whole(400)
    assert sources[0].paused is False


@pytest.mark.slow
def test_messages_that_were_gone_are_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.stream._QUIET", 0.1)

    def run(first: int, end: int) -> None:
        source = {0: messages(first, end)}
        Stream(
            store,
            Settings(),
            lambda start: Memory(source, start, first={0: first}),
            clock=clock,
            stop=threading.Event(),
            until_end=True,
        ).run()

    run(7, 10)  # what was there before we first came is not lost
    assert store.partitions.read()[0].lost is None
    run(25, 30)
    run(40, 41)
    run(41, 42)
    (row,) = store.partitions.read()
    assert (row.lost, row.position) == (15 + 10, 42)


@pytest.mark.slow
def test_a_log_that_was_made_again_is_another_source(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.stream._QUIET", 0.1)
    said: list[str] = []

    def run(count: int, name: str | None) -> None:
        Stream(
            store,
            Settings(),
            lambda start: Memory({0: messages(0, count)}, start, name=name),
            clock=clock,
            stop=threading.Event(),
            until_end=True,
            on_state=lambda state, detail: said.append(detail),
        ).run()

    run(10, "a")
    run(12, "a")
    assert held(store) == whole(12)
    run(5, "b")  # another log says who it is
    assert (store.turns.count(), store.dead_letters.count()) == (10 + 4, 2 + 1)
    assert store.offsets.next("kafka:turns#2", "0") == 5
    run(5, "b")
    run(3, None)  # and one that does not is known by its end
    assert (store.turns.count(), store.dead_letters.count()) == (10 + 4 + 3, 2 + 1)
    assert any("it is read from its beginning, as kafka:turns#3" in detail for detail in said)
    assert {letter.coordinates.source for letter in store.dead_letters.read()} == {"kafka:turns", "kafka:turns#2"}


def test_a_dead_letter_keeps_its_headers(store: Store) -> None:
    with writer(store) as made:
        made.take([Message(0, 4, NOW, b"{broken", (("trace", b"abc"), ("odd", b"\xff\0")))])
    (letter,) = store.dead_letters.read()
    assert letter.headers == (("trace", "abc"), ("odd", "\\xff\\x00"))
