"""A client for products: `send` a turn and forget it; a thread of its own brings it to offmap.

    from monitor import Client

    client = Client("http://127.0.0.1:8050", app="shop", environment="production")
    client.send({"user_text": "where is my parcel?", "assistant_text": "On its way."})

`send` never raises, never waits for the network, and says whether it took the turn. What was taken is tried until the server
has stored it; a turn without an id gets one, so that trying again doubles nothing. When offmap is away for long and the queue
is full, new turns are dropped and counted: dropping old ones instead would break what `send` promised, and what a spool holds.

Only the standard library is used, and nothing of offmap's that a product would have to carry.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import threading
import time
import uuid
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.delivery import Answer, Delivery
from monitor.spool import Memory, Queue, Spool

__all__ = ["Client", "ClientStats"]

_BATCH_BYTES = 1 << 20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0
#: How long the end of the process waits for what has not been sent.
_AT_EXIT = 5.0


@dataclass(frozen=True, slots=True)
class ClientStats:
    """What became of turns since the client was made. `refused` are kept by the server as dead letters, `dropped` by nobody."""

    sent: int = 0
    refused: int = 0
    dropped: int = 0
    waiting: int = 0
    last_error: str = ""


class Client:
    """Turns to one offmap, from any thread. With `spool`, a folder, they outlive the process.

    `key` is one whose hash is in `ingest.keys` of the server. `app` and `environment` stand for those that a turn does not
    name. A batch goes when it has `batch_turns`, or after `batch_seconds`. At most `most_mb` wait.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        app: str | None = None,
        environment: str | None = None,
        spool: str | os.PathLike[str] | None = None,
        batch_turns: int = 500,
        batch_seconds: float = 1.0,
        most_mb: float = 32,
        timeout: float = 10,
    ) -> None:
        self._delivery = Delivery(url, key, timeout)
        self._defaults = {"app": app, "environment": environment}
        self._spool = None if spool is None else Path(spool)
        self._batch_turns, self._batch_seconds = max(1, batch_turns), batch_seconds
        self._most_bytes = int(most_mb * (1 << 20))
        self._closed = self._over = False
        self._begin()
        self._open_queue()  # what an earlier process left is sent, whether this one sends anything or not
        if self._queue is not None and self._queue.waiting:
            with self._changed:
                self._start()
        _clients.add(self)

    def _begin(self) -> None:
        """As in a process that has sent nothing."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._queue: Queue | None = None
        self._most_turns = self._batch_turns
        self._since = 0.0
        self._hurry, self._end = 0, float("inf")
        self._sent = self._refused = self._dropped = 0
        self._last_error = ""

    def send(self, turn: Mapping[str, Any] | Any) -> bool:
        """Take a turn: a mapping in any format that offmap reads, or a `Turn`. False: it was dropped, and `stats` says why."""
        try:
            line = self._line(turn)
        except Exception as error:  # whatever the product hands over, its own work goes on
            return self._drop(f"a turn cannot be written as JSON: {type(error).__name__}")
        with self._changed:
            if self._closed:
                return self._drop("the client is closed")
            queue = self._queue or self._open_queue()
            if len(line) > _BATCH_BYTES * 8 or not queue.put(line):
                return self._drop("no room: the queue or the disk is full, or the turn is too large")
            if not self._since:
                self._since = time.monotonic()
            self._start()
            if queue.waiting == 1 or queue.waiting == self._batch_turns:
                self._changed.notify_all()
        return True

    def flush(self, timeout: float = 10) -> bool:
        """Send what waits without waiting for more. False when it was not all stored in time."""
        end = time.monotonic() + timeout
        with self._changed:
            if not self._waiting():
                return True
            self._start()
            self._hurry += 1
            self._changed.notify_all()
            try:
                while self._waiting() and (left := end - time.monotonic()) > 0:
                    self._changed.wait(left)
            finally:
                self._hurry -= 1
            return not self._waiting()

    def close(self, timeout: float = 10) -> bool:
        """Flush, and end. False when turns are left: a spool keeps them for the next process, without one they are dropped."""
        with self._changed:
            if self._closed:
                return not self._waiting()
            self._closed = True
            self._end = time.monotonic() + timeout
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            # A request that is under way may last as long as its own timeout.
            thread.join(max(0.0, timeout) + 0.5)
        with self._changed:
            left = self._waiting()
            if isinstance(self._queue, Memory):
                self._dropped += left
                self._over = True
            if self._queue is not None and (thread is None or not thread.is_alive()):
                self._queue.close()
        _clients.discard(self)
        return not left

    def stats(self) -> ClientStats:
        with self._changed:
            return ClientStats(self._sent, self._refused, self._dropped, self._waiting(), self._last_error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _line(self, turn: Any) -> bytes:
        if is_dataclass(turn) and not isinstance(turn, type):
            values = ((one.name, getattr(turn, one.name)) for one in fields(turn))
            record = {name: value for name, value in values if value is not None}
        else:
            record = dict(turn)
        if "user_text" in record:  # another format has its own names, and an event its turn's id
            defaults = {"turn_id": uuid.uuid4().hex, "created_at": datetime.now(UTC), **self._defaults}
            record |= {
                name: value for name, value in defaults.items() if value is not None and record.get(name) is None
            }
        return json.dumps(record, default=_plain, allow_nan=False, separators=(",", ":")).encode()

    def _drop(self, why: str) -> bool:
        with self._changed:
            self._dropped += 1
            self._last_error = why
        return False

    def _waiting(self) -> int:
        return 0 if self._queue is None or self._over else self._queue.waiting

    def _open_queue(self) -> Queue:
        self._queue = Memory(self._most_bytes)
        if self._spool is not None:
            try:
                self._queue = Spool(self._spool, self._most_bytes)
            except (OSError, ImportError) as error:
                self._last_error = f"the spool cannot be used, so turns wait in memory: {error}"
        return self._queue

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="offmap-client", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        failures = 0
        while True:
            try:
                batch = self._next()
                if batch is None:
                    break
                answer = self._delivery.post(batch)
                with self._changed:
                    failures = failures + 1 if self._settle(batch, answer) else 0
                    self._changed.notify_all()
            except OSError as error:  # somebody was in the spool: it is looked at anew
                answer, failures = Answer(fault=f"the spool cannot be read: {error}"), failures + 1
                self._look_anew(answer.fault)
            if failures:
                self._pause(answer, failures)
        self._delivery.close()

    def _look_anew(self, fault: str) -> None:
        with self._changed:
            if self._queue is not None:
                self._queue.close()
            self._open_queue()
            self._last_error = fault

    def _next(self) -> list[bytes] | None:
        """The next batch when it is time for it; None at the end."""
        with self._changed:
            while True:
                waiting, now = self._waiting(), time.monotonic()
                if now >= self._end or (self._closed and not waiting):
                    return None
                due = self._since + self._batch_seconds - now
                if waiting and (self._closed or self._hurry or waiting >= self._batch_turns or due <= 0):
                    assert self._queue is not None
                    return self._queue.peek(self._most_turns, _BATCH_BYTES)
                self._changed.wait(due if waiting else None)

    def _settle(self, batch: list[bytes], answer: Answer) -> bool:
        """Note what became of a batch; True when it is to be tried again after a pause."""
        assert self._queue is not None
        if self._over:
            return False  # it was counted as dropped when `close` could wait no longer
        if answer.stored:
            self._queue.done(len(batch))
            self._sent += len(batch) - answer.refused
            self._refused += answer.refused
            self._since = time.monotonic() if self._queue.waiting else 0.0
            self._most_turns = min(self._batch_turns, 2 * self._most_turns)
            return False
        self._last_error = answer.fault
        if not answer.unfit:
            return True
        if len(batch) > 1:
            self._most_turns = len(batch) // 2  # the half without the one at fault goes through
            return False
        self._queue.done(1)
        self._dropped += 1
        return False

    def _pause(self, answer: Answer, failures: int) -> None:
        """Wait before the next try: longer each time, never the same for two clients, and as long as the server asks."""
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures - 1, 10))
        until = time.monotonic() + max(answer.retry_after, longest * random.uniform(0.5, 1))
        with self._changed:
            closed_before = self._closed
            while (left := min(until, self._end) - time.monotonic()) > 0:
                self._changed.wait(left)
                if self._closed and not closed_before:
                    return  # the last chance: the server may be back

    def _after_fork(self) -> None:
        """In a child: what waited is the parent's to send, and so is the slot of its spool."""
        inherited = self._queue
        with suppress(Exception):  # whatever another thread was at when its process was copied
            self._delivery.close()
        self._delivery = self._delivery.anew()
        self._begin()
        with suppress(OSError):
            if inherited is not None:
                inherited.close()


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(type(value).__name__)


@atexit.register
def _close_all() -> None:
    end = time.monotonic() + _AT_EXIT
    for client in list(_clients):
        client.close(max(0.1, end - time.monotonic()))


def _fork() -> None:
    for client in list(_clients):
        client._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fork)
