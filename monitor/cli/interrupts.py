"""Ctrl-C ends a command soon, whichever library is at work.

Python raises KeyboardInterrupt where it happens to be. Some libraries swallow it while they are imported, DuckDB makes a
RuntimeError of it, and long native calls do not notice. So it is remembered, and what has not ended after two seconds is
ended: every command can be killed at any moment and run again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["INTERRUPTED", "MESSAGE", "stop_requests", "watch_interrupts"]

#: Exit code: 128 and the number of SIGINT, as shells say it.
INTERRUPTED = 130
MESSAGE = "interrupted; run the same command again to go on"

_PATIENCE = 2.0
_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def watch_interrupts(patience: float = _PATIENCE) -> Iterator[Callable[[], bool]]:
    """While this is open, Ctrl-C is remembered: call what is yielded to ask whether it came."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread gets signals, and only it may set what they do.
        yield lambda: False
        return
    asked = threading.Event()
    end = threading.Timer(patience, _end)
    end.daemon = True

    def remember(number: int, frame: FrameType | None) -> None:
        if not asked.is_set():
            asked.set()
            end.start()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield asked.is_set
    finally:
        end.cancel()
        signal.signal(signal.SIGINT, before)


def _end() -> None:
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)  # a progress bar had hidden it
    sys.stderr.write(f"Error: {MESSAGE}\n")
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def stop_requests(*, second_ends: bool) -> threading.Event:
    """Set when SIGTERM or Ctrl-C came: the ordinary end of a command that runs on. `second_ends` is for a second Ctrl-C."""
    stop = threading.Event()

    def remember(number: int, frame: FrameType | None) -> None:
        if second_ends and stop.is_set() and number == signal.SIGINT:
            sys.exit(INTERRUPTED)
        stop.set()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, remember)
        signal.signal(signal.SIGINT, remember)
    return stop
