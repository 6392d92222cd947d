"""The ingest loop for files: read, decode, redact if asked, store with the offset, keep what is bad.

Rows, dead letters and the offset of a batch are one transaction, so a kill at any moment loses nothing and repeats
nothing, and a second run over the same bytes changes nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from consumers.batches import BATCH_BYTES, Batch, Counts, decode
from consumers.decoders import Decoded, Decoder, Defaults, decoder_named
from consumers.files import RecordFile, check_columns, detect, open_file
from consumers.times import TimesRule
from monitor.clock import Clock, utc_now
from monitor.progress import Advance, Progress, Silent
from monitor.records import Coordinates, Turn
from monitor.store import Store

__all__ = ["IngestResult", "ingest_file", "preview", "utc_now"]


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What one run over a file did. `skipped` records were read by an earlier run."""

    path: Path
    format: str
    times: str
    counts: Counts = field(default_factory=Counts)
    skipped: int = 0
    seconds: float = 0.0

    @property
    def complete_before(self) -> bool:
        """Whether an earlier run had read the whole file already."""
        return self.counts.records == 0 and self.skipped > 0


def ingest_file(
    store: Store,
    path: Path,
    *,
    format: str = "auto",
    times: str = "now",
    redact: bool = False,
    batch_rows: int = 2000,
    progress: Progress | None = None,
    clock: Clock = utc_now,
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
        store.checkpoint()  # an earlier run may have been killed before its own
        return replace(loop.result, skipped=loop.finished, seconds=time.perf_counter() - started)
    check_columns(file, decoder)
    with (progress or Silent()).task(f"ingest {path.name}", total=file.size, unit="bytes") as advance:
        loop.run(batch_rows, advance)
    # Nobody reads a file again that was said to be read: what came of it must not hang on the store's log.
    if not store.erase_due():
        store.checkpoint()
    return replace(loop.result, seconds=time.perf_counter() - started)


def preview(
    path: Path, *, format: str = "auto", times: str = "now", limit: int = 5, clock: Clock = utc_now
) -> list[Turn]:
    """The first turns of a file as they would be stored; nothing is written. The caller redacts them for printing."""
    rule = TimesRule.parse(times)
    file, decoder = _look(path, format)
    check_columns(file, decoder)
    source = f"file:{file.sha256()}"
    turns: list[Turn] = []
    for record in file.records():
        decoded = decode(record, decoder, source, Defaults(clock(), rule))
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
        clock: Clock,
    ) -> None:
        self._store, self._file, self._decoder, self._rule, self._redact = store, file, decoder, rule, redact
        self._clock = clock
        self._source = f"file:{file.sha256()}"
        self._stored = store.offsets.next(self._source, decoder.name)
        self._counts, self._skipped = Counts(), 0
        self._started = time.perf_counter()

    @property
    def finished(self) -> int:
        """Number of records when an earlier run reached the end: the same bytes hold nothing new."""
        return self._store.offsets.next(self._source, self._end)

    @property
    def _end(self) -> str:
        return f"{self._decoder.name}/end"

    @property
    def result(self) -> IngestResult:
        return IngestResult(self._file.path, self._decoder.name, str(self._rule), self._counts, self._skipped)

    def run(self, batch_rows: int, advance: Advance) -> None:
        self._skipped = self._stored
        batch, shown = Batch(self._stored), 0
        for record in self._file.records(self._stored):
            at = Coordinates(self._source, self._decoder.name, record.position)
            batch.take(record, self._decoder, at, Defaults(self._clock(), self._rule), redact=self._redact)
            if batch.records >= batch_rows or batch.size >= BATCH_BYTES:
                self._commit(batch)
                batch = Batch(batch.position)
                advance.advance(self._file.consumed - shown, self._note)
                shown = self._file.consumed
        self._commit(batch, at_end=True)
        advance.advance(self._file.size - shown, self._note)

    @property
    def _note(self) -> str:
        done, seconds = self._counts.records, time.perf_counter() - self._started
        return f"{done:,} records, {done / max(seconds, 1e-9):,.0f} records/s"

    def _commit(self, batch: Batch, *, at_end: bool = False) -> None:
        """Store a batch and move the offset, or do neither."""

        def store() -> Counts:
            done = batch.store(self._store)
            self._store.offsets.advance(self._source, self._decoder.name, expected=self._stored, to=batch.position)
            if at_end:
                self._store.offsets.advance(self._source, self._end, expected=0, to=batch.position)
            return done

        done = self._store.retrying(store, journaled=False)
        self._stored = batch.position
        self._counts += done


def _look(path: Path, format: str) -> tuple[RecordFile, Decoder]:
    file = open_file(path)
    return file, decoder_named(detect(path) if format == "auto" else format)
