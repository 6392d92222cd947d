"""Files as streams of raw records: JSONL, JSON array, CSV, Parquet; all but the last also gzipped.

What a file is, its first bytes say; its name only decides between CSV and lines of JSON.
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from consumers.decoders import DECODERS, Decoder
from consumers.json_array import read_array
from consumers.raw import MAX_RECORD, RawRecord, parse_record
from consumers.tables import check_utf8, read_csv, read_parquet
from monitor.errors import InputError

__all__ = ["RecordFile", "check_columns", "detect", "open_file"]

_T = TypeVar("_T")

_LOOKED_AT = 50
_GIVE_UP_AFTER = 2000
_ARRAY = re.compile(rb"\s*\[\s*[{\]]")
#: What other logs call the user's text.
_LIKE_USER_TEXT = ("text", "prompt", "question", "query", "input", "message", "utterance", "content", "user_message")


@dataclass(slots=True)
class RecordFile:
    """A file that was looked at. `consumed` grows up to `size` while its records are read, for a progress bar."""

    path: Path
    kind: str
    size: int
    gzipped: bool = False
    consumed: int = 0

    def sha256(self) -> str:
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def records(self, start: int = 0) -> Iterator[RawRecord]:
        """Records from `start` on. Raises `InputError` when the file as a whole turns out not to be what it seemed."""
        for record in self._read():
            if record.position >= start:
                yield record
        self.consumed = self.size

    def _read(self) -> Iterator[RawRecord]:
        self.consumed = 0
        if self.kind == "parquet":
            for record, rows in read_parquet(self.path):
                self.consumed = self.size * record.position // rows
                yield record
            return
        if self.kind == "csv":
            with self.path.open("rb") as raw, _unpacked(raw, self.gzipped) as stream:
                _whole(self.path, lambda: check_utf8(self.path, stream))
        with self.path.open("rb") as raw, _unpacked(raw, self.gzipped) as stream:
            yield from self._guarded(stream, raw)

    def _guarded(self, stream: BinaryIO, raw: BinaryIO) -> Iterator[RawRecord]:
        """The records, and one bad one at the end when the gzip stream breaks off."""
        position = -1
        try:
            for record in self._parsed(stream):
                position = record.position
                self.consumed = raw.tell()
                yield record
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            yield RawRecord(position + 1, b"", reason=f"the gzip stream is damaged or cut here: {error}")

    def _parsed(self, stream: BinaryIO) -> Iterator[RawRecord]:
        if self.kind == "array":
            return read_array(stream)
        if self.kind == "csv":
            name = self.path.name.removesuffix(".gz")
            return read_csv(self.path, stream, "\t" if name.endswith(".tsv") else ",")
        return _read_lines(stream)


def open_file(path: Path) -> RecordFile:
    """Look at a file. Raises `InputError` when there is nothing in it to read."""
    if not path.exists():
        raise InputError(f"{path} does not exist: check the name{_neighbour(path)}")
    if not path.is_file():
        raise InputError(f"{path} is not a file: name the files in it, such as {path}/*.jsonl")
    try:
        with path.open("rb") as raw:
            first = raw.read(4)
            gzipped = first[:2] == b"\x1f\x8b"
            raw.seek(0)
            head = _head(path, raw, gzipped)
    except PermissionError as error:
        raise InputError(f"{path} may not be read by this user: {error.strerror}") from error
    if not head.strip():
        raise InputError(f"{path} is empty: there is nothing to ingest")
    if first == b"PAR1":
        return RecordFile(path, "parquet", path.stat().st_size)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path} is UTF-16: convert it, for example with `iconv -f utf-16 -t utf-8 {path}`")
    return RecordFile(path, _kind(path, head), path.stat().st_size, gzipped)


def detect(path: Path) -> str:
    """Name of the format of a file's first records. Raises `InputError` saying what was tried."""
    file = open_file(path)
    good, bad = _first_records(file)
    if not good:
        if bad is None:
            raise InputError(f"{path} holds no records")
        raise InputError(
            f"{path} holds no readable record; the first, record {bad.position + 1}: {bad.reason}. "
            f"offmap reads {', '.join(decoder.name for decoder in DECODERS)} as JSONL, JSON array, CSV or Parquet"
        )
    counts = {decoder: sum(decoder.matches(value) for value in good) for decoder in DECODERS}
    best = max(DECODERS, key=lambda decoder: counts[decoder])  # the first of equals
    if counts[best]:
        return best.name
    raise InputError(_unknown(file, good))


def check_columns(file: RecordFile, decoder: Decoder) -> None:
    """Refuse a table without the column that its format lives from: one message, not one dead letter a row."""
    if file.kind in ("csv", "parquet"):
        good, _ = _first_records(file)
        if good and not any(decoder.matches(value) for value in good):
            raise InputError(_unknown(file, good))


def _first_records(file: RecordFile) -> tuple[list[Any], RawRecord | None]:
    good, first_bad = [], None
    for record in file.records():
        if record.reason is None:
            good.append(record.value)
        elif first_bad is None:
            first_bad = record
        if len(good) >= _LOOKED_AT or record.position >= _GIVE_UP_AFTER:
            break
    return good, first_bad


def _unknown(file: RecordFile, values: Sequence[Any]) -> str:
    names = list(dict.fromkeys(name for value in values if isinstance(value, dict) for name in value))
    nearest = difflib.get_close_matches("user_text", names, n=1, cutoff=0.6) or [
        name for name in names if name.lower() in _LIKE_USER_TEXT
    ]
    shown = ", ".join(names[:20]) or "none: the records are no objects"
    if file.kind in ("csv", "parquet"):
        hint = f": rename {nearest[0]} to user_text" if nearest else ": name the column with the user's messages so"
        return f"{file.path} has no column user_text{hint}; its columns with values are {shown}"
    tried = ", ".join(decoder.name for decoder in DECODERS)
    hint = f"; is {nearest[0]} the user's message? Rename it to user_text" if nearest else ""
    return f"{file.path} is in no known format: tried {tried}; the fields of its records are {shown}{hint}"


def _kind(path: Path, head: bytes) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".csv" in suffixes or ".tsv" in suffixes:
        return "csv"
    body = head.removeprefix(b"\xef\xbb\xbf")
    if _ARRAY.match(body):
        return "array"
    first_line = body.split(b"\n", 1)[0]
    if not suffixes and b"," in first_line and b"user_text" in first_line and not first_line.lstrip().startswith(b"{"):
        return "csv"
    return "lines"


def _read_lines(stream: BinaryIO) -> Iterator[RawRecord]:
    position = 0
    while line := stream.readline(MAX_RECORD + 1):
        payload = line.removeprefix(b"\xef\xbb\xbf") if position == 0 else line
        if len(line) > MAX_RECORD:
            yield RawRecord.too_long(position, payload)
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_RECORD)
        elif payload := payload.strip():
            yield parse_record(position, payload)
        position += 1


def _unpacked(raw: BinaryIO, gzipped: bool) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 16)) if gzipped else raw


def _head(path: Path, raw: BinaryIO, gzipped: bool) -> bytes:
    return _whole(path, lambda: _unpacked(raw, gzipped).read(1 << 16))


def _whole(path: Path, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} looks like gzip and cannot be unpacked: {error}; copy it again") from error


def _neighbour(path: Path) -> str:
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    nearest = difflib.get_close_matches(path.name, names, n=1, cutoff=0.7)
    return f"; did you mean {path.parent / nearest[0]}?" if nearest else ""
