"""Kafka as a source, by kafka-python, in a consumer group."""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from consumers.connection import CONNECT_MS, connect, meaning
from consumers.source import LogRestarted, Message, SourceAway
from monitor.errors import StoreError
from monitor.settings import KafkaSettings

__all__ = ["KafkaSource"]

_EPOCH = datetime(1970, 1, 1)
#: A member that died is waited for so long at the next start; and a broker may let a group form for half of it.
_SESSION_MS = 10_000
#: A topic or partition that is made later is found after so long.
_METADATA_MS = 5_000
_CLOSE_MS = 1_500
#: A broker that answers with errors is asked again for so long before we leave it and begin anew.
_FORBEARANCE = 15.0
#: Messages wait and none comes for so long: something is stuck that only a new connection mends.
_STUCK = 60.0
#: How often it is asked why nothing is assigned.
_ASK_SECONDS = 2.0


class KafkaSource:
    """One member of the group. The broker assigns partitions; `start` says where each is read from."""

    def __init__(self, settings: KafkaSettings, start: Callable[[int], int]) -> None:
        """Connect. Raises `SourceAway` when no broker answers, `SettingError` for an address or a user that cannot be right."""
        from kafka import KafkaConsumer

        self._settings, self._start = settings, start
        self._taken: set[int] = set()
        self._fresh: set[int] = set()
        self._lost: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._paused = False
        self._homeless: StoreError | None = None
        self._asked_starts = 0.0
        self._failing_since = 0.0
        self._moved_at = time.monotonic()
        self._lock = threading.Lock()
        self._asked = time.monotonic()
        self._consumer, self._client = connect(
            KafkaConsumer,
            settings,
            group_id=settings.group,
            enable_auto_commit=False,
            # What the store has not seen is read from the start: `latest` would skip what came before the first start.
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            session_timeout_ms=_SESSION_MS,
            heartbeat_interval_ms=_SESSION_MS // 4,
            metadata_max_age_ms=_METADATA_MS,
        )
        try:
            # Before it is asked for by name: there are brokers that make a topic then, whatever they are told.
            self._check_topic()
        except BaseException:
            self.close()
            raise
        self._log_id = self.log_id()
        self._consumer.subscribe([settings.topic], listener=self._listener())

    def log_id(self) -> str | None:
        found = self._client.cluster.topic_id(self._settings.topic)
        # Brokers that know no ids say zero.
        return str(found) if found is not None and found.int else None

    def poll(self, seconds: float, most: int) -> Sequence[Message]:
        from kafka.errors import KafkaError

        try:
            # Before anything is polled: what fails after a poll takes the messages with it.
            self._look_at_starts()
            found = self._consumer.poll(int(seconds * 1000), max_records=most)
        except KafkaError as error:
            self._fails(meaning(error, self._settings), seconds)
            return []
        self._failing_since = 0.0
        if self._homeless is not None:
            raise SourceAway(f"the store does not say where to read on: {self._homeless}")
        if (now := self.log_id()) != self._log_id and now is not None:
            raise LogRestarted(f"the topic {self._settings.topic} was deleted and made again")
        if not found:
            self._look_for_reasons()
            return []
        read: list[Message] = []
        for where, messages in found.items():
            self._follow(where.partition, messages[0].offset, messages[-1].offset)
            read += [
                Message(one.partition, one.offset, _moment(one.timestamp), one.value, _headers(one.headers), one.key)
                for one in messages
            ]
        self._moved_at = time.monotonic()
        return read

    def _follow(self, partition: int, first: int, last: int) -> None:
        """The messages from `first` to `last` came. Are they those that should have come?"""
        read = self._read.get(partition, 0)
        if first > read + 1:
            self._skipped(partition, first)
        if first < read:
            # The broker was asked for what lies behind the end, and begins at the beginning.
            raise LogRestarted(
                f"partition {partition} of {self._settings.topic} ends before {read:,}, where the store stands: "
                "the topic was made again, or cut"
            )
        self._read[partition] = last + 1

    def _fails(self, meaning: Exception, seconds: float) -> None:
        """Whoever leaves the group disturbs all of it: a broker that hesitates is given some time first."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        if not isinstance(meaning, SourceAway) or now - self._failing_since >= _FORBEARANCE:
            raise meaning from None
        time.sleep(seconds)

    def _look_at_starts(self) -> None:
        """Has the log dropped what was not read yet? Asked once for each partition that is given to us, which waits for it."""
        from kafka import TopicPartition

        with self._lock:
            fresh = set(self._fresh)
        asked = [TopicPartition(self._settings.topic, one) for one in fresh]
        asked = [one for one in asked if one in self._consumer.assignment()]
        if asked:
            for one, start in self._consumer.beginning_offsets(asked, timeout_ms=CONNECT_MS).items():
                if start > self._read[one.partition]:
                    self._lost[one.partition] = start - self._read[one.partition]
                    self.seek(one.partition, start)
            if not self._paused:
                self._consumer.resume(*asked)
        with self._lock:
            self._fresh -= fresh

    def _skipped(self, partition: int, offset: int) -> None:
        """Offsets are left out by compaction and transactions, and by a log that drops what a slow reader has not read."""
        from kafka import TopicPartition
        from kafka.errors import KafkaError

        read, now = self._read.get(partition, 0), time.monotonic()
        if not read or now - self._asked_starts < _ASK_SECONDS:
            return
        self._asked_starts = now
        where = TopicPartition(self._settings.topic, partition)
        with suppress(KafkaError):  # it is only counted
            start = self._consumer.beginning_offsets([where], timeout_ms=CONNECT_MS)[where]
            if start > read:
                self._lost[partition] = self._lost.get(partition, 0) + min(start, offset) - read

    def _look_for_reasons(self) -> None:
        """Nothing came: because there is nothing, because nothing is ours yet, or because something is stuck."""
        assigned = self._consumer.assignment()
        if not assigned:
            self._explain()
        elif self._paused or all(self._read.get(one, 0) >= end for one, end in self.ends().items()):
            self._moved_at = time.monotonic()
        elif time.monotonic() - self._moved_at >= _STUCK:
            raise SourceAway(
                f"messages of {self._settings.topic} wait and none came for {_STUCK:.0f} s: connecting anew"
            )

    def ends(self) -> Mapping[int, int]:
        # `end_offsets` of some brokers is wrong, and costs a request; the high water mark comes with each fetch.
        known = {one: self._consumer.highwater(one) for one in self._consumer.assignment()}
        return {one.partition: self._end(one, int(end)) for one, end in known.items() if end is not None}

    def knows_ends(self) -> bool:
        assigned = self._consumer.assignment()
        return bool(assigned) and all(self._consumer.highwater(one) is not None for one in assigned)

    def _end(self, partition: Any, end: int) -> int:
        """The end of the messages: what ends a transaction counts in the log and is never given to us."""
        from kafka.errors import KafkaError

        with suppress(KafkaError):
            position = self._consumer.position(partition, timeout_ms=0)
            if position is not None and position >= end:
                return self._read.get(partition.partition, end)
        return end

    def revoked(self) -> frozenset[int]:
        with self._lock:
            gone, self._taken = frozenset(self._taken), set()
        return gone

    def lost(self) -> Mapping[int, int]:
        lost, self._lost = self._lost, {}
        return lost

    def seek(self, partition: int, position: int) -> None:
        from kafka import TopicPartition

        where = TopicPartition(self._settings.topic, partition)
        if where in self._consumer.assignment():
            self._read[partition] = position
            self._consumer.seek(where, position)

    def pause(self, paused: bool) -> None:
        self._paused = paused
        change = self._consumer.pause if paused else self._consumer.resume
        with self._lock:
            fresh = set(self._fresh)
        change(*(one for one in self._consumer.assignment() if paused or one.partition not in fresh))

    def commit(self, positions: Mapping[int, int]) -> None:
        from kafka import TopicPartition
        from kafka.errors import KafkaError
        from kafka.structs import OffsetAndMetadata

        mine = {one.partition for one in self._consumer.assignment()}
        offsets = {
            TopicPartition(self._settings.topic, partition): OffsetAndMetadata(position, "", -1)
            for partition, position in positions.items()
            if partition in mine
        }
        with suppress(KafkaError):
            self._consumer.commit_async(offsets)

    def close(self) -> None:
        from kafka.errors import KafkaError

        with suppress(KafkaError, OSError):
            self._consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)

    def _listener(self) -> Any:
        from kafka import ConsumerRebalanceListener, TopicPartition

        source = self

        class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
            def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
                with source._lock:
                    source._taken |= {one.partition for one in revoked}

            def on_partitions_lost(self, lost: Sequence[Any]) -> None:
                self.on_partitions_revoked(lost)

            def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
                for one in assigned:
                    # The store is the authority: what the group committed may be behind it, or ahead of a restored store.
                    try:
                        start = source._start(one.partition)
                    except StoreError as error:
                        # The client would go on where the group is: not ours, and what an owner before us read. Begin anew.
                        source._homeless = error
                        return
                    source._read[one.partition] = start
                    source._consumer.seek(TopicPartition(one.topic, one.partition), start)
                    if start or source._paused:
                        source._consumer.pause(TopicPartition(one.topic, one.partition))
                    if start:
                        with source._lock:
                            source._fresh.add(one.partition)

        return Listener()

    def _explain(self) -> None:
        """Why there is nothing assigned: the topic is not there, or the group still forms."""
        if time.monotonic() - self._asked < _ASK_SECONDS:
            return
        self._asked = time.monotonic()
        self._check_topic()

    def _check_topic(self) -> None:
        from kafka.errors import KafkaError

        try:
            topics = self._consumer.topics()
        except KafkaError as error:
            raise meaning(error, self._settings) from None
        topic = self._settings.topic
        if topic not in topics:
            nearest = difflib.get_close_matches(topic, sorted(topics), n=1, cutoff=0.5)
            hint = f"; is it {nearest[0]}?" if nearest else ""
            raise SourceAway(f"the broker has no topic {topic!r} (setting kafka.topic){hint}")


def _headers(headers: Sequence[tuple[str, bytes | None]] | None) -> tuple[tuple[str, bytes], ...]:
    return tuple([(name, value or b"") for name, value in headers]) if headers else ()


def _moment(milliseconds: int) -> datetime:
    """The time of a message; that of reading it when it has none, or one that a producer made up and no calendar holds."""
    try:
        if milliseconds >= 0:
            return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        pass
    return datetime.now(UTC).replace(tzinfo=None)
