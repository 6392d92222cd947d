"""Dead letters go to a topic after they are stored: none is lost, whatever the topic does, and ingest does not wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from ingest_support import NOW, clock
from kafka_support import until

from consumers.forwarding import Forwarder, check_topics
from consumers.letter_topic import headers_of
from consumers.source import Memory, Message, SourceAway
from consumers.stream import Stream
from monitor.errors import SettingError, StoreError
from monitor.records import Coordinates, DeadLetter
from monitor.settings import Settings
from monitor.store import Store


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.forwarding._PAUSE", 0.02)


class Topic:
    """A topic in memory, which refuses for as long as it is told to."""

    def __init__(self) -> None:
        self.sent: list[DeadLetter] = []
        self.refuses, self.tries, self.closed = 0, 0, 0

    def open(self) -> Topic:
        return self

    def send(self, letters: Sequence[DeadLetter]) -> None:
        self.tries += 1
        if self.refuses:
            self.refuses -= 1
            raise SourceAway("the topic is away")
        self.sent += letters

    def close(self) -> None:
        self.closed += 1


def letter(position: int, source: str = "kafka:turns") -> DeadLetter:
    at = Coordinates(source, "0", position)
    return DeadLetter(at, "bad", b"{%d" % position, NOW + timedelta(seconds=position), (("trace", "abc"),), b"user")


def positions(topic: Topic) -> list[int]:
    return [one.coordinates.position for one in topic.sent]


def left(store: Store) -> int:
    return store.dead_letters.unsent("kafka:turns", 100).num_rows


@contextmanager
def forwarding(store: Store, opener: Callable[[], Topic]) -> Iterator[Forwarder]:
    with Forwarder(store, "kafka:turns", "letters", opener, clock=clock, stop=threading.Event()) as made:
        yield made


def test_letters_of_the_stream_are_sent_once_and_stay_in_the_store(store: Store) -> None:
    topic = Topic()
    store.dead_letters.append(
        [letter(2), letter(1), letter(3, "kafka:turns#2"), letter(4, "file:abc"), letter(5, "kafka:turns-eu")]
    )
    with forwarding(store, topic.open) as forwarder:
        until(lambda: not left(store), 10, "what was there is sent")
        store.dead_letters.append([letter(6)])
        forwarder.wake()
        until(lambda: not left(store), 10, "what comes is sent at once")
    assert positions(topic) == [1, 2, 3, 6]
    assert topic.sent[0] == letter(1)
    assert store.dead_letters.count() == 6
    with forwarding(store, topic.open):
        pass
    assert positions(topic) == [1, 2, 3, 6]


def test_a_topic_that_refuses_is_tried_again_and_told(store: Store) -> None:
    topic = Topic()
    topic.refuses = 3
    store.dead_letters.append([letter(1)])
    told: list[str] = []
    with forwarding(store, topic.open) as forwarder:
        until(lambda: told.append(forwarder.trouble) or not left(store), 10, "it goes through")  # type: ignore[func-returns-value]
        until(lambda: not forwarder.trouble, 10, "all is well again")
    assert positions(topic) == [1]
    assert any("the topic letters (setting kafka.dead_letter_topic): the topic is away" in one for one in told)


def test_a_kill_after_sending_sends_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = Topic()
    store.dead_letters.append([letter(1)])
    marked = False

    def mark(places: object, at: object) -> None:
        nonlocal marked
        marked = True
        raise StoreError("the store fails")

    with monkeypatch.context() as patch:
        patch.setattr(store.dead_letters, "mark_sent", mark)
        with forwarding(store, topic.open):
            until(lambda: marked, 10, "it was sent")
    with forwarding(store, topic.open):
        pass
    assert set(positions(topic)) == {1} and len(topic.sent) >= 2, "twice, and never not at all"


def test_ingest_does_not_wait_for_a_topic_that_hangs(store: Store) -> None:
    entered, released = threading.Event(), threading.Event()

    class Hanging(Topic):
        def send(self, letters: Sequence[DeadLetter]) -> None:
            entered.set()
            released.wait(30)
            super().send(letters)

    hanging, stop = Hanging(), threading.Event()
    settings = Settings().with_value("kafka.dead_letter_topic", "letters", source="test")
    log = [Message(0, at, NOW, b"{broken" if at == 0 else b'{"user_text": "x"}', (), b"k") for at in range(3)]
    stream = Stream(
        store,
        settings,
        lambda start: Memory({0: log}, start),
        clock=clock,
        stop=stop,
        open_letters=hanging.open,
    )
    reader = threading.Thread(target=stream.run)
    reader.start()
    try:
        until(entered.is_set, 20, "the letter is on its way")
        until(lambda: store.offsets.next("kafka:turns", "0") == 3, 20, "ingest goes on")
    finally:
        released.set()
        stop.set()
        reader.join(20)
    until(lambda: not left(store), 10, "the letter arrived")
    assert [one.key for one in hanging.sent] == [b"k"]


def test_trouble_shows_where_all_else_is_well(store: Store) -> None:
    topic, stop = Topic(), threading.Event()
    topic.refuses = 10**6
    said: list[tuple[str, str]] = []
    settings = Settings().with_value("kafka.dead_letter_topic", "letters", source="test")
    stream = Stream(
        store,
        settings.with_value("kafka.batch_seconds", 0.05, source="test"),
        lambda start: Memory({0: [Message(0, 0, NOW, b"{broken")]}, start),
        clock=clock,
        stop=stop,
        on_state=lambda state, detail: said.append((state, detail)),
        open_letters=topic.open,
    )
    reader = threading.Thread(target=stream.run)
    reader.start()
    try:
        until(
            lambda: any(state == "waiting" and "kafka.dead_letter_topic" in detail for state, detail in said),
            20,
            lambda: f"it is told: {said}",
        )
    finally:
        stop.set()
        started = time.monotonic()
        reader.join(20)
    assert time.monotonic() - started < 6
    assert left(store) == 1


def test_a_bug_in_sending_is_told_without_its_text(store: Store) -> None:
    class Buggy(Topic):
        def send(self, letters: Sequence[DeadLetter]) -> None:
            raise ValueError("ann@example.org")

    store.dead_letters.append([letter(1)])
    with forwarding(store, Buggy) as forwarder:
        until(lambda: "ValueError in test_forwarding.py" in forwarder.trouble, 10, "it is told")
        assert "ann" not in forwarder.trouble


def test_headers_say_why_and_from_where_behind_those_of_the_message() -> None:
    made = DeadLetter(Coordinates("kafka:turns#2", "1", 7), "got 'ann@example.org'", b"", NOW, (("trace", "ü"),))
    found = headers_of(made)
    assert found[0] == ("trace", "ü".encode())
    ours = dict(found[1:])
    assert ours["offmap-reason"] == b"got 'ann@example.org'"
    assert (ours["offmap-topic"], ours["offmap-partition"], ours["offmap-offset"]) == (b"turns", b"1", b"7")
    assert ours["offmap-letter"] == made.letter_id.encode()
    assert ours["offmap-at"].decode().startswith(f"{NOW:%Y-%m-%dT%H:%M:%S}") and ours["offmap-at"].endswith(b"Z")
    assert b"ann@" not in dict(headers_of(made, redact=True))["offmap-reason"]


@pytest.mark.parametrize("name", ["turns", "with space", "..", "x" * 250])
def test_a_topic_that_cannot_be_right_is_refused(store: Store, name: str) -> None:
    settings = Settings().with_value("kafka.dead_letter_topic", name, source="test")
    with pytest.raises(SettingError, match=r"kafka\.dead_letter_topic"):
        check_topics(settings.kafka)
    with pytest.raises(SettingError, match=r"kafka\.dead_letter_topic"):
        Stream(store, settings, lambda start: Memory({}, start), clock=clock, stop=threading.Event())
