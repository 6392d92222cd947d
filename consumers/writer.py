"""The writer: a thread that decodes what was polled and stores it, a batch and its offset in one transaction.

Polling never waits for it. What it holds is bounded: whoever polls pauses the source while the writer is `full`.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from consumers.batches import BATCH_BYTES, Batch, Commit, Counts
from consumers.decoders import Decoder, Defaults, decoder_of
from consumers.raw import parse_record
from consumers.source import Message
from monitor.clock import Clock
from monitor.errors import OffsetMovedError, StoreConflictError, StoreError
from monitor.health import State
from monitor.records import Coordinates
from monitor.store import Store
from monitor.store.partitions import PartitionRow

__all__ = ["Intake", "Writer"]

#: Full batches that may wait before the source is paused, and at how many it goes on.
_MOST, _FEW = 4, 2
_NOTE = 5.0
#: What is in hand at the end is stored so long; a slow store gets the rest from the source another time.
_DRAIN = 5.0
#: How long a store that fails is left alone, at first and at most.
_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
#: Two writers on one store meet now and then, and the second try goes through: so many meetings in a row are no chance.
_MEETINGS = 4


@dataclass(frozen=True, slots=True)
class Intake:
    """How messages become rows: the name of the source in the store, the formats that are tried, when a batch is full."""

    source: str
    name: str
    decoders: Sequence[Decoder]
    redact: bool
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Parcel:
    """Messages of one partition; `tenure` says since when it is ours. Without messages: nothing came, so store."""

    partition: int = -1
    tenure: int = 0
    messages: Sequence[Message] = ()


@dataclass(slots=True)
class _Hand:
    """What is in hand of one partition: the batch begins where the store stands, `stored`, as far as we know."""

    tenure: int
    stored: int
    batch: Batch
    since: float = 0.0
    size: int = 0
    first: datetime | None = None


class Writer:
    """Use it as a context: leaving it stores what is in hand, and raises what made that fail. Its methods are for the one
    thread that polls."""

    def __init__(
        self,
        store: Store,
        intake: Intake,
        *,
        clock: Clock,
        say: Callable[[State, str], None],
        on_stored: Callable[[Commit], None],
    ) -> None:
        self._store, self._intake, self._clock = store, intake, clock
        self._say, self._on_stored = say, on_stored
        # Shared with the thread, under `_changed`.
        self._changed = threading.Condition()
        self._parcels: deque[_Parcel] = deque()
        self._tenures: Counter[int] = Counter()
        self._records = self._size = 0
        self._stored: dict[int, int] = {}
        self._moved: dict[int, int] = {}
        self._ends: Mapping[int, int] = {}
        self._lost: Counter[int] = Counter()
        self._ending = self._busy = False
        self._failure: BaseException | None = None
        # The thread's own.
        self._hands: dict[int, _Hand] = {}
        self._last: dict[int, datetime] = {}
        self._stands: dict[int, int] = {}
        self._noted = 0.0
        self._given_up = False
        self._end_by = 0.0
        self._conflicts = 0
        self._thread = threading.Thread(target=self._run, name="offmap-writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._changed:
            self._ending, self._end_by = True, time.monotonic() + _DRAIN
            self._changed.notify_all()
        self._thread.join()
        if kind is None:
            self._raise()

    def take(self, messages: Sequence[Message]) -> None:
        """Hand messages over, of each partition in the order of the log. Raises what made the writer fail."""
        by_partition: dict[int, list[Message]] = {}
        for message in messages:
            by_partition.setdefault(message.partition, []).append(message)
        with self._changed:
            self._raise()
            for partition, mine in by_partition.items():
                if partition in self._moved:
                    continue  # read on from the wrong place: there would be a hole
                self._parcels.append(_Parcel(partition, self._tenures[partition], mine))
                self._records += len(mine)
                self._size += sum(map(_size, mine))
            self._changed.notify_all()

    def quiet(self) -> None:
        """Nothing came: what is in hand need not wait for more."""
        with self._changed:
            self._raise()
            if self._records and not (self._parcels and not self._parcels[-1].messages):
                self._parcels.append(_Parcel())
                self._changed.notify_all()

    def give_up(self, partition: int) -> None:
        """The partition was taken away: what is in hand of it is not stored, its next owner reads it."""
        with self._changed:
            self._tenures[partition] += 1
            self._moved.pop(partition, None)

    def know(self, ends: Mapping[int, int], lost: Mapping[int, int]) -> None:
        """Where the partitions that we read end, and how many messages were gone before we came."""
        with self._changed:
            self._ends = ends
            self._lost.update(lost)

    def moved(self) -> Mapping[int, int]:
        """Partitions that the store has further than we thought, and where to read on; each is told once."""
        with self._changed:
            moved, self._moved = self._moved, {}
        return moved

    def stored(self) -> Mapping[int, int]:
        """Positions that were reached since the last call."""
        with self._changed:
            stored, self._stored = self._stored, {}
        return stored

    @property
    def full(self) -> bool:
        """Does as much wait as may? Then the source must be paused."""
        return self._holds(_MOST)

    @property
    def has_room(self) -> bool:
        return not self._holds(_FEW)

    @property
    def idle(self) -> bool:
        """Is everything stored that was handed over?"""
        with self._changed:
            self._raise()
            return not (self._records or self._parcels or self._busy)

    def _holds(self, batches: int) -> bool:
        with self._changed:
            self._raise()  # or whoever waits for room waits forever
            return self._records >= batches * self._intake.rows or self._size >= batches * BATCH_BYTES

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    # From here on: the thread.

    def _run(self) -> None:
        try:
            while self._step():
                pass
        # Raised again in the thread that polls, where somebody sees it.
        except BaseException as error:
            with self._changed:
                self._failure = error

    def _step(self) -> bool:
        """Do what is next; False when there is nothing more to do, ever."""
        with self._changed:
            if not self._parcels and not self._ending:
                self._changed.wait(self._patience())
            parcel = self._parcels.popleft() if self._parcels else None
            ending = self._ending and parcel is None
            more = bool(self._parcels)
            self._busy = parcel is not None
            self._given_up |= self._ending and time.monotonic() > self._end_by
        if parcel is not None and parcel.messages:
            self._unpack(parcel)
        if ending or (parcel is not None and not parcel.messages) or self._due(more):
            for partition in sorted(self._hands):
                if self._given_up:
                    self._drop(partition)  # to wait for the store once for each would keep us from ending
                else:
                    self._flush(partition)
            if not self._given_up:
                self._note()
        elif time.monotonic() - self._noted >= _NOTE:
            self._note()
        with self._changed:
            self._busy = False
        return not ending

    def _patience(self) -> float:
        """Until a batch is old enough, or how we stand must be noted."""
        now = time.monotonic()
        due = [hand.since + self._intake.seconds for hand in self._hands.values() if hand.batch.records]
        return max(0.0, min([self._noted + _NOTE, *due]) - now)

    def _due(self, more: bool) -> bool:
        """Is a batch full, or old? When more waits, the store is slower than what comes: then a batch becomes full first, or
        a store with transactions that take long would have ever smaller ones."""
        now = time.monotonic()
        return any(
            hand.batch.records >= self._intake.rows
            or hand.batch.size >= BATCH_BYTES
            or (not more and hand.batch.records and now - hand.since >= self._intake.seconds)
            for hand in self._hands.values()
        )

    def _unpack(self, parcel: _Parcel) -> None:
        hand = self._hand(parcel)
        if hand is None:
            self._unload(len(parcel.messages), sum(map(_size, parcel.messages)))
            return
        batch, partition, last = hand.batch, str(parcel.partition), None
        for message in parcel.messages:
            size = _size(message)
            if message.offset < batch.position:  # it was delivered before, or the store has it
                self._unload(1, size)
                continue
            if not batch.records:
                hand.since, hand.first = time.monotonic(), message.at
            hand.size += size
            self._decode(batch, message, partition)
            last = message.at
        if last is not None:
            self._last[parcel.partition] = last

    def _hand(self, parcel: _Parcel) -> _Hand | None:
        """What is in hand of the parcel's partition; None when the partition is not ours any more."""
        hand = self._hands.get(parcel.partition)
        if hand is not None and hand.tenure != parcel.tenure:
            self._drop(parcel.partition)
            hand = None
        if self._given_up or not self._holding(parcel.partition, parcel.tenure):
            return None
        if hand is None:
            found: list[int] = []
            if not self._patiently(lambda: found.append(self._begin(parcel.partition)), parcel):
                return None
            hand = self._hands[parcel.partition] = _Hand(parcel.tenure, found[0], Batch(found[0]))
        return hand

    def _begin(self, partition: int) -> int:
        return self._store.offsets.begin(self._intake.source, str(partition))

    def _holding(self, partition: int, tenure: int) -> bool:
        with self._changed:
            return self._tenures[partition] == tenure

    def _decode(self, batch: Batch, message: Message, partition: str) -> None:
        if message.value is None:  # a tombstone of a compacted topic
            batch.skip(message.offset)
            return
        record = parse_record(message.offset, message.value)
        at = Coordinates(self._intake.source, partition, message.offset)
        decoder = decoder_of(record, self._intake.decoders)
        batch.take(
            record,
            decoder,
            at,
            Defaults(message.at),
            redact=self._intake.redact,
            headers=message.headers,
            key=message.key,
        )

    def _flush(self, partition: int) -> None:
        """Store what is in hand of the partition. The offset is compared and set in the transaction of the rows: an owner
        that was replaced, and did not notice, cannot write."""
        hand = self._hands[partition]
        if not hand.batch.records:
            return
        done: list[Counts] = []
        took = 0.0

        def store() -> None:
            nonlocal took
            done.clear()
            started = time.monotonic()
            with self._store.transaction(journaled=False):
                self._store.offsets.advance(
                    self._intake.source, str(partition), expected=hand.stored, to=hand.batch.position
                )
                done.append(hand.batch.store(self._store))
            took = time.monotonic() - started

        try:
            stored = self._patiently(store, _Parcel(partition, hand.tenure))
        except OffsetMovedError as moved:
            # Somebody else stored of this partition: what we have begins at the wrong place. Read on from where the store is.
            with self._changed:
                if self._tenures[partition] == hand.tenure:
                    self._tenures[partition] += 1
                    self._moved[partition] = moved.found
            stored = False
        if not stored:
            self._drop(partition)
            return
        self._unload(hand.batch.records, hand.size)
        self._hands[partition] = _Hand(hand.tenure, hand.batch.position, Batch(hand.batch.position))
        with self._changed:
            self._stored[partition] = hand.batch.position
        now = self._clock()
        ages = [(now - at).total_seconds() for at in (hand.first, self._last.get(partition)) if at is not None]
        self._stands[partition] = hand.batch.position
        self._on_stored(Commit(done[0], took, ages[0], ages[-1], self._waiting()))

    def _waiting(self) -> int:
        with self._changed:
            ends = dict(self._ends)
        return sum(max(0, end - self._stands.get(partition, end)) for partition, end in ends.items())

    def _drop(self, partition: int) -> None:
        hand = self._hands.pop(partition)
        self._unload(hand.batch.records, hand.size)

    def _unload(self, records: int, size: int) -> None:
        with self._changed:
            self._records -= records
            self._size -= size

    def _patiently(self, action: Callable[[], None], parcel: _Parcel) -> bool:
        """Do it, again and again while the store fails: a full disk makes no dead letters. False when there is no sense in it
        any more: the partition was taken away, or we are asked to end."""
        pause = _PAUSE
        while self._holding(parcel.partition, parcel.tenure):
            try:
                action()
            except OffsetMovedError:
                raise
            except StoreError as error:
                self._fails(error, "; nothing is lost, and reading waits")
                with self._changed:
                    if self._ending or self._changed.wait_for(lambda: self._ending, pause * random.uniform(0.5, 1)):
                        self._given_up = True
                        return False
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._conflicts = 0
                return True
        return False

    def _fails(self, error: StoreError, meaning: str = "") -> None:
        """Say that the store fails, unless another writer was only first: that is settled by the next try."""
        self._conflicts = self._conflicts + 1 if isinstance(error, StoreConflictError) else 0
        if not 0 < self._conflicts < _MEETINGS:
            self._say("failing", f"{error}{meaning}")

    def _note(self) -> None:
        """Lag for whoever looks, and the state of this part."""
        self._noted = time.monotonic()
        with self._changed:
            ends, lost, self._lost = dict(self._ends), self._lost, Counter()
        now = self._clock()
        try:
            rows = [self._row(partition, end, now, lost[partition]) for partition, end in sorted(ends.items())]
            if not rows:
                with self._changed:
                    self._lost.update(lost)
                return
            self._store.partitions.note(rows)
        except StoreError as error:
            with self._changed:
                self._lost.update(lost)
            self._fails(error)
            return
        self._conflicts = 0
        waiting = sum(row.lag for row in rows)
        self._say("running", f"{self._intake.name}: {len(rows)} partitions, {waiting:,} messages wait")

    def _row(self, partition: int, end: int, now: datetime, lost: int) -> PartitionRow:
        source = self._intake.source
        hand = self._hands.get(partition)
        position = self._store.offsets.next(source, str(partition)) if hand is None else hand.stored
        self._stands[partition] = position
        return PartitionRow(
            source, str(partition), position, max(end, position), now, self._last.get(partition), lost=lost
        )


def _size(message: Message) -> int:
    return len(message.value or b"")
