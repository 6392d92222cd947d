"""The consumer on a real store and on logs in memory: nothing lost, nothing twice, whatever comes and whenever it stops."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_support import NOW, clock

from consumers.batches import Counts
from consumers.decoders.offmap import OffmapDecoder
from consumers.raw import MAX_RECORD
from consumers.source import Memory, Message, SourceAway
from consumers.stream import Stream
from monitor.errors import StoreFullError, UsageError
from monitor.settings import Settings
from monitor.store import Store

SENT = datetime(2026, 3, 9, 8, 0)
SOURCE = "kafka:turns"


def with_values(**values: object) -> Settings:
    """Settings by their names with a double underscore for the dot."""
    made = Settings()
    for name, value in values.items():
        made = made.with_value(name.replace("__", "."), value, source="test")
    return made


def message(offset: int, value: object, partition: int = 0) -> Message:
    body = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
    return Message(partition, offset, SENT + timedelta(seconds=offset), body)


def question(number: int, **fields: object) -> dict[str, Any]:
    return {"turn_id": f"t{number}", "user_text": f"question {number}", "created_at": "2026-03-01T09:00:00Z", **fields}


def questions(count: int, partition: int = 0, first: int = 0) -> list[Message]:
    """Offsets from 0; `first` is the number of the first question."""
    return [message(offset, question(first + offset), partition) for offset in range(count)]


class Finite(Memory):
    """Asks the stream to stop when everything has been given out."""

    def __init__(
        self, messages: Mapping[int, Sequence[Message]], start: Callable[[int], int], stop: threading.Event
    ) -> None:
        super().__init__(messages, start)
        self.stop = stop
        self.given: list[tuple[int, int]] = []

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        found = super().poll(seconds, most)
        self.given += [(one.partition, one.offset) for one in found]
        if not found:
            self.stop.set()
        return found


@dataclass(slots=True)
class Written:
    """Polls as they are written down: messages to give, partitions to take away, an outage. Then it asks to stop."""

    steps: list[Sequence[Message] | set[int] | SourceAway]
    stop: threading.Event
    last: dict[int, int] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)
    sought: list[tuple[int, int]] = field(default_factory=list)
    closed: int = 0
    _gone: frozenset[int] = frozenset()

    def log_id(self) -> str | None:
        return None

    def lost(self) -> Mapping[int, int]:
        return {}

    def seek(self, partition: int, position: int) -> None:
        self.sought.append((partition, position))

    def pause(self, paused: bool) -> None:
        pass

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        if not self.steps:
            self.stop.set()
            return []
        step = self.steps.pop(0)
        if isinstance(step, SourceAway):
            raise step
        if isinstance(step, set):
            self._gone |= step
            return self.poll(seconds, most)  # as a broker: taken away and something else given in one call
        for one in step:
            self.last[one.partition] = max(one.offset + 1, self.last.get(one.partition, 0))
        return step

    def ends(self) -> Mapping[int, int]:
        return self.last

    def knows_ends(self) -> bool:
        return bool(self.last)

    def revoked(self) -> frozenset[int]:
        gone, self._gone = self._gone, frozenset()
        return gone

    def commit(self, positions: Mapping[int, int]) -> None:
        self.committed.update(positions)

    def close(self) -> None:
        self.closed += 1


@dataclass(slots=True)
class Run:
    """What a run of the stream did and said."""

    counts: Counts
    stored: list[Counts]
    said: list[tuple[str, str]]
    source: Any


def run(store: Store, messages: Mapping[int, Sequence[Message]], **values: object) -> Run:
    """Read a log in memory to its end."""
    stop = threading.Event()
    return _run(store, stop, lambda start: Finite(messages, start, stop), values)


def written(store: Store, *steps: Sequence[Message] | set[int] | SourceAway, **values: object) -> Run:
    stop = threading.Event()
    source = Written(list(steps), stop)
    return _run(store, stop, lambda start: source, {"kafka__batch_seconds": 60, **values})


def _run(store: Store, stop: threading.Event, opener: Callable[[Any], Any], values: Mapping[str, object]) -> Run:
    stored: list[Counts] = []
    said: list[tuple[str, str]] = []
    opened: list[Any] = []

    def remembered(start: Callable[[int], int]) -> Any:
        opened.append(opener(start))
        return opened[-1]

    stream = Stream(
        store,
        with_values(**values),
        remembered,
        clock=clock,
        stop=stop,
        on_state=lambda state, detail: said.append((state, detail)),
        on_stored=lambda done: stored.append(done.counts),
    )
    stream.run()
    return Run(stream.counts, stored, said, opened[-1])


def ids(store: Store) -> list[str]:
    return sorted(store.turns.read(columns=["turn_id"]).column("turn_id").to_pylist())


def position(store: Store, partition: int = 0) -> int:
    return store.offsets.next(SOURCE, str(partition))


def test_each_partition_is_stored_with_its_offset(store: Store) -> None:
    ran = run(store, {0: questions(7), 1: questions(4, 1, first=100)})
    assert ran.counts == Counts(records=11, turns=11)
    assert ids(store) == sorted(f"t{number}" for number in [*range(7), *range(100, 104)])
    assert (position(store, 0), position(store, 1)) == (7, 4)
    assert ran.source.committed == {0: 7, 1: 4}
    assert sum(ran.stored, Counts()) == ran.counts


def test_a_batch_is_stored_when_it_has_its_rows(store: Store) -> None:
    ran = run(store, {0: questions(250)}, ingest__batch_rows=100)
    assert [one.records for one in ran.stored] == [100, 100, 50]


def test_a_batch_is_stored_when_its_time_is_over_though_messages_keep_coming(store: Store) -> None:
    stop = threading.Event()
    seen: list[int] = []

    class Trickle(Finite):
        def poll(self, seconds: float, most: int) -> Sequence[Message]:
            time.sleep(0.02)
            seen.append(store.turns.count())
            return super().poll(seconds, 1)

    _run(store, stop, lambda start: Trickle({0: questions(40)}, start, stop), {"kafka__batch_seconds": 0.1})
    assert store.turns.count() == 40
    assert max(seen[:-1]) >= 5, "nothing was stored before the messages stopped"


def test_the_next_run_goes_on_where_the_last_one_ended(store: Store) -> None:
    log = questions(30)
    assert run(store, {0: log[:12]}).counts.turns == 12
    second = run(store, {0: log, 1: questions(2, 1, first=50)})
    assert second.source.given == [*((0, offset) for offset in range(12, 30)), (1, 0), (1, 1)]
    assert second.counts == Counts(records=20, turns=20)
    assert run(store, {0: log}).counts == Counts()
    assert position(store) == 30


def test_topics_have_their_own_offsets(store: Store) -> None:
    run(store, {0: questions(5)})
    other = run(store, {0: questions(3, first=10)}, kafka__topic="other")
    assert other.counts.turns == 3
    assert (store.offsets.next("kafka:other", "0"), position(store)) == (3, 5)


def test_what_is_delivered_again_is_stored_once(store: Store) -> None:
    feedback = {"event": "feedback", "turn_id": "t1", "feedback_score": 1, "created_at": "2026-03-01T10:00:00Z"}
    log = [*questions(3), message(3, feedback), message(4, b"{broken"), message(5, {"user_text": "without an id"})]
    ran = written(store, log, log[2:], ingest__batch_rows=100)
    assert ran.counts == Counts(records=6, turns=4, events=1, dead_letters=1)
    again = written(store, log)
    assert again.counts == Counts(), "the store has it: it is not even decoded"
    assert (store.turns.count(), store.events.read().num_rows, store.dead_letters.count()) == (4, 1, 1)
    assert position(store) == 6


def test_an_older_message_does_not_move_the_offset_back(store: Store) -> None:
    run(store, {0: questions(9)})
    written(store, questions(2))
    assert position(store) == 9


def test_offsets_with_gaps(store: Store) -> None:
    log = [message(offset, question(offset)) for offset in (5, 9, 12)]
    assert run(store, {0: log}).counts.turns == 3
    assert position(store) == 13
    assert run(store, {0: [*log, message(40, question(40))]}).source.given == [(0, 40)]


def test_tombstones_are_no_bad_messages(store: Store) -> None:
    ran = run(store, {0: [message(0, None), *questions(3)[1:], message(3, None)], 1: [message(0, None, 1)]})
    assert ran.counts == Counts(records=5, turns=2, empty=3)
    assert store.dead_letters.count() == 0
    assert (position(store, 0), position(store, 1)) == (4, 1)


BAD = {
    b"": "not JSON",
    b"{": "the record is cut",
    b'{"user_text": "\xff"}': "not UTF-8",
    b"42": "in no known format",
    b"null": "in no known format",
    b'{"text": "no known field"}': "in no known format",
    b'{"user_text": "  "}': "user_text: blank",
    b'{"user_text": 7}': "user_text: expected a text, got a number",
    b'{"user_text": "q", "created_at": "soon"}': "created_at",
    b"[" * 3000: "not JSON",
    b'{"event": "rename", "turn_id": "t1"}': "event: expected one of",
}


def test_bad_messages_are_kept_with_their_place_and_stop_nothing(store: Store) -> None:
    bad = list(BAD)
    log = [message(2 * number + 1, body, 3) for number, body in enumerate(bad)]
    log += [message(2 * number, question(number), 3) for number in range(len(bad) + 1)]
    ran = run(store, {3: sorted(log, key=lambda one: one.offset)})
    assert ran.counts == Counts(records=2 * len(bad) + 1, turns=len(bad) + 1, dead_letters=len(bad))
    letters = {letter.coordinates.position: letter for letter in store.dead_letters.read()}
    assert sorted(letters) == [2 * number + 1 for number in range(len(bad))]
    for number, (body, reason) in enumerate(BAD.items()):
        letter = letters[2 * number + 1]
        assert (letter.coordinates.source, letter.coordinates.partition) == (SOURCE, "3")
        assert reason in letter.reason
        assert letter.payload == body
        assert letter.received_at == SENT + timedelta(seconds=2 * number + 1)
    assert position(store, 3) == 2 * len(bad) + 1


def test_a_bug_in_a_decoder_costs_one_message(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = OffmapDecoder.decode

    def broken(self: OffmapDecoder, record: Any, at: Any, defaults: Any) -> Any:
        if record["turn_id"] == "t2":
            raise KeyError("my card is 4111 1111 1111 1111")
        return decode(self, record, at, defaults)

    monkeypatch.setattr(OffmapDecoder, "decode", broken)
    assert run(store, {0: questions(5)}).counts == Counts(records=5, turns=4, dead_letters=1)
    (letter,) = store.dead_letters.read()
    assert (
        letter.reason.startswith("a bug of offmap in test_stream.py:")
        and "KeyError in the format offmap" in letter.reason
    )
    assert "4111" not in letter.reason and orjson.loads(letter.payload)["turn_id"] == "t2"


def test_a_message_that_is_too_long_is_refused(store: Store) -> None:
    body = b'{"user_text": "' + b"x" * MAX_RECORD + b'"}'
    ran = run(store, {0: [message(0, body), message(1, question(1))]})
    assert (ran.counts.turns, ran.counts.dead_letters) == (1, 1)
    (letter,) = store.dead_letters.read()
    assert "longer than 16 MiB" in letter.reason
    assert len(letter.payload) < 100_000


def test_a_chosen_format_is_the_only_one(store: Store) -> None:
    chat = {"id": "c1", "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]}
    log = {0: [message(0, question(0)), message(1, chat)]}
    assert run(store, log, kafka__format="offmap").counts == Counts(records=2, turns=1, dead_letters=1)
    assert "user_text" in store.dead_letters.read()[0].reason
    assert run(store, {0: [message(0, chat)]}, kafka__topic="chats").counts.turns == 1
    with pytest.raises(UsageError, match="offmop"):
        run(store, log, kafka__format="offmop")


def test_what_a_message_does_not_say_comes_from_its_place(store: Store) -> None:
    run(store, {2: [message(5, {"user_text": "hello"}, 2)]})
    (row,) = store.turns.read().to_pylist()
    assert row["created_at"] == SENT + timedelta(seconds=5)
    assert row["turn_id"] == row["conversation_id"] == "kafka:turns-2-5"


def test_hostile_texts_stay_what_they_are(store: Store) -> None:
    texts = ["'; DROP TABLE turns; --", "<script>alert(1)</script>", "a\u202eb", "a\x00b", "=cmd()", "🧨" * 50_000]
    run(store, {0: [message(number, question(number, user_text=text)) for number, text in enumerate(texts)]})
    assert sorted(store.turns.read(columns=["user_text"]).column("user_text").to_pylist()) == sorted(texts)
    assert store.dead_letters.count() == 0


def test_redaction_leaves_nothing_of_a_secret(store: Store) -> None:
    secret, whose = "ann@example.org", "mail me at {}"
    log = [
        message(0, question(0, user_text=whose.format(secret), user_id=secret)),
        message(1, {"event": "feedback", "turn_id": "t0", "feedback_score": 0, "feedback_comment": secret}),
        message(2, b'{"user_text": "' + secret.encode() + b'"'),
        message(3, question(3, turn_id=secret)),
        message(4, {"event": "deletion", "turn_id": secret, "created_at": "2026-03-02T00:00:00Z"}),
    ]
    assert run(store, {0: log}, ingest__redact=True).counts == Counts(records=5, turns=2, events=2, dead_letters=1)
    held = str([store.turns.read().to_pylist(), store.events.read().to_pylist(), store.dead_letters.read()])
    assert secret not in held
    assert held.count("[email]") >= 3
    assert ids(store) == ["t0"], "a deletion names its turn as it was redacted"
    run(store, {0: log}, kafka__topic="open")
    assert secret in str(store.dead_letters.read())


def test_a_deletion_forgets_what_stands_before_it_and_keeps_it_away(store: Store) -> None:
    deletion = {"event": "deletion", "turn_id": "t1", "created_at": "2026-03-02T00:00:00Z"}
    comment = {"event": "feedback", "turn_id": "t1", "feedback_score": 1, "created_at": "2026-03-01T10:00:00Z"}
    log = [*questions(3), message(3, comment), message(4, deletion), message(5, question(1)), message(6, question(6))]
    ran = run(store, {0: log})
    assert ran.counts == Counts(records=7, turns=4, events=2, forgotten=1)
    assert ids(store) == ["t0", "t2", "t6"]
    assert store.events.read().num_rows == 0
    again = run(store, {0: log}, kafka__topic="replayed")
    assert again.counts.forgotten == 2 and again.counts.turns == 0
    assert ids(store) == ["t0", "t2", "t6"]


def test_a_partition_that_is_taken_away_is_not_stored(store: Store) -> None:
    ran = written(store, questions(5), {0}, questions(3, 1, first=50))
    assert ran.counts == Counts(records=3, turns=3)
    assert ids(store) == ["t50", "t51", "t52"]
    assert (position(store, 0), position(store, 1)) == (0, 3)
    assert ran.source.committed == {1: 3}


def test_a_partition_that_is_taken_away_and_given_back_is_read_again(store: Store) -> None:
    log = questions(6)
    ran = written(store, log[:4], {0}, log)
    assert ran.counts == Counts(records=6, turns=6)
    assert position(store) == 6


def test_a_partition_that_is_taken_away_as_it_stops_is_not_stored(store: Store) -> None:
    stop = threading.Event()

    class Taken(Memory):
        def poll(self, seconds: float, most: int) -> Sequence[Message]:
            found = super().poll(seconds, most)
            if found and found[0].partition == 1:
                stop.set()
            return found

        def ends(self) -> Mapping[int, int]:
            if stop.is_set():
                self.taken.add(1)  # after the last look at what was taken away
            return super().ends()

    log = {1: questions(3, 1)}
    ran = _run(store, stop, lambda start: Taken(log, start), {"kafka__batch_seconds": 60})
    assert ran.counts == Counts()
    assert (store.turns.count(), position(store, 1)) == (0, 0)


def test_the_end_is_not_reached_while_a_partition_has_not_answered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.stream._QUIET", 0.05)
    log = {0: questions(3), 1: questions(4, 1)}
    begun = time.monotonic()

    class Slow(Memory):
        """Partition 1 is on another broker, which is slow to answer."""

        def knows_ends(self) -> bool:
            if len(self.messages) == 1 and time.monotonic() - begun > 0.5:
                self.messages = log
            return len(self.messages) == 2

    stop = threading.Event()
    values = Settings()
    stream = Stream(store, values, lambda start: Slow({0: log[0]}, start), clock=clock, stop=stop, until_end=True)
    stream.run()
    assert (position(store, 0), position(store, 1)) == (3, 4)


@pytest.mark.slow
def test_who_waits_for_the_end_does_not_wait_for_ever_for_the_source(store: Store) -> None:
    def away(start: Callable[[int], int]) -> Memory:
        raise SourceAway("no broker answers at broker:9092 (setting kafka.bootstrap)")

    class Foreign(Memory):
        """Every partition is another member's."""

        def knows_ends(self) -> bool:
            return False

    values = with_values(kafka__patience_seconds=1)
    stop = threading.Event()
    for opener, reason in ((away, "no broker answers"), (lambda start: Foreign({}, start), "setting kafka.group")):
        stream = Stream(store, values, opener, clock=clock, stop=stop, until_end=True)
        with pytest.raises(SourceAway, match=reason) as raised:
            stream.run()
        assert str(raised.value).count("it was waited for 1 s (setting kafka.patience_seconds)") == 1


