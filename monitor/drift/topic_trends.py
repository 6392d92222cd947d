"""The topics of a level that rise and fall in a window, read from the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from monitor.drift.movement import Counts, Movement, movements
from monitor.drift.seasons import HOURS_OF_WEEK, hour_of_week
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.atlases import TopicRow
from monitor.store.rows import values
from monitor.store.statistics import Filter
from monitor.store.store import Store

__all__ = ["TopicTrend", "topic_trends"]


@dataclass(frozen=True, slots=True)
class TopicTrend:
    topic: TopicRow
    movement: Movement


def topic_trends(
    store: Store,
    settings: Settings,
    atlas_id: str,
    level: str,
    topics: Sequence[TopicRow],
    current: Window,
    reference: Window,
) -> list[TopicTrend]:
    """How each of the topics, all of one level, moved from the reference to the current window; the surest first."""
    zone = settings.analysis.time_zone
    position = {topic.topic_id: number for number, topic in enumerate(topics)}

    def counted(window: Window) -> Counts:
        return _counts(store.statistics.conversations_by_hour(atlas_id, level, Filter(window)), position, zone)

    return [TopicTrend(topics[one.topic], one) for one in movements(counted(current), counted(reference))]


def _counts(table: pa.Table, position: dict[str, int], zone: str) -> Counts:
    hours = hour_of_week(table.column("hour").to_numpy().astype("datetime64[us]").astype(np.int64), zone)
    found = table.column("conversations").to_numpy().astype(np.int64)
    # The row behind the topics takes what belongs to none of them, the last one all conversations.
    rows = np.array(
        [len(position) + 1 if name is None else position.get(name, len(position)) for name in values(table, "topic")],
        np.int64,
    )
    counts = np.zeros((len(position) + 2, HOURS_OF_WEEK), np.int64)
    np.add.at(counts, (rows, hours), found)
    return Counts(counts[:-2], counts[-1])
