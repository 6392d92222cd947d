"""What was read and is to be stored: turns, events and dead letters, in the order of the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

from consumers.decoders import Decoded, Decoder, Defaults
from consumers.raw import RawRecord
from monitor.errors import RecordError, place_of
from monitor.records import Coordinates, DeadLetter, Event, Turn
from monitor.redaction import redact_event, redact_payload, redact_turn
from monitor.store import Store

__all__ = ["BATCH_BYTES", "BUG", "Batch", "Commit", "Counts", "decode"]

#: How the reason of a letter begins that is our fault and not its sender's.
BUG = "a bug of offmap"
#: A batch is stored at this size, however few its records are: memory stays bounded.
BATCH_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of records. `turns` are new in the store.

    `empty` records were well formed and held no user's message; `forgotten` turns were deleted before and stay away.
    """

    records: int = 0
    turns: int = 0
    repeated: int = 0
    filled: int = 0
    conflicts: int = 0
    forgotten: int = 0
    events: int = 0
    dead_letters: int = 0
    empty: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction of a stream: what it stored, how long it took, and the age of its oldest and newest message when they
    could be seen, in seconds. `waiting` messages of the partitions that are read were not stored yet, as far as is known."""

    counts: Counts
    seconds: float
    oldest: float
    newest: float
    waiting: int = 0


@dataclass(slots=True)
class _Stretch:
    """Turns and events, and the deletion that ends them: what stands before it in the log must be stored before it."""

    turns: list[Turn] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    deletion: Event | None = None


@dataclass(slots=True)
class Batch:
    """What was read since the last commit of one partition. `position` is the next record to read, and `refused` the number of
    spans and items that could not be read in records whose rest could."""

    position: int
    records: int = 0
    size: int = 0
    empty: int = 0
    refused: int = 0
    stretches: list[_Stretch] = field(default_factory=lambda: [_Stretch()])
    letters: list[DeadLetter] = field(default_factory=list)

    def take(
        self,
        record: RawRecord,
        decoder: Decoder | None,
        at: Coordinates,
        defaults: Defaults,
        *,
        redact: bool,
        headers: Sequence[tuple[str, bytes]] = (),
        key: bytes | None = None,
    ) -> None:
        """Decode a record and keep what it holds; keep it as a dead letter with the reason when it, or a part of it, cannot be
        read."""
        decoded = _decode(record, decoder, at, defaults)
        self.records += 1
        self.size += len(record.payload)
        self.position = record.position + 1
        fault = decoded if isinstance(decoded, str) else decoded.fault
        if fault:
            payload = redact_payload(record.payload) if redact else record.payload
            named = tuple((name, _header(value, redact)) for name, value in headers)
            kept = redact_payload(key) if redact and key is not None else key
            # Whole, also where the rest is stored: read again, the rest is known, and what is new is added.
            self.letters.append(DeadLetter(at, fault, payload, defaults.now, named, kept))
        if isinstance(decoded, str):
            return
        self.refused += decoded.refused
        self.empty += not decoded.turns and not decoded.events
        self._add_turns(map(redact_turn, decoded.turns) if redact else decoded.turns)
        for event in decoded.events:
            self._add_event(redact_event(event) if redact else event)

    def skip(self, position: int) -> None:
        """A record without content, such as a tombstone of a compacted topic."""
        self.records += 1
        self.empty += 1
        self.position = position + 1

    def store(self, store: Store) -> Counts:
        """Store everything, in the open transaction; what became of it."""
        done = Counts(records=self.records, empty=self.empty)
        for stretch in self.stretches:
            appended = store.turns.append(stretch.turns)
            events = store.events.append(stretch.events)
            # Before a deletion that follows: it must find the turn whole.
            store.late_facts.complete(stretch.turns, stretch.events)
            if (event := stretch.deletion) is not None:
                # The store is not written anew for each of them: whoever brought the batch sees to it (`Store.erase_due`).
                store.deletion.forget(turn=event.turn_id, tenant=event.tenant or "", at=event.created_at, erase=False)
                events += 1
            done += Counts(
                turns=appended.inserted,
                repeated=appended.repeated,
                filled=appended.filled,
                conflicts=appended.conflicts,
                forgotten=appended.forgotten,
                events=events,
            )
        return done + Counts(dead_letters=store.dead_letters.append(self.letters))

    def _add_turns(self, turns: Iterable[Turn]) -> None:
        self.stretches[-1].turns += turns

    def _add_event(self, event: Event) -> None:
        if event.kind == "deletion":
            self.stretches[-1].deletion = event
            self.stretches.append(_Stretch())
        else:
            self.stretches[-1].events.append(event)


def _header(value: bytes, redact: bool) -> str:
    """A header's value as text; they are bytes that mostly hold text."""
    text = (redact_payload(value) if redact else value).decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00")


def decode(record: RawRecord, decoder: Decoder, source: str, defaults: Defaults) -> Decoded | str:
    """Turns and events, or the reason why there are none."""
    return _decode(record, decoder, Coordinates(source, decoder.name, record.position), defaults)


def _decode(record: RawRecord, decoder: Decoder | None, at: Coordinates, defaults: Defaults) -> Decoded | str:
    if record.reason is not None:
        return record.reason
    if decoder is None:
        return "in no known format"
    try:
        return decoder.decode(record.value, at, defaults)
    except RecordError as error:
        return str(error)
    # A bug of ours must not hold up a stream for ever at one message. Its text may quote somebody: only its place is kept.
    except Exception as error:
        return f"{BUG} in {place_of(error)}: {type(error).__name__} in the format {decoder.name}; please report it"
