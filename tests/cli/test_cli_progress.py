"""Progress bars."""

from __future__ import annotations

import contextlib
import io
import time

import pytest
from rich.console import Console

from monitor.cli.progress import RichProgress, progress_to
from monitor.progress import Silent


def drawn(*, after: float, total: int | None, unit: str = "texts") -> str:
    screen = io.StringIO()
    progress = RichProgress(Console(file=screen, force_terminal=True, width=100), after=after)
    with progress.task("encode", total, unit) as advance:
        for _ in range(5):
            time.sleep(0.03)
            advance.advance(1_000)
    return screen.getvalue()


def test_a_long_task_shows_amount_rate_and_time_left() -> None:
    shown = drawn(after=0.01, total=5_000)
    assert "encode" in shown and "5,000 of 5,000 texts" in shown and "texts/s" in shown and "0:00:00" in shown


def test_a_short_task_shows_nothing() -> None:
    assert drawn(after=60, total=5_000) == ""


def test_an_unknown_total_is_no_error() -> None:
    assert "texts/s" in drawn(after=0.01, total=None)


def test_bytes_are_read_by_people() -> None:
    assert "5.0 kB of 5.0 kB" in drawn(after=0.01, total=5_000, unit="bytes")


def test_a_failing_task_gives_the_screen_back() -> None:
    screen = io.StringIO()
    progress = RichProgress(Console(file=screen, force_terminal=True), after=0)
    with pytest.raises(ValueError, match="broken"), progress.task("encode", 2, "texts") as advance:
        advance.advance(1)
        raise ValueError("broken")
    assert screen.getvalue().rstrip().endswith("\x1b[2K")  # the bar's line is erased
    assert "\x1b[?25h" in screen.getvalue()  # and the cursor is there again


def test_no_terminal_no_bar() -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        assert isinstance(progress_to(), Silent)
