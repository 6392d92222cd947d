"""The two windows of a comparison, where nobody names them."""

from __future__ import annotations

from datetime import datetime, timedelta

from monitor.records import Window
from monitor.settings import DriftSettings

__all__ = ["windows_before"]


def windows_before(end: datetime, days: DriftSettings, current: Window | None = None) -> tuple[Window, Window]:
    """The window that is asked for, or the last `current_days` before `end`; and the `reference_days` before it."""
    current = current or Window(end - timedelta(days=days.current_days), end)
    return current, Window(current.start - timedelta(days=days.reference_days), current.start)
