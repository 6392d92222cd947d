"""Logs of lines that still grow: the complete lines so far, and later those that came since.

Which log a file is, its inode and its first line say together: a log that is renamed by rotation is the same log, and one
that was cut and begun anew is another one. The offset is the byte after the last line that was stored, set in the transaction
of its rows.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from consumers.batches import BATCH_BYTES, Batch, Counts
from consumers.decoders import DECODERS, Defaults, decoder_of
from consumers.raw import MAX_RECORD, RawRecord, parse_record
from monitor.clock import Clock
from monitor.records import Coordinates
from monitor.store import Store

__all__ = ["GrowingLog"]

_PARTITION = "lines"
#: So much of a first line tells it from others.
_FIRST = 64 << 10


class GrowingLog:
    """A log that is open. A link, a pipe or a folder is no log: `OSError`."""

    def __init__(self, path: Path) -> None:
        # A pipe would be waited for, and a link may lead anywhere.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        self._stream: BinaryIO = os.fdopen(descriptor, "rb")
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            self._stream.close()
            raise OSError(f"{path.name} is no regular file")
        self._inode = found.st_ino
        self.size = found.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    @property
    def is_lines(self) -> bool:
        """Whether it begins like an object a line, and not like gzip, a table or an array."""
        self._stream.seek(0)
        return self._stream.read(_FIRST).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"")

    def take(
        self, store: Store, *, clock: Clock, redact: bool, rows: int, settled: bool
    ) -> Iterator[tuple[Counts, int]]:
        """Store what is new, a transaction at a time: what became of it, and up to which byte the log is stored.

        `settled` says that nobody is writing: then a last line without its end counts if it is whole JSON.
        """
        source = self._source(store, settled)
        if source is None:
            return
        stored = store.offsets.next(source, _PARTITION)
        defaults = Defaults(clock())
        batch, end = Batch(0), stored
        for record, end in self._records(stored, settled):
            at = Coordinates(source, _PARTITION, record.position)
            batch.take(record, decoder_of(record, DECODERS), at, defaults, redact=redact)
            if batch.records >= rows or batch.size >= BATCH_BYTES:
                yield self._commit(store, batch, source, stored, end), end
                batch, stored, defaults = Batch(0), end, Defaults(clock())
        yield self._commit(store, batch, source, stored, end), end

    def _commit(self, store: Store, batch: Batch, source: str, stored: int, end: int) -> Counts:
        if not batch.records:
            return Counts()
        # In the journal too: a log that is rotated may be gone when it would have to be read again.
        with store.transaction():
            done = batch.store(store)
            store.offsets.advance(source, _PARTITION, expected=stored, to=end)
        return done

    def _source(self, store: Store, settled: bool) -> str | None:
        """What the log is called in the store; None while its first line is not whole.

        A log that is shorter than what was read of it was cut, and begins with the same line: it is the next of its name.
        """
        self._stream.seek(0)
        head = self._stream.read(_FIRST)
        first, ending, _ = head.partition(b"\n")
        if not ending and len(head) < _FIRST and not (settled and _is_whole(head)):
            return None
        number = 1
        while store.offsets.next(self._named(first, number + 1), _PARTITION):
            number += 1
        if store.offsets.next(self._named(first, number), _PARTITION) > self.size:
            number += 1
        return self._named(first, number)

    def _named(self, first: bytes, number: int) -> str:
        digest = hashlib.sha256(b"%d %d " % (self._inode, number) + first.strip())
        return f"file:{digest.hexdigest()}"

    def _records(self, start: int, settled: bool) -> Iterator[tuple[RawRecord, int]]:
        """Records from a byte on, each with the byte after it. A record's position is the byte at which its line begins."""
        self._stream.seek(start)
        at = start
        while line := self._stream.readline(MAX_RECORD + 1):
            length, kept = len(line), line
            while len(line) > MAX_RECORD and not line.endswith(b"\n"):
                line = self._stream.readline(MAX_RECORD + 1)
                length += len(line)
                if len(line) <= MAX_RECORD:
                    break
            if not line.endswith(b"\n") and not (settled and length <= MAX_RECORD and _is_whole(kept)):
                return
            payload = (kept.removeprefix(b"\xef\xbb\xbf") if at == 0 else kept).strip()
            if length > MAX_RECORD:
                yield RawRecord.too_long(at, payload), at + length
            elif payload:
                yield parse_record(at, payload), at + length
            at += length


def _is_whole(line: bytes) -> bool:
    return parse_record(0, line.strip()).reason is None
