"""Parts: threads that are kept running. A part that fails is started again; the others do not notice."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from monitor.clock import Clock
from monitor.errors import OffmapError, place_of
from monitor.health import PartHealth, State

__all__ = ["Body", "Part", "Say"]

#: How a part says how it is: a state and a few words.
Say = Callable[[State, str], None]
#: What a part does until the event is set. Returning before that ends the part for good.
Body = Callable[[threading.Event, Say], None]

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0

_log = structlog.get_logger("offmap")


class Part:
    """One thread of the service, with its health."""

    def __init__(self, name: str, body: Body, *, clock: Clock, first_pause: float = _FIRST_PAUSE) -> None:
        self.name = name
        self._body, self._clock, self._first_pause = body, clock, first_pause
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._state: State = "starting"
        self._detail, self._since, self._restarts = "", clock(), 0
        self._thread = threading.Thread(target=self._run, name=f"offmap-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False when it did not come in time."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def health(self) -> PartHealth:
        with self._lock:
            return PartHealth(self.name, self._state, self._since, self._detail, self._restarts)

    def say(self, state: State, detail: str = "") -> None:
        """Note how the part is. Since when is the time of the last change of its state."""
        with self._lock:
            if state != self._state:
                self._since = self._clock()
            changed = (state, detail) != (self._state, self._detail)
            self._state, self._detail = state, detail
        if changed and state in ("failing", "waiting"):
            _log.warning("part", part=self.name, state=state, detail=detail)

    def _run(self) -> None:
        pause = self._first_pause
        while not self._stop.is_set():
            started = self._clock()
            try:
                self._body(self._stop, self.say)
                break
            # The one place that takes everything: whatever ends a part must not end the service, and is shown and logged.
            except Exception as error:
                self._failed(error, pause)
            if (self._clock() - started).total_seconds() > _LONGEST_PAUSE:
                pause = self._first_pause
            self._stop.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            with self._lock:
                self._restarts += 1
        self.say("stopped")

    def _failed(self, error: Exception, pause: float) -> None:
        planned = isinstance(error, OffmapError)
        # Only our own messages are known to hold no message text and no secret.
        reason = str(error) if planned else f"{type(error).__name__} in {place_of(error)}"
        if not planned:
            _log.error("part failed", part=self.name, error=reason, restart_in=pause)
        self.say("failing", f"{reason}; tried again in {pause:.0f} s")
