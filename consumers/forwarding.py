"""Dead letters on their way to a topic: a thread that sends what the store holds and has not sent.

The store stays the authority. A letter is sent after the commit that stored it, and marked as sent after the topic has it:
a kill in between sends it once more, and none is lost. Ingest never waits for any of this.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from consumers.dead_letters import parts
from consumers.source import SourceAway
from monitor.clock import Clock
from monitor.errors import OffmapError, SettingError, StoreError, place_of
from monitor.records import DeadLetter
from monitor.settings import KafkaSettings
from monitor.store import Store

__all__ = ["Forwarder", "LetterTopic", "OpenTopic", "check_topics"]

#: Nothing is known to be new: the store is asked all the same, since a run before us may have left something.
_EVERY = 15.0
#: How long a topic that fails is left alone, at first and at most.
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
#: What is left at the end is sent for so long; what stays is sent by the next run.
_LAST_SECONDS = 3.0
_ROWS = 500


class LetterTopic(Protocol):
    """Where letters go."""

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """Return when the topic has them all. Raises `SourceAway` when it does not take one."""

    def close(self) -> None: ...


OpenTopic = Callable[[], LetterTopic]


def check_topics(settings: KafkaSettings) -> None:
    """Raise `SettingError` for a topic of dead letters that would be read again, or that no broker can have."""
    name = settings.dead_letter_topic
    if not name:
        return
    if name == settings.topic:
        raise SettingError(
            f"setting kafka.dead_letter_topic = {name!r}: is the topic that is read (kafka.topic), so that each dead "
            "letter would make another one; name a topic of its own, or leave it empty"
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) or name in (".", ".."):
        raise SettingError(
            f"setting kafka.dead_letter_topic = {name!r}: no topic is called so; "
            "a name has up to 249 letters, digits, dots, dashes and underscores"
        )


class Forwarder:
    """Use it as a context: leaving it sends what is left, for a few seconds."""

    def __init__(
        self, store: Store, stream: str, topic: str, open_topic: OpenTopic, *, clock: Clock, stop: threading.Event
    ) -> None:
        self._store, self._stream, self._name = store, stream, topic
        self._open, self._clock, self._stop = open_topic, clock, stop
        self._changed = threading.Condition()
        self._woken = self._ending = False
        self._trouble = ""
        self._until = float("inf")
        self._topic: LetterTopic | None = None
        self._thread = threading.Thread(target=self._run, name="offmap-letters", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ending, self._until = True, time.monotonic() + _LAST_SECONDS
            self._changed.notify_all()
        # The client may hang on a broker that is gone: nobody who ends waits for it.
        self._thread.join(3 * _LAST_SECONDS if kind is None and not self._stop.is_set() else _LAST_SECONDS)

    def wake(self) -> None:
        """There are new letters."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    @property
    def trouble(self) -> str:
        """Why letters wait to be sent; empty when all is well."""
        with self._changed:
            return self._trouble

    # From here on: the thread.

    def _run(self) -> None:
        pause = _PAUSE
        ending = False
        while not ending:
            with self._changed:
                ending = self._ending
                self._woken = False
            if self._forward():
                pause = _PAUSE
                self._wait(_EVERY, woken=True)
            else:
                self._wait(pause * random.uniform(0.5, 1), woken=False)
                pause = min(2 * pause, _LONGEST_PAUSE)
        self._close()

    def _wait(self, seconds: float, *, woken: bool) -> None:
        """Until it is time, or we end, or there is something new: that hurries nobody whom the topic has just refused."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending or (woken and self._woken), seconds)

    def _forward(self) -> bool:
        """Send all that is not sent; False when it did not work."""
        try:
            while time.monotonic() < self._until:
                places = self._store.dead_letters.unsent(self._stream, _ROWS)
                if not places.num_rows:
                    break
                for part in parts(places, _ROWS):
                    letters = self._store.dead_letters.at(part)
                    if self._topic is None:
                        self._topic = self._open()
                    self._topic.send(letters)
                    self._store.dead_letters.mark_sent(part, self._clock())
        except StoreError:
            return False  # the writer tells of it
        except OffmapError as error:
            self._fails(str(error))
            return False
        # A bug of ours must not end the sending for good. Its text may quote somebody: only its place is told.
        except Exception as error:
            self._fails(f"{type(error).__name__} in {place_of(error)}")
            return False
        self._told("")
        return True

    def _fails(self, reason: str) -> None:
        # No number: whoever shows this shows it once.
        self._told(
            f"dead letters wait for the topic {self._name} (setting kafka.dead_letter_topic): {reason}; ingest goes on"
        )
        self._close()

    def _told(self, trouble: str) -> None:
        with self._changed:
            self._trouble = trouble

    def _close(self) -> None:
        topic, self._topic = self._topic, None
        if topic is not None:
            with suppress(SourceAway):
                topic.close()
