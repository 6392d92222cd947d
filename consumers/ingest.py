"""The ingest loop for files: read, decode, redact if asked, store with the offset, keep what is bad.

Rows, dead letters and the offset of a batch are one transaction, so a kill at any moment loses nothing and repeats
nothing, and a second run over the same bytes changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from consumers.decoders import Decoded, Decoder, Defaults, decoder_named
from consumers.files import RecordFile, check_columns, detect, open_file
from consumers.raw import RawRecord
from consumers.times import TimesRule
from monitor.errors import RecordError
from monitor.progress import Advance, Progress, Silent
from monitor.records import Coordinates, DeadLetter, Event, Turn
from monitor.redaction import redact_event, redact_payload, redact_turn
from monitor.store import Store

__all__ = ["IngestResult", "ingest_file", "preview", "utc_now"]

#: A batch is stored at this size, however few its records are: memory stays bounded.
_BATCH_BYTES = 8 << 20


def utc_now() -> datetime:
    """The clock of the machine, as naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What one run over a file did. `turns` are new in the store; `skipped` records were read by an earlier run.

    `empty` records were well formed and held no user's message; `forgotten` turns were deleted before and stay away.
    """

    path: Path
    format: str
    times: str
    records: int = 0
    turns: int = 0
    repeated: int = 0
    filled: int = 0
    conflicts: int = 0
    forgotten: int = 0
    events: int = 0
    dead_letters: int = 0
    empty: int = 0
    skipped: int = 0
    seconds: float = 0.0

    @property
    def complete_before(self) -> bool:
        """Whether an earlier run had read the whole file already."""
        return self.records == 0 and self.skipped > 0


@dataclass(slots=True)
class _Stretch:
    """Turns and events, and the deletion that ends them: what stands before it in the log must be stored before it."""

    turns: list[Turn] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    deletion: Event | None = None


@dataclass(slots=True)
class _Batch:
    """What was read since the last commit. `position` is the next record to read."""

    position: int
    records: int = 0
    size: int = 0
    empty: int = 0
    stretches: list[_Stretch] = field(default_factory=lambda: [_Stretch()])
    letters: list[DeadLetter] = field(default_factory=list)

    def add_turns(self, turns: Iterable[Turn]) -> None:
        self.stretches[-1].turns += turns

    def add_event(self, event: Event) -> None:
        if event.kind == "deletion":
            self.stretches[-1].deletion = event
            self.stretches.append(_Stretch())
        else:
            self.stretches[-1].events.append(event)


def ingest_file(
    store: Store,
    path: Path,
    *,
    format: str = "auto",
    times: str = "now",
    redact: bool = False,
    batch_rows: int = 2000,
    progress: Progress | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> IngestResult:
    """Ingest a file into the store.

    `format` is a decoder's name or `auto`; `times` the rule for records without a time (`consumers.times`). Raises
    `InputError` for a file that cannot be read as a whole; bad records become dead letters.
    """
    started = time.perf_counter()
    rule = TimesRule.parse(times)
    file, decoder = _look(path, format)
    loop = _Loop(store, file, decoder, rule, redact, clock)
    if loop.finished:
        return replace(loop.result, skipped=loop.finished, seconds=time.perf_counter() - started)
    check_columns(file, decoder)
    with (progress or Silent()).task(f"ingest {path.name}", total=file.size, unit="bytes") as advance:
        loop.run(batch_rows, advance)
    return replace(loop.result, seconds=time.perf_counter() - started)


def preview(
    path: Path, *, format: str = "auto", times: str = "now", limit: int = 5, clock: Callable[[], datetime] = utc_now
) -> list[Turn]:
    """The first turns of a file as they would be stored; nothing is written. The caller redacts them for printing."""
    rule = TimesRule.parse(times)
    file, decoder = _look(path, format)
    check_columns(file, decoder)
    source = f"file:{file.sha256()}"
    turns: list[Turn] = []
    for record in file.records():
        decoded = _decode(record, decoder, source, Defaults(clock(), rule))
        turns += decoded.turns if isinstance(decoded, Decoded) else ()
        if len(turns) >= limit:
            break
    return turns[:limit]


class _Loop:
    """One run over one file. The source is the content's hash: a renamed file is the same file."""

    def __init__(
        self,
        store: Store,
        file: RecordFile,
        decoder: Decoder,
        rule: TimesRule,
        redact: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._file, self._decoder, self._rule, self._redact = store, file, decoder, rule, redact
        self._clock = clock
        self._source = f"file:{file.sha256()}"
        self._stored = store.offsets.next(self._source, decoder.name)
        self.result = IngestResult(file.path, decoder.name, str(rule))

    @property
    def finished(self) -> int:
        """Number of records when an earlier run reached the end: the same bytes hold nothing new."""
        return self._store.offsets.next(self._source, self._end)

    @property
    def _end(self) -> str:
        return f"{self._decoder.name}/end"

    def run(self, batch_rows: int, advance: Advance) -> None:
        self.result = replace(self.result, skipped=self._stored)
        batch, shown = _Batch(self._stored), 0
        for record in self._file.records(self._stored):
            self._take(record, batch)
            batch.position = record.position + 1
            if batch.records >= batch_rows or batch.size >= _BATCH_BYTES:
                self._commit(batch)
                batch = _Batch(batch.position)
                advance.advance(self._file.consumed - shown)
                shown = self._file.consumed
        self._commit(batch, at_end=True)
        advance.advance(self._file.size - shown)

    def _take(self, record: RawRecord, batch: _Batch) -> None:
        now = self._clock()
        decoded = _decode(record, self._decoder, self._source, Defaults(now, self._rule))
        batch.records += 1
        batch.size += len(record.payload)
        if isinstance(decoded, str):
            payload = redact_payload(record.payload) if self._redact else record.payload
            place = Coordinates(self._source, self._decoder.name, record.position)
            batch.letters.append(DeadLetter(place, decoded, payload, now))
            return
        batch.empty += not decoded.turns and not decoded.events
        batch.add_turns(map(redact_turn, decoded.turns) if self._redact else decoded.turns)
        for event in decoded.events:
            batch.add_event(redact_event(event) if self._redact else event)

    def _commit(self, batch: _Batch, *, at_end: bool = False) -> None:
        """Store a batch and move the offset, or do neither."""
        with self._store.transaction():
            done = self._stored_stretches(batch.stretches)
            letters = self._store.dead_letters.append(batch.letters)
            self._store.offsets.advance(self._source, self._decoder.name, expected=self._stored, to=batch.position)
            if at_end:
                self._store.offsets.advance(self._source, self._end, expected=0, to=batch.position)
        self._stored = batch.position
        self.result = replace(
            done,
            records=done.records + batch.records,
            dead_letters=done.dead_letters + letters,
            empty=done.empty + batch.empty,
        )

    def _stored_stretches(self, stretches: Iterable[_Stretch]) -> IngestResult:
        """Store turns and events and apply deletions, in the log's order; the result so far."""
        done = self.result
        for stretch in stretches:
            appended = self._store.turns.append(stretch.turns)
            events = self._store.events.append(stretch.events)
            if (event := stretch.deletion) is not None:
                self._store.deletion.forget(turn=event.turn_id, tenant=event.tenant or "", at=event.created_at)
                events += 1
            done = replace(
                done,
                turns=done.turns + appended.inserted,
                repeated=done.repeated + appended.repeated,
                filled=done.filled + appended.filled,
                conflicts=done.conflicts + appended.conflicts,
                forgotten=done.forgotten + appended.forgotten,
                events=done.events + events,
            )
        return done


def _look(path: Path, format: str) -> tuple[RecordFile, Decoder]:
    file = open_file(path)
    return file, decoder_named(detect(path) if format == "auto" else format)


def _decode(record: RawRecord, decoder: Decoder, source: str, defaults: Defaults) -> Decoded | str:
    """Turns and events, or the reason why there are none."""
    if record.reason is not None:
        return record.reason
    try:
        return decoder.decode(record.value, Coordinates(source, decoder.name, record.position), defaults)
    except RecordError as error:
        return str(error)
