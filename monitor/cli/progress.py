"""Progress bars on a terminal, for what takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from monitor.progress import Advance, Progress, Silent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

__all__ = ["RichProgress", "progress_to"]


def progress_to() -> Progress:
    """Bars on stderr when that is a terminal, nothing otherwise: a bar in a log file helps nobody."""
    if not sys.stderr.isatty():
        return Silent()
    from rich.console import Console

    return RichProgress(Console(stderr=True))


class RichProgress:
    """A bar with rate and time left for each task that lasts longer than `after` seconds. It goes when the task ends."""

    def __init__(self, console: Console, *, after: float = 1.0) -> None:
        self._console = console
        self._after = after

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Advance]:
        bar = _Bar(self._console, name, total, unit, self._after)
        try:
            yield bar
        finally:
            bar.close()


class _Bar:
    def __init__(self, console: Console, name: str, total: int | None, unit: str, after: float) -> None:
        self._console, self._name, self._total, self._unit, self._after = console, name, total, unit, after
        self._started = time.monotonic()
        self._done = 0
        self._bars: Bars | None = None

    def advance(self, n: int) -> None:
        self._done += n
        elapsed = time.monotonic() - self._started
        if elapsed < self._after:
            return
        if self._bars is None:
            self._bars = self._show()
        rate = _amount(self._done / max(elapsed, 1e-9), self._unit)
        amount = _amount(self._done, self._unit)
        if self._total is not None:
            done = amount if self._unit == "bytes" else f"{self._done:,}"
            amount = f"{done} of {_amount(self._total, self._unit)}"
        for task in self._bars.task_ids:
            self._bars.update(task, completed=self._done, amount=amount, rate=f"{rate}/s")

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()

    def _show(self) -> Bars:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[amount]}", markup=False),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        bars.add_task(self._name, total=self._total, amount="", rate="")
        bars.start()
        return bars


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
