"""A JSON array of records, read one record at a time: a 125 MB file needs a few megabytes.

The bounds of each record are found by counting brackets outside strings; `orjson` reads what lies between. A record
that is broken (a quote or a brace too few) makes the count run on into the records after it, so reading starts again at
the next place that looks like the start of this one: one bad record costs one record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from consumers.raw import MAX_RECORD, RawRecord, parse_record

__all__ = ["read_array"]

_CHUNK = 1 << 20
# So many restarts mean that the file is no array of records; each may read MAX_RECORD bytes again.
_MAX_RESTARTS = 200

_STRUCTURE = re.compile(rb'["{}\[\]]')
_STRING_REST = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_GAP = re.compile(rb"[\s,]*")
_SCALAR = re.compile(rb"[^,\]]*")
# How a record starts: its brace and its first name, with the spaces between as this file writes them.
_START = re.compile(rb'\{(\s*)("(?:[^"\\]|\\.){0,200}")(\s*):')


def read_array(stream: BinaryIO) -> Iterator[RawRecord]:
    """The array's elements in order; a bad one comes with its reason."""
    return _Scanner(stream).records()


class _Scanner:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._start = 0  # where the current element starts in the buffer
        self._ended = False
        self._cut = False
        self._restarts = 0

    def records(self) -> Iterator[RawRecord]:
        self._skip(re.compile(rb"[\s\xef\xbb\xbf]*"))
        self._start += 1  # the opening bracket, which the caller has seen
        position = 0
        while True:
            self._skip(_GAP)
            if self._start >= len(self._buffer):
                yield RawRecord(position, b"", reason="the file ends before the array's closing bracket: it is cut")
                return
            if self._buffer[self._start] == ord("]"):
                yield from self._after_the_end(position)
                return
            yield self._element(position)
            if self._cut:
                return
            if self._restarts > _MAX_RESTARTS:
                yield RawRecord(position + 1, b"", reason="too many broken records: the rest of the file is not read")
                return
            position += 1

    def _element(self, position: int) -> RawRecord:
        length = self._length()
        end = len(self._buffer) if length is None else self._start + length
        payload = self._buffer[self._start : end]
        whole = parse_record(position, payload) if length is not None else None
        if whole is not None and whole.reason is None:
            self._start = end
            return whole
        again = _restart(payload)
        if again is not None:
            self._restarts += 1
            self._start += again
            payload = payload[:again].rstrip(b" \t\r\n,")
            return parse_record(position, payload)
        if whole is not None:
            self._start = end
            return whole
        if not self._ended:
            # Longer than a record may be, and nothing in it starts another one: nobody knows where it ends.
            self._cut = True
            return RawRecord.too_long(position, payload)
        self._cut = True
        return RawRecord(position, payload, reason="the file ends inside this record: it is cut")

    def _length(self) -> int | None:
        """Length of the element at the start; None when the file ends inside it, or it is too long."""
        if self._start > _CHUNK:
            self._drop()
        if self._buffer[self._start] not in b"{[":
            return self._scalar_length()
        at, depth = self._start, 0
        while True:
            found = _STRUCTURE.search(self._buffer, at)
            if found is None:
                at = len(self._buffer)
                if not self._fill():
                    return None
                continue
            at, character = found.end(), found.group()
            if character == b'"':
                while True:
                    match = _STRING_REST.match(self._buffer, at)
                    at = match.end() if match else at
                    if at < len(self._buffer) and self._buffer[at] == ord('"'):
                        at += 1
                        break
                    if not self._fill():
                        return None
            elif character in b"{[":
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    return at - self._start

    def _scalar_length(self) -> int | None:
        while True:
            match = _SCALAR.match(self._buffer, self._start)
            end = match.end() if match else self._start
            if end < len(self._buffer):
                return max(end - self._start, 1)
            if not self._fill():
                return None

    def _skip(self, pattern: re.Pattern[bytes]) -> None:
        while True:
            match = pattern.match(self._buffer, self._start)
            self._start = match.end() if match else self._start
            if self._start < len(self._buffer):
                return
            self._drop()
            if not self._fill():
                return

    def _after_the_end(self, position: int) -> Iterator[RawRecord]:
        self._start += 1
        self._skip(re.compile(rb"\s*"))
        if self._start < len(self._buffer):
            rest = self._buffer[self._start : self._start + 1000]
            yield RawRecord(position, rest, reason="something follows the array's closing bracket; it is not read")

    def _fill(self) -> bool:
        if self._ended or len(self._buffer) - self._start > MAX_RECORD:
            return False
        chunk = self._stream.read(_CHUNK)
        self._ended = not chunk
        self._buffer += chunk
        return bool(chunk)

    def _drop(self) -> None:
        """Forget what lies before the current element: a copy of what follows, so not for every element."""
        self._buffer = self._buffer[self._start :]
        self._start = 0


def _restart(payload: bytes) -> int | None:
    """Where in a broken record the next one seems to start: a brace with the same first name after a comma."""
    start = _START.match(payload)
    if start is None:
        return None
    pattern = rb",\s*(?=\{" + rb"\s*".join((b"", re.escape(start[2]), b":")) + rb")"
    if b"\n" in start[1]:
        # Written over several lines: nested objects are indented deeper, so only the same indentation counts.
        pattern = rb",\s*(?=\{" + re.escape(start[1]) + re.escape(start[2]) + rb"\s*:)"
    found = re.search(pattern, payload[start.end() :])
    return start.end() + found.end() if found else None