def test_a_disk_that_is_full_at_the_beginning_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store notes which log it reads before it reads."""
    source, failing = store.streams.source, True

    def full(stream: str, log_id: str | None) -> str:
        nonlocal failing
        if failing:
            failing = False
            raise StoreFullError("no room left on the disk")
        return source(stream, log_id)

    monkeypatch.setattr(store.streams, "source", full)
    ran = run(store, {0: questions(3)})
    assert ran.counts.turns == 3
    assert ("failing", "no room left on the disk") in ran.said


def test_what_was_not_stored_in_an_outage_is_read_again(store: Store) -> None:
    log = questions(8)
    away = SourceAway("no broker answers at broker:9092 (setting kafka.bootstrap)")
    started = time.monotonic()
    ran = written(store, log[:3], away, log)
    assert ran.counts == Counts(records=8, turns=8)
    assert ("waiting", f"{away}; it is waited for") in ran.said
    assert ran.source.closed == 2, "each opening is closed"
    assert 0.5 < time.monotonic() - started < 10


@pytest.mark.slow
def test_an_outage_is_not_paid_for_by_the_next_one(store: Store) -> None:
    log, away = questions(6), SourceAway("no broker answers")
    started = time.monotonic()
    ran = written(store, away, log[:2], [], away, log[2:4], [], away, log[4:])
    assert ran.counts.turns == 6
    assert time.monotonic() - started < 6, "three pauses of 1 s, and not 1 + 2 + 4"


def test_a_stop_ends_the_waiting_for_a_source(store: Store) -> None:
    stop = threading.Event()

    def opener(start: Callable[[int], int]) -> Any:
        raise SourceAway("no broker answers")

    stream = Stream(store, Settings(), opener, clock=clock, stop=stop)
    thread = threading.Thread(target=stream.run)
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    stop.set()
    thread.join(1)
    assert not thread.is_alive()


def test_a_stop_stores_what_is_in_hand(store: Store) -> None:
    stop = threading.Event()

    class Stopped(Memory):
        def poll(self, seconds: float, most: int) -> Sequence[Message]:
            stop.set()
            return super().poll(seconds, most)

    ran = _run(store, stop, lambda start: Stopped({0: questions(4)}, start), {"kafka__batch_seconds": 60})
    assert ran.counts.turns == 4
    assert position(store) == 4


@pytest.mark.slow
def test_it_ends_by_itself_at_the_end(store: Store) -> None:
    stop = threading.Event()
    log = {0: questions(5), 1: [message(0, b"broken", 1)], 2: [message(0, None, 2)]}
    stream = Stream(store, Settings(), lambda start: Memory(log, start), clock=clock, stop=stop, until_end=True)
    stream.run()
    assert not stop.is_set()
    assert stream.counts == Counts(records=7, turns=5, dead_letters=1, empty=1)
    assert {row.partition: row.lag for row in store.partitions.read()} == {"0": 0, "1": 0, "2": 0}


def test_lag_is_shown(store: Store) -> None:
    stop = threading.Event()
    said: list[tuple[str, str]] = []
    log = {0: questions(250), 1: questions(40, 1, first=500)}

    class Once(Memory):
        def poll(self, seconds: float, most: int) -> Sequence[Message]:
            stop.set()
            return super().poll(seconds, most)

    stream = Stream(
        store,
        with_values(ingest__batch_rows=100),
        lambda start: Once(log, start),
        clock=clock,
        stop=stop,
        on_state=lambda state, detail: said.append((state, detail)),
    )
    stream.run()
    rows = {row.partition: row for row in store.partitions.read()}
    assert {name: (row.source, row.position, row.end_position, row.lag) for name, row in rows.items()} == {
        "0": (SOURCE, 100, 250, 150),
        "1": (SOURCE, 0, 40, 40),
    }
    assert rows["0"].message_at == SENT + timedelta(seconds=99)
    assert rows["0"].seen_at == NOW
    assert rows["1"].message_at is None
    assert ("running", "turns: 2 partitions, 190 messages wait") in said
    run(store, log)
    assert [row.lag for row in store.partitions.read()] == [0, 0]


def test_two_readers_of_one_topic_store_nothing_twice(store: Store) -> None:
    """Two processes that were both given the partition: the slower one stores what the other has, once."""
    run(store, {0: questions(10)})
    late = written(store, questions(6))
    assert late.counts == Counts()
    assert (store.turns.count(), position(store)) == (10, 10)


MOVES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([0, 1]), st.integers(1, 5)),  # a poll of so many messages of a partition
        st.sampled_from(["revoke 0", "revoke 1", "restart", "again"]),
    ),
    max_size=25,
)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(MOVES)
def test_whatever_happens_on_the_way_the_end_is_the_same(moves: list[Any]) -> None:
    kinds: list[Any] = [
        lambda number: question(number),
        lambda number: {"user_text": f"question {number}"},
        lambda number: b"{broken",
        lambda number: None,
        lambda number: {"event": "feedback", "turn_id": f"t{number}", "feedback_score": 1},
    ]
    log = {
        partition: [message(offset, kinds[offset % 5](100 * partition + offset), partition) for offset in range(20)]
        for partition in (0, 1)
    }
    total = Counts()
    with tempfile.TemporaryDirectory() as folder, Store.open(str(Path(folder) / "s.duckdb"), threads=1) as store:
        at = {0: 0, 1: 0}
        steps: list[Any] = []

        def play() -> None:
            nonlocal total
            total += written(store, *steps, ingest__batch_rows=100).counts
            steps.clear()
            at.update({partition: position(store, partition) for partition in at})

        for move in moves:
            if move == "restart":
                play()
            elif move == "again":
                at = {partition: max(0, offset - 3) for partition, offset in at.items()}
            elif isinstance(move, str):
                partition = int(move[-1])
                steps.append({partition})
                at[partition] = position(store, partition)
            else:
                partition, count = move
                steps.append(log[partition][at[partition] : at[partition] + count])
                at[partition] = min(20, at[partition] + count)
        play()
        total += run(store, log).counts
        assert store.turns.count() == total.turns == 16
        assert store.dead_letters.count() == total.dead_letters == 8
        assert store.events.read().num_rows == total.events == 8
        assert (position(store, 0), position(store, 1)) == (20, 20)
