"""Dead letters once more: what today's decoders can read becomes turns and events, as if it had come by its log.

A record keeps its place and the moment when it was received, so ids and times made of them are the same. What is stored and
the letters that it came from are one transaction: a kill at any moment loses and doubles nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import pyarrow as pa

from consumers.batches import BATCH_BYTES, Batch, Counts, decode
from consumers.decoders import DECODERS, Decoder, Defaults, decoder_of
from consumers.raw import RawRecord, parse_record
from consumers.times import NOW, TimesRule
from monitor.progress import Progress, Silent
from monitor.records import Coordinates, DeadLetter
from monitor.store import Store
from monitor.store.dead_letters import Chosen, kind_of, places_of

__all__ = ["Again", "Replayed", "parts", "replay", "why_not"]

#: Reasons of letters that do not hold their record, and what they lack.
_INCOMPLETE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"longer than \d+ MiB; only its first "), "only its beginning was kept"),
    (re.compile(r"the row has \d+ cells and the header \d+"), "the header of its table was not kept"),
    (re.compile(r"something follows the array's closing bracket"), "it is no part of its array"),
)
_MARK = re.compile(rb"\[(?:email|phone|card|iban|key)\]")
#: An id that was redacted as a text and not as an id (`redact_identifier`, which ends it with a hash).
_NO_ID = re.compile(r"\[(?:email|phone|card|iban|key)\](?!.*-[0-9a-f]{8}(?![0-9a-f]))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Again:
    """How letters are read. `chosen` reads all of them; without it a file's is read by the format that its file had, and a
    stream's by the first of `stream` that knows it."""

    chosen: Decoder | None = None
    stream: Sequence[Decoder] = DECODERS
    times: TimesRule = NOW
    redact: bool = False

    def decoder(self, at: Coordinates, record: RawRecord) -> Decoder | None:
        if self.chosen is not None:
            return self.chosen
        tried = self.stream
        if at.source.startswith("file:"):
            tried = [one for one in DECODERS if one.name == at.partition] or DECODERS
        return decoder_of(record, tried)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of letters. `counts` is what the store took of those that could be read.

    `stay` counts by kind of reason the letters that could not; `impossible` those that do not hold their whole record, by what
    they lack. Of those that were read `redacted` had been redacted when they were kept.
    """

    counts: Counts = field(default_factory=Counts)
    stay: Mapping[str, int] = field(default_factory=dict)
    impossible: Mapping[str, int] = field(default_factory=dict)
    redacted: int = 0

    @property
    def read(self) -> int:
        """Letters that could be read, and are letters no more."""
        return self.counts.records

    @property
    def left(self) -> int:
        return sum(self.stay.values()) + sum(self.impossible.values())

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.counts + other.counts,
            Counter(self.stay) + Counter(other.stay),
            Counter(self.impossible) + Counter(other.impossible),
            self.redacted + other.redacted,
        )


def replay(
    store: Store, chosen: Chosen, again: Again, *, batch_rows: int = 2000, progress: Progress | None = None
) -> Replayed:
    """Read the chosen letters again. Those that cannot be read stay, with today's reason.

    Twice is as once: what was read is no letter any more.
    """
    places = store.dead_letters.places(chosen)
    done = Replayed()
    with (progress or Silent()).task("replay", total=places.num_rows, unit="records") as advance:
        for part in parts(places, batch_rows):
            done += _replay(store, part, again)
            advance.advance(part.num_rows)
    return done


def why_not(letter: DeadLetter) -> str | None:
    """What a letter lacks of its record, so that no decoder can ever read it; None when it is whole."""
    if not letter.payload:
        return "nothing of it was kept"
    return next((lack for reason, lack in _INCOMPLETE if reason.match(letter.reason)), None)


def _replay(store: Store, places: pa.Table, again: Again) -> Replayed:
    """One transaction. What is read in it is not changed by others until it ends."""
    batch = Batch(0)
    stay: list[DeadLetter] = []
    impossible: Counter[str] = Counter()
    redacted = 0
    with store.transaction():
        letters = store.dead_letters.at(places)
        left: set[Coordinates] = set()
        for letter in letters:
            lack = why_not(letter)
            if lack is not None:
                impossible[lack] += 1
                left.add(letter.coordinates)
                continue
            reason = _read(batch, letter, again)
            if reason is None:
                redacted += _MARK.search(letter.payload) is not None
                continue
            stay.append(replace(letter, reason=reason))
            left.add(letter.coordinates)
        # Before the rows: a deletion among them counts the letters that it takes along.
        store.dead_letters.remove(places_of([one.coordinates for one in letters if one.coordinates not in left]))
        before = {letter.coordinates: letter.reason for letter in letters}
        store.dead_letters.restate([letter for letter in stay if letter.reason != before[letter.coordinates]])
        counts = batch.store(store)
    return Replayed(counts, Counter(kind_of(letter.reason) for letter in stay), impossible, redacted)


def _read(batch: Batch, letter: DeadLetter, again: Again) -> str | None:
    """Put what the letter holds into the batch; the reason when it cannot be read."""
    at, defaults = letter.coordinates, Defaults(letter.received_at, again.times)
    record = parse_record(at.position, letter.payload)
    decoder = again.decoder(at, record)
    if _MARK.search(letter.payload) and (reason := _lost_id(record, decoder, at, defaults)) is not None:
        return reason
    read, size = batch.records, batch.size
    batch.take(record, decoder, at, defaults, redact=again.redact)
    if not batch.letters:
        return None
    # It stands in the store already, and does not count as read.
    reason = batch.letters.pop().reason
    batch.records, batch.size = read, size
    return reason


def _lost_id(record: RawRecord, decoder: Decoder | None, at: Coordinates, defaults: Defaults) -> str | None:
    """Whether redaction took what tells the record's turns from those of others: they would be taken for one turn."""
    if record.reason is not None or decoder is None:
        return None
    decoded = decode(record, decoder, at.source, defaults)
    if isinstance(decoded, str):
        return None  # said by whoever reads it for good
    ids = [("turn_id", turn.turn_id) for turn in decoded.turns]
    ids += [("turn_id", event.turn_id) for event in decoded.events]
    ids += [("conversation_id", turn.conversation_id) for turn in decoded.turns]
    lost = next((name for name, value in ids if _NO_ID.search(value)), None)
    return None if lost is None else f"{lost}: was redacted, so it cannot be told from others"


def parts(places: pa.Table, rows: int) -> Iterator[pa.Table]:
    """Parts of at most so many letters, and of no more bytes than a batch unless one letter alone has more."""
    start = size = 0
    for row, length in enumerate(places.column("bytes").to_pylist()):
        if row > start and (row - start >= rows or size + (length or 0) > BATCH_BYTES):
            yield places.slice(start, row - start)
            start, size = row, 0
        size += length or 0
    if start < places.num_rows:
        yield places.slice(start)
