"""The journal: what changed in the store and stands in no other log, written beside it before it is committed.

DuckDB's own log may be damaged by the disk, and is then cut (`monitor.store.damage`). A stream reads what is missing again
from its broker. A request over HTTP, a person's decision or an alert that was sent cannot come again: their transactions are
appended here, flushed, and kept until a checkpoint has moved them into the file. The store counts the entries that it holds
(table `journal`, in the transaction itself), so that each one is applied once: after a crash those above the count are run
again, statement by statement.

An entry is a head (mark, number, length, checksum) and the statements with their parameters and tables. It holds texts of
users: the file is private to its owner, and `offmap forget` empties it with the store.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa

from monitor.disk import flush
from monitor.errors import StoreFullError
from monitor.store import wire

__all__ = [
    "MOST_OF_AN_ENTRY",
    "MOST_OF_A_JOURNAL",
    "Content",
    "Entry",
    "Journal",
    "Recording",
    "Statement",
    "journal_of",
]

#: A transaction with more bytes is not written here: a checkpoint follows it at once.
MOST_OF_AN_ENTRY = 16 << 20
#: At this size a checkpoint is due.
MOST_OF_A_JOURNAL = 32 << 20

_MARK = b"ofJ1"
_HEAD = struct.Struct("<4sQII")
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a transaction, as it was run."""

    sql: str
    parameters: Sequence[object]
    tables: Mapping[str, pa.Table]

    @property
    def size(self) -> int:
        """Roughly its bytes in the journal."""
        return len(self.sql) + sum(table.nbytes for table in self.tables.values())


_READS = re.compile(r"\s*(SELECT|FROM|WITH)\b(?!.*\b(INSERT|UPDATE|DELETE)\b)", re.IGNORECASE | re.DOTALL)


class Recording:
    """The statements of an open transaction that change something."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.size = 0

    def add(self, sql: str, parameters: Sequence[object], tables: Mapping[str, pa.Table]) -> None:
        if _READS.match(sql):
            return
        statement = Statement(sql, tuple(parameters), dict(tables))
        self.size += statement.size
        self.statements.append(statement)
        if self.size > MOST_OF_AN_ENTRY:
            # It is not written: a checkpoint follows its transaction. That something was changed is all there is to know.
            self.statements = self.statements[:1]


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction. Numbers follow on each other without a hole."""

    number: int
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What a journal holds. `damaged` when something that was written whole cannot be read any more; an entry that a crash
    cut short is none, since nobody was told that it is kept."""

    entries: tuple[Entry, ...]
    damaged: bool


class Journal:
    """One file, made when it is first needed. Not for two threads at once: the store's writer holds its lock."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._descriptor: int | None = None
        self._size = self._before = 0

    @property
    def size(self) -> int:
        """Bytes that were appended since it was last emptied."""
        return self._size

    def append(self, entry: Entry) -> None:
        """Write an entry and flush it. `StoreFullError` when it cannot be, and then nothing of it stays."""
        self._before = self._size
        try:
            descriptor = self._opened()
            data = _encoded(entry)
            for start in range(0, len(data), 1 << 20):
                _write(descriptor, data[start : start + (1 << 20)])
            os.fsync(descriptor)
        except OSError as error:
            self.take_back()
            raise StoreFullError(
                f"no room left on the disk of the journal {self.file} ({error.strerror}); nothing of the last transaction was "
                "kept: free some space and run the same command again"
            ) from error
        self._size += len(data)

    def take_back(self) -> None:
        """Drop the entry that was appended last: its transaction was not committed."""
        self._cut(self._before)

    def clear(self) -> None:
        """Drop everything: a checkpoint holds it."""
        self._before = 0
        self._cut(0)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def set_aside(self) -> Path:
        """Keep the file under another name, which is returned; the journal begins anew."""
        self.close()
        number = 1
        while (aside := self.file.with_name(f"{self.file.name}.damaged-{number}")).exists():
            number += 1
        self.file.replace(aside)
        flush(self.file.parent)
        self._size = self._before = 0
        return aside

    def read(self) -> Content:
        """The entries, in order, up to the first that is cut short or damaged."""
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            return Content((), damaged=False)
        found = list(_decoded(data))
        rest = data[found[-1][1] :] if found else data
        return Content(tuple(entry for entry, _ in found), damaged=bool(rest) and not _cut_short(rest))

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = self._before = os.fstat(self._descriptor).st_size
            flush(self.file.parent)
        return self._descriptor

    def _cut(self, size: int) -> None:
        # Without a flush: entries that come back after a crash are counted by the store, and not run twice.
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, size)
        elif not size:
            self.file.unlink(missing_ok=True)
        self._size = size


def journal_of(file: Path) -> Path:
    """Where the journal of the store in `file` lies."""
    return file.with_name(f"{file.name}.journal")


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _encoded(entry: Entry) -> bytes:
    said = [
        {"sql": one.sql, "parameters": wire.pack_parameters(one.parameters), "tables": list(one.tables)}
        for one in entry.statements
    ]
    pieces = [orjson.dumps(said)]
    pieces += (wire.pack_table(table) for one in entry.statements for table in one.tables.values())
    body = b"".join(_LENGTH.pack(len(piece)) + piece for piece in pieces)
    return _HEAD.pack(_MARK, entry.number, len(body), _checksum(entry.number, body)) + body


def _decoded(data: bytes) -> Iterator[tuple[Entry, int]]:
    """The entries and where each ends."""
    at = 0
    while at + _HEAD.size <= len(data):
        mark, number, length, checksum = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if mark != _MARK or len(body) < length or _checksum(number, body) != checksum:
            return
        at += _HEAD.size + length
        yield Entry(number, _statements(body)), at


def _statements(body: bytes) -> tuple[Statement, ...]:
    pieces, at = [], 0
    while at < len(body):
        (length,) = _LENGTH.unpack_from(body, at)
        pieces.append(body[at + _LENGTH.size : at + _LENGTH.size + length])
        at += _LENGTH.size + length
    tables = iter(pieces[1:])
    return tuple(
        Statement(
            said["sql"],
            wire.unpack_parameters(said["parameters"]),
            {name: wire.unpack_table(next(tables)) for name in said["tables"]},
        )
        for said in orjson.loads(pieces[0])
    )


def _cut_short(rest: bytes) -> bool:
    """Whether this is the beginning of one entry whose end was never written."""
    if len(rest) < _HEAD.size:
        return True
    mark, _, length, _ = _HEAD.unpack_from(rest)
    return mark == _MARK and len(rest) < _HEAD.size + length and rest.find(_MARK, 1) < 0


def _checksum(number: int, body: bytes) -> int:
    return zlib.crc32(body, number & 0xFFFFFFFF)
