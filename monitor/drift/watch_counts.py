"""A watch-list in two windows, and how it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.drift.trend import Trend, trend
from monitor.records import Window
from monitor.store.store import Store
from monitor.store.watch_lists import Hits
from monitor.watch_list import WatchList

__all__ = ["WatchCounts", "watch_counts"]


@dataclass(frozen=True, slots=True)
class WatchCounts:
    """What the windows hold of a list. `trend` is of the conversations; None where a window has none."""

    now: Hits
    before: Hits
    trend: Trend | None


def watch_counts(
    store: Store, one: WatchList, environments: Sequence[str], current: Window, reference: Window
) -> WatchCounts:
    """Raises `SettingError` for a pattern that RE2 does not take."""
    now, before = (store.watch_lists.count(one, window, environments) for window in (current, reference))
    changed = trend(now.conversations, now.of_conversations, before.conversations, before.of_conversations)
    return WatchCounts(now, before, changed)
