"""What a client has not sent yet: lines in memory, or lines on the disk that outlive the process.

Both are queues with a bound: `put` refuses what does not fit, so that what was taken stays taken. `peek` gives the oldest
lines, `done` takes them away once they are stored elsewhere.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Protocol

__all__ = ["Memory", "Queue", "Spool"]

#: A segment is deleted as a whole: after a kill at most so much is sent again, and the server knows it by its ids.
_SEGMENT = 1 << 20
_SUFFIX = ".ndjson"
_SLOTS = 1000


class Queue(Protocol):
    """Lines without their ends, oldest first. Not for two threads at once."""

    @property
    def waiting(self) -> int:
        """How many lines there are."""

    def put(self, line: bytes) -> bool:
        """Add a line; False when there is no room."""

    def peek(self, most: int, most_bytes: int) -> list[bytes]:
        """The oldest lines: at least one where there is one, and no more than both bounds allow."""

    def done(self, lines: int) -> None:
        """Take away the oldest lines, which were peeked."""

    def close(self) -> None:
        """Let go of what it holds open."""


class Memory:
    """A queue that ends with the process."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._size = most_bytes, 0
        self._lines: deque[bytes] = deque()

    @property
    def waiting(self) -> int:
        return len(self._lines)

    def put(self, line: bytes) -> bool:
        if self._size + len(line) > self._most:
            return False
        self._lines.append(line)
        self._size += len(line)
        return True

    def peek(self, most: int, most_bytes: int) -> list[bytes]:
        found: list[bytes] = []
        for line in self._lines:
            most_bytes -= len(line)
            if found and (len(found) == most or most_bytes < 0):
                break
            found.append(line)
        return found

    def done(self, lines: int) -> None:
        for _ in range(lines):
            self._size -= len(self._lines.popleft())

    def close(self) -> None:
        pass


class Spool:
    """A queue in files that are only appended to. A line is with the system when `put` returns, and so outlives a kill.

    Processes may share a folder: each holds a slot in it, a subfolder that it has locked. What a process that is gone left in
    its slot is taken over by the next that starts. Raises `OSError` when the folder cannot be used.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._most = most_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # what people wrote lies in it
        self._lock, self._slot = _own_slot(folder)
        self._writing: int | None = None
        self._read = 0
        _adopt(folder, self._slot)
        found = sorted(self._slot.glob(f"*{_SUFFIX}"))
        self._next = 1 + int(found[-1].stem) if found else 1
        self._sizes = {path: size for path in found if (size := _mended(path))}
        self._segments = deque(self._sizes)
        self.waiting = sum(path.read_bytes().count(b"\n") for path in self._segments)

    def put(self, line: bytes) -> bool:
        data = line + b"\n"
        if sum(self._sizes.values()) + len(data) > self._most:
            return False
        try:
            if self._writing is None or self._sizes[self._segments[-1]] + len(data) > _SEGMENT:
                self._begin()
            assert self._writing is not None
            size = self._sizes[self._segments[-1]]
            if os.write(self._writing, data) != len(data):  # a full disk takes a part of a line
                os.ftruncate(self._writing, size)
                return False
        except OSError:
            return False
        self._sizes[self._segments[-1]] = size + len(data)
        self.waiting += 1
        return True

    def peek(self, most: int, most_bytes: int) -> list[bytes]:
        if not self._segments:
            return []
        found: list[bytes] = []
        with self._segments[0].open("rb") as stream:
            stream.seek(self._read)
            while len(found) < most and (line := stream.readline()).endswith(b"\n"):
                most_bytes -= len(line)
                if found and most_bytes < 0:
                    break
                found.append(line[:-1])
        if not found:
            raise OSError(f"{self._segments[0].name} is shorter than it was written")
        return found

    def done(self, lines: int) -> None:
        path = self._segments[0]
        with path.open("rb") as stream:
            stream.seek(self._read)
            self._read += sum(len(stream.readline()) for _ in range(lines))
        self.waiting -= lines
        if self._read >= self._sizes[path]:
            if len(self._segments) == 1:
                self._end()
            self._segments.popleft()
            del self._sizes[path]
            path.unlink()
            self._read = 0

    def close(self) -> None:
        self._end()
        os.close(self._lock)

    def _begin(self) -> None:
        self._end()
        path = self._slot / f"{self._next:012}{_SUFFIX}"
        self._writing = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._next += 1
        self._segments.append(path)
        self._sizes[path] = 0

    def _end(self) -> None:
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None


def _own_slot(folder: Path) -> tuple[int, Path]:
    """The first slot that no process holds, locked until its lock is closed."""
    for number in range(_SLOTS):
        slot = folder / str(number)
        slot.mkdir(exist_ok=True, mode=0o700)
        lock = _locked(slot)
        if lock is not None:
            return lock, slot
    raise OSError(f"{_SLOTS} processes use the folder already")


def _locked(slot: Path) -> int | None:
    import fcntl  # not on Windows, where a client has no spool

    descriptor = os.open(slot / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _adopt(folder: Path, own: Path) -> None:
    """Take over what is in the slots that nobody holds: with fewer processes than before it would lie there for ever."""
    for slot in sorted(folder.iterdir()):
        if slot == own or not slot.name.isdecimal() or not any(slot.glob(f"*{_SUFFIX}")):
            continue
        lock = _locked(slot)
        if lock is None:
            continue
        for path in sorted(slot.glob(f"*{_SUFFIX}")):
            number = 1 + max((int(one.stem) for one in own.glob(f"*{_SUFFIX}")), default=0)
            path.rename(own / f"{number:012}{_SUFFIX}")
        os.close(lock)


def _mended(path: Path) -> int:
    """The size of a segment without what a kill left of a last line, which is cut off; an empty one is deleted."""
    data = path.read_bytes()
    size = data.rfind(b"\n") + 1
    if not size:
        path.unlink()
    elif size < len(data):
        os.truncate(path, size)
    return size
