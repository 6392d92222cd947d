"""How far long work is: a bar on a terminal, a line now and then in a log file, nothing beside JSON."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from monitor.progress import Advance, Progress, Silent
from monitor.wording import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

__all__ = ["LineProgress", "RichProgress", "progress_to"]

#: Seconds between two lines in a log file.
_EVERY = 10.0
#: A rate is that of the last so many seconds: what a stream did yesterday says nothing of now.
_RECENT, _MARK = 20.0, 0.5


def progress_to(*, quiet: bool = False) -> Progress:
    """What is told goes to stderr. `quiet`, for output that programs read, tells nothing."""
    if quiet:
        return Silent()
    if not sys.stderr.isatty():
        return LineProgress(_write, every=_EVERY)
    from rich.console import Console

    return RichProgress(Console(stderr=True))


class RichProgress:
    """A bar with rate and time left for each task that lasts longer than `after` seconds. It goes when the task ends."""

    def __init__(self, console: Console, *, after: float = 1.0) -> None:
        self._console = console
        self._after = after

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Advance]:
        bar = _Bar(self._console, _Meter(name, total, unit), self._after)
        try:
            yield bar
        finally:
            bar.close()


class LineProgress:
    """A line every so many seconds in which something was done; a short task has none."""

    def __init__(self, write: Callable[[str], None], *, every: float) -> None:
        self._write, self._every = write, every

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Advance]:
        yield _Lines(self._write, _Meter(name, total, unit), self._every)


class _Meter:
    """What is known of a task. One thread counts, another may look."""

    def __init__(self, name: str, total: int | None, unit: str) -> None:
        self.name, self.total, self.unit = clean(name), total, unit
        self.done, self.note = 0, ""
        self._lock = threading.Lock()
        self._marks = deque([(time.monotonic(), 0)])
        self._started = self._marks[0][0]

    def advance(self, n: int, note: str, left: int | None) -> None:
        with self._lock:
            self.done += n
            self.note = note or self.note
            if left is not None:
                self.total = self.done + left
            now = time.monotonic()
            if now - self._marks[-1][0] >= _MARK:
                self._marks.append((now, self.done))
                self._forget(now)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._started

    @property
    def amount(self) -> str:
        if self.total is None:
            return _amount(self.done, self.unit)
        done = _amount(self.done, self.unit) if self.unit == "bytes" else f"{self.done:,}"
        return f"{done} of {_amount(self.total, self.unit)}"

    @property
    def rate(self) -> str:
        """Of the last seconds, or since the beginning when that is not so long ago."""
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            when, done = self._marks[0]
            return f"{_amount((self.done - done) / max(now - when, 1e-9), self.unit)}/s"

    @property
    def time_left(self) -> str:
        """At the rate of the last seconds; `""` while nobody knows."""
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            when, done = self._marks[0]
            per_second = (self.done - done) / max(now - when, 1e-9)
            if self.total is None or per_second <= 0:
                return ""
            return f"{_duration((self.total - self.done) / per_second)} left" if self.done < self.total else ""

    def _forget(self, now: float) -> None:
        while len(self._marks) > 1 and self._marks[1][0] <= now - _RECENT:
            self._marks.popleft()


class _Lines:
    def __init__(self, write: Callable[[str], None], meter: _Meter, every: float) -> None:
        self._write, self._meter, self._every = write, meter, every
        self._due = every

    def advance(self, n: int, note: str = "", *, left: int | None = None) -> None:
        self._meter.advance(n, note, left)
        if self._meter.elapsed >= self._due:
            self._due = self._meter.elapsed + self._every
            facts = [self._meter.amount, self._meter.rate, self._meter.time_left, self._meter.note]
            self._write(f"{self._meter.name}: {', '.join(fact for fact in facts if fact)}")


class _Bar:
    def __init__(self, console: Console, meter: _Meter, after: float) -> None:
        self._console, self._meter, self._after = console, meter, after
        self._bars: Bars | None = None

    def advance(self, n: int, note: str = "", *, left: int | None = None) -> None:
        self._meter.advance(n, note, left)
        if self._meter.elapsed < self._after:
            return
        if self._bars is None:
            self._bars = self._show()
        for task in self._bars.task_ids:
            self._bars.update(task, completed=self._meter.done, total=self._meter.total)

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()

    def _show(self) -> Bars:
        from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.text import Text

        class Told(ProgressColumn):
            """Asked at every drawing, not when something is done: a stream that pauses has a rate of nothing."""

            def __init__(self, tell: Callable[[], str]) -> None:
                super().__init__()
                self._tell = tell

            def render(self, task: Task) -> Text:
                return Text(self._tell(), no_wrap=True)

        bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            Told(lambda: self._meter.amount),
            Told(lambda: self._meter.rate),
            Told(lambda: self._meter.note),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        bars.add_task(self._meter.name, total=self._meter.total)
        bars.start()
        return bars


def _write(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds.

    >>> _duration(7.2), _duration(83), _duration(3_700)
    ('7s', '1m 23s', '1h 1m')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"


def _amount(count: float, unit: str) -> str:
    """An amount with its unit; bytes as kB, MB and GB.

    >>> _amount(1234, "texts"), _amount(12_345_678, "bytes")
    ('1,234 texts', '12.3 MB')
    """
    if unit != "bytes":
        return f"{count:,.0f} {unit}"
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {name}"
    return f"{count:.0f} bytes"
